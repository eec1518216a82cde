"""The scenarios of what goes wrong: a start, a batch, a file on the disk, a user's id."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.txtai.legacy.engine import hashed
from alwrity_checks.txtai.scenarios.calls import after_restart, warm
from alwrity_checks.txtai.scenarios.scenario import USER, Offer, Scenario, Seen, batch, found, judged_by_loss
from alwrity_checks.txtai.scenarios.stage import Model, Stage

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from alwrity_checks.txtai.scenarios.targets import TxtaiTarget

__all__ = ["SCENARIOS"]

_PATIENCE: Final = 10.0
_ASKED: Final = 5
_ENOUGH: Final = 40
"""Documents: with these the component takes a snapshot when it is closed."""
_POISON: Final = "poison"
_OUTSIDE: Final = "/../../../outside"
"""A user's id; below `workspace/workspace_` it leads beside the backend's directory."""


def _failing_start(target: TxtaiTarget) -> Seen:
    """Let the first loading of the model fail, as without a network, and every later one succeed."""
    failed = threading.Event()

    def load() -> None:
        if not failed.is_set():
            failed.set()
            raise OSError("the model cannot be downloaded")

    with Stage(model=Model(load=load)) as stage:
        deployment = target.deploy(stage)
        try:
            service = deployment.of(USER)
            answers = [service.is_initialized()]
            for _ in range(_ASKED):
                deployment.wait(_PATIENCE)
                answers.append(service.is_initialized())
        finally:
            deployment.close()
        ready = answers[-1]
        message = f"ready after a failed start: {'yes' if ready else f'no, asked {_ASKED} times'}; "
        message += f"{stage.loads} attempt{'s' * (stage.loads != 1)}"
        stage.recorder.mark("ready" if ready else "never ready", fault=not ready)
        outcome = Outcome.ABSENT if ready else Outcome.REPRODUCED
        return Seen(outcome, message, recording=stage.recorder.recording(""))


def _failing_batch(target: TxtaiTarget) -> Seen:
    """Offer a sound batch, one with a document on which the model fails, then a sound one again."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        if any(_POISON in text for text in texts):
            raise ValueError("the model cannot encode this text")
        return hashed(texts)

    with Stage(model=Model(encode=encode)) as stage:
        deployment = target.deploy(stage)
        first, failing, later = Offer(), Offer(), Offer()

        async def calls() -> None:
            await warm(deployment)
            service = deployment.of(USER)
            await first.make(service, batch("today"))
            await failing.make(service, [("today-0", "newer", {}), ("poison", _POISON, {})])
            await later.make(service, batch("yesterday"))

        asyncio.run(calls())
        deployment.wait(_PATIENCE)
        deployment.close()
        told = (Evidence("failing batch", failing.errors[0]),) if failing.errors else ()
        if later.errors and not later.accepted:
            message = f"after a batch failed, a sound one is refused: {later.errors[0]}"
            return Seen(Outcome.REPRODUCED, message, told, recording=stage.recorder.recording(""))
        seen = judged_by_loss(later, after_restart(target, stage, later), stage, "a sound batch after one that failed")
        return replace(seen, evidence=(*seen.evidence, *told))


def _damaged(target: TxtaiTarget) -> Seen:
    """Cut the largest file of a stored index in half, restart, and go on indexing."""
    with Stage() as stage:
        offer, later = Offer(), Offer()

        async def once(items: str, into: Offer) -> None:
            deployment = target.deploy(stage)
            try:
                with contextlib.suppress(Exception):  # what is damaged may well be refused
                    await warm(deployment)
                await into.make(deployment.of(USER), batch(items, _ENOUGH))
                await asyncio.to_thread(deployment.wait, _PATIENCE)
            finally:
                deployment.close()

        asyncio.run(once("today", offer))
        damaged = _vectors(stage.root)
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[: len(whole) // 2])
        copy = damaged.parent.joinpath("documents").read_bytes()
        asyncio.run(once("yesterday", later))
        kept = set[str]()
        with contextlib.suppress(Exception):
            kept = after_restart(target, stage, offer)
        errors = tuple(Evidence("error", error) for error in later.errors)
        if len(kept) == len(offer.accepted):
            return Seen(Outcome.ABSENT, f"all {len(kept)} documents are found after the damage", errors)
        if any(path.read_bytes() == copy for path in stage.root.rglob("documents")):
            return Seen(Outcome.ABSENT, "the documents are not found, but what held them was left as it was", errors)
        message = f"{len(offer.accepted) - len(kept)} of {len(offer.accepted)} documents overwritten after half a file"
        return Seen(Outcome.REPRODUCED, message, errors, len(offer.accepted), len(kept))


def _vectors(root: Path) -> Path:
    """Return the newest file of vectors below `root`."""
    return max(root.rglob("embeddings"), key=lambda path: (path.stat().st_mtime_ns, str(path)))


def _path(target: TxtaiTarget) -> Seen:
    with Stage() as stage:
        deployment = target.deploy(stage)

        async def call() -> int:
            service, offer = deployment.of(_OUTSIDE), Offer()
            await service.search("is anything there?")
            await asyncio.to_thread(deployment.wait, _PATIENCE)
            await offer.make(service, batch("today"))
            await asyncio.to_thread(deployment.wait, _PATIENCE)
            return len(await found(service, offer.accepted))

        number = asyncio.run(call())
        deployment.close()
        outside = [path.name for path in stage.directory.iterdir() if path != stage.root]
        if outside:
            return Seen(Outcome.REPRODUCED, f"the id {_OUTSIDE!r} wrote {', '.join(outside)} beside the backend")
        return Seen(Outcome.ABSENT if number else Outcome.UNKNOWN, f"nothing outside; {number} documents found")


SCENARIOS: Final = (
    Scenario("TXT007", "stuck-flag", "the first start fails, the cause goes away", _failing_start),
    Scenario("TXT011", "poison", "a batch fails in the model, a sound one follows", _failing_batch),
    Scenario("TXT013", "damaged", "half a file is missing after a restart", _damaged),
    Scenario("TXT014", "user-path", "a user's id that is a path", _path),
)
