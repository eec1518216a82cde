"""From an offset in a stream to the number of its line: what an editor and a code-scanning service want to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import DoctorError

if TYPE_CHECKING:
    from alwrity_checks.logs.streams import Stream

__all__ = ["line_numbers"]

_BLOCK: Final = 512 * 1024
_FURTHEST: Final = 64 * 1024 * 1024
"""Bytes into a stream up to which lines are counted: the log is read a second time for it, by one process."""


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
