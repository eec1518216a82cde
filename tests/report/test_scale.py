"""The axes of pictures: round steps, few ticks, and clocks that show what a log's clock shows."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_doctor.report.pictures.scale import clock_ticks, moment, short, time_ticks, value_ticks
from tests.report.random_reports import RANDOM


@RANDOM
@given(until=st.timedeltas(timedelta(), timedelta(days=10_000)))
def test_time_has_few_round_ticks(until: timedelta) -> None:
    """From a microsecond to decades: ticks from 0 on, in order, of one unit, none beyond the end."""
    ticks = list(time_ticks(until))
    assert 1 <= len(ticks) <= 11
    assert ticks[0][0] == timedelta()
    assert all(before < after for (before, _), (after, _) in pairwise(ticks))
    assert ticks[-1][0] <= max(until, timedelta(microseconds=1))
    assert len({words.rpartition(" ")[2] for _, words in ticks}) == 1


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (timedelta(milliseconds=35), ["0 ms", "5 ms", "10 ms", "15 ms", "20 ms", "25 ms", "30 ms", "35 ms"]),
        (timedelta(seconds=1.5), ["0 ms", "200 ms", "400 ms", "600 ms", "800 ms", "1000 ms", "1200 ms", "1400 ms"]),
        (timedelta(hours=5), ["0 h", "1 h", "2 h", "3 h", "4 h", "5 h"]),
    ],
)
def test_the_words_of_ticks(until: timedelta, words: list[str]) -> None:
    """The unit is the largest that is there twice."""
    assert [one for _, one in time_ticks(until)] == words


@RANDOM
@given(top=st.floats(0, 1e15))
def test_values_have_few_round_ticks(top: float) -> None:
    """The ticks of an axis of values reach its top, and are few."""
    ticks = value_ticks(top)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-6)


@RANDOM
@given(
    began=st.datetimes(datetime(1, 1, 1), datetime(9000, 1, 1)),  # noqa: DTZ001 - a log's
    until=st.timedeltas(timedelta(), timedelta(days=200_000)),
)
def test_a_clock_has_few_full_ticks(began: datetime, until: timedelta) -> None:
    """Ticks of a clock lie within the picture, at full moments."""
    ticks = list(clock_ticks(began, until))
    assert len(ticks) <= 10
    assert all(timedelta() <= at <= max(until, timedelta(microseconds=1)) for at, _ in ticks)
    assert all((began + at).microsecond in {0, 999_999, 1} for at, _ in ticks)


def test_the_day_is_told_where_it_changes() -> None:
    """The first tick and the first of a new day name the day; a log without dates counts its days."""
    began = datetime(2026, 1, 1, 22, 4, 30)  # noqa: DTZ001 - a log's
    words = [one for _, one in clock_ticks(began, timedelta(hours=4))]
    assert words == ["01-01 22:30", "23:00", "23:30", "01-02 00:00", "00:30", "01:00", "01:30", "02:00"]
    words = [one for _, one in clock_ticks(began.replace(year=1), timedelta(hours=4))]
    assert words[:4] == ["22:30", "23:00", "23:30", "day 2 00:00"]
    assert moment(began, timedelta(hours=2)) == "2026-01-02 00:04:30"
    assert moment(began.replace(year=1), timedelta(hours=2)) == "00:04:30 (day 2)"


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(), "0"),
        (timedelta(microseconds=400), "400 µs"),
        (timedelta(microseconds=1240), "1.24 ms"),
        (timedelta(seconds=38), "38 s"),
        (timedelta(minutes=150), "2.5 h"),
        (timedelta(days=4000), "4,000 d"),
    ],
)
def test_a_duration_in_short(duration: timedelta, words: str) -> None:
    """Three digits and a unit."""
    assert short(duration) == words
