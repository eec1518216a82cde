"""All literals at once, by hyperscan (extra `[fast]`): how many there are hardly matters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["HyperscanFinder"]

_ENOUGH: Final = 64
"""Literals below which hyperscan takes another algorithm, made for few, which short literals slow down: 0.8 instead of
0.35 seconds per gigabyte for forty (hyperscan 5.4 with AVX-512). Literals that no log holds make up the number."""
_WHOLE: Final = 0.9
"""A region that is less of a block than this is worth a view of its own."""


class HyperscanFinder:
    """One pass over the block for all literals. Raises ImportError and hyperscan's errors when it is made."""

    def __init__(self, literals: Sequence[bytes]) -> None:
        import hyperscan

        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        fillers = [bytes(1 + (at >> shift) % 8 for shift in (0, 3, 1, 4, 2, 5, 0, 1)) for at in range(_ENOUGH)]
        count = len(literals)
        expressions = [*literals, *fillers[: max(_ENOUGH - count, 0)]]
        database.compile(expressions=expressions, ids=list(range(len(expressions))), flags=0, literal=True)
        _give_back()
        self._scan = database.scan
        self._found: list[tuple[int, int]] = []
        append = self._found.append

        def take(literal: int, _start: int, end: int, _flags: int, _context: object) -> None:
            if literal < count:
                append((end - 1, literal))

        self._take = take

    def __call__(self, data: bytes, begin: int, end: int) -> list[tuple[int, int]]:
        """Return the occurrences of all literals, by their last bytes, ascending."""
        found = self._found
        found.clear()
        if end - begin > len(data) * _WHOLE:
            self._scan(data, self._take)
            # What lies outside of the region is the neighbour's.
            while found and found[-1][0] >= end:
                found.pop()
            if begin:
                found[:] = [one for one in found if one[0] >= begin]
        else:
            self._scan(memoryview(data)[begin:end], self._take)  # type: ignore[type-var]  # any buffer will do
            found[:] = [(position + begin, literal) for position, literal in found]
        found.sort()
        return found


def _give_back() -> None:
    """Return to the system what compiling took and glibc keeps: seven megabytes."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, ImportError, OSError, TypeError):
        # No glibc: TypeError is Windows', whose library has to be named.
        return
