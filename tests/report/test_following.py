"""What comes first and what follows from it, worked out from precedence and from what was skipped because of what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given

from alwrity_checks.model import CheckResult, Finding, Report, Rule, Severity, Verdict
from alwrity_doctor.report.following import broken, chains
from tests.report.random_reports import RANDOM, reports

_EMPTY = Report("gate", "0.1.0", datetime(2026, 1, 2, tzinfo=UTC), timedelta())


def _rule(code: str, precedence: int, *, issue: int = 1, severity: Severity = Severity.ERROR) -> Rule:
    return Rule(code, f"{code} holds", severity, issue, "why", "do", "show", "validate", precedence)


def _failed(name: str, *rules: Rule, issue: int = 1) -> CheckResult:
    found = tuple(Finding(rule, f"{rule.code} is broken") for rule in rules)
    return CheckResult(name, f"{name} is well", issue, Verdict.of(found), found)


def _skipped(name: str, because: str, issue: int = 1) -> CheckResult:
    return CheckResult(name, f"{name} is well", issue, Verdict.SKIP, because=because)


def _report(*results: CheckResult) -> Report:
    return replace(_EMPTY, results=results)


def test_causes_stand_above_what_may_follow_from_them() -> None:
    """The lowest precedence is first, an equal one stands beside it, the higher ones come later."""
    rules = [_rule("C", 60), _rule("A", 10), _rule("B", 10)]
    (chain,) = chains(_report(_failed("auth.keys", *rules)))
    assert chain.first is not None
    assert chain.first.rule.code == "A"
    assert [one.rule.code for one in chain.beside] == ["B"]
    assert [one.rule.code for one in chain.later] == ["C"]


def test_a_warning_does_not_follow_from_an_error_that_stands_below_it() -> None:
    """An error is first whatever its precedence; a warning with a lower one is no effect of it."""
    rules = [_rule("W", 5, severity=Severity.WARNING), _rule("E", 50)]
    (chain,) = chains(_report(_failed("auth.keys", *rules)))
    assert chain.first is not None
    assert chain.first.rule.code == "E"
    assert [one.rule.code for one in chain.beside] == ["W"]


def test_what_was_skipped_hangs_on_the_rule_that_hindered_it() -> None:
    """Through other skipped checks, too, down to the check that found something, and in whichever issue it is."""
    report = _report(
        _failed("auth.keys", _rule("B", 20), _rule("A", 10)),
        _skipped("auth.token", "auth.keys"),
        _skipped("hf.token", "auth.token", issue=2),
    )
    (chain,) = chains(report)
    assert chain.first is not None
    assert chain.first.hindered == ("auth.token", "hf.token")


def test_what_could_not_be_checked_is_not_known_and_never_a_cause() -> None:
    """It stands in its issue's chain with what it hindered; a check that is not in the report is named as such."""
    unknown = CheckResult("txtai.storage", "the index can be read", 3, Verdict.UNKNOWN, reason="the disk is gone")
    report = _report(unknown, _skipped("txtai.search", "txtai.storage", 3), _skipped("txtai.queue", "elsewhere", 3))
    (chain,) = chains(report)
    assert chain.verdict is Verdict.UNKNOWN
    assert chain.first is None
    assert [(one.name, one.result, one.hindered) for one in chain.unchecked] == [
        ("txtai.storage", unknown, ("txtai.search",)),
        ("elsewhere", None, ("txtai.queue",)),
    ]


def test_what_a_hindered_check_found_does_not_make_its_issue_fail() -> None:
    """The chain's verdict is the report's: unknown, with the finding told all the same."""
    found = replace(_failed("scan.files", _rule("A", 10)), verdict=Verdict.UNKNOWN)
    report = _report(found)
    (chain,) = chains(report)
    assert chain.verdict is report.verdict is Verdict.UNKNOWN
    assert chain.first is not None


def test_the_most_urgent_issue_is_first_and_notes_are_nowhere() -> None:
    """Failures before what is not known before warnings; of several failures the one with the first cause."""
    report = _report(
        _failed("hf.router", _rule("H", 30, issue=2), issue=2),
        _failed("auth.keys", _rule("A", 40)),
        _failed("txtai.size", _rule("W", 1, issue=3, severity=Severity.WARNING), issue=3),
        CheckResult("models.memory", "the models fit", 5, Verdict.UNKNOWN, reason="no model"),
        _failed("startup.note", _rule("N", 1, issue=6, severity=Severity.NOTE), issue=6),
    )
    assert [chain.issue for chain in chains(report)] == [2, 1, 5, 3]
    assert [one.rule.code for one in broken(report)] == ["H", "A", "W", "N"]


def test_what_a_log_saw_fail_first_leads_whatever_it_weighs() -> None:
    """A triage gives the first failure the precedence 0: its issue stands before the errors that came later."""
    report = _report(
        _failed("triage.issue-5", _rule("M", 15, issue=5), issue=5),
        _failed("triage.issue-2", _rule("H", 0, issue=2, severity=Severity.WARNING), issue=2),
    )
    assert [chain.issue for chain in chains(report)] == [2, 5]


@RANDOM
@given(report=reports())
def test_no_finding_is_lost_and_none_is_told_twice(report: Report) -> None:
    """However odd a report is, its findings are those of the broken rules, and each of weight is in one chain."""
    found = broken(report)
    assert sorted(map(repr, report.findings)) == sorted(repr(finding) for one in found for finding in one.findings)
    weighty = [one for one in found if one.rule.severity is not Severity.NOTE]
    chained = [one for chain in chains(report) for one in ((chain.first,) if chain.first else ())]
    chained += [one for chain in chains(report) for one in (*chain.beside, *chain.later)]
    assert sorted(map(repr, chained)) == sorted(map(repr, weighty))
