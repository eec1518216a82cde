"""Runs inside the interpreter of the user's checkout and speaks to its local models: see `sandbox.program`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Outcome
from alwrity_checks.models.scenarios import driven_imports, driven_real
from alwrity_checks.models.scenarios.driven_beside import Beside
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.log_lines import LogLines
from alwrity_checks.sandbox.speech import say

if TYPE_CHECKING:
    from alwrity_checks.models.scenarios.driven import DrivenTarget
    from alwrity_checks.models.scenarios.scenario import Scenario, Seen
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["drive"]

_TOLD: Final = ("Loading local LLM",)
"""Of the ordinary lines the only one that tells: it comes with each load."""
_VERSIONS: Final = ("txtai", "transformers", "torch", "huggingface_hub", "loguru")


def drive(inside: Inside, act: str, *words: str) -> None:
    """Carry out one act: `meet`, `play`, or one of the plays that need models, each in a process of its own."""
    if act not in {"meet", "play"}:
        driven_real.PLAYS[act](inside)
        return
    if act == "meet":
        say(begins="the checkout's local models were imported")
    inside.lines = LogLines(told=_TOLD)
    try:
        target = _target(inside)
    except BaseException as error:  # noqa: BLE001 - anybody's code, which may even want to exit
        say(unmet=f"{type(error).__name__}: {scrub(str(error))[:300]}", **_heard(inside))
        return
    if act == "meet":
        _meet(target)
    else:
        _play(target, json.loads(words[0]))


def _target(inside: Inside) -> DrivenTarget:
    """Return the checkout's local models, imported without torch if that is possible. Raises what the import raises."""
    from alwrity_checks.models.scenarios.driven import DrivenTarget
    from alwrity_checks.models.scenarios.stage import Stage

    driven_imports.without_torch()
    try:
        import txtai  # type: ignore[import-untyped]  # before the checkout's own names are on the path
    except ImportError:
        driven_imports.with_torch()
        import txtai  # an older one, which needs it
    target = DrivenTarget(inside)
    inside.open_checkout()
    try:
        target.deploy(Stage()).close()
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in driven_imports.TORCH:
            raise
        driven_imports.with_torch()
        import txtai  # noqa: F401 - once more, for a checkout that needs torch by itself

        target.deploy(Stage()).close()
    return target


def _meet(target: DrivenTarget) -> None:
    """Say what the models are loaded with; or what hinders that."""
    from alwrity_checks.models.scenarios.driven import WRAPPER
    from alwrity_checks.models.scenarios.stage import Stage

    say(begins="a model was asked for")
    stage = Stage()
    inside = target.inside
    deployment = target.deploy(stage)
    try:
        deployment.obtain()
    except AttributeError as error:
        say(unmet=f"services.intelligence.sif_agents has no {WRAPPER} as it is known: {scrub(str(error))[:200]}")
        return
    except BaseException as error:  # noqa: BLE001 - anybody's code
        note = f"none can be loaded: {type(error).__name__}: {scrub(str(error))[:200]}"
    else:
        if not stage.tried:
            say(unmet="it does not take its model from txtai's LLM, which is all that can be stood in for")
            return
        note = stage.tried[0]
    finally:
        deployment.close()
    if sys.modules.get("torch", sys) is None:
        inside.stubs.append("torch and transformers (as if not installed), but where a real model is needed")
    inside.stubs.append("txtai's LLM and Agent, but where a real model is needed")
    say(met=[*([one.label, one.value] for one in inside.facts(*_VERSIONS)), ["the agents' first model", note]])


def _play(target: DrivenTarget, numbers: list[int]) -> None:
    """Play the scenarios of these numbers; those that need models play beside the others, in processes of their own."""
    from alwrity_checks.models.experiment import SCENARIOS

    known = {scenario.code: scenario for scenario in SCENARIOS}
    chosen = {number: known[target.inside.plan["codes"][number]] for number in numbers}
    with Beside(target.inside, [one.code for one in chosen.values()]) as beside:
        for number, scenario in chosen.items():
            say(begins=number)
            seen = beside.seen(scenario.code) or _played(scenario, target)
            say(number=number, seen=target.inside.witnessed(seen.outcome, seen.message, seen.evidence))


def _played(scenario: Scenario, target: DrivenTarget) -> Seen:
    from alwrity_checks.models.scenarios.scenario import Seen

    try:
        return scenario.play(target)
    except BaseException as error:  # noqa: BLE001 - anybody's code, which may even want to exit
        words = scrub(f"{type(error).__name__}: {error}")[:200]
        return Seen(Outcome.UNKNOWN, f"the scenario raised {words}")


def _heard(inside: Inside) -> dict[str, Any]:
    """Return what was refused and logged, for the reason."""
    refused = [["refused by the sandbox", scrub(what)] for _, what in inside.guard.refusals()]
    return {"evidence": [*refused, *([one.label, one.value] for one in inside.lines.told())]}
