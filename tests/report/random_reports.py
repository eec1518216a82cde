"""Random reports, with hostile text in every field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from alwrity_checks.model import (
    CheckResult,
    Evidence,
    Finding,
    Location,
    LocationKind,
    Observation,
    Outcome,
    Report,
    Rule,
    Severity,
    SuppressedFinding,
    Table,
    Target,
    TargetKind,
    Verdict,
)
from tests.report.random_pictures import pictures
from tests.support.shared_report import HOSTILE

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["RANDOM", "TEXT", "reports"]

T = TypeVar("T")

RANDOM = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
"""A report is a large thing to draw, and a busy machine is no failure."""

TEXT = st.one_of(
    st.text(st.characters(), max_size=12),
    st.sampled_from(HOSTILE),
    st.text("|`*_[]()<>&@#:%\\/\n\r\t \x1b-.1a", max_size=12),
)
_NAMES = st.one_of(st.sampled_from(("a", "b", "c")), TEXT)
"""Often the same: what refers to a name should now and then find it."""
_DURATIONS = st.timedeltas(timedelta(), timedelta(days=30))
_ZONES = st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=30))))


def _few(strategy: SearchStrategy[T]) -> SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


_RULES = st.builds(
    Rule,
    code=_NAMES,
    title=TEXT,
    severity=st.sampled_from(Severity),
    issue=st.integers(1, 6),
    explanation=TEXT,
    remedy=TEXT,
    reproduction=TEXT,
    validation=TEXT,
    precedence=st.integers(0, 200),
)
_EVIDENCE = _few(st.builds(Evidence, label=TEXT, value=TEXT))
_LOCATIONS = st.builds(
    Location, kind=st.sampled_from(LocationKind), name=TEXT, line=st.none() | st.integers(1, 100_000)
)
_FINDINGS = st.builds(
    Finding, rule=_RULES, message=TEXT, evidence=_EVIDENCE, location=st.none() | _LOCATIONS, commands=_few(TEXT)
)
_RESULTS = st.builds(
    CheckResult,
    name=_NAMES,
    title=TEXT,
    issue=st.integers(1, 6),
    verdict=st.sampled_from(Verdict),
    findings=_few(_FINDINGS),
    suppressed=_few(st.builds(SuppressedFinding, finding=_FINDINGS, reason=TEXT, expires=st.dates())),
    reason=TEXT,
    remedy=TEXT,
    because=_NAMES | st.just(""),
    evidence=_EVIDENCE,
    duration=_DURATIONS,
)
_OBSERVATIONS = st.builds(
    Observation,
    rule=_RULES,
    target=st.builds(Target, kind=st.sampled_from(TargetKind), variant=_NAMES, description=TEXT),
    scenario=TEXT,
    outcome=st.sampled_from(Outcome),
    message=TEXT,
    evidence=_EVIDENCE,
)


def _tables(columns: int) -> SearchStrategy[Table]:
    row = st.tuples(*[TEXT] * columns)
    return st.builds(Table, title=TEXT, columns=row, rows=_few(row))


def reports() -> SearchStrategy[Report]:
    """Return a strategy for reports that a run could end in, however oddly worded."""
    return st.builds(
        Report,
        command=TEXT,
        version=TEXT,
        started=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=_ZONES),  # noqa: DTZ001 - the bounds are naive
        duration=_DURATIONS,
        results=_few(_RESULTS),
        observations=_few(_OBSERVATIONS),
        fail_on=st.sampled_from(Severity),
        environment=st.dictionaries(TEXT, TEXT, max_size=3),
        settings=st.dictionaries(TEXT, TEXT, max_size=3),
        tables=_few(st.integers(1, 6).flatmap(_tables)),
        pictures=_few(pictures(TEXT)),
    )
