"""Cases measured one after the other, each in a freshly executed process: whatever becomes of it is a result."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from alwrity_checks.models.bench_figures import Answer, Case, Failure, Mark, Result, Sample, Workload, usage_of
from alwrity_checks.models.measuring import Memory, Usage, memory_of
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

__all__ = ["Stopped", "run_case"]

_INTERVAL: Final = 0.02
"""Seconds between two samples; they are for the picture, the peaks are the kernel's."""
_MOST_SAMPLES: Final = 400
_PATIENCE: Final = 3600.0
_LAST_BREATH: Final = 10.0
"""Seconds between a child's last word and its end."""
_LARGEST_LINE: Final = 1 << 20
_MEMORY: Final = re.compile(
    r"bad_alloc|allocat\w+ (?:\w+ )*failed|(?:can.?not|failed to) allocate|out of memory", re.IGNORECASE
)
"""What the allocators of C++, Rust, torch and onnxruntime leave on stderr when they end the process."""
_COMMAND: Final = (sys.executable, "-m", "alwrity_checks.models.bench_child")
_LIGHTER: Final = "free memory, raise the limit, or choose a lighter model: alwrity-doctor models plan"


class Stopped(Exception):  # noqa: N818 - what happened
    """The bench was stopped; no child is left."""


@dataclass(slots=True)
class _Log:
    """What was heard and seen of a child so far."""

    case: Case
    usages: list[Usage] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    libraries: dict[str, str] = field(default_factory=dict)
    first: Answer | None = None
    json_valid: int | None = None
    failure: Failure | None = None
    done: bool = False

    @property
    def phase(self) -> str:
        return self.marks[-1].phase if self.marks else ""

    def take(self, event: str, value: Any, at: float) -> None:  # noqa: ANN401 - JSON
        match event:
            case "begin":
                self.marks.append(Mark(at, str(value)))
            case "usage":
                self.usages.append(usage_of(value))
            case "first":
                self.first = Answer(**value)
            case "answer":
                self.answers.append(Answer(**value))
            case "json":
                self.json_valid = int(value)
            case "libraries":
                self.libraries = dict(value)
            case "failure":
                texts = {name: scrub(str(told)) for name, told in value.items()}
                self.failure = Failure(texts["reason"], texts["diagnosis"], texts["remedy"], self.phase)
            case "done":
                self.done = True

    def result(self) -> Result:
        return Result(
            case=self.case,
            usages=tuple(self.usages),
            first=self.first,
            answers=tuple(self.answers),
            json_valid=self.json_valid,
            libraries=self.libraries,
            samples=_thinned(self.samples),
            marks=tuple(self.marks),
            failure=self.failure,
        )


def run_case(  # noqa: PLR0913 - the case, how to measure it, and what a test puts in place of the rest
    case: Case,
    directory: Path,
    workload: Workload,
    *,
    stop: threading.Event | None = None,
    notify: Callable[[str], None] | None = None,
    patience: float = _PATIENCE,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = _COMMAND,
) -> Result:
    """Measure `case`, loaded from `directory`, in a child, and return what came of it; blocks.

    A child that dies or gives up is a result with a failure. `notify` hears of each phase; `environment` is added to
    the child's. Raises Stopped, within a tenth of a second, when `stop` is set.
    """
    order = {
        "model": case.model,
        "carrier": case.carrier,
        "precision": case.precision,
        "directory": str(directory),
        "workload": asdict(workload),
    }
    log = _Log(case)
    began = time.monotonic()
    with tempfile.TemporaryFile() as talk, _child(command, talk, _environment(workload, environment)) as child:
        lines = _lines(child, json.dumps(order))
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            if time.monotonic() - began > patience:
                log.failure = Failure(
                    Reason.LOAD_FAILED,
                    f"it did not end within {patience:.0f} s",
                    "measure fewer tokens or repetitions, or a lighter model",
                    log.phase,
                )
                break
            try:
                line = lines.get(timeout=_INTERVAL)
            except queue.Empty:
                line = b""
            if line is None:
                break
            at = time.monotonic() - began
            if line:
                phase = log.phase
                _take(log, line, at)
                if notify is not None and log.phase != phase:
                    notify(log.phase)
            _sample(log, child.pid, at)
        if log.failure is None and not log.done:
            log.failure = _death(child, talk, log)
    return log.result()


def _take(log: _Log, line: bytes, at: float) -> None:
    try:
        told = json.loads(line)
        log.take(str(told["event"]), told["value"], at)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RuntimeError(f"a bench's child told what cannot be understood: {line[:200]!r}") from error


@contextlib.contextmanager
def _child(command: Sequence[str], talk: Any, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 - a file
    # A session of its own: a Ctrl-C at the terminal reaches this process alone, which then ends the child.
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=talk,
        env=environment,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if sys.platform != "win32":
                    os.killpg(child.pid, signal.SIGKILL)
                else:
                    child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _lines(child: subprocess.Popen[bytes], order: str) -> queue.SimpleQueue[bytes | None]:
    """Give the child its order, and return the lines that come from it; None is their end."""
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    source, sink = child.stdout, child.stdin
    if source is None or sink is None:
        raise RuntimeError("a child without pipes")
    with contextlib.suppress(BrokenPipeError):
        sink.write(order.encode() + b"\n")
        sink.flush()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := source.readline(_LARGEST_LINE):
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="bench-child", daemon=True).start()
    return lines


def _sample(log: _Log, pid: int, at: float) -> None:
    import psutil

    if log.samples and at - log.samples[-1].at < _INTERVAL / 2:
        return
    memory = Memory()
    # The child may have ended meanwhile.
    with contextlib.suppress(OSError, psutil.Error):
        memory = memory_of(pid)
    if memory.resident:
        log.samples.append(Sample(round(at, 3), memory.resident, memory.anonymous))


def _thinned(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return at most so many samples as a picture can show: of each stretch the greatest one."""
    step = -(-len(samples) // _MOST_SAMPLES) or 1
    stretches = (samples[start : start + step] for start in range(0, len(samples), step))
    return tuple(max(stretch, key=lambda one: one.resident) for stretch in stretches)


def _death(child: subprocess.Popen[bytes], talk: Any, log: _Log) -> Failure:  # noqa: ANN401 - a file
    """Say what is known of a child that went without a word."""
    try:
        code = child.wait(_LAST_BREATH)
    except subprocess.TimeoutExpired:
        told = f"it stopped talking in the phase {log.phase!r}, and did not end"
        return Failure(Reason.LOAD_FAILED, told, "measure again; report it if it persists", log.phase)
    talk.seek(max(0, talk.seek(0, os.SEEK_END) - 2000))
    lines = scrub(talk.read().decode("utf-8", "replace").strip()).splitlines()
    memory = next((line for line in reversed(lines) if _MEMORY.search(line)), "")
    said = (memory or (lines[-1] if lines else "")).strip()[:200]
    held = max((sample.resident for sample in log.samples), default=0)
    when = f"in the phase {log.phase!r}" if log.phase else "before its first phase"
    seen = f"{when}, when {held / (1 << 20):,.0f} MiB had been seen in use"
    if code == -getattr(signal, "SIGKILL", 9):
        return Failure(Reason.OUT_OF_MEMORY, f"it was killed {seen}: most likely for its memory", _LIGHTER, log.phase)
    how = f"it ended with {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"it died of {signal.Signals(-code).name}"
    words = f": {said}" if said else ""
    if memory:
        return Failure(Reason.OUT_OF_MEMORY, f"{how} {seen}{words}", _LIGHTER, log.phase)
    return Failure(Reason.LOAD_FAILED, f"{how} {seen}{words}", "see what the runtime says; upgrade it", log.phase)


def _environment(workload: Workload, more: Mapping[str, str] | None) -> dict[str, str]:
    # The import path of this very process: what is measured is what is installed here.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if workload.threads is not None:
        environment |= {"OMP_NUM_THREADS": str(workload.threads), "MKL_NUM_THREADS": str(workload.threads)}
    return environment | dict(more or {})
