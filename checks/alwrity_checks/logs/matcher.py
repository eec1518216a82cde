"""Which lines of a block the probes match.

Every probe requires a literal. Literals are looked for in the block, and a pattern only in the line around one: both
engines find the literals in their own way and share everything else, so they cannot disagree.

A line is matched without its line end, a carriage return included, and without NUL bytes at its beginning.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

from alwrity_checks.logs.probe import LONGEST_LINE, Hit, Probe, Skipped, SkipReason

if TYPE_CHECKING:
    from alwrity_checks.logs.blocks import Block

__all__ = ["Finder", "Matcher", "PlainFinder", "distinct_literals"]

_RETURN: Final = ord("\r")
Search = Callable[[bytes], object]


class Finder(Protocol):
    """Finds literals in a block."""

    def __call__(self, data: bytes, begin: int, end: int) -> list[tuple[int, int]]:
        """Return (position of a byte inside of the occurrence, index of the literal), ascending, of all in the region.

        Of occurrences of one literal in one line the first suffices.
        """
        ...


def distinct_literals(probes: Sequence[Probe]) -> tuple[bytes, ...]:
    """Return literals, as few as are needed: every probe's own literal contains one of them."""
    chosen: list[bytes] = []
    for literal in sorted({probe.literal for probe in probes}, key=lambda literal: (len(literal), literal)):
        if not any(shorter in literal for shorter in chosen):
            chosen.append(literal)
    return tuple(chosen)


class Matcher:
    """Finds the hits of a block. Not for several threads at once."""

    def __init__(self, probes: Sequence[Probe], finder: Callable[[Sequence[bytes]], Finder]) -> None:
        """Raise ValueError for a probe whose literal is empty or spans lines.

        A pattern that is none raises re.error when a line with its literal is met.
        """
        for probe in probes:
            if not probe.literal or b"\n" in probe.literal:
                raise ValueError(f"the probe {probe.id} needs a literal within one line")
        literals = distinct_literals(probes)
        self._probes = probes
        self._alone = frozenset(literals)
        self._of_literal = [
            [index for index, probe in enumerate(probes) if literal in probe.literal] for literal in literals
        ]
        self._searches: dict[int, Search | None] = {}
        self._of_literals: dict[tuple[int, ...], list[tuple[int, Search | None]]] = {}
        self._find = finder(literals) if literals else None

    def hits(self, block: Block, skipped: list[Skipped]) -> list[Hit]:
        """Return the hits of a block's region, in order; `skipped` gets the lines that are too long to be looked at."""
        data, base, begin, end = block
        found = self._find(data, begin, end) if self._find is not None else []
        hits: list[Hit] = []
        rfind, find, of_literals = data.rfind, data.find, self._of_literals
        at, count = 0, len(found)
        while at < count:
            position, literal = found[at]
            at += 1
            line_begin = rfind(b"\n", begin, position) + 1 or begin
            line_end = find(b"\n", position, end)
            if line_end < 0:
                line_end = end
            literals: tuple[int, ...] = (literal,)
            while at < count and found[at][0] < line_end:
                if found[at][1] not in literals:
                    literals += (found[at][1],)
                at += 1
            if data[line_begin] == 0 or data[line_end - 1] == _RETURN or line_end - line_begin > LONGEST_LINE:
                line_begin, line_end = _trimmed(block, line_begin, line_end, skipped)
            line = data[line_begin:line_end]
            looked_for = of_literals.get(literals)
            if looked_for is None:
                looked_for = self._looked_for(literals)
            matched = [index for index, search in looked_for if search is None or search(line)]
            if matched:
                hits.append(Hit(base + line_begin, line, tuple(matched)))
        return hits

    def _looked_for(self, literals: tuple[int, ...]) -> list[tuple[int, Search | None]]:
        together = sorted({index for literal in literals for index in self._of_literal[literal]})
        looked_for = [(index, self._search(index)) for index in together]
        self._of_literals[literals] = looked_for
        return looked_for

    def _search(self, index: int) -> Search | None:
        """Return what decides on a line, None where its literal does; most logs need few of the patterns."""
        if index not in self._searches:
            probe = self._probes[index]
            if probe.pattern:
                self._searches[index] = re.compile(probe.pattern).search
            else:
                found_itself = probe.literal in self._alone
                self._searches[index] = None if found_itself else re.compile(re.escape(probe.literal)).search
        return self._searches[index]


def _trimmed(block: Block, begin: int, end: int, skipped: list[Skipped]) -> tuple[int, int]:
    """Return the line without the NUL bytes before it, what is too long of it, and a carriage return."""
    data, base, _, _ = block
    while begin < end and data[begin] == 0:
        begin += 1
    if end - begin > LONGEST_LINE:
        skipped.append(Skipped(SkipReason.LONG_LINE, base + begin + LONGEST_LINE, end - begin - LONGEST_LINE))
        return begin, begin + LONGEST_LINE
    if end > begin and data[end - 1] == _RETURN:
        end -= 1
    return begin, end


class PlainFinder:
    """One search of the block for each literal, by the standard library alone."""

    def __init__(self, literals: Sequence[bytes]) -> None:
        self._literals = literals
        self._collect = _collector() or _collect

    def __call__(self, data: bytes, begin: int, end: int) -> list[tuple[int, int]]:
        """Return the occurrences of all literals, ascending."""
        found: list[tuple[int, int]] = []
        # C strings end at a NUL.
        collect = _collect if data.find(b"\0", begin, end) >= 0 else self._collect
        for index, literal in enumerate(self._literals):
            collect(data, begin, end, literal, index, found)
        found.sort()
        return found


_Collect = Callable[[bytes, int, int, bytes, int, list[tuple[int, int]]], None]


def _collect(data: bytes, begin: int, end: int, literal: bytes, index: int, found: list[tuple[int, int]]) -> None:  # noqa: PLR0913, PLR0917 - the finder's loop, with its state
    position = data.find(literal, begin, end)
    while position >= 0:
        found.append((position, index))
        position = data.find(literal, position + len(literal), end)


@cache
def _collector() -> _Collect | None:
    """Return a search by glibc's strstr, which compares 16 to 64 bytes at once; None where there is no glibc."""
    if sys.platform == "win32":
        return None
    try:
        os.confstr("CS_GNU_LIBC_VERSION")
        import ctypes

        strstr = ctypes.CDLL(None).strstr
    except (AttributeError, ImportError, OSError, TypeError, ValueError):
        return None
    strstr.restype = ctypes.c_void_p
    strstr.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    cast, address_type, bytes_type = ctypes.cast, ctypes.c_void_p, ctypes.c_char_p

    def collect(data: bytes, begin: int, end: int, literal: bytes, index: int, found: list[tuple[int, int]]) -> None:  # noqa: PLR0913, PLR0917 - the finder's loop, with its state
        # CPython ends every bytes object with a NUL, and the caller holds this one while its address is used.
        start = cast(bytes_type(data), address_type).value or 0
        length = len(literal)
        last = start + end - length
        here = strstr(start + begin, literal)
        while here and here <= last:
            found.append((here - start, index))
            here = strstr(here + length, literal)

    return collect
