"""What a triage finding has no room for: what followed from what, the timeline, every group, what nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Table
from alwrity_doctor import triage_words as words
from alwrity_doctor.triage_report import failing

if TYPE_CHECKING:
    from alwrity_checks.logs.triage import Cause, ClusterFound, Group, Triage

__all__ = ["tables"]

_MOST_ROWS: Final = 40
_SHORT: Final = 160
"""Characters of an example in a cell."""


def tables(triage: Triage, notes: Sequence[str], *, issues: Sequence[int] = ()) -> tuple[Table, ...]:
    """Return what a finding has no room for, each table only where it has rows."""
    wanted = [one for one in triage.groups if not issues or one.issue in issues]
    made = [
        _first_failure(triage),
        _changes([one for one in triage.causes if not issues or one.issue in issues]),
        _timeline(triage),
        *_groups("What the log says, by issue", wanted),
        *_groups("Harmless lines", triage.harmless),
        _facts(triage),
        _clusters(triage.clusters),
        Table("To be known", ("note",), tuple((note,) for note in (*triage.notes, *triage.states, *notes))),
    ]
    return tuple(one for one in made if one is not None and one.rows)


def _first_failure(triage: Triage) -> Table | None:
    first = triage.first_failure
    if first is None:
        return None
    failures = sum(one.incidents for one in failing(triage, first.subsystem))
    because = "; ".join(first.evidence)
    rows = [(words.subsystem(first.subsystem), words.moment(first.first), f"{failures:,}", because)]
    rows += [
        (
            words.subsystem(one.subsystem),
            words.moment(one.first),
            f"{one.count:,}",
            f"{'because of it' if one.depends else 'by itself'}: {one.because}",
        )
        for one in first.followed
    ]
    return Table(
        "What failed first, and what followed", ("subsystem", "since", "failures", "why we say so"), tuple(rows)
    )


def _changes(causes: Sequence[Cause]) -> Table:
    """Return the causes by what has to change: a setting is mended tonight, the code tomorrow."""
    rows = [
        (what, one.title, str(one.issue), one.sure.value)
        for nature, what in words.NATURES.items()
        for one in causes
        if one.nature == nature
    ]
    return Table("What has to change", ("what", "cause", "issue", "how sure"), tuple(rows))


def _timeline(triage: Triage) -> Table:
    rows = [
        (
            f"{words.moment(one.moment)}{' ?' if one.inferred and one.moment else ''}",
            one.subsystem,
            one.text,
            one.stream,
        )
        for one in triage.timeline
    ]
    head = "Timeline (a date with ? is inferred)" if any(one.inferred for one in triage.timeline) else "Timeline"
    return Table(head, ("when", "subsystem", "what", "log"), tuple(rows[:_MOST_ROWS]))


def _groups(title: str, groups: Sequence[Group]) -> tuple[Table, Table]:
    """Return how often and when, and what the lines named; together they would be too wide to be read."""
    counted = [
        (
            words.name(one),
            str(one.issue),
            one.rule or "",
            f"{one.count:,}",
            words.span(one.first, one.last),
            words.rate(one.first, one.last, one.bins),
        )
        for one in groups
    ]
    named = [
        (words.name(one), "; ".join(words.said(fact) for fact in words.things(one.entities)), one.sample[:_SHORT])
        for one in groups
    ]
    return (
        Table(title, ("line", "issue", "rule", "count", "when", "rate"), tuple(counted)),
        Table(f"{title}: what was named, and an example", ("line", "named", "for example"), tuple(named)),
    )


def _facts(triage: Triage) -> Table:
    rows = [(one.meaning, one.sample[:_SHORT], words.moment(one.last)) for one in triage.facts]
    return Table("How the backend says it is set up", ("fact", "line", "last said"), tuple(rows[:_MOST_ROWS]))


def _clusters(clusters: Sequence[ClusterFound]) -> Table:
    rows = [
        (
            f"{one.level} {one.module}: {one.template}".strip(": "),
            f"{one.count:,}",
            words.span(one.first, one.last),
            words.rate(one.first, one.last, one.bins),
        )
        for one in clusters
    ]
    return Table("Trouble that no signature knows", ("form", "count", "when", "rate"), tuple(rows[:_MOST_ROWS]))
