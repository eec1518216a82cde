"""What a log tells over time: each cause as a row of counts, what failed first, and the starts between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Verdict
from alwrity_checks.pictures import Count, Course, Mark, Timeline
from alwrity_doctor import triage_words as words

if TYPE_CHECKING:
    from alwrity_checks.logs.triage import Bins, Cause, ClusterFound, Event, Group, Triage
    from alwrity_checks.pictures import Picture

__all__ = ["timeline"]

_MOST_ROWS: Final = 14
_MOST_COUNTS: Final = 120
_MOST_MARKS: Final = 60
_LONGEST: Final = 110


def timeline(triage: Triage, *, issues: Sequence[int] = ()) -> tuple[Picture, ...]:
    """Return one picture of what has a time; none where nothing has."""
    causes = [
        one for one in triage.causes if one.nature != "none" and one.first and (not issues or one.issue in issues)
    ]
    # What follows from a cause goes as the cause goes.
    explained = {one.issue for one in causes}
    groups = [
        one for one in triage.groups if one.first and one.issue not in explained and (not issues or one.issue in issues)
    ]
    clusters = [one for one in triage.clusters if one.first]
    events = [one for one in triage.timeline if one.moment]
    moments = [one.moment for one in events if one.moment]
    moments += [one.first for one in causes if one.first] + [one.first for one in groups if one.first]
    moments += [one.first for one in clusters if one.first]
    if not moments:
        return ()
    began = min(moments)
    rows = [
        *_events(events, began),
        *(_of_cause(one, began) for one in causes),
        *(_of_group(one, began) for one in groups),
        *(_of_cluster(one, began) for one in clusters),
    ]
    left = len(rows) - _MOST_ROWS
    first = triage.first_failure
    return (
        Timeline(
            title="What the log tells, over time",
            description=_told(triage),
            verdict=None if first is None else Verdict.FAIL,
            left_out=f"{left} more rows are in the tables alone." if left > 0 else "",
            began=began.isoformat(),
            courses=tuple(rows[:_MOST_ROWS]),
        ),
    )


def _told(triage: Triage) -> str:
    first = triage.first_failure
    by = "By the log's own clock."
    if first is None:
        return f"Nothing is known to have failed. {by}"
    when = f", at {words.moment(first.first)}" if first.first else ""
    followed = ", then ".join(words.subsystem(one.subsystem) for one in first.followed)
    said = f"{words.subsystem(first.subsystem)} failed first{when}"
    return f"{said[0].upper()}{said[1:]}{f'; then {followed}' if followed else ''}. {by}"


def _of_cause(cause: Cause, began: datetime) -> Course:
    verdict = Verdict.UNKNOWN if cause.sure == "possible" else Verdict.FAIL
    note = f"issue {cause.issue}, {cause.sure}" if cause.issue else str(cause.sure)
    return Course(
        _short(cause.title), _counts(cause.first, cause.last, cause.bins, began, cause.incidents), (), verdict, note
    )


def _of_group(group: Group, began: datetime) -> Course:
    counts = _counts(group.first, group.last, group.bins, began, group.count)
    return Course(_short(group.meaning), counts, (), Verdict.WARN, f"issue {group.issue}" if group.issue else "")


def _of_cluster(cluster: ClusterFound, began: datetime) -> Course:
    counts = _counts(cluster.first, cluster.last, cluster.bins, began, cluster.count)
    name = f"{cluster.level} {cluster.module}: {cluster.template}".strip(": ")
    return Course(_short(name), counts, (), Verdict.UNKNOWN, "no signature knows it")


def _events(events: Sequence[Event], began: datetime) -> list[Course]:
    """Return what happened at single moments, a row for each subsystem."""
    rows: dict[str, list[Mark]] = {}
    for one in events[:_MOST_MARKS]:
        if one.moment is not None:
            rows.setdefault(one.subsystem, []).append(Mark(_short(one.text), one.moment - began))
    return [
        Course(words.subsystem(subsystem), (), tuple(sorted(marks, key=lambda mark: mark.at)))
        for subsystem, marks in rows.items()
    ]


def _counts(
    first: datetime | None, last: datetime | None, bins: Bins, began: datetime, number: int
) -> tuple[Count, ...]:
    """Return the bins, joined where there are too many to be told apart; one count where there are none."""
    if first is None or last is None:
        return ()
    if not bins.counts or not bins.width:
        return (Count(first - began, last - began, number),) if number > 0 else ()
    width = timedelta(seconds=bins.width)
    step = -(-len(bins.counts) // _MOST_COUNTS)
    parts = [bins.counts[start : start + step] for start in range(0, len(bins.counts), step)]
    made = []
    for part in parts:
        # Bins begin before what is in them, and the first may begin before the picture.
        start = max(part[0][0] - began, timedelta())
        end = max(min(part[-1][0] + width, last) - began, start)
        total = sum(count for _, count in part)
        if total > 0:
            made.append(Count(start, end, total))
    return tuple(made)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
