"""Two reports in, one Report out: what became better, worse, is new, or is no longer known.

What a later run did not look at is not better: a finding that went because its check was skipped is `unknown`. Only
what became worse fails, so that a run that is as bad as the one before ends with 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import CheckResult, Finding, Observation, Outcome, Report, Table, TargetKind, Verdict
from alwrity_doctor.baseline import Subject, subject_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

__all__ = ["compare"]

_JUDGED: Final = (Verdict.PASS, Verdict.WARN, Verdict.FAIL)
"""From good to bad; the other verdicts say that nothing is known."""


@dataclass(frozen=True, slots=True)
class _Change:
    result: CheckResult
    before: str
    after: str
    change: str
    """`better`, `worse`, `new`, `unknown` or `as before`."""


def compare(before: Report, after: Report) -> Report:
    """Return what changed between two reports of one command, as a report of the command `diff`.

    A check of the second report that has a finding which the first one did not have fails, or warns; one that is no
    longer carried out is `unknown`; the others pass. The order is that of the second report.
    """
    changes = [*_checks(before, after)]
    moved = [(one.result.name, one.before, one.after, one.change) for one in changes if one.change != "as before"]
    rows = (*moved, *_observations(before, after))
    same = sum(one.change == "as before" for one in changes)
    title = f"What changed between {before.started:%Y-%m-%d %H:%M} and {after.started:%Y-%m-%d %H:%M} UTC"
    return Report(
        command="diff",
        version=after.version,
        started=after.started,
        duration=timedelta(),
        results=tuple(one.result for one in changes if one.change != "as before") or (_nothing(same),),
        fail_on=after.fail_on,
        environment=_changed(before, after),
        tables=(Table(title, ("check", "before", "after", "change"), rows),) if rows else (),
    )


def _nothing(same: int) -> CheckResult:
    verdict = Verdict.PASS if same else Verdict.SKIP
    reason = f"{same} checks came to the same" if same else "neither report holds a check"
    return CheckResult("diff", "nothing became worse", 0, verdict, reason=reason)


def _changed(before: Report, after: Report) -> dict[str, str]:
    """Return the facts of the machine that differ: they may be why the rest does."""
    names = dict.fromkeys([*before.environment, *after.environment])
    pairs = {name: (before.environment.get(name, "-"), after.environment.get(name, "-")) for name in names}
    pairs["alwrity-doctor"] = (before.version, after.version)
    return {name: f"{old} -> {new}" for name, (old, new) in pairs.items() if old != new}


def _checks(before: Report, after: Report) -> Iterator[_Change]:
    old, new = ({result.name: result for result in report.results} for report in (before, after))
    for name in dict.fromkeys([*new, *old]):
        yield _check(name, old.get(name), new.get(name))


def _check(name: str, old: CheckResult | None, new: CheckResult | None) -> _Change:
    words = (_word(old), _word(new))
    if new is None or new.verdict not in _JUDGED:
        return _unknown(name, old, new, words)
    fresh, gone = _differing(name, old.findings if old else (), new.findings)
    verdict = Verdict.of(fresh)
    if old is None or old.verdict not in _JUDGED:
        reason = "is known now" if verdict is Verdict.PASS else "is known now, and wrong"
        return _Change(_result(new, verdict, f"{reason}: before it was {words[0]}", fresh), *words, "new")
    if verdict is not Verdict.PASS:
        return _Change(_result(new, verdict, f"worse: before it was {words[0]}", fresh), *words, "worse")
    if not gone and old.verdict == new.verdict:
        return _Change(_result(new, Verdict.PASS, "as before"), *words, "as before")
    left = f", {len(new.findings)} left" if new.findings else ""
    told = (
        f"better: {gone} finding{'' if gone == 1 else 's'} gone{left}" if gone else f"better: before it was {words[0]}"
    )
    return _Change(_result(new, Verdict.PASS, told), *words, "better")


def _unknown(name: str, old: CheckResult | None, new: CheckResult | None, words: tuple[str, str]) -> _Change:
    known = new or old or CheckResult(name, name, 0, Verdict.SKIP)
    if old is None or old.verdict not in _JUDGED:
        return _Change(_result(known, Verdict.SKIP, "it is not known now, nor was it before"), *words, "as before")
    reason = f"it was {words[0]} before, and was not looked at now"
    if new is not None:
        reason = f"it was {words[0]} before; now: {new.reason or 'it could not be checked'}"
    return _Change(_result(known, Verdict.UNKNOWN, reason), *words, "unknown")


def _observations(before: Report, after: Report) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for what a target shows otherwise than before; the rules' verdicts are among the checks already."""
    old, new = ({_subject(one): one for one in report.observations} for report in (before, after))
    for subject, one in new.items():
        was = old.get(subject)
        if was is not None and was.outcome is not one.outcome:
            name = f"{one.rule.code} on {one.target}: {one.scenario}"
            yield name, str(was.outcome), str(one.outcome), _tendency(one)


def _tendency(now: Observation) -> str:
    if now.outcome is Outcome.UNKNOWN:
        return "unknown"
    if now.target.kind is TargetKind.LEGACY:
        return "other"  # a model is neither better nor worse for showing a fault
    return "worse" if now.outcome is Outcome.REPRODUCED else "better"


def _result(source: CheckResult, verdict: Verdict, reason: str, findings: tuple[Finding, ...] = ()) -> CheckResult:
    return CheckResult(source.name, source.title, source.issue, verdict, findings, reason=reason, remedy=source.remedy)


def _word(result: CheckResult | None) -> str:
    return "not there" if result is None else str(result.verdict)


def _differing(name: str, before: Sequence[Finding], after: Sequence[Finding]) -> tuple[tuple[Finding, ...], int]:
    """Return the findings of the check `name` that were not there before, and how many are no longer there.

    A finding is the same one if a baseline would take it for the same: neither moved lines nor other numbers make it
    another; one more of the same kind is one more.
    """
    # The first reports did not say what identifies a finding: it is compared by its message with theirs.
    by_message = {finding.rule.code for finding in (*before, *after) if not finding.identity}

    def subject(finding: Finding) -> Subject:
        return subject_of(name, replace(finding, identity="") if finding.rule.code in by_message else finding)

    left = Counter(map(subject, before))
    fresh = []
    for finding in after:
        one = subject(finding)
        if left[one] > 0:
            left[one] -= 1
        else:
            fresh.append(finding)
    return tuple(fresh), left.total()


def _subject(observation: Observation) -> Hashable:
    return observation.rule.code, observation.target, observation.scenario
