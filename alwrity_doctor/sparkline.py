"""A rate as a row of blocks: how often something happened, over time, within a table's cell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

__all__ = ["sparkline"]

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_NOTHING: Final = "·"
WIDTH: Final = 16


def sparkline(counts: Sequence[tuple[datetime, int]], first: datetime, last: datetime, *, width: int = WIDTH) -> str:
    """Return `width` characters from `first` to `last`, the highest block for the most frequent; a dot is nothing.

    What lies outside counts for the end that it is nearer to: bins begin before what is in them.
    """
    span = (last - first).total_seconds()
    if span <= 0:
        return _BLOCKS[-1] if counts else ""
    columns = [0] * width
    for moment, count in counts:
        position = int((moment - first).total_seconds() * width / span)
        columns[min(max(position, 0), width - 1)] += count
    most = max(columns) or 1
    return "".join(_BLOCKS[(count * len(_BLOCKS) - 1) // most] if count else _NOTHING for count in columns)
