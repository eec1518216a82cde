"""What a log tells over time: causes as rows of counts, by the log's own clock, bounded however long it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from alwrity_checks.logs.triage import Bins
from alwrity_checks.model import Verdict
from alwrity_checks.pictures import Timeline
from alwrity_doctor.triage_picture import timeline
from tests.support.reading_logs import fragment, triage_of

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.logs.triage import Triage


def drawn(triage: Triage, *issues: int) -> Timeline:
    """Return the one picture of a triage."""
    (picture,) = timeline(triage, issues=issues)
    assert isinstance(picture, Timeline)
    return picture


def total(picture: Timeline, start: str) -> int:
    """Return how often the one thing whose name begins so happened."""
    (course,) = [one for one in picture.courses if one.name.startswith(start)]
    return sum(count.number for count in course.counts)


def test_each_cause_is_a_row_with_its_counts() -> None:
    """Every cause that failed has a row, with as many as were counted, and says how sure it is."""
    triage = triage_of(fragment("mixed_first_failure"))
    picture = drawn(triage)
    causes = [one for one in triage.causes if one.nature != "none" and one.first]
    assert causes
    for cause in causes:
        counted = sum(count for _, count in cause.bins.counts) if cause.bins.width else cause.incidents
        assert total(picture, cause.title[:40]) == counted
        (course,) = [one for one in picture.courses if one.name == cause.title]
        assert course.verdict is (Verdict.UNKNOWN if cause.sure == "possible" else Verdict.FAIL)
        assert cause.sure in course.note
    assert picture.verdict is Verdict.FAIL
    assert "failed first" in picture.description


def test_the_first_failures_are_marked() -> None:
    """What the timeline tells in words stands as marks, a row for each subsystem."""
    triage = triage_of(fragment("mixed_first_failure"))
    marks = [mark for course in drawn(triage).courses for mark in course.marks]
    assert len(marks) == len([one for one in triage.timeline if one.moment])
    began = datetime.fromisoformat(drawn(triage).began)
    assert {began + mark.at for mark in marks} == {one.moment for one in triage.timeline if one.moment}


def test_only_the_issues_that_were_asked_for() -> None:
    """With --issue the rows are those of the issue."""
    triage = triage_of(fragment("mixed_first_failure"))
    issue = triage.causes[0].issue
    notes = [course.note for course in drawn(triage, issue).courses if course.verdict is Verdict.FAIL]
    assert notes
    assert all(note.startswith(f"issue {issue},") for note in notes)


def test_a_long_log_is_bounded() -> None:
    """Of ten thousand bins neighbours are joined, and nothing is lost of their sum."""
    triage = triage_of(fragment("mixed_first_failure"))
    first = datetime(2026, 1, 1)  # noqa: DTZ001 - a log's clock
    bins = tuple((first + timedelta(seconds=10 * number), 3) for number in range(10_000))
    last = first + timedelta(seconds=100_000)
    cause = replace(triage.causes[0], first=first + timedelta(seconds=4), last=last, bins=Bins(10, bins))
    picture = drawn(replace(triage, causes=(cause,), groups=(), clusters=(), timeline=()))
    (course,) = picture.courses
    assert len(course.counts) <= 120
    assert sum(count.number for count in course.counts) == 30_000


def test_a_log_without_trouble_or_without_times_has_no_picture(tmp_path: Path) -> None:
    """Where nothing has a time there is nothing to draw."""
    (tmp_path / "app.log").write_text('INFO:     127.0.0.1:43396 - "GET /health HTTP/1.1" 200 OK\n')
    assert timeline(triage_of(tmp_path / "app.log")) == ()
