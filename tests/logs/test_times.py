"""Days that a format does not write: dated by neighbours or by the file, and said to be inferred."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.logs.diagnosis import diagnose
from tests.support.reading_logs import END, summary_of, triage_of

if TYPE_CHECKING:
    from pathlib import Path

LINE = "{} | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected (production)."


def written(path: Path, *clocks: str) -> Path:
    """Write a log with a rejection at each time, and return its path."""
    path.write_text("".join(LINE.format(clock) + "\n\n" for clock in clocks), "utf-8")
    return path


def ends(path: Path) -> tuple[datetime | None, datetime | None]:
    """Return when the rejections were seen first and last."""
    group = next(one for one in triage_of(path).groups if one.signature == "auth.rejected-production")
    return group.first, group.last


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of March 2026."""
    return datetime(2026, 3, day, hour, minute)  # noqa: DTZ001 - a log has its host's time


def test_a_day_comes_from_the_file(tmp_path: Path) -> None:
    """Without any date the last line is of the day on which the file was last written to, and the report says so."""
    path = written(tmp_path / "a.log", "06:00:00", "11:00:00")
    assert ends(path) == (at(10, 6), at(10, 11))
    assert any("inferred" in note for note in triage_of(path).notes)


def test_a_last_line_late_in_the_day_is_of_the_day_before(tmp_path: Path) -> None:
    """A log that ends at 23:00 and was last written to at noon ended the day before."""
    assert ends(written(tmp_path / "a.log", "22:00:00", "23:00:00")) == (at(9, 22), at(9, 23))


def test_midnights_are_counted(tmp_path: Path) -> None:
    """Each step back in the clock is a new day; two threads that write a little out of order are not."""
    clocks = ("22:00:00", "23:59:59", "00:00:01", "23:59:58", "00:00:02", "12:00:00", "03:00:00")
    path = written(tmp_path / "a.log", *clocks)
    assert ends(path) == (at(8, 22), at(10, 3))


def test_an_hour_put_back_in_autumn_is_no_midnight(tmp_path: Path) -> None:
    """Up to two hours back are the same day."""
    assert ends(written(tmp_path / "a.log", "02:59:00", "02:01:00", "04:00:00")) == (at(10, 2, 1), at(10, 4))


def test_dated_lines_date_the_others(tmp_path: Path) -> None:
    """A dated line of the same stream dates what stands before and behind it, and then nothing is inferred."""
    path = written(tmp_path / "a.log", "23:00:00", "2026-03-02 00:30:00.123", "01:00:00", "23:00:00", "02:00:00")
    assert ends(path) == (at(1, 23), at(3, 2))
    assert not any("inferred" in note for note in triage_of(path).notes)


def test_a_journal_gets_the_year_in_which_it_ends(tmp_path: Path) -> None:
    """Days without a year are of the last one in which they lie before the end: December is the year before March."""
    path = tmp_path / "a.log"
    lines = [f"{day} 06:00:00 host app[1]: {LINE.format('06:00:00')}" for day in ("Dec 30", "Mar 9")]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    first, last = ends(path)
    assert first == datetime(2025, 12, 30, 6)  # noqa: DTZ001 - a log has its host's time
    assert last == at(9, 6)


def test_lines_without_a_time_are_counted(tmp_path: Path) -> None:
    """They get the time of the line before them; before any, none."""
    path = tmp_path / "a.log"
    path.write_text("WARNING:  StatReload detected changes in 'a.py'. Reloading...\n", "utf-8")
    triage = triage_of(path)
    assert triage.harmless[0].count == 1
    assert triage.harmless[0].first is None
    assert any("has a time" in note for note in triage.notes)


@pytest.mark.parametrize("days", [1, 40, 400])
def test_a_rate_has_few_bins_whatever_its_length(tmp_path: Path, days: int) -> None:
    """Bins grow coarser together, and no line is lost among them."""
    from datetime import timedelta

    clocks = [(END - timedelta(hours=7 * n)).strftime("%Y-%m-%d %H:%M:%S.000") for n in range(days * 24 // 7 + 1)][::-1]
    group = triage_of(written(tmp_path / "a.log", *clocks)).groups[0]
    assert sum(count for _, count in group.bins.counts) == len(clocks)
    assert len(group.bins.counts) <= 96


def test_without_the_end_of_the_stream_it_ends_now(tmp_path: Path) -> None:
    """A pipe has no time of its own: its lines are dated by this day, and that is said."""
    triage = diagnose(summary_of(written(tmp_path / "a.log", "00:00:00")))
    assert triage.groups[0].first is not None
    assert any("inferred" in note for note in triage.notes)
