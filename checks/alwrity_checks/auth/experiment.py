"""The experiment of issue 1: the historical middleware and the component, put through the same scenarios.

Nothing is contacted but this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from alwrity_checks.auth.rules import rule
from alwrity_checks.auth.scenarios import keys, tokens
from alwrity_checks.auth.scenarios.scenario import Scenario, Seen
from alwrity_checks.auth.scenarios.stage import Cast, Stage
from alwrity_checks.auth.scenarios.targets import AuthTarget, targets
from alwrity_checks.loopback import direct_connections
from alwrity_checks.model import Event, Observation, Outcome
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.model import Observer

__all__ = ["SCENARIOS", "AuthExperiment", "experiment"]

SCENARIOS: tuple[Scenario, ...] = (*tokens.SCENARIOS, *keys.SCENARIOS)
"""Every scenario, in the order in which they are played."""


class AuthExperiment:
    """Says of each rule and target whether the fault is reproduced, absent or unknown."""

    issue = 1

    def targets(self) -> Sequence[AuthTarget]:
        """Return the middleware in each of its states, and the component."""
        return targets()

    async def run(self, target: AuthTarget, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario; one that raises is `unknown`, and the others go on.

        Takes a few seconds. A legacy target blocks the event loop: that is one of its faults.
        """
        name = f"experiment {self.issue}: {target}"
        observations = []
        with direct_connections():
            for scenario in SCENARIOS:
                observer.notify(Event("progress", name, scenario.title))
                observation = await self._observe(target, scenario)
                observations.append(observation)
                observer.notify(Event("observed", name, observation.message, observation=observation))
        return tuple(observations)

    async def _observe(self, target: AuthTarget, scenario: Scenario) -> Observation:
        try:
            with Stage(self._cast) as stage:
                seen = await scenario.play(target, stage)
        except Exception as error:  # noqa: BLE001 - a target may be anybody's code
            seen = Seen(Outcome.UNKNOWN, f"the scenario raised {type(error).__name__}: {scrub(str(error))[:200]}")
        evidence = (*seen.evidence, *target.facts)
        return Observation(rule(scenario.code), target.target, scenario.title, seen.outcome, seen.message, evidence)

    @cached_property
    def _cast(self) -> Cast:
        return Cast()


def experiment() -> AuthExperiment:
    """Return the experiment of issue 1."""
    return AuthExperiment()
