"""What the experiments showed, as a table: rule x target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Observation, Outcome, Rule, Target, TargetKind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Matrix", "by_issue", "remarkable"]

_WEIGHT: Final = (Outcome.REPRODUCED, Outcome.UNKNOWN, Outcome.ABSENT)
"""A cell speaks for all its scenarios: the first of these that any of them came to."""


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

    That a legacy target shows its fault is what it is there for. What all observations of a target have in common, such
    as the versions that it ran on, stays with the first that is told.
    """
    everywhere: dict[Target, frozenset[Evidence]] = {}
    for seen in observations:
        everywhere[seen.target] = everywhere.get(seen.target, frozenset(seen.evidence)) & frozenset(seen.evidence)
    told: list[Observation] = []
    known: set[Target] = set()
    for seen in observations:
        if seen.target.kind is TargetKind.LEGACY or seen.outcome is Outcome.ABSENT:
            continue
        common = everywhere[seen.target] if seen.target in known else frozenset()
        told.append(replace(seen, evidence=tuple(one for one in seen.evidence if one not in common)))
        known.add(seen.target)
    return tuple(told)
