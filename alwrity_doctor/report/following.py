"""What comes first and what follows from it, issue by issue: the order in which somebody looks, and cures.

That an effect follows is never proved by a report: it holds the rules' precedence, in which causes stand above their
effects, and for each check that was skipped the check that it was skipped for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Severity, Verdict
from alwrity_doctor.report.phrases import root

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from alwrity_checks.model import CheckResult, Finding, Report, Rule

__all__ = ["Broken", "Chain", "Unchecked", "broken", "chains"]

_URGENCY: Final = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS, Verdict.SKIP)


@dataclass(frozen=True, slots=True)
class Broken:
    """One rule, and where it is seen broken."""

    rule: Rule
    findings: tuple[Finding, ...]
    """At least one, in the report's order."""
    hindered: tuple[str, ...] = ()
    """The names of the checks that were skipped because of it."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A check without a verdict: it could not be carried out, or others were skipped because it was."""

    name: str
    result: CheckResult | None
    """None where it is not in the report."""
    hindered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """What is wrong in one issue, and what is not known because of it."""

    issue: int
    """0 for what belongs to no single one."""
    verdict: Verdict
    first: Broken | None
    """The likeliest cause; None where nothing was found and something could not be checked."""
    beside: tuple[Broken, ...]
    """What may as well come first."""
    later: tuple[Broken, ...]
    """What stands below the first: it may follow from it."""
    unchecked: tuple[Unchecked, ...]


def broken(report: Report) -> tuple[Broken, ...]:
    """Return every rule that is seen broken, notes too, in the order in which its first finding stands.

    A rule is taken for another one where a run gave it another weight: the same lines of a log may be a fault or none.
    """
    groups: dict[Hashable, list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault(_key(finding.rule), []).append(finding)
    followers = _followers(report)
    hindered: dict[Hashable, list[str]] = {}
    for result in report.results:
        if result.name in followers and (cause := _cause(result)) is not None:
            hindered.setdefault(_key(cause), []).extend(followers[result.name])
    return tuple(Broken(same[0].rule, tuple(same), tuple(hindered.get(key, ()))) for key, same in groups.items())


def chains(report: Report) -> tuple[Chain, ...]:
    """Return a chain for each issue in which something is wrong or not known, the most urgent first.

    What is known to have come first, by a precedence of 0 or less, leads; of several that are as urgent the one with
    the report's first cause stands first, the others by their number.
    """
    found = [one for one in broken(report) if one.rule.severity is not Severity.NOTE]
    missing = _unchecked(report)
    issues = dict.fromkeys([*(one.rule.issue for one in found), *missing])
    made = [_chain(report, issue, [one for one in found if one.rule.issue == issue], missing) for issue in issues]
    cause = report.first_cause

    def order(one: Chain) -> tuple[int, int, bool, bool, int]:
        lowest = min((each.rule.precedence for each in (one.first, *one.beside) if each), default=1)
        leads = one.first is not None and cause in one.first.findings
        return min(lowest, 1), _URGENCY.index(one.verdict), not leads, not one.issue, one.issue

    return tuple(sorted(made, key=order))


def _chain(report: Report, issue: int, found: Sequence[Broken], missing: Mapping[int, Sequence[Unchecked]]) -> Chain:
    first, rest = (found[0], found[1:]) if found else (None, ())
    later = tuple(one for one in rest if first and one.rule.precedence > first.rule.precedence)
    return Chain(
        issue,
        _verdict(report, issue),
        first,
        tuple(one for one in rest if one not in later),
        later,
        tuple(missing.get(issue, ())),
    )


def _verdict(report: Report, issue: int) -> Verdict:
    """Return the worst verdict of the checks of an issue, and of others' that found something of it.

    A check that was hindered is unknown whatever it found, as in the verdict of the whole report.
    """
    concerned = [one for one in report.results if one.issue == issue or _found(one, issue)]
    return min((one.verdict for one in concerned), key=_URGENCY.index)


def _found(result: CheckResult, issue: int) -> bool:
    return any(finding.rule.issue == issue for finding in result.findings)


def _key(rule: Rule) -> Hashable:
    return rule.code, rule.issue, rule.severity


def _cause(result: CheckResult) -> Rule | None:
    rules = [finding.rule for finding in result.findings if finding.rule.severity is not Severity.NOTE]
    return min(rules, key=lambda rule: rule.precedence, default=None)


def _followers(report: Report) -> dict[str, list[str]]:
    by_name = {result.name: result for result in report.results}
    followers: dict[str, list[str]] = {}
    for result in report.results:
        if result.verdict is Verdict.SKIP and result.because:
            followers.setdefault(root(result, by_name), []).append(result.name)
    return followers


def _unchecked(report: Report) -> dict[int, list[Unchecked]]:
    """Return by issue what has no finding to hang on."""
    followers = _followers(report)
    by_name = {result.name: result for result in report.results}
    found: dict[int, list[Unchecked]] = {}
    for name, result in by_name.items():
        if _cause(result) is None and (result.verdict is Verdict.UNKNOWN or name in followers):
            found.setdefault(result.issue, []).append(Unchecked(name, result, tuple(followers.get(name, ()))))
    for name, hindered in followers.items():
        if name not in by_name:
            issue = by_name[hindered[0]].issue
            found.setdefault(issue, []).append(Unchecked(name, None, tuple(hindered)))
    return found
