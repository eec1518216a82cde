"""The experiment of issue 1: the historical middleware and the component, put through the same scenarios.

Nothing is contacted but this machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alwrity_checks.auth.rules import rule
from alwrity_checks.auth.scenarios import keys, tokens
from alwrity_checks.auth.scenarios.scenario import Scenario, Seen
from alwrity_checks.auth.scenarios.stage import Cast, Stage
from alwrity_checks.auth.scenarios.targets import AuthTarget, targets
from alwrity_checks.loopback import direct_connections
from alwrity_checks.model import Event, Observation, Outcome
from alwrity_checks.picture_parts import heard_lanes
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.target import CheckoutTarget, put_through

if TYPE_CHECKING:
    from alwrity_checks.model import Observer
    from alwrity_checks.pictures import Lane, Picture

__all__ = ["SCENARIOS", "AuthExperiment", "experiment"]

SCENARIOS: tuple[Scenario, ...] = (*tokens.SCENARIOS, *keys.SCENARIOS)
"""Every scenario, in the order in which they are played."""


class AuthExperiment:
    """Says of each rule and target whether the fault is reproduced, absent or unknown."""

    issue = 1

    def __init__(self, *, codes: Collection[str] | None = None) -> None:
        """Play the scenarios of the rules with these `codes`, of all if None."""
        self._numbers = [number for number, scenario in enumerate(SCENARIOS) if codes is None or scenario.code in codes]
        self._watched: list[tuple[Observation, tuple[Lane, ...]]] = []

    def pictures(self) -> tuple[Picture, ...]:
        """Return who fetched keys, how often, and who waited meanwhile, as far as it was played."""
        from alwrity_checks.auth.pictured import fetch_pictures

        return fetch_pictures(self._watched)

    def targets(self) -> Sequence[AuthTarget]:
        """Return the middleware in each of its states, and the component."""
        return targets()

    async def run(self, target: AuthTarget | CheckoutTarget, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario; one that raises is `unknown`, and the others go on.

        Takes a few seconds. A legacy target blocks the event loop: that is one of its faults. Raises CannotCheck of a
        checkout that cannot be driven.
        """
        name = f"experiment {self.issue}: {target}"
        if isinstance(target, CheckoutTarget):
            titles = [(rule(scenario.code), scenario.title) for scenario in SCENARIOS]

            def heard(observation: Observation, line: Mapping[str, Any]) -> None:
                self._watch(observation, heard_lanes(line.get("lanes")))

            return await put_through(target, titles, observer, name=name, numbers=self._numbers, heard=heard)
        observations = []
        with direct_connections():
            for scenario in (SCENARIOS[number] for number in self._numbers):
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
        observation = Observation(
            rule(scenario.code), target.target, scenario.title, seen.outcome, seen.message, evidence
        )
        self._watch(observation, seen.lanes)
        return observation

    def _watch(self, observation: Observation, lanes: tuple[Lane, ...]) -> None:
        if lanes:
            self._watched.append((observation, lanes))

    @cached_property
    def _cast(self) -> Cast:
        return Cast()


def experiment() -> AuthExperiment:
    """Return the experiment of issue 1."""
    return AuthExperiment()
