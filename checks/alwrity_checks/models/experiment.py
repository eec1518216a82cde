"""The experiment of issue 5: the historical wrapper, the component and a checkout, put through the same scenarios.

Calls and threads are tried with models that cost nothing, through the real code of both. What needs the hub's client, a
limit on memory or real models plays in children; the models are tiny checkpoints with random weights. Nothing is
contacted but this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.model import Event, Observation, Outcome
from alwrity_checks.models.rules import rule
from alwrity_checks.models.scenarios import calls, real
from alwrity_checks.models.scenarios.scenario import Scenario, Seen
from alwrity_checks.models.scenarios.targets import ModelsTarget, targets
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.target import CheckoutTarget, put_through

if TYPE_CHECKING:
    from alwrity_checks.model import Observer

__all__ = ["SCENARIOS", "ModelsExperiment", "experiment"]

SCENARIOS: Final = tuple(sorted((*calls.SCENARIOS, *real.SCENARIOS), key=lambda scenario: scenario.code))
"""Every scenario, in the order of the rules."""


class ModelsExperiment:
    """Says of each rule and target whether the fault is reproduced, absent or unknown."""

    issue = 5

    def __init__(self, *, codes: Collection[str] | None = None) -> None:
        """`codes` are the rules whose scenarios are played, all if None."""
        self._scenarios = tuple(one for one in SCENARIOS if codes is None or one.code in codes)

    def targets(self) -> Sequence[ModelsTarget]:
        """Return the historical wrapper, and the component."""
        return targets()

    async def run(self, target: ModelsTarget | CheckoutTarget, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario; one that raises is `unknown`, and the others go on.

        Takes some ten seconds. Raises MissingExtra without the libraries of [models], and CannotCheck of a checkout
        that cannot be driven.
        """
        if isinstance(target, CheckoutTarget):
            return await self._put_through(target, observer)
        if any(find_spec(name) is None for name in ("torch", "transformers", "llguidance", "jsonschema")):
            raise MissingExtra("models", "the experiment of issue 5")
        name = f"experiment {self.issue}: {target}"
        observations = []
        # The children take the longest and leave a processor free: they begin first and are asked last.
        begun = {
            scenario.code: asyncio.create_task(asyncio.to_thread(_played, scenario, target))
            for scenario in self._scenarios
            if scenario in real.SCENARIOS
        }
        try:
            for scenario in self._scenarios:
                observer.notify(Event("progress", name, scenario.title))
                work = begun.get(scenario.code)
                seen = await work if work else await asyncio.to_thread(_played, scenario, target)
                evidence = (*seen.evidence, *target.facts)
                code = scenario.code
                observation = Observation(
                    rule(code), target.target, scenario.title, seen.outcome, seen.message, evidence
                )
                observations.append(observation)
                observer.notify(Event("observed", name, observation.message, observation=observation))
        finally:
            real.stop()
        return tuple(observations)

    async def _put_through(self, target: CheckoutTarget, observer: Observer) -> Sequence[Observation]:
        """Have a checkout's own modules play, in its interpreter."""
        plan = {**target.sandbox.plan, "codes": [scenario.code for scenario in self._scenarios]}
        target = replace(target, sandbox=replace(target.sandbox, plan=plan))
        scenarios = [(rule(scenario.code), scenario.title) for scenario in self._scenarios]
        return await put_through(target, scenarios, observer, name=f"experiment {self.issue}: {target}")


def _played(scenario: Scenario, target: ModelsTarget) -> Seen:
    try:
        return scenario.play(target)
    except DoctorError as error:
        return Seen(Outcome.UNKNOWN, scrub(error.diagnosis)[:200])
    except Exception as error:  # noqa: BLE001 - a target may be anybody's code
        return Seen(Outcome.UNKNOWN, f"the scenario raised {type(error).__name__}: {scrub(str(error))[:200]}")


def experiment() -> ModelsExperiment:
    """Return the experiment of issue 5."""
    return ModelsExperiment()
