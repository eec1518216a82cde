"""What the experiments showed, as a table: rule x target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Finding, Observation, Outcome, Rule, Target, TargetKind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Matrix", "by_issue", "remarkable", "untold"]

_WEIGHT: Final = (Outcome.REPRODUCED, Outcome.UNKNOWN, Outcome.ABSENT)
"""A cell speaks for all its scenarios: the first of these that any of them came to."""
_BEFORE: Final = "before"
"""The variant of a checkout to which `adopt` has done nothing yet."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rules and targets in the order in which they were first seen, and the outcome of each pair."""

    rules: tuple[Rule, ...]
    targets: tuple[Target, ...]
    outcomes: dict[tuple[str, Target], Outcome]
    """By the rule's code and the target."""

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> Matrix:
        """Aggregate the scenarios of each rule and target."""
        outcomes: dict[tuple[str, Target], Outcome] = {}
        for observation in observations:
            key = (observation.rule.code, observation.target)
            outcomes[key] = min(outcomes.get(key, Outcome.ABSENT), observation.outcome, key=_WEIGHT.index)
        rules: dict[str, Rule] = {}
        for observation in observations:
            rules.setdefault(observation.rule.code, observation.rule)
        return cls(
            tuple(rules[code] for code in sorted(rules)),
            tuple(dict.fromkeys(seen.target for seen in observations)),
            outcomes,
        )

    def cell(self, rule: Rule, target: Target) -> str:
        """Return the outcome in a word; a dash where the target was not put through the rule's scenario."""
        outcome = self.outcomes.get((rule.code, target))
        return "–" if outcome is None else str(outcome)  # noqa: RUF001 - the dash of an empty cell, as in print


def by_issue(observations: Sequence[Observation]) -> tuple[Matrix, ...]:
    """Return a table for each issue: the legacy states of one mean nothing to the rules of another."""
    issues = sorted({seen.rule.issue for seen in observations})
    return tuple(Matrix.of([seen for seen in observations if seen.rule.issue == issue]) for issue in issues)


def remarkable(observations: Sequence[Observation]) -> tuple[Observation, ...]:
    """Return what needs telling: a fault in a target that should be free of it, or a scenario without an outcome.

    That a legacy target shows its fault is what it is there for, and a checkout that is yet to be cured too. What all
    observations of a target have in common in one issue's experiment, such as the versions that it ran on, stays with
    the first that is told.
    """
    everywhere: dict[tuple[int, Target], frozenset[Evidence]] = {}
    for seen in observations:
        key, evidence = (seen.rule.issue, seen.target), frozenset(seen.evidence)
        everywhere[key] = everywhere.get(key, evidence) & evidence
    told: list[Observation] = []
    known: set[tuple[int, Target]] = set()
    for seen in observations:
        if seen.target.kind is TargetKind.LEGACY or seen.outcome is Outcome.ABSENT:
            continue
        if seen.target.variant == _BEFORE and seen.outcome is Outcome.REPRODUCED:
            continue
        key = (seen.rule.issue, seen.target)
        common = everywhere[key] if key in known else frozenset()
        told.append(replace(seen, evidence=tuple(one for one in seen.evidence if one not in common)))
        known.add(key)
    return tuple(told)


def untold(finding: Finding, observations: Sequence[Observation]) -> tuple[Evidence, ...]:
    """Return what is left to tell of a finding where the remarkable is told as well: of an observation its scenario.

    A reader finds the rest there, by the rule and the scenario.
    """
    scenario, rest = finding.evidence[:1], finding.evidence[1:]
    same = (seen for seen in observations if seen.target.kind is not TargetKind.LEGACY)
    if any((seen.rule.code, seen.evidence) == (finding.rule.code, rest) for seen in same):
        return scenario
    return finding.evidence
