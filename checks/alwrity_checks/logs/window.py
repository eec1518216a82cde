"""The lines before a hit, by the log alone: the same whoever reads it, and however it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.logs.probe import CONTEXT

if TYPE_CHECKING:
    from alwrity_checks.logs.blocks import Block, Source

__all__ = ["BlockWindow"]

_NEWLINE: Final = ord("\n")


class BlockWindow:
    """Looks back in the block, and in the file where the block does not reach far enough."""

    __slots__ = ("_base", "_data", "_source")

    def __init__(self, block: Block, source: Source | None) -> None:
        """`source` is None for a stream that is read once: its blocks carry their context."""
        self._data = block.data
        self._base = block.base
        self._source = source

    def before(self, offset: int, lines: int) -> Sequence[bytes]:
        """Return up to `lines` lines that end before the line at `offset`, the nearest last."""
        floor = max(offset - CONTEXT, 0)
        found = _lines_back(self._data, offset - self._base, max(floor - self._base, 0), lines)
        if len(found) < lines and floor < self._base and self._source is not None:
            # One byte more tells whether a line begins at the floor.
            first = max(floor - 1, 0)
            data = self._source.read_at(offset - first, first)
            found = _lines_back(data, offset - first, floor - first, lines)
        return found


def _lines_back(data: bytes, position: int, floor: int, lines: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < lines and position > floor:
        end = position - 1
        start = data.rfind(b"\n", floor, end) + 1
        if start == 0:
            if floor and data[floor - 1] != _NEWLINE:
                break
            start = floor
        found.append(data[start:end].removesuffix(b"\r"))
        position = start
    found.reverse()
    return found
