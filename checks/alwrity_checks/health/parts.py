"""The components' own states, in the words of a health check. Nothing is fetched, loaded or changed by asking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.auth import ClerkTokenVerifier
    from alwrity_checks.hf import StructuredGenerator
    from alwrity_checks.models import ModelRegistry
    from alwrity_checks.txtai import SemanticIndexes

__all__ = ["Components", "Part", "Standing", "examine"]

_LONGEST: Final = 300
"""Characters of an error that are told."""


class Standing(StrEnum):
    """How a part stands."""

    READY = "ready"
    DEGRADED = "degraded"
    """It does its work, by other means than it should, or later."""
    WAITING = "waiting"
    """It has not begun, or is about to be ready."""
    FAILED = "failed"
    """It cannot do its work now."""


@dataclass(frozen=True, slots=True)
class Part:
    """A component, or what it consists of."""

    name: str
    standing: Standing
    told: str
    """What was seen, in a sentence; no secret and no user's name is in it."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Figure -> value, in the unit that its name ends with."""


@dataclass(frozen=True, slots=True)
class Components:
    """What a backend has made of this package; None is what it does not use."""

    verifier: ClerkTokenVerifier | None = None
    generator: StructuredGenerator | None = None
    indexes: SemanticIndexes | None = None
    registry: ModelRegistry | None = None

    @property
    def named(self) -> tuple[tuple[str, object], ...]:
        """The components by the names of their parts."""
        return (
            ("auth", self.verifier),
            ("hf", self.generator),
            ("txtai", self.indexes),
            ("models", self.registry),
        )


def examine(components: Components) -> Iterator[Part]:
    """Yield how each component stands. Reads the queues of the indexes from their files: call it in a thread.

    A component that raises is `failed`, with what it raised: a health check has to answer.
    """
    for name, component in components.named:
        if component is None:
            continue
        try:
            yield _LOOKS[name](component)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are told
            yield Part(name, Standing.FAILED, f"it could not be asked: {_in_short(error)}")


def _auth(verifier: ClerkTokenVerifier) -> Part:
    from alwrity_checks.auth import RemoteKeys

    keys = verifier.keys
    if not isinstance(keys, RemoteKeys):
        return Part("auth", Standing.READY, "the keys are set, and nothing is fetched", {"keys": 1.0})
    known, age, failure = keys.known, keys.age, keys.failure
    figures = {"keys": 0.0 if known is None else float(len(known.by_kid))}
    if age is not None:
        figures["keys_age_seconds"] = age
    if known is None or age is None:
        if failure is None:
            return Part("auth", Standing.WAITING, "no keys have been fetched yet", figures)
        return Part("auth", Standing.FAILED, f"no keys could be fetched: {_in_short(failure)}", figures)
    if failure is not None:
        told = f"the keys are {age:.0f} s old, and a fetch failed: {_in_short(failure)}"
        return Part("auth", Standing.DEGRADED, told, figures)
    return Part("auth", Standing.READY, f"{len(known.by_kid)} keys, {age:.0f} s old", figures)


def _hf(generator: StructuredGenerator) -> Part:
    chain, held = generator.chain, generator.held_off()
    figures = {
        "deployments": float(len(chain.links)),
        "deployments_held_off": float(len(held)),
        "chain_measured": float(chain.counts_at()),
    }
    if chain.measured_at is not None:
        figures["chain_age_seconds"] = time.time() - chain.measured_at.timestamp()
    because = ", ".join(f"{name}: {cause}" for name, cause in held.items())
    if len(held) == len(chain.links):
        return Part("hf", Standing.FAILED, f"no deployment is asked now: {because}", figures)
    if held:
        return Part("hf", Standing.DEGRADED, f"{len(held)} of {len(chain.links)} are not asked now: {because}", figures)
    if not chain.counts_at():
        lapsed = "was never measured" if chain.measured_at is None else "has lapsed: measure it with `hf chain`"
        return Part("hf", Standing.DEGRADED, f"the chain {lapsed}", figures)
    return Part("hf", Standing.READY, f"{len(chain.links)} deployments, measured", figures)


def _txtai(indexes: SemanticIndexes) -> Part:
    status = indexes.status()
    stores = [one.store for one in status.indexes.values()]
    failed = sum(one.state == "failed" for one in status.indexes.values())
    oldest = min((one.oldest_queued_at for one in stores if one.oldest_queued_at is not None), default=None)
    figures = {
        "indexes": float(len(stores)),
        "indexes_failed": float(failed),
        "queued": float(sum(one.queued for one in stores)),
        "dead_letters": float(sum(one.dead_letters for one in stores)),
        "oldest_queued_seconds": 0.0 if oldest is None else max(0.0, time.time() - oldest),
    }
    told = f"{len(stores)} indexes, {figures['queued']:.0f} queued"
    if status.encoder == "failed" or failed:
        error = status.encoder_error or next((one.error for one in status.indexes.values() if one.error), "")
        # What was accepted is in the queue: nothing is lost, and what is searched is what was applied before.
        return Part("txtai", Standing.DEGRADED, f"{told}; not applied now: {scrub(error or '')[:_LONGEST]}", figures)
    if status.encoder == "ready":
        return Part("txtai", Standing.READY, told, figures)
    return Part("txtai", Standing.WAITING, f"{told}; the encoder is {status.encoder}", figures)


def _models(registry: ModelRegistry) -> Part:
    status = registry.status()
    states = [str(one.state) for one in status.steps.values()]
    figures = {f"steps_{state}": float(states.count(state)) for state in ("loading", "ready", "failed")}
    figures["downloads_running"] = float(sum(str(one.state) == "running" for one in status.downloads.values()))
    if status.trouble is not None:
        return Part("models", Standing.FAILED, _in_short(status.trouble), figures)
    if "ready" in states:
        failed = [f"{step}: {_in_short(one.error)}" for step, one in status.steps.items() if one.error is not None]
        ready = ", ".join(str(step) for step, one in status.steps.items() if str(one.state) == "ready")
        standing = Standing.DEGRADED if failed else Standing.READY
        return Part("models", standing, "; ".join([f"loaded: {ready}", *failed]), figures)
    if "failed" in states and "loading" not in states:
        told = "; ".join(f"{step}: {_in_short(one.error)}" for step, one in status.steps.items() if one.error)
        return Part("models", Standing.FAILED, told, figures)
    return Part("models", Standing.WAITING, "no model is loaded: the first call loads one", figures)


_LOOKS: Final[Mapping[str, Callable[[Any], Part]]] = {"auth": _auth, "hf": _hf, "txtai": _txtai, "models": _models}


def _in_short(error: object) -> str:
    return " ".join(scrub(str(error)).split())[:_LONGEST]
