"""A series: values over time in steps, the limits as lines across, the phases as lines down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_doctor.report.pictures.canvas import WIDTH, Drawing, Sheet, clipped, judged, room_for
from alwrity_doctor.report.pictures.scale import Axis, short, time_ticks, value_ticks

if TYPE_CHECKING:
    from datetime import timedelta

    from alwrity_checks.pictures import Line, Series

__all__ = ["drawing"]

_TOP: Final = 26.0
"""Above the plot, for the names of the phases."""
_HEIGHT: Final = 200.0
_PLAIN_FROM: Final = 100.0
_PLAIN_TO: Final = 1e9
_FAR: Final = 4.0
"""A limit that is so many times as high as everything else would leave no room for it: it is told above the plot."""
_LABEL: Final = 15.0
_LOOKS: Final = 6
_MOST_ROWS: Final = 200
"""Of a line, in the table: more would be no help to a reader."""


def drawing(picture: Series) -> Drawing:
    """Return the lines on one axis of values, which begins at 0: what is below is drawn there."""
    values = [point.value for line in picture.lines for point in line.points]
    highest = max([picture.top, *values], default=0.0)
    near = [limit.value for limit in picture.limits if limit.value <= _FAR * highest or not highest]
    ticks = value_ticks(max([highest, *near], default=0.0))
    left = max(room_for(_value(one, picture.unit)) for one in ticks) + 10
    axis = Axis(left, WIDTH - 8, _end(picture))
    plot = _Plot(axis, ticks[-1])
    sheet = Sheet()
    for one in ticks:
        sheet.rule("axis", (left, plot.y(one)), (WIDTH - 8, plot.y(one)))
        sheet.text((left - 6, plot.y(one) + 4), _value(one, picture.unit), "quiet", anchor="end")
    axis.draw(sheet, _TOP, _TOP + _HEIGHT, time_ticks(axis.until))
    _phases(sheet, picture, axis)
    for number, line in enumerate(picture.lines):
        if line.points:
            way = plot.way(line)
            floor = plot.y(0.0)
            area = f"{way}V{floor:.1f}H{axis.x(line.points[0].at):.1f}Z"
            sheet.path(f"area l{number % _LOOKS}", area, behind=True)
            sheet.path(f"line l{number % _LOOKS}", way)
    _limits(sheet, picture, plot, left)
    key = tuple((f"line l{number % _LOOKS}", line.name) for number, line in enumerate(picture.lines))
    drawn = bool(values or picture.limits)
    return Drawing(
        sheet.image(_TOP + _HEIGHT + 20) if drawn else None,
        ("what", "at", picture.unit or "value"),
        tuple(_rows(picture)),
        key,
    )


class _Plot:
    """Where a value lies."""

    def __init__(self, axis: Axis, top: float) -> None:
        self._axis, self.top = axis, top

    def y(self, value: float) -> float:
        return _TOP + _HEIGHT * (1 - min(max(value / self.top, 0.0), 1.0))

    def way(self, line: Line) -> str:
        """Return the line in steps: a value holds until the next."""
        first, *others = line.points
        parts = [f"M{self._axis.x(first.at):.1f} {self.y(first.value):.1f}"]
        parts += [f"H{self._axis.x(point.at):.1f}V{self.y(point.value):.1f}" for point in others]
        return "".join(parts)


def _limits(sheet: Sheet, picture: Series, plot: _Plot, left: float) -> None:
    """Draw each limit as a line across, with its name on it; the names of near ones stand at both ends."""
    at_left: list[float] = []
    for limit in picture.limits:
        y = plot.y(limit.value)
        beyond = limit.value > plot.top
        words = f"{'↑ ' if beyond else ''}{limit.name}, {_value(limit.value, picture.unit)}"
        if not beyond:
            sheet.rule("limit", (left, y), (WIDTH - 8, y), behind=False)
        baseline = y + _LABEL - 2 if beyond or y - _LABEL < _TOP else y - 5
        crowded = any(abs(baseline - other) < _LABEL for other in at_left)
        place = (WIDTH - 14, baseline) if crowded else (left + 6, baseline)
        sheet.text(place, words, "limit-name", anchor="end" if crowded else "start")
        if not crowded:
            at_left.append(baseline)


def _end(picture: Series) -> timedelta:
    moments = [point.at for line in picture.lines for point in line.points]
    return max([picture.until, *moments, *(phase.end for phase in picture.phases)])


def _phases(sheet: Sheet, picture: Series, axis: Axis) -> None:
    """Draw where each phase begins, and its name where there is room above it."""
    free = 0.0
    for phase in sorted(picture.phases, key=lambda one: one.start):
        x = axis.x(phase.start)
        sheet.rule(f"phase {phase.verdict or ''}".rstrip(), (x, 4), (x, _TOP + _HEIGHT), behind=False)
        words = clipped(judged(phase.verdict, f"{phase.name} {short(phase.end - phase.start)}"), WIDTH - 8 - x)
        if x + 3 >= free and words:
            sheet.text((x + 4, 14), words, "quiet")
            free = x + 4 + room_for(words) + 6


def _value(value: float, unit: str) -> str:
    plain = _PLAIN_FROM <= abs(value) < _PLAIN_TO or value == 0
    digits = f"{value:,.0f}" if plain else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()


def _rows(picture: Series) -> Iterator[tuple[str, ...]]:
    for limit in picture.limits:
        yield limit.name, "", _value(limit.value, "")
    for phase in sorted(picture.phases, key=lambda one: one.start):
        yield judged(phase.verdict, phase.name), f"{short(phase.start)} to {short(phase.end)}", phase.note
    for line in picture.lines:
        # Where there are too many, every so-manieth and the last.
        step = -(-len(line.points) // _MOST_ROWS) or 1
        for point in (*line.points[:-1:step], *line.points[-1:]):
            yield line.name, short(point.at), _value(point.value, "")
