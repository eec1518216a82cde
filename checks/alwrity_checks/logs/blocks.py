"""A log as blocks of whole lines, cut at newlines.

Block          bytes, and the region of whole lines in them
file_blocks    the lines of a file that begin in a range; read at offsets, so that processes share nothing
stream_blocks  the lines of what can only be read from its beginning, told apart by segment

Where a block ends depends on where its first line begins, never on who reads it. A line longer than a block is given by
its beginning alone. A line belongs to the segment in which its first byte lies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from alwrity_checks.logs.inflating import StreamDamaged
from alwrity_checks.logs.probe import CONTEXT, LONGEST_LINE, LOOKAHEAD, Skipped, SkipReason

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["BLOCK", "Block", "FileSource", "Source", "file_blocks", "stream_blocks"]

BLOCK: Final = 512 * 1024
"""Bytes read at a time: they stay in a processor's cache while every literal is looked for in them."""


class Block(NamedTuple):
    """Bytes of a log, and the region of whole lines in them."""

    data: bytes
    base: int
    """Offset of the first byte of `data` in the stream."""
    begin: int
    """Where the region begins in `data`: the beginning of a line."""
    end: int
    """Where it ends: behind a newline, or at the end of the stream, or inside of a line that is too long."""


class Source(Protocol):
    """Something of which any range can be read."""

    def read_at(self, length: int, offset: int, /) -> bytes:
        """Return up to `length` bytes from `offset` on, none only at the end. Raises OSError."""
        ...


class FileSource:
    """An open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, length: int, offset: int, /) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        return _pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _sought(descriptor: int, length: int, offset: int) -> bytes:
    """Do what pread does, where there is none: no two threads read from one descriptor."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


_pread: Final[Callable[[int, int, int], bytes]] = getattr(os, "pread", _sought)


class _Shorter(Exception):  # noqa: N818 - what happened to the file, not an error
    """The file ends at `end`, before the size that it had."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


def file_blocks(source: Source, size: int, start: int, stop: int) -> Iterator[Block | Skipped]:
    """Yield the lines that begin in [start, stop) of a file of `size` bytes, and what is not looked at.

    Raises OSError.
    """
    stop = min(stop, size)
    position = -1
    while position < stop:
        try:
            if position < 0:
                position = 0 if start == 0 else _behind_newline(source, size, start - 1)
                continue
            data = _block_at(source, size, position)
        except _Shorter as shorter:
            # What is still there is read as the whole of it.
            size = shorter.end
            if stop > (missing := max(size, start)):
                yield Skipped(SkipReason.SHORTER, missing, stop - missing)
            stop = min(stop, size)
            continue
        end = len(data) if position + len(data) == size else data.rfind(b"\n") + 1
        if end == 0:
            position = yield from _long_line(source, size, position, data)
            continue
        if position + end > stop:
            # The last line that begins before `stop` may end behind it.
            end = data.find(b"\n", stop - position - 1) + 1 or end
        yield Block(data, position, 0, end)
        position += end


def _long_line(source: Source, size: int, position: int, data: bytes) -> Generator[Block | Skipped, None, int]:
    """Yield what is looked at of the line at `position`, and return where the next one begins."""
    begin = position
    while data.count(b"\0") == len(data):
        # A log that was truncated under its writer begins with a hole; the line is what comes behind it.
        yield Skipped(SkipReason.BINARY, begin, len(data))
        begin += len(data)
        if begin == size:
            return size
        try:
            data = _block_at(source, size, begin)
        except _Shorter as shorter:
            return shorter.end
    end = data.find(b"\n") + 1
    if end == 0 and begin + len(data) == size:
        end = len(data)
    if end:
        yield Block(data, begin, 0, end)
        return begin + end
    yield Block(data, begin, 0, LONGEST_LINE)
    try:
        behind = _behind_newline(source, size, begin + len(data))
    except _Shorter as shorter:
        behind = shorter.end
    yield Skipped(SkipReason.LONG_LINE, begin + LONGEST_LINE, behind - begin - LONGEST_LINE)
    return behind


def _block_at(source: Source, size: int, offset: int) -> bytes:
    """Return BLOCK bytes, fewer only at the end: not for a signal, nor for a store that gives less than asked for."""
    wanted = min(BLOCK, size - offset)
    data = source.read_at(wanted, offset)
    while len(data) < wanted:
        more = source.read_at(wanted - len(data), offset + len(data))
        if not more:
            raise _Shorter(offset + len(data) if data else _end(source, offset))
        data += more
    return data


def _end(source: Source, offset: int) -> int:
    """Return where a file ends that ends at `offset` or before it."""
    low, high = 0, offset
    while low < high:
        middle = (low + high + 1) // 2
        if source.read_at(1, middle - 1):
            low = middle
        else:
            high = middle - 1
    return low


def _behind_newline(source: Source, size: int, offset: int) -> int:
    """Return where the first newline at `offset` or later ends, or the size."""
    while offset < size:
        data = _block_at(source, size, offset)
        found = data.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(data)
    return size


def stream_blocks(reader: BinaryIO, segment: int) -> Iterator[tuple[int, Block | Skipped]]:
    """Yield what `file_blocks` yields for a file of the same bytes, each with the offset of its first line.

    No block holds lines of two segments of `segment` bytes, nor lines on both sides of the end of a lookahead. What
    lies before its region in `data` is as much as CONTEXT asks for.
    """
    yield from _Sequential(reader, segment).blocks()


class _Sequential:
    """The bytes in memory of a stream that is read once."""

    def __init__(self, reader: BinaryIO, segment: int) -> None:
        self._reader = reader
        self._segment = segment
        self._data = b""
        self._base = 0
        self._begin = 0
        """Everything before it has been given."""
        self._ended = False
        self._damage = ""

    def blocks(self) -> Iterator[tuple[int, Block | Skipped]]:
        while self._fill():
            end = len(self._data) if self._ended else self._data.rfind(b"\n", self._begin) + 1
            if end > self._begin:
                yield from self._cut(end)
                self._begin = end
            else:
                yield from self._long_line()
        if self._damage:
            offset = self._base + len(self._data)
            yield max(offset - 1, 0), Skipped(SkipReason.DAMAGED, offset, None, self._damage)

    def _fill(self) -> bool:
        """Have BLOCK bytes in memory behind `_begin`, fewer only at the end; say whether there are any."""
        kept = max(self._begin - CONTEXT - 1, 0)  # one byte more tells whether a line begins there
        parts = [self._data[kept:]]
        missing = BLOCK - (len(self._data) - self._begin)
        while missing > 0 and not self._ended:
            part = self._read(missing)
            parts.append(part)
            missing -= len(part)
        self._data = b"".join(parts)
        self._base += kept
        self._begin -= kept
        return self._begin < len(self._data)

    def _read(self, length: int) -> bytes:
        try:
            part = self._reader.read(length)
        except StreamDamaged as damage:
            part, self._damage = b"", damage.diagnosis
        except OSError as error:
            part, self._damage = b"", f"reading failed: {error.strerror}"
        self._ended = not part
        return part or b""

    def _cut(self, end: int) -> Iterator[tuple[int, Block]]:
        """Yield the lines up to `end`, cut where a segment ends, and where its lookahead does."""
        begin, length = self._begin, self._segment
        while begin < end:
            at = self._base + begin
            border = (
                min((at // length + 1) * length, ((at - LOOKAHEAD) // length + 1) * length + LOOKAHEAD) - self._base
            )
            cut = end if border >= end else self._data.find(b"\n", max(border - 1, begin), end) + 1 or end
            yield at, Block(self._data, self._base, begin, cut)
            begin = cut

    def _long_line(self) -> Iterator[tuple[int, Block | Skipped]]:
        at = self._base + self._begin
        while (length := len(self._data) - self._begin) and self._data.count(b"\0", self._begin) == length:
            yield at, Skipped(SkipReason.BINARY, self._base + self._begin, length)
            self._begin += length
            if not self._fill():
                return
        end = self._data.find(b"\n", self._begin) + 1
        if end == 0 and self._ended:
            end = len(self._data)
        if end:
            yield at, Block(self._data, self._base, self._begin, end)
            self._begin = end
            return
        yield at, Block(self._data, self._base, self._begin, self._begin + LONGEST_LINE)
        behind = self._base + self._begin + LONGEST_LINE
        while not end:
            self._begin = len(self._data)
            if not self._fill():
                break
            end = self._data.find(b"\n", self._begin) + 1
        self._begin = end or len(self._data)
        yield at, Skipped(SkipReason.LONG_LINE, behind, self._base + self._begin - behind)
