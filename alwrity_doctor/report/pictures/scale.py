"""Axes: where their ticks stand and what they are called."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import room_for

if TYPE_CHECKING:
    from alwrity_doctor.report.pictures.canvas import Sheet

__all__ = ["Axis", "clock_ticks", "moment", "short", "time_ticks", "value_ticks"]

_UNITS: Final = ((86_400e6, "d"), (3_600e6, "h"), (60e6, "min"), (1e6, "s"), (1e3, "ms"), (1.0, "µs"))
"""Microseconds of a unit, and its name."""
_OF_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_MINUTE: Final = 60
_DAY: Final = 86_400
_STEPS_OF_CLOCK: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(minutes * _MINUTE for minutes in _OF_MINUTES),
    *(days * _DAY for days in (1, 2, 7, 14, 30, 90, 365, 3650, 36_500, 365_000)),
)
"""Seconds."""
_TICKS: Final = 8
_LEAST: Final = 1e-12
"""A smaller value is none: nothing that is measured here is."""
_MICROSECOND: Final = timedelta(microseconds=1)


class Axis:
    """Time from left to right."""

    def __init__(self, left: float, right: float, until: timedelta) -> None:
        self.left, self.right = left, right
        self.until = max(until, _MICROSECOND)

    def x(self, at: timedelta) -> float:
        """Return where a moment lies."""
        return self.left + (self.right - self.left) * min(at / self.until, 1.0)

    def draw(self, sheet: Sheet, top: float, bottom: float, ticks: Iterator[tuple[timedelta, str]]) -> None:
        """Draw a line for each of the `ticks`, and below it its words, where there is room for them."""
        free = 0.0
        for at, words in ticks:
            x, room = self.x(at), room_for(words)
            sheet.rule("axis", (x, top), (x, bottom))
            start = min(max(x - room / 2, self.left), self.right - room)
            if start >= free:
                sheet.text((start, bottom + 14), words, "quiet")
                free = start + room + 6


def short(duration: timedelta) -> str:
    """Return a duration with three digits and its unit: `1.24 ms`, `38 s`, `2.5 h`."""
    whole = duration / _MICROSECOND
    size, unit = next(((size, unit) for size, unit in _UNITS if whole >= size), (1.0, "µs"))
    return f"{_three(whole / size)} {unit}" if whole else "0"


def _three(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def time_ticks(until: timedelta) -> Iterator[tuple[timedelta, str]]:
    """Yield at most some eight moments from 0 on, all in one unit."""
    whole = max(until / _MICROSECOND, 1.0)
    size, unit = next(((size, unit) for size, unit in _UNITS if whole >= 2 * size), (1.0, "µs"))
    step = _nice(whole / size / _TICKS)
    if size == 1.0:
        step = max(step, 1.0)  # a timedelta has no smaller part
    for number in range(int(whole / size / step + 1e-9) + 1):
        yield timedelta(microseconds=number * step * size), f"{number * step:g} {unit}"


def value_ticks(top: float, count: int = 4) -> Sequence[float]:
    """Return some `count` values from 0 on, the last at or above `top`."""
    if top < _LEAST:
        return (0.0, 1.0)
    step = _nice(top / count)
    return tuple(number * step for number in range(math.ceil(top / step - 1e-9) + 1))


def _nice(least: float) -> float:
    """Return the first of 1, 2, 5, 10 ... that is no less."""
    magnitude = 10.0 ** math.floor(math.log10(least))
    return next(factor * magnitude for factor in (1.0, 2.0, 5.0, 10.0) if factor * magnitude >= least * (1 - 1e-9))


def clock_ticks(began: datetime, until: timedelta) -> Iterator[tuple[timedelta, str]]:
    """Yield some eight full moments of the clock, and what it shows."""
    seconds = max(until.total_seconds(), 1e-6)
    step = next((one for one in _STEPS_OF_CLOCK if seconds / one <= _TICKS), _STEPS_OF_CLOCK[-1])
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    past = (began - midnight).total_seconds()
    offset = -past % step if step < _DAY else (_DAY - past) % _DAY
    told_day: object = None
    while offset <= seconds:
        at = timedelta(seconds=offset)
        shown = began + at
        yield at, _clock(shown, step, other_day=shown.date() != told_day)
        told_day = shown.date()
        offset += step


def _clock(shown: datetime, step: float, *, other_day: bool) -> str:
    if shown.year == 1:
        # A log without dates: the clock, and how many days after its beginning.
        day = f"day {shown.timetuple().tm_yday}" if other_day and shown.timetuple().tm_yday > 1 else ""
        return f"{day} {shown:%H:%M:%S}".strip() if step < _MINUTE else f"{day} {shown:%H:%M}".strip()
    if step >= _DAY:
        return shown.date().isoformat()
    clock = f"{shown:%H:%M:%S}" if step < _MINUTE else f"{shown:%H:%M}"
    return f"{shown:%m-%d} {clock}" if other_day else clock


def moment(began: datetime, at: timedelta) -> str:
    """Return what the clock showed, to the second."""
    shown = began + at
    if shown.year == 1:
        days = shown.timetuple().tm_yday
        return f"{shown:%H:%M:%S}" + (f" (day {days})" if days > 1 else "")
    return f"{shown:%Y-%m-%d %H:%M:%S}"
