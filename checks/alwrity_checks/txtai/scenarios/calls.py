"""The scenarios of the ordinary calls: the first one, several in a row, several at once; a restart after each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.txtai.legacy.engine import hashed
from alwrity_checks.txtai.scenarios.scenario import OVER, USER, Offer, Scenario, Seen, batch, found, judged_by_loss
from alwrity_checks.txtai.scenarios.schedule import InitialisationDuringSave, LoadAfterCall
from alwrity_checks.txtai.scenarios.stage import Model, Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.scenarios.targets import Deployment, TxtaiTarget

__all__ = ["SCENARIOS", "after_restart", "first_call", "forced_first_call", "played", "refusal", "warm"]

_LOADING: Final = 0.03
_ENCODING: Final = 0.015
"""Seconds; nothing depends on them but that the picture has proportions."""
_PATIENCE: Final = 10.0
_PAUSE: Final = 0.01


def _load() -> None:
    time.sleep(_LOADING)


def _encode(texts: Sequence[str]) -> NDArray[np.float32]:
    if len(texts) > 1:
        time.sleep(_ENCODING)
    return hashed(texts)


_MODEL: Final = Model(_load, _encode)


async def warm(deployment: Deployment) -> None:
    """Have the user's index ready before anything is done to it: a search starts it, then it is waited for."""
    service = deployment.of(USER)
    await service.search("is anything there?")
    await asyncio.to_thread(deployment.wait, _PATIENCE)
    for _ in range(100):
        if service.is_initialized():
            return
        await asyncio.sleep(_PAUSE)


def after_restart(target: TxtaiTarget, stage: Stage, offer: Offer) -> set[str]:
    """Return the accepted documents that a new process finds."""
    deployment = target.deploy(stage)
    try:

        async def look() -> set[str]:
            await warm(deployment)
            return await found(deployment.of(USER), offer.accepted)

        return asyncio.run(look())
    finally:
        deployment.close()


def played(target: TxtaiTarget, stage: Stage, *, cold: bool, at_once: bool, batches: tuple[str, ...]) -> Offer:
    """Offer `batches` to one process of the target, one after the other or at once, and end it in good order."""
    deployment, offer = target.deploy(stage), Offer()

    async def calls() -> None:
        if not cold:
            await warm(deployment)
        service = deployment.of(USER)
        offers = [offer.make(service, batch(name)) for name in batches]
        if at_once:
            await asyncio.gather(*offers)
        else:
            for one in offers:
                await one
        stage.recorder.mark(f"{OVER}: {len(offer.accepted)} accepted", fault=bool(offer.errors))
        stage.schedule.accepted()

    asyncio.run(calls())
    deployment.wait(_PATIENCE)
    deployment.close()
    return offer


def first_call(target: TxtaiTarget, *, stubbed: bool = False) -> tuple[Offer, Seen]:
    """Make the first call to a fresh user while the model still loads."""
    with Stage(LoadAfterCall, _MODEL, stubbed=stubbed) as stage:
        offer = played(target, stage, cold=True, at_once=False, batches=("today",))
        kept = after_restart(target, stage, offer)
        return offer, judged_by_loss(offer, kept, stage, "one call while the model loads")


def refusal(offer: Offer, seen: Seen) -> Seen:
    """Return `reproduced` if the call was refused, whatever became of documents that were not."""
    if offer.refused:
        return replace(seen, outcome=Outcome.REPRODUCED, message=f"refused: {offer.errors[0]}")
    message = f"the call accepted {len(offer.accepted)} documents"
    return replace(seen, outcome=Outcome.ABSENT, message=message)


def _refusal(target: TxtaiTarget) -> Seen:
    return refusal(*first_call(target))


def _silence(target: TxtaiTarget) -> Seen:
    return first_call(target)[1]


def _initialisations(target: TxtaiTarget) -> Seen:
    with Stage(LoadAfterCall, _MODEL) as stage:
        played(target, stage, cold=True, at_once=False, batches=("today",))
        if not stage.loads:
            return Seen(Outcome.UNKNOWN, "the first call loaded no model", recording=stage.recorder.recording(""))
        outcome = Outcome.REPRODUCED if stage.loads > 1 else Outcome.ABSENT
        times = "once" if stage.loads == 1 else f"{stage.loads} times"
        return Seen(outcome, f"the first call loaded the model {times}", recording=stage.recorder.recording(""))


def forced_first_call(target: TxtaiTarget, *, batches: tuple[str, ...] = ("today",), stubbed: bool = False) -> Seen:
    """Make the first call, or several at once, while a second initialisation ends between indexing and saving."""
    with Stage(InitialisationDuringSave, _MODEL, stubbed=stubbed) as stage:
        offer = played(target, stage, cold=True, at_once=len(batches) > 1, batches=batches)
        # The component's own `Engine` is left out: it calls the objects in question.
        spans = [one for one in stage.recorder.recording("").spans if "Embeddings" in one.subject]
        indexed = list(dict.fromkeys(span.subject for span in spans if span.name in {"index", "upsert"}))
        saved = list(dict.fromkeys(span.subject for span in spans if span.name == "save"))
        loads = stage.loads
        kept = after_restart(target, stage, offer)
        if offer.accepted and not indexed and len(batches) == 1:
            return Seen(Outcome.UNKNOWN, "nothing was indexed, so that nothing could be saved wrongly")
        seen = judged_by_loss(offer, kept, stage, _what(len(batches)))
        if seen.outcome is Outcome.ABSENT and loads > 1 and not stage.schedule.forced:
            message = f"{seen.message}, but the {loads} initialisations could not be brought into the faulty order"
            seen = replace(seen, outcome=Outcome.UNKNOWN, message=message)
        objects = Evidence("objects", f"indexed on {', '.join(indexed)}; saved from {', '.join(saved)}")
        return replace(seen, evidence=(*seen.evidence, objects)) if indexed else seen


def _what(batches: int) -> str:
    return "one call, forced order" if batches == 1 else f"{batches} calls at once, forced order"


def _at_once(target: TxtaiTarget) -> Seen:
    return forced_first_call(target, batches=("today", "yesterday"))


def _in_a_row(target: TxtaiTarget) -> Seen:
    with Stage(model=_MODEL) as stage:
        offer = played(target, stage, cold=False, at_once=False, batches=("today", "yesterday"))
        kept = after_restart(target, stage, offer)
        return judged_by_loss(offer, kept, stage, "today's tasks, then yesterday's")


SCENARIOS: Final = (
    Scenario("TXT001", "rca", "the first call comes while the model loads", _refusal),
    Scenario("TXT002", "silent", "the first call comes while the model loads, and returns", _silence),
    Scenario("TXT003", "double-init", "the first call to a fresh user", _initialisations),
    Scenario(
        "TXT004", "double-init-loss", "another initialisation ends between indexing and saving", forced_first_call
    ),
    Scenario("TXT005", "replace", "today's tasks, then yesterday's", _in_a_row),
    Scenario("TXT006", "at-once", "today's and yesterday's tasks at once, to a fresh user", _at_once),
)
