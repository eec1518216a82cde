"""An experiment in the form in which a room offers one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.model import Event, Observation, Outcome, Target, TargetKind
from tests.support.checks import rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Observer

LEGACY, FIXED = Target(TargetKind.LEGACY, "2024"), Target(TargetKind.FIXED)


class Experiment:
    """Shows its fault on the model alone."""

    issue = 1

    def targets(self) -> Sequence[Target]:
        """Return both targets."""
        return (LEGACY, FIXED)

    async def run(self, target: Target, observer: Observer) -> Sequence[Observation]:
        """Observe."""
        outcome = Outcome.REPRODUCED if target is LEGACY else Outcome.ABSENT
        observation = Observation(rule(), target, "a forged token", outcome, f"the fault is {outcome}")
        observer.notify(Event("observed", "experiment 1", observation=observation))
        return [observation]


def experiment() -> Experiment:
    """Return the experiment."""
    return Experiment()
