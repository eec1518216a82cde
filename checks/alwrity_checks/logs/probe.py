"""The seam between the engine, which finds lines, and what understands them.

Probe     what a line is looked at for: a required literal, then a pattern
Hit       a line that at least one probe matches
Skipped   a part of a log that was not looked at, and why
Window    the lines before a hit
Gatherer  is given the hits of one segment in order, and says what they come to
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

__all__ = ["CONTEXT", "LONGEST_LINE", "LOOKAHEAD", "Gatherer", "Hit", "Probe", "SkipReason", "Skipped", "Window"]

LONGEST_LINE = 64 * 1024
"""Bytes of a line that are looked at and handed on; what lies behind them is neither matched nor counted."""
LOOKAHEAD = 256 * 1024
"""Bytes behind a segment in which lines may begin that are handed on as context."""
CONTEXT = 64 * 1024
"""Bytes before a line in which the lines before it are to be had."""

SummaryT_co = TypeVar("SummaryT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a line is looked at for.

    The pattern keeps to what GNU `grep -E` in the C locale, Python's `re` on bytes and hyperscan read alike: no
    look-around, no backreference, no lazy quantifier, no class escape. It matches within one line; a line matches once
    or not at all.
    """

    id: str
    literal: bytes
    """Every matching line contains it."""
    pattern: bytes = b""
    """A regular expression; empty where the literal alone suffices."""


class Hit(NamedTuple):
    """A line that at least one probe matches."""

    offset: int
    """Of the line's first byte, in the decompressed stream."""
    line: bytes
    """Without its line end, cut at LONGEST_LINE."""
    probes: tuple[int, ...]
    """Indices into the probes, ascending."""


class SkipReason(StrEnum):
    """Why a part of a log was not looked at."""

    LONG_LINE = "a line is longer than 64 KiB, and what lies behind them is not looked at"
    BINARY = "there are NUL bytes among the text"
    """Their lines are looked at all the same; the length is the number of NUL bytes."""
    DAMAGED = "the compressed data is damaged or cut off"
    SHORTER = "the file became shorter while it was read"
    REPLACED = "the file was replaced by another one while it was read"
    UNREADABLE = "the file cannot be read"
    DIED = "the process that read this part died, and so did the one that tried again"


class Skipped(NamedTuple):
    """A part of a log that was not looked at; parts with one reason add up."""

    reason: SkipReason
    offset: int
    """Of the first byte, in the decompressed stream."""
    length: int | None
    """Bytes; None where nobody knows how many there would have been."""
    detail: str = ""
    """What was met, in words; without a secret."""


class Window(Protocol):
    """The lines before a hit."""

    def before(self, offset: int, lines: int) -> Sequence[bytes]:
        """Return up to `lines` lines that end before the line at `offset`, the nearest last, without line ends.

        Fewer where fewer lie whole within CONTEXT bytes: it depends on the log alone, not on how that is cut.
        """
        ...


class Gatherer(Protocol[SummaryT_co]):
    """Understands the hits of one segment; made anew for each."""

    def take(self, hits: Sequence[Hit], window: Window) -> None:
        """Take the next hits, in order; the window holds for the time of the call."""
        ...

    def beyond(self, hits: Sequence[Hit], window: Window) -> None:
        """Take hits from behind the segment: context for what began in it, counted by the segment that holds them."""
        ...

    def skip(self, part: Skipped) -> None:
        """Take note of a part of the segment that was not looked at."""
        ...

    def ends(self, offset: int) -> None:
        """Hear where the segment ends, which is where the next one begins; not called where there is none."""
        ...

    def result(self) -> SummaryT_co:
        """Return the segment's summary; it can be pickled."""
        ...
