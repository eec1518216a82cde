"""What a report has to show: the data of its pictures, never their drawing. Standard library only.

A picture is told by what it holds, so that it can be drawn anew, read out, or laid out as a table:

Lanes       who did what when, side by side: threads, callers, servers
Waterfall   steps in their order, each with its verdict and what it took
Matrix      rows x columns, a word and a verdict in each cell
Series      values over time, with the limits that they must keep
Timeline    how often something happened, by a log's own clock

Times are counted from the beginning of the picture. Texts are redacted before they get here, as all evidence is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

from alwrity_checks.verdict import Verdict  # noqa: TC001 - the reader of JSON resolves the annotations

__all__ = [
    "KINDS",
    "Cell",
    "Count",
    "Course",
    "Lane",
    "Lanes",
    "Limit",
    "Line",
    "Mark",
    "Matrix",
    "Picture",
    "Point",
    "Row",
    "Series",
    "Span",
    "Step",
    "Timeline",
    "Waterfall",
]

_NOTHING: Final = timedelta()
_LARGEST: Final = 1e15
"""Of a value, either side of 0: a petabyte."""


def _ordered(what: str, start: timedelta, end: timedelta) -> None:
    if not _NOTHING <= start <= end:
        raise ValueError(f"{what} lasts from {start} to {end}: a picture begins at 0, and time runs forward")


def _not_before(what: str, at: timedelta) -> None:
    if at < _NOTHING:
        raise ValueError(f"{what} is at {at}: a picture begins at 0")


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time."""

    name: str
    start: timedelta
    end: timedelta
    subject: str = ""
    """What it was done to: spans of one subject are drawn alike."""
    verdict: Verdict | None = None
    """None where nothing is judged by it."""
    held: bool = False
    """Whether the experiment kept it waiting, to force an order."""
    note: str = ""
    """What came of it, where there is something to say."""

    def __post_init__(self) -> None:
        _ordered(f"the span {self.name!r}", self.start, self.end)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment."""

    name: str
    at: timedelta
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        _not_before(f"the mark {self.name!r}", self.at)


@dataclass(frozen=True, slots=True)
class Lane:
    """What happened in one place: a thread, a caller, a server."""

    name: str
    spans: tuple[Span, ...] = ()
    """One may lie within another."""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One of several steps, each of which stands on those before it."""

    name: str
    start: timedelta
    end: timedelta
    """The same as the start for a step that was not taken."""
    verdict: Verdict
    note: str = ""
    """What was seen, or why it was not taken."""

    def __post_init__(self) -> None:
        _ordered(f"the step {self.name!r}", self.start, self.end)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one row came to in one column."""

    text: str
    """Empty where there is nothing to say."""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a matrix, with a cell for each column."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A value at one moment."""

    at: timedelta
    value: float
    """At most 1e15, either side of 0."""

    def __post_init__(self) -> None:
        _not_before("a point", self.at)
        _drawable(self.value)


def _drawable(value: float) -> None:
    if not abs(value) <= _LARGEST:  # not a number is no less than anything
        raise ValueError(f"{value} cannot be drawn")


@dataclass(frozen=True, slots=True)
class Line:
    """A value over time; it holds until the next point says otherwise."""

    name: str
    points: tuple[Point, ...]
    """In the order of time."""

    def __post_init__(self) -> None:
        moments = [point.at for point in self.points]
        if moments != sorted(moments):
            raise ValueError(f"the points of {self.name!r} are not in the order of time")


@dataclass(frozen=True, slots=True)
class Limit:
    """A value that must be kept, or that was reached."""

    name: str
    value: float
    """In the unit of the series; as of `Point`."""

    def __post_init__(self) -> None:
        _drawable(self.value)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened from `start` until `end`."""

    start: timedelta
    end: timedelta
    number: int
    """At least 1."""

    def __post_init__(self) -> None:
        _ordered("a count", self.start, self.end)
        if self.number < 1:
            raise ValueError(f"{self.number} cannot be drawn: what did not happen is left out")


@dataclass(frozen=True, slots=True)
class Course:
    """How one thing went over time."""

    name: str
    counts: tuple[Count, ...] = ()
    marks: tuple[Mark, ...] = ()
    verdict: Verdict | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What every picture has."""

    title: str
    description: str
    """What it shows, in a sentence or two: also for those who do not see it."""
    issue: int = 0
    """The entry of the tracker it belongs to; 0 if to none."""
    rule: str = ""
    """The code of the rule it illustrates; empty if none."""
    verdict: Verdict | None = None
    """What follows from it for what is shown: `fail` shows the fault. None where nothing is judged by it."""
    left_out: str = ""
    """What is not in it, in a sentence; empty if it is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes(_Base):
    """Who did what when, side by side."""

    lanes: tuple[Lane, ...]
    until: timedelta = _NOTHING
    """How far the axis goes at least: pictures that are to be compared have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall(_Base):
    """Steps in their order."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(_Base):
    """A word in each cell."""

    of: str
    """What a row is, for the head of the first column."""
    columns: tuple[str, ...]
    """The heads of the others."""
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"a row of {len(row.cells)} cells in a matrix of {len(self.columns)} columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(_Base):
    """Values over time."""

    unit: str
    """Of the values and the limits: `MiB`."""
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...] = ()
    phases: tuple[Span, ...] = ()
    """What went on meanwhile."""
    until: timedelta = _NOTHING
    """As of `Lanes`."""
    top: float = 0.0
    """How far the axis of values goes at least, for the same reason."""

    def __post_init__(self) -> None:
        _drawable(self.top)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline(_Base):
    """How often something happened, by a log's own clock."""

    began: str
    """What the clock showed when the picture begins: ISO 8601 without a zone, which a log does not tell. The year is 1
    where the log has no dates."""
    courses: tuple[Course, ...]

    def __post_init__(self) -> None:
        began = datetime.fromisoformat(self.began)
        if began.tzinfo is not None:
            raise ValueError(f"{self.began!r} has a zone: a log's clock has none")
        ends = [count.end for course in self.courses for count in course.counts]
        last = max([*ends, *(mark.at for course in self.courses for mark in course.marks)], default=_NOTHING)
        if last > datetime.max - began:  # noqa: DTZ901 - a log's clock has no zone
            raise ValueError("the picture ends after the last moment that a clock can show")


Picture: TypeAlias = Lanes | Waterfall | Matrix | Series | Timeline

KINDS: Final[Mapping[str, type[Picture]]] = MappingProxyType(
    {"lanes": Lanes, "waterfall": Waterfall, "matrix": Matrix, "series": Series, "timeline": Timeline}
)
"""The name that tells a picture's kind in JSON -> the kind."""
