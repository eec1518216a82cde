"""Random pictures of every kind, with hostile text in every field."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

from alwrity_checks.model import Verdict
from alwrity_checks.pictures import (
    Cell,
    Count,
    Course,
    Lane,
    Lanes,
    Limit,
    Line,
    Mark,
    Matrix,
    Point,
    Row,
    Series,
    Span,
    Step,
    Timeline,
    Waterfall,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from alwrity_checks.pictures import Picture

__all__ = ["pictures"]

T = TypeVar("T")

_LONGEST = timedelta(days=400)
_TIMES = st.one_of(
    st.just(timedelta()), st.timedeltas(timedelta(), timedelta(seconds=5)), st.timedeltas(timedelta(), _LONGEST)
)
_VERDICTS = st.sampled_from(Verdict)
_JUDGED = st.none() | _VERDICTS
_VALUES = st.one_of(st.floats(0, 1e5), st.floats(-1e15, 1e15))
_CLOCKS = st.datetimes(datetime(1, 1, 1), datetime(9990, 1, 1)).map(datetime.isoformat)  # noqa: DTZ001 - a log's


def _few(strategy: SearchStrategy[T], most: int = 3) -> SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


def pictures(text: SearchStrategy[str]) -> SearchStrategy[Picture]:
    """Return a strategy for pictures that hold `text` wherever they hold any."""
    base = {
        "title": text,
        "description": text,
        "issue": st.integers(0, 6),
        "rule": text,
        "verdict": _JUDGED,
        "left_out": text,
    }
    spans = st.tuples(_TIMES, _TIMES).flatmap(
        lambda ends: st.builds(
            Span,
            name=text,
            start=st.just(min(ends)),
            end=st.just(max(ends)),
            subject=text,
            verdict=_JUDGED,
            held=st.booleans(),
            note=text,
        )
    )
    steps = st.tuples(_TIMES, _TIMES).flatmap(
        lambda ends: st.builds(
            Step, name=text, start=st.just(min(ends)), end=st.just(max(ends)), verdict=_VERDICTS, note=text
        )
    )
    counts = st.tuples(_TIMES, _TIMES).flatmap(
        lambda ends: st.builds(Count, start=st.just(min(ends)), end=st.just(max(ends)), number=st.integers(1, 10**12))
    )
    marks = _few(st.builds(Mark, name=text, at=_TIMES, verdict=_JUDGED))
    points = st.lists(st.builds(Point, at=_TIMES, value=_VALUES), max_size=5).map(
        lambda found: tuple(sorted(found, key=lambda point: point.at))
    )
    lanes = st.builds(Lane, name=text, spans=_few(spans), marks=marks)
    courses = st.builds(Course, name=text, counts=_few(counts), marks=marks, verdict=_JUDGED, note=text)
    return st.one_of(
        st.builds(Lanes, **base, lanes=_few(lanes), until=_TIMES),
        st.builds(Waterfall, **base, steps=_few(steps)),
        st.integers(0, 8).flatmap(lambda width: _matrices(base, text, width)),
        st.builds(
            Series,
            **base,
            unit=text,
            lines=_few(st.builds(Line, name=text, points=points)),
            limits=_few(st.builds(Limit, name=text, value=_VALUES)),
            phases=_few(spans),
            until=_TIMES,
            top=_VALUES,
        ),
        st.builds(Timeline, **base, began=_CLOCKS, courses=_few(courses)),
    )


def _matrices(base: dict[str, SearchStrategy[object]], text: SearchStrategy[str], width: int) -> SearchStrategy[Matrix]:
    cells = st.tuples(*[st.builds(Cell, text=text, verdict=_JUDGED)] * width)
    rows = _few(st.builds(Row, name=text, cells=cells))
    return st.builds(Matrix, **base, of=text, columns=st.tuples(*[text] * width), rows=rows)
