"""What happened when, on which thread and to which object: recorded while a scenario plays, exported as a trace.

The recorder is a watcher of calls and a hook of the points. Times are seconds since the recording began.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from alwrity_checks.txtai.watching import Call

__all__ = ["ENDS", "Mark", "Recorder", "Recording", "Span", "chrome_trace"]

ENDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "enqueued": "enqueueing",
        "loaded": "loading",
        "encoded": "encoding",
        "applied": "applying",
        "searched": "searching",
        "trimmed": "saving",
        "closed": "closing",
    }
)
"""A step's last point -> its first."""
_FLOW: Final = ("enqueueing", "applying")
"""Documents go from the step that accepts them to the one that makes them searchable."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time."""

    name: str
    thread: str
    subject: str
    """The object it was done to, with a number where there are several."""
    start: float
    end: float
    held: bool = False
    """Whether the experiment kept the thread waiting to force a schedule."""
    error: str = ""
    """What was raised, if anything."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment."""

    name: str
    thread: str
    at: float
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded of one target in one scenario."""

    title: str
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]

    @property
    def duration(self) -> float:
        """Seconds until the last of it was over."""
        return max([span.end for span in self.spans] + [mark.at for mark in self.marks], default=0.0)

    @property
    def threads(self) -> tuple[str, ...]:
        """The threads, in the order in which something first happened on them."""
        moments = [(span.start, span.thread) for span in self.spans] + [(mark.at, mark.thread) for mark in self.marks]
        return tuple(dict.fromkeys(thread for _, thread in sorted(moments)))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recording:
        """Return what `to_json` was made from."""
        spans = tuple(Span(**span) for span in data["spans"])
        return cls(data["title"], spans, tuple(Mark(**mark) for mark in data["marks"]))


class Recorder:
    """Records; every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._marks: list[Mark] = []
        self._open: dict[tuple[str, str], list[tuple[str, float]]] = {}
        """(thread, name) of the steps under way -> their subjects and when they began, the innermost last."""

    def entered(self, call: Call) -> None:
        """Note that a call began."""
        self._begin(call.thread, call.name, call.subject)

    def left(self, call: Call, error: BaseException | None) -> None:
        """Note that a call has ended."""
        self._end(call.thread, call.name, "" if error is None else type(error).__name__)

    def reached(self, name: str, subject: object) -> None:
        """Note that a point was reached; a step's last point closes its span."""
        thread = threading.current_thread().name
        if name in ENDS.values():
            self._begin(thread, name, _named(subject))
        elif name in ENDS:
            self._end(thread, ENDS[name], "")
        else:
            self.mark(name)

    def mark(self, name: str, *, fault: bool = False) -> None:
        """Note that something happens now on this thread."""
        with self._lock:
            self._marks.append(Mark(name, threading.current_thread().name, self._now(), fault))

    @contextmanager
    def holding(self, reason: str) -> Iterator[None]:
        """Note that the experiment keeps this thread waiting."""
        start = self._now()
        try:
            yield
        finally:
            span = Span(reason, threading.current_thread().name, "", start, self._now(), held=True)
            with self._lock:
                self._spans.append(span)

    def recording(self, title: str) -> Recording:
        """Return what was recorded so far; a step that is still under way ends now."""
        with self._lock:
            now = self._now()
            unfinished = [
                Span(name, thread, subject, start, now, error="did not end")
                for (thread, name), steps in self._open.items()
                for subject, start in steps
            ]
            spans = sorted([*self._spans, *unfinished], key=lambda span: (span.start, -span.end))
            return Recording(title, tuple(spans), tuple(sorted(self._marks, key=lambda mark: mark.at)))

    def _now(self) -> float:
        return self._clock() - self._began

    def _begin(self, thread: str, name: str, subject: str) -> None:
        with self._lock:
            self._open.setdefault((thread, name), []).append((subject, self._now()))

    def _end(self, thread: str, name: str, error: str) -> None:
        with self._lock:
            if steps := self._open.get((thread, name)):
                subject, start = steps.pop()
                self._spans.append(Span(name, thread, subject, start, self._now(), error=error))


def _named(subject: object) -> str:
    return "" if subject is None else type(subject).__name__


def chrome_trace(recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return the recordings in the Trace Event Format, which Perfetto and chrome://tracing open: one process for each.

    Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (times in microseconds).
    """
    events: list[dict[str, Any]] = []
    for process, recording in enumerate(recordings, start=1):
        lanes = {thread: number for number, thread in enumerate(recording.threads, start=1)}
        events.append(_named_lane("process_name", process, 0, recording.title))
        events += [_named_lane("thread_name", process, lane, thread) for thread, lane in lanes.items()]
        for span in recording.spans:
            known = {"object": span.subject, "raised": span.error, "held": "by the experiment" if span.held else ""}
            place = {"pid": process, "tid": lanes[span.thread], "ts": _microseconds(span.start)}
            events.append(
                {
                    "ph": "X",
                    "name": f"{span.name} {span.subject}".rstrip(),
                    "cat": "held" if span.held else "call",
                    **place,
                    "dur": _microseconds(span.end - span.start),
                    "args": {key: value for key, value in known.items() if value},
                }
            )
        for mark in recording.marks:
            place = {"pid": process, "tid": lanes[mark.thread], "ts": _microseconds(mark.at)}
            events.append({"ph": "i", "s": "t", "name": mark.name, "cat": "fault" if mark.fault else "mark", **place})
        events += _flows(recording, process, lanes)
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _flows(recording: Recording, process: int, lanes: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield an arrow from each accepting step to the next step that makes its documents searchable."""
    origin, goal = _FLOW
    goals = [span for span in recording.spans if span.name == goal]
    for number, span in enumerate((one for one in recording.spans if one.name == origin), start=1):
        following = next((one for one in goals if one.start >= span.end), None)
        if following is None:
            continue
        common = {"name": "documents", "cat": "documents", "pid": process, "id": f"{process}.{number}"}
        yield {**common, "ph": "s", "tid": lanes[span.thread], "ts": _microseconds(span.start)}
        yield {**common, "ph": "f", "bp": "e", "tid": lanes[following.thread], "ts": _microseconds(following.start)}


def _named_lane(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)
