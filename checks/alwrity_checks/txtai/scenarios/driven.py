"""The service of a checkout as a target, in the process that runs its code: see `driver`.

The module is imported under its own name, below stubs of the packages above it, whose real `__init__` would bring in
the whole application. Nothing of it is changed but where its vectors and its model come from; its calls are watched
from outside, as those of the rebuilt service are.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Evidence, Outcome, Target, TargetKind
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.sandbox import Launch
from alwrity_checks.sandbox.speech import say
from alwrity_checks.txtai.legacy.service import BACKGROUND, INITIALISE
from alwrity_checks.txtai.scenarios.child import UNNEEDED
from alwrity_checks.txtai.scenarios.scenario import USER, Offer, batch, found
from alwrity_checks.txtai.scenarios.stage import Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.sandbox.inside import Inside
    from alwrity_checks.txtai.indexes import SemanticIndexes
    from alwrity_checks.txtai.scenarios.scenario import Seen
    from alwrity_checks.txtai.scenarios.targets import Deployment, Service

__all__ = ["CLASS", "MODULE", "PACKAGES", "DrivenTarget", "meet"]

PACKAGES: Final = ("services", "services.intelligence")
"""Stubbed."""
MODULE: Final = "services.intelligence.txtai_service"
CLASS: Final = "TxtaiIntelligenceService"
_UNAVAILABLE: Final = "TXTAI_AVAILABLE"
"""The module's own word for what its import of txtai came to."""
_DISTRIBUTIONS: Final = ("txtai", "faiss-cpu", "loguru")
_STARTING: Final = 0.2
"""Seconds in which a thread that was just started gets to initialise, if that is what it is for."""
_PAUSE: Final = 0.01
_PATIENCE: Final = 10.0
_CLOSING: Final = 20.0


@dataclass(frozen=True)
class DrivenTarget:
    """The checkout's service; a deployment is a fresh import, so that nothing survives a restart but its files."""

    inside: Inside

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.inside.backend))

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What it runs on."""
        return self.inside.facts(*_DISTRIBUTIONS)

    def deploy(self, stage: Stage) -> Deployment:
        """Import the module anew, on the stage's directory and model. Raises what its import raises."""
        os.chdir(stage.root)
        self.inside.lines.restart()
        self.inside.forget(PACKAGES[0])
        self.inside.package(*PACKAGES)
        # The working directory between two deployments: that of one may go with its stage.
        home = self.inside.home
        module = importlib.import_module(MODULE)
        service = getattr(module, CLASS)
        if service.__module__.partition(".")[0] == __name__.partition(".")[0]:
            return _component(service, stage, home)
        return _Process(service, stage, _staged(module, stage), home)

    def launch(self, act: str, *words: str) -> Launch:
        """Return what carries out an act in a further process of the sandbox."""
        return Launch([*self.inside.command, act, *words], dict(os.environ))

    def testimony(self, seen: Seen) -> Seen:
        """Add what was logged and what the sandbox refused; what it may have caused itself, it does not blame."""
        refused = self.inside.guard.refusals()
        evidence = (
            *seen.evidence,
            *(Evidence("refused by the sandbox", scrub(what)) for _, what in refused),
            *self.inside.lines.told(),
        )
        if seen.outcome is Outcome.REPRODUCED and any(kind == "write" for kind, _ in refused):
            message = f"{seen.message}; but the sandbox had refused a write, so that it proves nothing"
            return replace(seen, outcome=Outcome.UNKNOWN, message=message, evidence=evidence)
        return replace(seen, evidence=evidence)

    def __str__(self) -> str:
        return str(self.target)


def _call_it_background() -> None:
    """Give a thread that nobody waits for the name by which the schedules and the pictures know it.

    Such a thread is a plain one, with the name that Python gave it, and has no event loop: the threads of the scenarios
    have one when they call, and those of an executor are called otherwise.
    """
    thread = threading.current_thread()
    if thread.name.startswith("Thread-") and not _has_a_loop():
        thread.name = BACKGROUND


def _has_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _staged(module: ModuleType, stage: Stage) -> type[Any]:
    """Put an `Embeddings` with the stage's model wherever the module may take it from; return it."""
    import txtai  # type: ignore[import-untyped]
    import txtai.embeddings  # type: ignore[import-untyped]

    real = next(one for one in txtai.Embeddings.__mro__ if "upsert" in vars(one))

    # txtai takes a plain function only: a bound method it would call without arguments.
    def transform(texts: Sequence[str]) -> NDArray[np.float32]:
        return stage.encode(texts)

    class Embeddings(real):  # type: ignore[misc, valid-type]
        """As configured by the service; only the vectors come from the stage."""

        def __init__(self, config: Mapping[str, Any] | None = None, *arguments: object, **options: object) -> None:
            _call_it_background()
            stage.load_in_service()
            asked = {**(config or {}), **options}
            asked.pop("path", None)
            super().__init__({**asked, "method": "external", "transform": transform}, *arguments)

        def load(self, path: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as txtai's
            """Load with the vectors of this process: the file holds only their function's name."""
            given = {**(options.pop("config", None) or {}), "transform": transform}
            return super().load(path, *arguments, config=given, **options)

    for holder in (txtai, txtai.embeddings):
        holder.Embeddings = Embeddings
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and issubclass(value, real):
            setattr(module, name, Embeddings)
    return Embeddings


@dataclass
class _Process:
    """One run of the backend, as far as its index goes."""

    service: Any
    """The class."""
    stage: Stage
    embeddings: type[Any]
    home: Path
    used: list[Any] = field(default_factory=list)
    _initialising: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _before: frozenset[int | None] = field(
        default_factory=lambda: frozenset(thread.ident for thread in threading.enumerate())
    )

    def __post_init__(self) -> None:
        owner = next((one for one in self.service.__mro__ if INITIALISE in vars(one)), None)
        if owner is not None:
            self.stage.watch(owner, (INITIALISE,))
            setattr(owner, INITIALISE, self._counted(vars(owner)[INITIALISE]))

    def _counted(self, initialise: Callable[..., Any]) -> Callable[..., Any]:
        """Count the initialisations under way, outside of what watches them: their thread has its name by then."""

        @functools.wraps(initialise)
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            _call_it_background()
            with self._lock:
                self._initialising += 1
            try:
                return initialise(*arguments, **options)
            finally:
                with self._lock:
                    self._initialising -= 1

        return call

    def of(self, user_id: str) -> Service:
        service: Service = self.service(user_id)
        self.used.append(service)
        return service

    def wait(self, timeout: float) -> bool:
        """Wait for initialisations, and for threads that were just started; a service may have threads that stay."""
        deadline = time.monotonic() + timeout
        settled = time.monotonic() + _STARTING
        while time.monotonic() < deadline:
            with self._lock:
                busy = self._initialising > 0
            if not busy and (time.monotonic() > settled or not self._started()):
                return True
            time.sleep(_PAUSE)
        return False

    def _started(self) -> bool:
        return any(
            thread.ident not in self._before and thread.name.startswith(("Thread-", BACKGROUND))
            for thread in threading.enumerate()
        )

    def close(self) -> None:
        """End the process as far as open files go."""
        for service in self.used:
            held = getattr(service, "embeddings", None)
            if isinstance(held, self.embeddings):
                held.close()
        os.chdir(self.home)


def _component(service: Any, stage: Stage, home: Path) -> Deployment:  # noqa: ANN401 - the drop-in class, however it is named
    """Deploy a checkout that has our own drop-in service in the place of its own."""
    from functools import partial

    from alwrity_checks.txtai.encoding import EncoderRegistry
    from alwrity_checks.txtai.indexes import SemanticIndexes
    from alwrity_checks.txtai.lease import SharedStorage
    from alwrity_checks.txtai.scenarios.targets import StagedModel

    storage = partial(SharedStorage, stage.root / "semantic-index")
    indexes = SemanticIndexes(storage, load=lambda _: StagedModel(stage), encoders=EncoderRegistry())
    service.use(indexes)
    return _DropIn(service, indexes, home)


@dataclass(frozen=True)
class _DropIn:
    service: Any
    indexes: SemanticIndexes
    home: Path
    used: dict[str, Any] = field(default_factory=dict)

    def of(self, user_id: str) -> Service:
        self.used[user_id] = self.service(user_id)
        service: Service = self.used[user_id]
        return service

    def wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not all(one.is_initialized() and one.get_index_stats().get("queued") == 0 for one in self.used.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def close(self) -> None:
        self.service.use(None)
        self.indexes.close_sync(_CLOSING)
        os.chdir(self.home)


def meet(target: DrivenTarget) -> None:
    """Say what the service is and runs on, once it has stored and found a document; or what hinders it.

    What was begun is said before: it may not return.
    `heavier` is said of what may come of an import that was left out to save time.
    """
    say(begins="the checkout's service was imported")
    try:
        with Stage() as stage:
            deployment = target.deploy(stage)
            module = sys.modules[MODULE]
            if getattr(module, _UNAVAILABLE, True) is False:
                heavier = not _is_importable("txtai.pipeline")
                say(unmet="its own import of txtai failed", heavier=heavier, **_heard(target))
                return
            say(begins="the checkout's service stored and found a document")
            offer = Offer()
            kept = asyncio.run(_stored(deployment, offer))
            loads = stage.loads
            deployment.close()
    except BaseException as error:  # noqa: BLE001 - anybody's code, which may even want to exit
        heavier = isinstance(error, ImportError) and (error.name or "").partition(".")[0] in UNNEEDED
        say(unmet=f"{type(error).__name__}: {scrub(str(error))[:200]}", heavier=heavier, **_heard(target))
        return
    if not kept:
        told = f": {offer.errors[0]}" if offer.errors else ""
        say(unmet=f"it does not find what it was given on a ready index{told}", **_heard(target))
    elif not loads:
        say(unmet="it does not take its model from txtai's Embeddings, which is all that can be stood in for")
    else:
        say(met=[[one.label, one.value] for one in target.facts])


def _is_importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _heard(target: DrivenTarget) -> dict[str, Any]:
    refused = [Evidence("refused by the sandbox", scrub(what)) for _, what in target.inside.guard.refusals()]
    return {"evidence": [[one.label, one.value] for one in (*refused, *target.inside.lines.told())]}


async def _stored(deployment: Deployment, offer: Offer) -> set[str]:
    from alwrity_checks.txtai.scenarios.calls import warm

    await warm(deployment)
    service = deployment.of(USER)
    await offer.make(service, batch("today", 1))
    await asyncio.to_thread(deployment.wait, _PATIENCE)
    return await found(service, offer.accepted)
