"""Trials: a scenario, played some times over, in a process that is used for nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.speech import say
from alwrity_checks.txtai.recorder import Recording
from alwrity_checks.txtai.scenarios import free
from alwrity_checks.txtai.scenarios.catalogue import SCENARIOS
from alwrity_checks.txtai.scenarios.scenario import Seen

if TYPE_CHECKING:
    from alwrity_checks.txtai.scenarios.scenario import Scenario
    from alwrity_checks.txtai.scenarios.targets import TxtaiTarget

__all__ = ["Witness", "play", "seen_from"]


@runtime_checkable
class Witness(Protocol):
    """A target that has something to say of a trial beside what the scenario saw."""

    def testimony(self, seen: Seen) -> Seen:
        """Return what the scenario saw with that."""


def play(target: TxtaiTarget, plan: str) -> None:
    """Play the scenarios of the plan, a JSON object of `codes`, `trials` and `free`; say what each trial showed."""
    told = json.loads(plan)
    for scenario in free.SCENARIOS if told["free"] else SCENARIOS:
        if scenario.code in told["codes"]:
            for _ in range(told["trials"]):
                say(begins=scenario.code)
                seen = _played(scenario, target)
                say(code=scenario.code, seen=_told(target.testimony(seen) if isinstance(target, Witness) else seen))


def _played(scenario: Scenario, target: TxtaiTarget) -> Seen:
    """Play a scenario in a thread of its own: there its event loop runs, and is called so in the recording."""
    result: Future[Seen] = Future()

    def work() -> None:
        try:
            result.set_result(scenario.play(target))
        except BaseException as error:  # noqa: BLE001 - a target may be anybody's code, and may even want to exit
            message = f"the scenario raised {type(error).__name__}: {scrub(str(error))[:200]}"
            result.set_result(Seen(Outcome.UNKNOWN, message))

    threading.Thread(target=work, name="event loop", daemon=True).start()
    return result.result()


def _told(seen: Seen) -> dict[str, Any]:
    return {
        "outcome": seen.outcome.value,
        "message": seen.message,
        "evidence": [[one.label, one.value] for one in seen.evidence],
        "accepted": seen.accepted,
        "found": seen.found,
        "recording": seen.recording and seen.recording.to_json(),
    }


def seen_from(told: Mapping[str, Any]) -> Seen:
    """Return what a line of `play` was made from."""
    return Seen(
        Outcome(told["outcome"]),
        told["message"],
        tuple(Evidence(label, value) for label, value in told["evidence"]),
        told["accepted"],
        told["found"],
        Recording.from_json(told["recording"]) if told["recording"] else None,
    )
