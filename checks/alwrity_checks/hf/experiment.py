"""The experiment of issue 2: the historical provider, the component and a checkout, put through the same scenarios.

Nothing is contacted but this machine. Pauses are counted and not waited for, so that minutes take seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alwrity_checks.errors import MissingExtra
from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_checks.hf.rules import rule
from alwrity_checks.hf.scenarios.faults import SCENARIOS, Scenario, Seen
from alwrity_checks.hf.scenarios.targets import HfTarget, targets
from alwrity_checks.loopback import direct_connections
from alwrity_checks.model import Event, Observation, Outcome
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.target import CheckoutTarget, put_through

if TYPE_CHECKING:
    from alwrity_checks.model import Observer

__all__ = ["SCENARIOS", "HfExperiment", "experiment"]


class HfExperiment:
    """Says of each rule and target whether the fault is reproduced, absent or unknown."""

    issue = 2

    def targets(self) -> Sequence[HfTarget]:
        """Return the provider in both of its states, and the component."""
        return targets()

    async def run(self, target: HfTarget | CheckoutTarget, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario of what it can be asked for; one that raises is `unknown`.

        Raises MissingExtra: without the openai client there is nothing to observe. Raises CannotCheck of a checkout
        that cannot be driven; that one needs the client in its own environment.
        """
        name = f"experiment {self.issue}: {target}"
        if isinstance(target, CheckoutTarget):
            return await put_through(target, [(rule(one.code), one.title) for one in SCENARIOS], observer, name=name)
        if not all(map(find_spec, ("openai", "jsonschema"))):
            raise MissingExtra("hf", "the experiment of issue 2")
        observations = []
        with direct_connections():
            for scenario in SCENARIOS:
                if scenario.function not in target.functions:
                    continue
                observer.notify(Event("progress", name, scenario.title))
                observation = await _observe(target, scenario)
                observations.append(observation)
                observer.notify(Event("observed", name, observation.message, observation=observation))
        return tuple(observations)


async def _observe(target: HfTarget, scenario: Scenario) -> Observation:
    try:
        with LoopbackRouter() as router:
            seen = await scenario.play(target, router)
    except Exception as error:  # noqa: BLE001 - a target may be anybody's code
        seen = Seen(Outcome.UNKNOWN, f"the scenario raised {type(error).__name__}: {scrub(str(error))[:200]}")
    evidence = (*seen.evidence, *target.facts)
    return Observation(rule(scenario.code), target.target, scenario.title, seen.outcome, seen.message, evidence)


def experiment() -> HfExperiment:
    """Return the experiment of issue 2."""
    return HfExperiment()
