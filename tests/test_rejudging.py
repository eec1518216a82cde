"""An old report, judged again: verdicts follow from findings, what has lapsed counts, and its age is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, ExitCode, Finding, Report, Severity, SuppressedFinding, Verdict
from alwrity_doctor.baseline import Accepted, Baseline, subject_of
from alwrity_doctor.rejudging import age, judge_again
from alwrity_doctor.suppressions import Suppression
from tests.support.checks import finding

MADE = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = MADE + timedelta(days=3, hours=4)


def report(*results: CheckResult) -> Report:
    """Return a gate's report of `results`."""
    return Report("gate", "0", MADE, timedelta(seconds=1), results)


def checked(verdict: Verdict, *findings: Finding, name: str = "a.b", issue: int = 1) -> CheckResult:
    """Return what a check came to."""
    return CheckResult(name, "all is well", issue, verdict, findings)


WARNED = checked(Verdict.WARN, finding("TEST001", Severity.WARNING))
FAILED = checked(Verdict.FAIL, finding("TEST001"))


def test_the_threshold_is_todays() -> None:
    """What was only a warning then fails where warnings fail."""
    assert judge_again(report(WARNED), NOW, fail_on=Severity.ERROR).exit_code is ExitCode.HEALTHY
    assert judge_again(report(WARNED), NOW, fail_on=Severity.WARNING).exit_code is ExitCode.FINDING


def test_a_verdict_follows_from_its_findings() -> None:
    """A verdict that was edited to `pass` does not make a finding go away."""
    edited = replace(FAILED, verdict=Verdict.PASS)
    assert judge_again(report(edited), NOW, fail_on=Severity.ERROR).verdict is Verdict.FAIL


@pytest.mark.parametrize("verdict", [Verdict.SKIP, Verdict.UNKNOWN])
def test_what_was_not_known_is_not_known_now(verdict: Verdict) -> None:
    """Nothing is looked at anew: a check without a verdict has none today either."""
    again = judge_again(report(checked(verdict)), NOW, fail_on=Severity.ERROR)
    assert (again.results[0].verdict, again.exit_code) == (verdict, ExitCode.UNKNOWN)


@pytest.mark.parametrize(("expires", "code"), [(NOW.date(), ExitCode.HEALTHY), (date(2026, 6, 3), ExitCode.FINDING)])
def test_what_was_accepted_then_may_have_lapsed(expires: date, code: ExitCode) -> None:
    """To the end of its last day it stays accepted; then it counts, with the reason it was accepted for."""
    accepted = replace(checked(Verdict.PASS), suppressed=(SuppressedFinding(finding("TEST001"), "spring", expires),))
    again = judge_again(report(accepted), NOW, fail_on=Severity.ERROR)
    assert again.exit_code is code
    if code is ExitCode.FINDING:
        assert again.findings[0].evidence[0].value == "lapsed on 2026-06-03; its reason was: spring"
        assert again.suppressed == ()


def test_what_is_accepted_today_counts_no_more() -> None:
    """The configuration and the baseline of today are held against an old report as against a new one."""
    suppressions = [Suppression("TEST001", "known", date(2030, 1, 1))]
    baseline = Baseline([Accepted(subject_of("a.b", finding("TEST001")), "known", date(2030, 1, 1))])
    for again in (
        judge_again(report(FAILED), NOW, fail_on=Severity.ERROR, suppressions=suppressions),
        judge_again(report(FAILED), NOW, fail_on=Severity.ERROR, baseline=baseline),
    ):
        assert (again.exit_code, len(again.suppressed)) == (ExitCode.HEALTHY, 1)


def test_a_part_of_it_can_be_judged() -> None:
    """By a check's name, by its prefix, by its issue; what belongs to no issue stays among them."""
    whole = report(FAILED, checked(Verdict.PASS, name="a.c"), checked(Verdict.PASS, name="d.e", issue=2))
    whole = replace(whole, results=(*whole.results, checked(Verdict.PASS, name="plugin", issue=0)))

    def names(*given: str, issues: tuple[int, ...] = ()) -> list[str]:
        again = judge_again(whole, NOW, fail_on=Severity.ERROR, names=given, issues=issues)
        return [result.name for result in again.results]

    assert names("a.b") == ["a.b"]
    assert names("a") == ["a.b", "a.c"]
    assert names(issues=(2,)) == ["d.e", "plugin"]
    with pytest.raises(ConfigurationError, match=r"no check called a\.x"):
        names("a.x")
    with pytest.raises(ConfigurationError, match="no check of issue 6"):
        names(issues=(6,))


def test_the_report_says_how_old_it_is() -> None:
    """In every format, among the facts of the run."""
    again = judge_again(report(FAILED), NOW, fail_on=Severity.ERROR)
    assert again.environment["found out"] == "3 d 4 h ago, at 2026-06-01T12:00:00Z"


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (timedelta(), "0 s ago"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=61), "1 h 1 min ago"),
        (timedelta(days=400, minutes=1), "400 d ago"),
        (timedelta(minutes=-5), "5 min from now: the clock here or there is wrong"),
    ],
)
def test_an_age_is_told_in_two_units(later: timedelta, told: str) -> None:
    """As a person says it; a moment to come betrays a clock."""
    assert age(MADE, MADE + later) == told
