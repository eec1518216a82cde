"""From an offset in a stream to the number of its line: what an editor and a code-scanning service want to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.logs.formats import read_record

if TYPE_CHECKING:
    from alwrity_checks.logs.streams import Stream

__all__ = ["line_numbers", "looks_strange"]

_BLOCK: Final = 512 * 1024
_FURTHEST: Final = 64 * 1024 * 1024
"""Bytes into a stream up to which lines are counted: the log is read a second time for it, by one process."""


_HEAD: Final = 64 * 1024
"""Bytes of a stream that are enough to see whether it is a backend's log."""


def looks_strange(stream: Stream) -> bool:
    """Return whether a stream has bytes, and no line at its beginning has the form of a backend's record.

    What cannot be read again is not strange, nor are prints alone if one of them is the start script's.
    """
    if stream.path is None:
        return False
    head = b""
    try:
        with closing(stream.open()) as reader:
            while len(head) < _HEAD and (block := reader.read(_HEAD - len(head))):
                head += block
    except (OSError, DoctorError):
        return False
    lines = head.splitlines()
    return bool(lines) and not any(read_record(line).format or line.startswith(_PRINTED) for line in lines)


_PRINTED: Final = (b"[STARTUP]", b"[app.py]", b"[INFO]", b"[OK]")


def line_numbers(stream: Stream, offsets: Iterable[int]) -> Mapping[int, int]:
    """Return for each offset the number of the line that it lies in, from 1; none of what cannot be read again.

    Reads the stream up to the last offset that is not too far behind to be counted.
    """
    wanted = sorted({offset for offset in offsets if 0 <= offset <= _FURTHEST})
    numbers: dict[int, int] = {}
    if stream.path is None or not wanted:
        return numbers
    try:
        with closing(stream.open()) as reader:
            at, line = 0, 1
            for offset in wanted:
                while at < offset:
                    block = reader.read(min(_BLOCK, offset - at))
                    if not block:
                        return numbers
                    line += block.count(b"\n")
                    at += len(block)
                numbers[offset] = line
    except (OSError, DoctorError):
        # It was read once; that it cannot be read again costs the numbers alone.
        return numbers
    return numbers
