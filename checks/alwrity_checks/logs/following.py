"""A log that is still written: what is there is read, then what comes, through rotation and truncation.

Tail      one file by its name: its new bytes, and what happened to it
follow    all of them, until they end or somebody says stop; after each round, the summary so far
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.errors import ConfigurationError, DoctorError
from alwrity_checks.logs.blocks import Block
from alwrity_checks.logs.probe import CONTEXT, LONGEST_LINE, Skipped, SkipReason
from alwrity_checks.logs.window import BlockWindow

if TYPE_CHECKING:
    from alwrity_checks.logs.matcher import Matcher
    from alwrity_checks.logs.streams import Stream
    from alwrity_checks.logs.summary import Summary

__all__ = ["Followed", "News", "Tail", "follow", "follow_names"]

_ROUND: Final = 0.2
"""Seconds between two looks at the files."""
_BLOCK: Final = 512 * 1024
_MOST_BLOCKS: Final = 16
"""Of a pipe that wait to be understood; its writer then waits, too."""


class Making(Protocol):
    """Makes the gatherer of a stretch of a log, which can be told where that ends."""

    def __call__(self, stream: str, start: int, /) -> Any:  # noqa: ANN401 - a gatherer with `ends`
        ...


@dataclass(frozen=True, slots=True)
class News:
    """What a round brought."""

    summary: Summary
    """Of everything so far."""
    changed: bool
    notes: tuple[str, ...] = ()
    """What happened to the files: rotated, truncated, gone, there at last."""


class Tail:
    """A file by its name, read as it grows. Offsets go on when the file is rotated: it is one log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.notes: list[str] = []
        self._file: Any = None
        self._identity: tuple[int, int] | None = None
        self._position = 0

    @property
    def there(self) -> bool:
        """Whether the file has been seen."""
        return self._file is not None

    def read(self) -> bytes:
        """Return new bytes, none where there are none yet. Raises OSError for what cannot be read."""
        if self._file is None and not self._open():
            return b""
        data: bytes = self._file.read(_BLOCK)
        self._position += len(data)
        if data:
            return data
        return self._turned()

    def _open(self) -> bool:
        try:
            file = Path(self.name).open("rb", buffering=0)  # noqa: SIM115 - closed by `close`
        except FileNotFoundError:
            return False
        status = os.fstat(file.fileno())
        self._file, self._identity, self._position = file, (status.st_dev, status.st_ino), 0
        return True

    def _turned(self) -> bytes:
        """At the end: see whether the name leads elsewhere by now, or the file was emptied."""
        if os.fstat(self._file.fileno()).st_size < self._position:
            self.notes.append(f"{self.name} became shorter and is read from its beginning")
            self._file.seek(0)
            self._position = 0
            return self.read()
        try:
            status = os.stat(self.name)  # noqa: PTH116 - by name, as the writer opens it
        except FileNotFoundError:
            # Between a rotation and the writer's next line there may be no file; the old one is kept until there is.
            return b""
        if (status.st_dev, status.st_ino) == self._identity:
            return b""
        last: bytes = self._file.read(_BLOCK)
        if last:
            # Written between our last look and the rotation.
            self._position += len(last)
            return last
        self._file.close()
        self._file = None
        self.notes.append(f"{self.name} was rotated: the new file goes on from the old one")
        return self.read()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class _Pipe:
    """A pipe, read by a thread of its own: a read may wait as long as its writer likes."""

    def __init__(self, stream: Stream, arrived: Event) -> None:
        self.name = stream.id
        self.notes: list[str] = []
        self.there = True
        self._ended = False
        self._blocks: Queue[bytes] = Queue(_MOST_BLOCKS)
        self._stream = stream
        self._arrived = arrived
        # Not joined: at the end it may wait for a writer who never writes again.
        Thread(target=self._take, name="alwrity-triage-pipe", daemon=True).start()

    def _take(self) -> None:
        try:
            with closing(self._stream.open()) as reader:
                while block := reader.read(_BLOCK):
                    self._blocks.put(block)
                    self._arrived.set()
        except (OSError, DoctorError) as error:
            self.notes.append(f"{self.name} could not be read to its end: {error}")
        finally:
            self._ended = True
            self._arrived.set()

    def read(self) -> bytes:
        """Return what has come, up to _BLOCK and a little."""
        parts: list[bytes] = []
        size = 0
        with suppress(Empty):
            while size < _BLOCK:
                parts.append(self._blocks.get_nowait())
                size += len(parts[-1])
        return b"".join(parts)

    @property
    def over(self) -> bool:
        """Whether nothing comes any more."""
        return self._ended and self._blocks.empty()

    def close(self) -> None:
        """Leave it: it is not ours."""


@dataclass
class Followed:
    """The lines of one log, understood as they become whole; memory is bounded by the longest line looked at."""

    name: str
    matcher: Matcher
    make: Making
    _data: bytes = b""
    _base: int = 0
    _begin: int = 0
    """Everything before it has been understood."""
    _within: bool = False
    """Whether the rest of a line that is too long is passed over."""

    def take(self, data: bytes, *, last: bool = False) -> Iterator[Summary]:
        """Yield the summaries of the lines that `data` completes; with `last` also of one without an end."""
        # Who writes into a file through a buffer stops in the middle of lines, for as long as nothing happens.
        self._data += data
        if self._within:
            found = self._data.find(b"\n", self._begin)
            passed = (len(self._data) if found < 0 else found + 1) - self._begin
            if passed:
                yield self._summary(
                    self._begin + passed, Skipped(SkipReason.LONG_LINE, self._base + self._begin, passed)
                )
            self._within = found < 0
        end = len(self._data) if last else self._data.rfind(b"\n", self._begin) + 1
        if end > self._begin:
            yield self._summary(end)
        elif len(self._data) - self._begin > LONGEST_LINE:
            yield self._summary(self._begin + LONGEST_LINE)
            self._within = True
        kept = max(self._begin - CONTEXT - 1, 0)
        self._data, self._base, self._begin = self._data[kept:], self._base + kept, self._begin - kept

    def _summary(self, end: int, passed: Skipped | None = None) -> Summary:
        gatherer = self.make(self.name, self._base + self._begin)
        if passed is not None:
            gatherer.skip(passed)
        else:
            block = Block(self._data, self._base, self._begin, end)
            skipped: list[Skipped] = []
            if hits := self.matcher.hits(block, skipped):
                gatherer.take(hits, BlockWindow(block, None))
            if nul := self._data.count(b"\0", self._begin, end):
                first = self._data.find(b"\0", self._begin)
                skipped.append(Skipped(SkipReason.BINARY, self._base + first, nul))
            for one in skipped:
                gatherer.skip(one)
        gatherer.ends(self._base + end)
        self._begin = end
        summary: Summary = gatherer.result()
        return summary


def follow_names(arguments: Sequence[str]) -> list[str]:
    """Return the files to follow. Raises ConfigurationError for what cannot be followed."""
    names: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir() or (any(one in argument for one in "*?[") and not path.exists()):
            raise ConfigurationError(f"{argument} is not one file that can be followed", "name each file: -f app.log")
        if path.suffix in {".gz", ".zst", ".bz2", ".xz"}:
            raise ConfigurationError(f"{argument} is compressed: nothing is added to it", "leave -f out")
        if argument not in names:
            names.append(argument)
    return names


def follow(
    sources: Sequence[Tail | Stream],
    matcher: Matcher,
    make: Making,
    *,
    stop: Event,
    wait: float,
) -> Iterator[News]:
    """Yield the summary so far, several times a second, until `stop` is set or all pipes have ended.

    A file that does not exist is waited for, `wait` seconds at most; then ConfigurationError is raised if none of them
    exists. What cannot be read any more is told and left.
    """
    from alwrity_checks.logs.summary import EMPTY

    arrived = Event()
    tails: list[Tail | _Pipe] = [one if isinstance(one, Tail) else _Pipe(one, arrived) for one in sources]
    logs = {tail.name: Followed(tail.name, matcher, make) for tail in tails}
    deadline = time.monotonic() + wait
    summary = EMPTY
    try:
        while tails:
            before, notes = summary, list[str]()
            arrived.clear()
            last = stop.is_set()
            for tail in list(tails):
                data, over = _read(tail, notes)
                for more in logs[tail.name].take(data, last=over or last):
                    summary = summary.merge(more)
                if over:
                    tails.remove(tail)
            if time.monotonic() > deadline:
                notes += _late(tails, wait)
            yield News(summary, summary is not before, tuple(notes))
            if last:
                return
            if summary is before:
                arrived.wait(_ROUND)
    finally:
        for tail in tails:
            tail.close()


def _read(tail: Tail | _Pipe, notes: list[str]) -> tuple[bytes, bool]:
    """Return new bytes and whether no more will come."""
    over = isinstance(tail, _Pipe) and tail.over
    try:
        data = tail.read()
    except OSError as error:
        notes.append(f"{tail.name} cannot be read any more: {error.strerror}")
        return b"", True
    notes += tail.notes
    tail.notes.clear()
    return data, over


def _late(tails: list[Tail | _Pipe], wait: float) -> list[str]:
    """Take those that have not appeared in time off the list. Raises ConfigurationError if all have."""
    late = [tail for tail in tails if not tail.there and isinstance(tail, Tail)]
    if late and len(late) == len(tails):
        names = ", ".join(tail.name for tail in late)
        raise ConfigurationError(
            f"{names} did not appear within {wait:g} s", "name a file that is written to, or --wait"
        )
    for tail in late:
        tails.remove(tail)
    return [f"{tail.name} did not appear within {wait:g} s and is not waited for any longer" for tail in late]
