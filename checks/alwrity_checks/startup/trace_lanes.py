"""A traced process's threads as time: who was at what from when to when, without gaps and without overlaps."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.startup.trace_events import Stack
from alwrity_checks.startup.trace_phases import Phase, read

if TYPE_CHECKING:
    from alwrity_checks.startup.trace_events import Heard, Run, TracedProcess

__all__ = ["Hub", "Interval", "Lanes", "merged"]

_STEP: Final = 0.02
"""Seconds between two samples."""
_LEAST_LARGE: Final = 32 << 20
"""Bytes of a file from which on reading it is worth a word."""
_HUB_HOSTS: Final = ("huggingface.co", "hf.co", "xethub.hf.co", "hf-mirror.com")


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time that one thread spent on one thing."""

    start: float
    end: float
    phase: Phase
    subject: str = ""
    stack: Stack = Stack(())  # noqa: RUF009 - frozen, and empty
    pid: int = 0
    thread: str = ""
    on_behalf: bool = False
    """Whether the server's own thread waited here for another one, `thread`, that was at it."""

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start

    def within(self, start: float, end: float) -> Interval | None:
        """Return the part of it between two moments; None where there is none."""
        first, last = max(self.start, start), min(self.end, end)
        return replace(self, start=first, end=last) if last > first else None


class Hub:
    """Tells the model hub's addresses from others."""

    def __init__(self, endpoint: str) -> None:
        """Take HF_ENDPOINT, "" for the default."""
        parts = urlsplit(endpoint)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        self._own = (parts.hostname, port) if parts.hostname else None

    def __contains__(self, address: object) -> bool:
        """Say whether "host port", or "host:port", or "host" is the hub's."""
        host, _, port = str(address).replace(":", " ").partition(" ")
        if any(host == one or host.endswith(f".{one}") for one in _HUB_HOSTS):
            return True
        return self._own is not None and host == self._own[0] and (not port or port == str(self._own[1]))


class Lanes:
    """The threads of one process."""

    def __init__(self, process: TracedProcess, hub: Hub, end: float) -> None:
        self.process = process
        self._hub = hub
        self._events: dict[int, list[Heard]] = {}
        for one in process.events:
            self._events.setdefault(one.thread, []).append(one)
        self.intervals: Mapping[int, tuple[Interval, ...]] = {
            thread: tuple(merged(self._lane(thread, runs, end))) for thread, runs in process.runs.items()
        }

    def of(self, thread: int, start: float, end: float) -> list[Interval]:
        """Return what a thread was at between two moments."""
        return [part for one in self.intervals.get(thread, ()) if (part := one.within(start, end))]

    def latest(self, thread: int, at: float, *kinds: str) -> Heard | None:
        """Return a thread's last event of certain kinds until a moment."""
        events = self._events.get(thread, [])
        for one in reversed(events[: bisect_right(events, at, key=lambda event: event.at)]):
            if one.kind in kinds:
                return one
        return None

    def _lane(self, thread: int, runs: tuple[Run, ...], end: float) -> Iterable[Interval]:
        main = thread == self.process.main
        name = self.process.name_of(thread)
        start = self.process.began if main else runs[0].first
        for index, run in enumerate(runs):
            following = runs[index + 1] if index + 1 < len(runs) else None
            if following is None:
                # The last thing that was seen lasts, unless the thread went away.
                until = run.last + _STEP if run.last + 10 * _STEP < end and not main else max(end, run.last)
            else:
                # A long silence is the next run's: the sampler had to wait for what held the interpreter.
                until = min(run.last + _STEP / 2, following.first)
            phase, subject = self._told(run, thread, main=main)
            yield Interval(start, until, phase, subject, run.stack, self.process.pid, name)
            start = until

    def _told(self, run: Run, thread: int, *, main: bool) -> tuple[Phase, str]:
        reading = read(run, self.process.library, main)
        phase, subject = reading.phase, reading.subject
        if phase is Phase.DNS:
            heard = self.latest(thread, run.last, "dns")
            return phase, heard.detail if heard else ""
        if phase is Phase.NETWORK:
            heard = self.latest(thread, run.last, "connect", "dns", "request")
            host = self.host(thread, run.last)
            if heard is not None and (heard.detail in self._hub or host in self._hub):
                return Phase.DOWNLOAD, host
            return phase, host
        if phase is Phase.CHILD:
            heard = self.latest(thread, run.last, "popen", "system", "spawn")
            return phase, heard.detail if heard else ""
        if phase in {Phase.OTHER, Phase.IMPORTS, Phase.WAIT}:
            return self._by_event(run, thread) or (phase, subject)
        return phase, subject

    def host(self, thread: int, at: float) -> str:
        """Return the host that a thread last turned to, by name where it had looked one up."""
        request = self.latest(thread, at, "request")
        name = self.latest(thread, at, "dns")
        address = self.latest(thread, at, "connect")
        if name is not None and address is not None:
            return f"{name.detail}:{address.detail.rpartition(' ')[2]}"
        found = address or name or request
        return found.detail.replace(" ", ":") if found else ""

    def _by_event(self, run: Run, thread: int) -> tuple[Phase, str] | None:
        """Return what an event says of a call that has no frame of its own: it was raised on the very stack."""
        heard = self.latest(thread, run.last, "system", "sleep", "open")
        if heard is None or not run.stack.frames or not heard.stack.frames:
            return None
        if heard.stack == run.stack and heard.kind == "system":
            return Phase.CHILD, heard.detail
        if heard.stack == run.stack and heard.kind == "sleep":
            return Phase.SLEEP, ""
        here, there = run.stack.frames[0], heard.stack.frames[0]
        same = (here.file, here.function) == (there.file, there.function)
        if heard.kind == "open" and same and _size(heard.detail, self.process.directory) >= _LEAST_LARGE:
            return Phase.DISK, os.path.basename(heard.detail)  # noqa: PTH119 - of another system perhaps
        return None


def _size(path: str, directory: str) -> int:
    try:
        return os.stat(os.path.join(directory, path)).st_size  # noqa: PTH116, PTH118 - a foreign process's text
    except (OSError, ValueError):
        return 0


def merged(intervals: Iterable[Interval]) -> Iterable[Interval]:
    """Yield the intervals, neighbours that are alike as one."""
    last: Interval | None = None
    for one in intervals:
        if one.end <= one.start:
            continue
        if last is not None and _alike(last, one):
            last = replace(last, end=one.end)
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


def _alike(one: Interval, other: Interval) -> bool:
    if one.phase is Phase.IMPORTS and other.phase is Phase.IMPORTS and one.subject == other.subject:
        return (one.pid, one.thread) == (other.pid, other.thread) and other.start <= one.end
    return replace(one, start=other.start, end=other.end) == other and other.start <= one.end
