"""What the traced processes wrote, read back. The format is told in `trace_child/alwrity_startup_tracer.py`.

The files come from processes that may have been killed in the middle of a line, or that write anything they like into
the folder they know of: a line that cannot be read is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

__all__ = ["Frame", "Heard", "Run", "Stack", "TracedProcess", "read_traces"]

_INSTALLED: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_ENTRY_POINT: Final = re.compile(r"[/\\](?:bin|Scripts)[/\\][^/\\.]+$")
_LARGEST: Final = 16 << 20
"""Bytes of a file that are read: the tracer stops at half of it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A function, and where in it its caller or the sampler found it."""

    file: str
    line: int
    function: str
    own: bool = True
    """Whether it is of the user's code: of no installed package, nor of the standard library."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a thread is."""

    frames: tuple[Frame, ...]
    """The innermost first."""
    importing: str = ""
    """The module whose import is under way at the innermost frame, before any of its code runs."""


_NOWHERE: Final = Stack(())


@dataclass(frozen=True, slots=True)
class Run:
    """A thread was seen in one place, once or several times in a row."""

    thread: int
    stack: Stack
    first: float
    last: float
    """Seconds of the monotonic clock."""
    call: int = -1
    """The number of the system call it stood in; -1 where none was seen."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An audit event."""

    at: float
    thread: int
    kind: str
    detail: str
    stack: Stack


@dataclass(frozen=True, slots=True)
class TracedProcess:
    """What one process recorded of itself."""

    pid: int
    parent: int
    began: float
    """When the tracer began: what came before is the interpreter's own start."""
    main: int
    """The thread in which it began."""
    version: tuple[int, ...]
    library: str
    """The directory of its standard library."""
    directory: str
    """Its working directory when it began."""
    forked: bool
    threads: Mapping[int, str]
    """Names, as far as the process gave any."""
    runs: Mapping[int, tuple[Run, ...]]
    """Thread -> where it was, in order, not overlapping."""
    events: tuple[Heard, ...]
    full: float | None = None
    """When it had written as much as it may; later than that it is silent."""

    def name_of(self, thread: int) -> str:
        """Return a thread's name."""
        return self.threads.get(thread) or ("MainThread" if thread == self.main else f"thread {thread % 100000}")


def read_traces(directory: Path) -> tuple[TracedProcess, ...]:
    """Return what was recorded in `directory`, by the time at which it began."""
    found = (_process(path) for path in sorted(directory.glob("*.trace")))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.began))


def _records(path: Path) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as file:
        lines = file.read(_LARGEST).splitlines()
    for line in lines:
        try:
            record = ast.literal_eval(line.decode("utf-8", "replace"))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(record, tuple) and record and isinstance(record[0], str):
            yield record


@dataclass(slots=True)
class _Reader:
    """Collects the records of a file."""

    hello: tuple[Any, ...] = ()
    codes: dict[int, tuple[str, str]] = field(default_factory=dict)
    stacks: dict[int, tuple[tuple[tuple[int, int], ...], str]] = field(default_factory=dict)
    runs: list[tuple[int, int, float, float, int]] = field(default_factory=list)
    events: list[tuple[float, int, str, Any, int]] = field(default_factory=list)
    threads: dict[int, str] = field(default_factory=dict)
    full: float | None = None

    def take(self, record: tuple[Any, ...]) -> None:
        """Take one record; what is none of the format's is left out."""
        match record:
            case ("run", int(thread), int(stack), float(first), float(last), int(call)):
                self.runs.append((thread, stack, first, last, call))
            case ("event", float(at), int(thread), str(kind), detail, int(stack)):
                self.events.append((at, thread, kind, detail, stack))
            case ("stack", int(number), tuple(lines), str(importing)):
                self.stacks[number] = (lines, importing)
            case ("code", int(number), str(file), str(function)):
                self.codes[number] = (file, function)
            case ("thread", int(thread), str(name)):
                # The system gives a number that is free again to the next thread: the first and the last are told.
                before = self.threads.get(thread, name).partition(", later ")[0]
                self.threads[thread] = name if before == name else f"{before}, later {name}"
            case ("hello", float(), int(), int(), int(), tuple(), str(), str(), str(), bool()):
                self.hello = record[1:]
            case ("full", float(at)):
                self.full = at
            case _:
                pass

    def lanes(self, stacks: Mapping[int, Stack]) -> dict[int, tuple[Run, ...]]:
        """Return where each thread was; a run that went on was written again, each time with a later end."""
        found: dict[int, dict[float, Run]] = {}
        for thread, stack, first, last, call in self.runs:
            lane = found.setdefault(thread, {})
            known = lane.get(first) or Run(thread, stacks.get(stack, _NOWHERE), first, last, call)
            lane[first] = replace(known, last=max(last, known.last), call=max(call, known.call))
        return {thread: tuple(lane[first] for first in sorted(lane)) for thread, lane in found.items()}


def _process(path: Path) -> TracedProcess | None:
    reader = _Reader()
    for record in _records(path):
        reader.take(record)
    if not reader.hello:
        return None
    began, pid, parent, main, version, _implementation, library, here, forked = reader.hello
    functions = {number: (file, name, _is_own(file, library)) for number, (file, name) in reader.codes.items()}
    stacks = {number: _stack(*raw, functions) for number, raw in reader.stacks.items()}
    heard = [
        Heard(at, thread, kind, str(detail), stacks.get(stack, _NOWHERE))
        for at, thread, kind, detail, stack in reader.events
    ]
    return TracedProcess(
        pid,
        parent,
        began,
        main,
        version,
        library,
        here,
        forked,
        reader.threads,
        reader.lanes(stacks),
        tuple(sorted(heard, key=lambda one: one.at)),
        reader.full,
    )


def _stack(lines: tuple[tuple[int, int], ...], importing: str, functions: Mapping[int, tuple[str, str, bool]]) -> Stack:
    frames = []
    for code, line in lines:
        file, function, own = functions.get(code, ("?", "?", False))
        frames.append(Frame(file, line, function, own))
    return Stack(tuple(frames), importing)


def _is_own(file: str, library: str) -> bool:
    if file.startswith("<") or (library and file.startswith(library)):
        return False
    # What pip makes of an entry point, `bin/uvicorn`, is nobody's own code either.
    return not _INSTALLED.search(file) and not _ENTRY_POINT.search(file)
