"""One process's share of the work: a segment of a file, or a whole stream that can only be read from its beginning.

Reading  what all parts of a run have in common: probes, gatherer, engine
Part     what is read in one go; its summary depends on the log alone
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from alwrity_checks.errors import DoctorError
from alwrity_checks.logs.blocks import Block, FileSource, Source, file_blocks, stream_blocks
from alwrity_checks.logs.probe import LOOKAHEAD, Gatherer, Hit, Skipped, SkipReason
from alwrity_checks.logs.summary import Accumulator, Summary
from alwrity_checks.logs.window import BlockWindow

if TYPE_CHECKING:
    from alwrity_checks.logs.matcher import Matcher
    from alwrity_checks.logs.streams import Stream

__all__ = ["SEGMENT", "Folding", "Mergeable", "Part", "Reading", "Replaced", "open_again", "parts_of", "segment_length"]

SEGMENT: Final = 32 * 1024 * 1024
"""Bytes of a segment, of logs below some gigabytes: small enough for two processes to end together."""
_MOST_SEGMENTS: Final = 512


class Mergeable(Protocol):
    """A summary. Merging is associative, and the order does not matter."""

    def merge(self, other: Self, /) -> Self:
        """Return what both come to."""
        ...


class Part(NamedTuple):
    """What is read in one go."""

    stream: Stream
    """Without a source that other processes could not read."""
    start: int
    stop: int | None
    """Offsets of a segment; None for a whole stream from `start`, which is then 0."""


class Replaced(Exception):  # noqa: N818 - what happened to the file, not an error
    """The path leads to another file than it did: only a descriptor that was opened before leads to the right one."""


Make = Callable[[str, int], Gatherer[Any]]
Done = Callable[[int], None]
"""Is told how many bytes have been read since the last time."""


def segment_length(size: int | None) -> int:
    """Return the length of a stream's segments: SEGMENT, and of huge files so much that they are not too many."""
    return SEGMENT if size is None else max(SEGMENT, -(-size // _MOST_SEGMENTS))


def parts_of(stream: Stream, segment: int | None = None) -> Iterator[Part]:
    """Yield the parts of a stream; `segment` is the length of its segments, else as `segment_length` says."""
    if not stream.divisible or stream.size is None:
        yield Part(stream, 0, None)
        return
    length = segment or segment_length(stream.size)
    for start in range(0, max(stream.size, 1), length):
        yield Part(stream, start, min(start + length, stream.size))


class Reading:
    """Reads parts, one at a time."""

    def __init__(self, matcher: Matcher, gatherer: Make, segment: int | None = None) -> None:
        self._matcher = matcher
        self._gatherer = gatherer
        self._segment = segment or SEGMENT

    def summary_of(self, part: Part, source: Source | None = None, done: Done | None = None) -> Any:  # noqa: ANN401 - a summary is whatever the gatherers return
        """Return the summary of a part. What cannot be read is in it; a file that was replaced raises Replaced.

        `source`: what a segment is read from; else the file at the stream's path.
        """
        try:
            if part.stop is None:
                return self._whole(part.stream, done)
            return self._segment_of(part, source, part.stop)
        except OSError as error:
            return self.nothing(part, SkipReason.UNREADABLE, error.strerror or type(error).__name__)

    def nothing(self, part: Part, reason: SkipReason, detail: str = "") -> Any:  # noqa: ANN401 - a summary is whatever the gatherers return
        """Return the summary of a part that is not read."""
        gatherer = self._gatherer(part.stream.id, part.start)
        length = None if part.stop is None else part.stop - part.start
        gatherer.skip(Skipped(reason, part.start, length, detail))
        return gatherer.result()

    def _segment_of(self, part: Part, source: Source | None, stop: int) -> Any:  # noqa: ANN401 - a summary is whatever the gatherers return
        if source is None:
            opened = open_again(part.stream)
            try:
                return self._segment_of(part, opened, stop)
            finally:
                opened.close()
        size = part.stream.size or 0
        gatherer = self._gatherer(part.stream.id, part.start)
        for block in file_blocks(source, size, part.start, stop):
            self._take(block, gatherer, source)
        for block in file_blocks(source, size, stop, stop + LOOKAHEAD):
            if isinstance(block, Block) and (hits := self._matcher.hits(block, [])):
                gatherer.beyond(hits, BlockWindow(block, source))
        gatherer.ends(stop)
        return gatherer.result()

    def _take(self, block: Block | Skipped, gatherer: Gatherer[Any], source: Source | None) -> Sequence[Hit]:
        if isinstance(block, Skipped):
            gatherer.skip(block)
            return ()
        skipped: list[Skipped] = []
        hits = self._matcher.hits(block, skipped)
        if hits:
            gatherer.take(hits, BlockWindow(block, source))
        _note_binary(block, skipped)
        for one in skipped:
            gatherer.skip(one)
        return hits

    def _whole(self, stream: Stream, done: Done | None) -> Any:  # noqa: ANN401 - a summary is whatever the gatherers return
        """Read a stream from its beginning; its segments are summed up as those of a file would be."""
        try:
            reader = stream.open()
        except DoctorError as error:
            return self.nothing(Part(stream, 0, None), SkipReason.UNREADABLE, error.diagnosis)
        whole = Folding()
        length = self._segment
        number, current = 0, self._gatherer(stream.id, 0)
        looking_ahead: deque[tuple[int, Gatherer[Any]]] = deque()
        read = 0
        with reader:
            for at, block in stream_blocks(reader, length):
                if at // length != number:
                    looking_ahead.append(((number + 1) * length, current))
                    number = at // length
                    current.ends(number * length)
                    current = self._gatherer(stream.id, number * length)
                while looking_ahead and at >= looking_ahead[0][0] + LOOKAHEAD:
                    whole.add(looking_ahead.popleft()[1].result())
                hits = self._take(block, current, None)
                if isinstance(block, Skipped):
                    continue
                if hits:
                    for _, gatherer in looking_ahead:
                        gatherer.beyond(hits, BlockWindow(block, None))
                if done is not None:
                    done(block.base + block.end - read)
                    read = block.base + block.end
        for _, gatherer in looking_ahead:
            whole.add(gatherer.result())
        whole.add(current.result())
        return whole.summary()


class Folding:
    """Folds summaries as they come; triage's own in place, which is what keeps a thousand of them cheap."""

    def __init__(self) -> None:
        self._summary: Any = None
        self._accumulator: Accumulator | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was added."""
        return self._summary is None and self._accumulator is None

    def add(self, summary: Any) -> None:  # noqa: ANN401 - a summary is whatever the gatherers return
        """Take in a summary, which belongs to the fold from then on."""
        if isinstance(summary, Summary):
            self._accumulator = self._accumulator or Accumulator()
            self._accumulator.add(summary)
        else:
            self._summary = summary if self._summary is None else self._summary.merge(summary)

    def summary(self) -> Any:  # noqa: ANN401 - a summary is whatever the gatherers return
        """Return what was added so far."""
        return self._summary if self._accumulator is None else self._accumulator.summary()


def _note_binary(block: Block, skipped: list[Skipped]) -> None:
    first = block.data.find(b"\0", block.begin, block.end)
    if first >= 0:
        count = block.data.count(b"\0", first, block.end)
        skipped.append(Skipped(SkipReason.BINARY, block.base + first, count))


def open_again(stream: Stream) -> FileSource:
    """Return a divisible stream's file, opened. Raises Replaced and OSError."""
    if stream.path is None:
        raise ValueError(f"the stream {stream.id} has no path")
    descriptor = os.open(stream.path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    status = os.fstat(descriptor)
    if stream.identity is not None and (status.st_dev, status.st_ino) != stream.identity:
        os.close(descriptor)
        raise Replaced
    return FileSource(descriptor)
