"""Whether a model of the agents fits into the memory that is left, predicted without loading one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Evidence
from alwrity_checks.models.decision import in_bytes
from alwrity_checks.models.findings import finding
from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.roles import AGENT, roles
from alwrity_checks.models.steps import Runtime
from alwrity_checks.models.workshop import Workshop, environment_of

if TYPE_CHECKING:
    from alwrity_checks.model import Finding
    from alwrity_checks.models.steps import Step
    from alwrity_checks.settings import Settings

__all__ = ["memory_findings"]


def memory_findings(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Yield a finding where no step of the agents fits. With `offline` the hub is not asked.

    Raises CannotCheck where nothing is known of any of the models.
    """
    environment = environment_of(settings) | ({"HF_HUB_OFFLINE": "1"} if offline else {})
    works = Workshop(environment)
    with ModelRegistry(roles(settings), works) as registry:
        role = registry.role(AGENT)
        available = works.machine().available.bytes
        needs = {step: works.need(step, role.context) for step in registry.steps(role)}
        # Having a step may take more than the step does: int4 has to be made first.
        refused = {step: works.refusal(step, role.context) for step, need in needs.items() if need is not None}
    known = {step: need for step, need in needs.items() if need is not None}
    if not known:
        raise CannotCheck(
            f"what {', '.join(role.models)} need is not known: not one is on this machine, and no hub gives it",
            "run it where the hub can be reached, or pull the model",
        )
    if role.settings:
        yield from _upwards(tuple(needs), known)
    step = min(known, key=lambda one: known[one])
    why = refused[step]
    if why is not None and all(refused.values()):
        needed = f"the lightest step, {step}, needs {in_bytes(known[step])}"
        told = f"{in_bytes(available)} are left, and {needed if known[step] > available else why.diagnosis}"
        evidence = tuple(Evidence(str(one), in_bytes(need)) for one, need in known.items())
        yield finding("does-not-fit", told, None, evidence, ("alwrity-doctor models plan",))


def _upwards(steps: Sequence[Step], needs: Mapping[Step, int]) -> Iterator[Finding]:
    """Find what a chain that was set by hand puts behind something lighter, in one runtime."""
    for runtime in Runtime:
        chain = [step for step in steps if step.runtime is runtime and step in needs]
        for before, after in itertools.pairwise(chain):
            if needs[after] >= needs[before]:
                told = (
                    f"{after} ({in_bytes(needs[after])}) stands behind {before} ({in_bytes(needs[before])}), "
                    "and is not lighter"
                )
                yield finding("chain-not-lighter", told, None, (), ("alwrity-doctor models plan",))
