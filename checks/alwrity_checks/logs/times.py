"""When lines were written, in a form that can be cut and joined anywhere: nothing here depends on where a log was cut.

A line's time is a day and a second of it. Where a format has no date, the day is that of the dated lines before it in
the same stream, and goes on at midnight; what stands before the first dated line counts days from the piece's beginning
until it is joined to what comes before.

Place   a moment of a stream: before any time, relative to the piece's first time, or absolute
Clock   the passing of time within a piece, and what has to be known of it to join another
Times   how often something happened, when first and last, and in bins that grow coarser together
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from alwrity_checks.logs.formats import Stamp

__all__ = ["ABSOLUTE", "BEFORE", "DAY", "NOWHERE", "RELATIVE", "WIDTHS", "Clock", "Place", "Shift", "Times"]

DAY: Final = 86_400
BEFORE, RELATIVE, ABSOLUTE = 0, 1, 2
_BACKWARDS: Final = 2 * 3600
"""Threads write a little out of order, and clocks are put back by an hour in autumn; a longer step back is midnight."""
WIDTHS: Final = (60, 300, 900, 3600, 14_400, DAY, 7 * DAY, 28 * DAY, 0)
"""Seconds of a bin, at each degree of coarseness; 0 stands for one bin for all. Relative bins are at most a day wide:
what a whole number of days can be added to without changing what lies in it."""
_MOST_BINS: Final = 96
_MOST_DAYS: Final = 4096
"""Relative bins of a day each."""


class Place(NamedTuple):
    """A moment of a stream."""

    domain: int
    second: int
    """Since the beginning of the piece's first day, or of the day 0 of the proleptic Gregorian calendar."""


NOWHERE: Final = Place(BEFORE, 0)


def midnights(earlier: int, later: int) -> int:
    """Return by how many days a second of a day lies behind the one that was written before it: -1, 0 or 1."""
    step = later - earlier
    if step < -_BACKWARDS:
        return 1
    return -1 if step > DAY - _BACKWARDS else 0


class Shift(NamedTuple):
    """What becomes of a piece's places when it is joined to the piece before it."""

    before: Place
    seconds: int
    absolute: bool

    def __call__(self, place: Place) -> Place:
        """Return the place as the joined piece has it."""
        if place.domain == ABSOLUTE:
            return place
        if place.domain == BEFORE:
            return self.before
        return Place(ABSOLUTE if self.absolute else RELATIVE, place.second + self.seconds)


@dataclass(slots=True)
class Clock:
    """The passing of time within a piece."""

    first: int | None = None
    """The second of the day of the first timed line, if that has no date."""
    last_relative: int | None = None
    """Relative seconds of the last line before the first dated one."""
    anchor: int | None = None
    """Absolute seconds of the first dated line."""
    now: Place = NOWHERE

    def at(self, stamp: Stamp | None) -> Place:
        """Let the time go on to a line with this stamp, and return the line's place."""
        if stamp is None:
            return self.now
        if stamp.day is not None:
            self.now = Place(ABSOLUTE, stamp.day * DAY + stamp.second)
            if self.anchor is None:
                self.anchor = self.now.second
            return self.now
        domain, second = self.now
        if domain == BEFORE:
            self.first = second = stamp.second
            domain = RELATIVE
        else:
            day, of_day = divmod(second, DAY)
            second = (day + midnights(of_day, stamp.second)) * DAY + stamp.second
        self.now = Place(domain, second)
        if domain == RELATIVE:
            self.last_relative = second
        return self.now

    def joined(self, after: Clock) -> tuple[Clock, Shift]:
        """Return the clock of both pieces, and what becomes of the places of the later one."""
        seconds, absolute = 0, self.now.domain == ABSOLUTE
        if after.first is not None and self.now.domain != BEFORE:
            day, of_day = divmod(self.now.second, DAY)
            seconds = (day + midnights(of_day, after.first)) * DAY
        shift = Shift(self.now, seconds, absolute)
        first = self.first
        if self.now.domain == BEFORE:
            first = after.first
        last = self.last_relative
        if not absolute and after.last_relative is not None:
            last = after.last_relative + seconds
        anchor = self.anchor
        if anchor is None:
            anchor = after.anchor
        now = self.now if after.now.domain == BEFORE else shift(after.now)
        return Clock(first, last, anchor, now), shift

    def resolved(self, end: int | None) -> tuple[Shift, bool]:
        """Return how places become absolute, and whether a date had to be inferred from `end`.

        `end` is the absolute second at which the stream was last written to: its file's, or now for a pipe.
        """
        if self.last_relative is None:
            return Shift(Place(ABSOLUTE, self.anchor) if self.anchor is not None else NOWHERE, 0, absolute=True), False
        day, of_day = divmod(self.last_relative, DAY)
        if self.anchor is not None:
            anchor_day, anchor_second = divmod(self.anchor, DAY)
            offset, inferred = anchor_day - midnights(of_day, anchor_second) - day, False
        elif end is not None:
            end_day, end_second = divmod(end, DAY)
            # A last line that is later in the day than the last write was written the day before.
            offset, inferred = end_day - (1 if of_day > end_second + _BACKWARDS else 0) - day, True
        else:
            offset, inferred = -day, True
        beginning = (self.first or 0) + offset * DAY
        return Shift(Place(ABSOLUTE, beginning), offset * DAY, absolute=True), inferred

    def as_data(self) -> list[Any]:
        """Return the clock in JSON's types."""
        return [self.first, self.last_relative, self.anchor, list(self.now)]

    @classmethod
    def from_data(cls, data: list[Any]) -> Clock:
        """Return the clock that `as_data` wrote."""
        return cls(data[0], data[1], data[2], Place(*data[3]))


@dataclass(slots=True)
class Times:
    """How often, and when. Joining is associative; adding up in another order gives the same bins."""

    before: int = 0
    """Times without any time."""
    relative: dict[int, int] = field(default_factory=dict)
    """Beginning of a bin -> times, in relative seconds."""
    absolute: dict[int, int] = field(default_factory=dict)
    coarse: int = 0
    """Index into WIDTHS."""
    relative_span: tuple[int, int] | None = None
    """The earliest and the latest relative second."""
    absolute_span: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """How often in all."""
        return self.before + sum(self.relative.values()) + sum(self.absolute.values())

    def add(self, place: Place, times: int = 1, last: Place | None = None) -> None:
        """Count `times` from `place` to `last`, which are of one minute, in the order of the stream."""
        if place.domain == BEFORE:
            self.before += times
        else:
            bins = self.relative if place.domain == RELATIVE else self.absolute
            key = _bin(place.second, WIDTHS[self.coarse], place.domain)
            bins[key] = bins.get(key, 0) + times
            if len(bins) > _MOST_BINS:
                self._coarsen(self.coarse + 1)
            self._between(place, last or place)

    def _between(self, first: Place, last: Place) -> None:
        low, high = first.second, last.second
        if high < low:
            low, high = high, low
        relative = first.domain == RELATIVE
        span = self.relative_span if relative else self.absolute_span
        if span is not None:
            if span[0] <= low and high <= span[1]:
                return
            low, high = min(span[0], low), max(span[1], high)
        if relative:
            self.relative_span = (low, high)
        elif first.domain == ABSOLUTE:
            self.absolute_span = (low, high)

    def _coarsen(self, to: int) -> None:
        while True:
            width = WIDTHS[to]
            self.relative = _binned(self.relative, width, RELATIVE)
            self.absolute = _binned(self.absolute, width, ABSOLUTE)
            self.coarse = to
            if len(self.absolute) <= _MOST_BINS and len(self.relative) <= (_MOST_BINS if width < DAY else _MOST_DAYS):
                return
            to += 1

    def join(self, after: Times, shift: Shift) -> None:
        """Take in what happened in the piece behind this one."""
        coarse = max(self.coarse, after.coarse)
        if coarse != self.coarse:
            self._coarsen(coarse)
        width = WIDTHS[coarse]
        if after.before:
            if shift.before.domain == BEFORE:
                self.before += after.before
            else:
                key = _bin(shift.before.second, width, shift.before.domain)
                bins = self.relative if shift.before.domain == RELATIVE else self.absolute
                bins[key] = bins.get(key, 0) + after.before
                self._between(shift.before, shift.before)
        domain = ABSOLUTE if shift.absolute else RELATIVE
        relative = self.absolute if shift.absolute else self.relative
        for key, times in after.relative.items():
            moved = _bin(key + shift.seconds, width, domain)
            relative[moved] = relative.get(moved, 0) + times
        for key, times in after.absolute.items():
            moved = _bin(key, width, ABSOLUTE)
            self.absolute[moved] = self.absolute.get(moved, 0) + times
        self._coarsen(coarse)
        for domain, span in ((RELATIVE, after.relative_span), (ABSOLUTE, after.absolute_span)):
            if span is not None:
                self._between(shift(Place(domain, span[0])), shift(Place(domain, span[1])))

    def reach(self, other: Times) -> None:
        """Let the first and the last time be those of `other` where they lie further out; nothing is counted."""
        for domain, span in ((RELATIVE, other.relative_span), (ABSOLUTE, other.absolute_span)):
            if span is not None:
                self._between(Place(domain, span[0]), Place(domain, span[1]))

    def settled(self, shift: Shift) -> Times:
        """Return the same with absolute places only, as far as there is any time."""
        whole = Times()
        whole.join(self, shift)
        return whole

    def as_data(self) -> list[Any]:
        """Return it in JSON's types."""
        bins = [[list(pair) for pair in sorted(one.items())] for one in (self.relative, self.absolute)]
        spans = [None if span is None else list(span) for span in (self.relative_span, self.absolute_span)]
        return [self.before, *bins, self.coarse, *spans]

    @classmethod
    def from_data(cls, data: list[Any]) -> Times:
        """Return what `as_data` wrote."""
        bins = [dict(one) for one in data[1:3]]
        spans = [None if span is None else (span[0], span[1]) for span in data[4:6]]
        return cls(data[0], bins[0], bins[1], data[3], spans[0], spans[1])


def _bin(second: int, width: int, domain: int) -> int:
    """Return the beginning of the bin in which a second lies."""
    if domain == RELATIVE:
        width = min(width, DAY)
    return second - second % width if width else 0


def _binned(bins: dict[int, int], width: int, domain: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for key, times in bins.items():
        at = _bin(key, width, domain)
        found[at] = found.get(at, 0) + times
    return found
