"""The same calls with nothing forced: how often the fault shows when the order is left to chance.

The legacy service runs on a stub in which a load takes 20 to 50 ms and an indexing 5 ms, the proportions that were
measured with the real model. The component runs on txtai, with the same loading. What comes of it are rates, and a
fault that does not show proves nothing.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import TargetKind
from alwrity_checks.txtai.scenarios.calls import after_restart, played, refusal
from alwrity_checks.txtai.scenarios.scenario import Offer, Scenario, Seen, judged_by_loss
from alwrity_checks.txtai.scenarios.stage import Model, Stage

if TYPE_CHECKING:
    from alwrity_checks.txtai.scenarios.targets import TxtaiTarget

__all__ = ["SCENARIOS"]

_LOAD: Final = (0.020, 0.050)
"""Seconds."""
_INDEX: Final = 0.005


def _load() -> None:
    time.sleep(random.uniform(*_LOAD))  # noqa: S311 - no secret


def _work(call: str) -> None:
    if call in {"index", "upsert"}:
        time.sleep(_INDEX)


def _call(target: TxtaiTarget, batches: tuple[str, ...], *, at_once: bool) -> tuple[Offer, Seen]:
    with Stage(model=Model(_load, work=_work), stubbed=target.target.kind is TargetKind.LEGACY) as stage:
        offer = played(target, stage, cold=True, at_once=at_once, batches=batches)
        kept = after_restart(target, stage, offer)
        return offer, judged_by_loss(offer, kept, stage, "nothing forced")


def _refused(target: TxtaiTarget) -> Seen:
    return refusal(*_call(target, ("today",), at_once=False))


def _lost(target: TxtaiTarget, *, batches: tuple[str, ...], at_once: bool = False) -> Seen:
    return _call(target, batches, at_once=at_once)[1]


_BOTH: Final = ("today", "yesterday")
SCENARIOS: Final = (
    Scenario("TXT001", "refused", "one call to a fresh user, nothing forced", _refused),
    Scenario("TXT002", "one", "one call to a fresh user, nothing forced", partial(_lost, batches=("today",))),
    Scenario("TXT005", "in a row", "two calls in a row, nothing forced", partial(_lost, batches=_BOTH)),
    Scenario("TXT006", "at once", "two calls at once, nothing forced", partial(_lost, batches=_BOTH, at_once=True)),
)
