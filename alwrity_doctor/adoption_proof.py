"""What a proposal changes, shown by experiments: the checkout as it is before, and a scratch copy of it after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import CheckResult, Evidence, Finding, Observation, Outcome, Target, TargetKind, Verdict

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.backend.driving import Surroundings
    from alwrity_checks.model import Observer, Rule
    from alwrity_doctor.reproduction import Reproducible

__all__ = ["AFTER", "BEFORE", "cured", "judge", "proofs", "settled"]

BEFORE: Final = "before"
AFTER: Final = "after"


@dataclass(frozen=True, slots=True)
class _Side:
    """A checkout as one of the two sides of a comparison."""

    word: str
    target: Target
    driven: object
    """The experiment's own target."""

    def __str__(self) -> str:
        return str(self.target)


class _Proof:
    """An experiment that is done to a checkout before and after."""

    def __init__(self, experiment: Reproducible[Any], sides: Sequence[_Side]) -> None:
        self.issue = experiment.issue
        self._experiment = experiment
        self._sides = tuple(sides)

    def targets(self) -> Sequence[_Side]:
        """Return the two sides, before first."""
        return self._sides

    async def run(self, target: _Side, observer: Observer) -> Sequence[Observation]:
        """Put one side through every scenario."""
        seen = await self._experiment.run(target.driven, observer)
        return tuple(replace(one, target=target.target) for one in seen)


def proofs(issues: Iterable[int], before: Checkout, after: Checkout, around: Surroundings) -> list[_Proof]:
    """Return an experiment for each issue, done to the checkout `before` and to its copy `after`."""
    from alwrity_checks.backend.drivers import DRIVERS
    from alwrity_checks.catalogue import EXPERIMENTS

    found = []
    for issue in issues:
        experiment: Reproducible[Any] = import_module(EXPERIMENTS[issue]).experiment()
        sides = [
            _Side(word, Target(TargetKind.BACKEND, word, described), DRIVERS[issue](checkout, around))
            for word, checkout, described in (
                (BEFORE, before, str(before.backend)),
                (AFTER, after, f"a scratch copy of {before.backend} with the changes"),
            )
        ]
        found.append(_Proof(experiment, sides))
    return found


def judge(observations: Iterable[Observation]) -> tuple[CheckResult, ...]:
    """Return a result per rule, in the order of the codes.

    `pass`: the fault is absent after. `fail`: it still shows. `unknown`: what was seen after does not decide it. What
    was seen before is in the reason. An issue of which nothing at all was seen after has no result here: why that is so
    is the result of its experiment.
    """
    observed = list(observations)
    issues = {one.rule.issue for one in observed if one.target.variant == AFTER}
    by_rule: dict[str, list[Observation]] = {}
    for one in (one for one in observed if one.rule.issue in issues):
        by_rule.setdefault(one.rule.code, []).append(one)
    return tuple(_judged(by_rule[code]) for code in sorted(by_rule))


def _judged(seen: Sequence[Observation]) -> CheckResult:
    rule = seen[0].rule
    after = [one for one in seen if one.target.variant == AFTER]
    if faulty := [one for one in after if one.outcome is Outcome.REPRODUCED]:
        return _result(rule, Verdict.FAIL, findings=tuple(_finding(one) for one in faulty))
    undecided = next((one for one in after if one.outcome is Outcome.UNKNOWN), None)
    if undecided is not None:
        return _result(rule, Verdict.UNKNOWN, f"{undecided.target}, {undecided.scenario}: {undecided.message}")
    if not after:
        return _result(rule, Verdict.UNKNOWN, "nothing was observed after")
    return _result(rule, Verdict.PASS, f"{_worst(seen, BEFORE)} before, absent after")


def _worst(seen: Sequence[Observation], variant: str) -> str:
    outcomes = {one.outcome for one in seen if one.target.variant == variant}
    return next((str(one) for one in (Outcome.REPRODUCED, Outcome.UNKNOWN, Outcome.ABSENT) if one in outcomes), "-")


def _result(rule: Rule, verdict: Verdict, reason: str = "", findings: tuple[Finding, ...] = ()) -> CheckResult:
    remedy = f"alwrity-doctor reproduce {rule.issue} --backend DIR" if verdict is Verdict.UNKNOWN else ""
    return CheckResult(rule.code, rule.title, rule.issue, verdict, findings, reason=reason, remedy=remedy)


def _finding(observation: Observation) -> Finding:
    rule = replace(observation.rule, validation=f"alwrity-doctor reproduce {observation.rule.issue} --backend DIR")
    message = f"still reproduced after the change: {observation.message}"
    return Finding(rule, message, (Evidence("scenario", observation.scenario), *observation.evidence))


def cured(observations: Iterable[Observation]) -> dict[int, list[str]]:
    """Return, by issue, the codes of the rules whose fault was reproduced before and is absent after."""
    by_rule: dict[str, list[Observation]] = {}
    for one in observations:
        by_rule.setdefault(one.rule.code, []).append(one)
    found: dict[int, list[str]] = {}
    for code, seen in by_rule.items():
        if _worst(seen, BEFORE) == Outcome.REPRODUCED and _worst(seen, AFTER) == Outcome.ABSENT:
            found.setdefault(seen[0].rule.issue, []).append(code)
    return found


def settled(result: CheckResult) -> CheckResult:
    """Return what an experiment that did not run to its end means: before, the proof does not depend on it."""
    if result.verdict is not Verdict.UNKNOWN or not result.name.endswith(f" {BEFORE}"):
        return result
    reason = f"the checkout as it is could not be put through it: {result.reason}"
    return replace(result, verdict=Verdict.SKIP, reason=reason, findings=(), evidence=())
