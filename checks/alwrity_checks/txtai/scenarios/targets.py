"""What the scenarios are done to: each historical state of the service, and the component."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.txtai.initialisation import State
from alwrity_checks.txtai.legacy.service import Item, LegacyProcess
from alwrity_checks.txtai.legacy.variant import DESCRIPTIONS, LegacyVariant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.index import SemanticIndex
    from alwrity_checks.txtai.indexes import SemanticIndexes
    from alwrity_checks.txtai.scenarios.stage import Stage

__all__ = [
    "ComponentTarget",
    "Contender",
    "Deployment",
    "LegacyTarget",
    "Service",
    "StagedModel",
    "TxtaiTarget",
    "target_named",
    "targets",
]

_PATIENCE: Final = 20.0
_PAUSE: Final = 0.01


class Service(Protocol):
    """One user's index, with the backend's names."""

    async def index_content(self, items: list[Item]) -> object:
        """Index documents; an exception refuses them."""

    async def search(self, query: str, limit: int = 5) -> Sequence[Mapping[str, Any]]:
        """Return the nearest documents, each with `id` and `text`."""

    def is_initialized(self) -> bool:
        """Say whether the index is ready; asking sets its start going."""


class Deployment(Protocol):
    """A target in operation: one process of a backend, on the stage's directory."""

    def of(self, user_id: str) -> Service:
        """Return the user's service."""

    def wait(self, timeout: float) -> bool:
        """Wait until nothing goes on in the background; say whether nothing does."""

    def close(self) -> None:
        """End the process in good order."""


class Contender(Protocol):
    """Something that is put through the scenarios, wherever that is. Its `str` names it."""

    @property
    def target(self) -> Target:
        """What it is called."""

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What its behaviour depends on."""


class TxtaiTarget(Contender, Protocol):
    """Something that can be deployed in this process."""

    def deploy(self, stage: Stage) -> Deployment:
        """Start it on the stage's directory; a second time is a restart."""


def _libraries() -> tuple[Evidence, ...]:
    return tuple(Evidence(name, version(name)) for name in ("txtai", "faiss-cpu"))


@dataclass(frozen=True, slots=True)
class LegacyTarget:
    """The service in one of its states."""

    variant: LegacyVariant

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.LEGACY, self.variant.value, DESCRIPTIONS[self.variant])

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """The libraries' versions."""
        return _libraries()

    def deploy(self, stage: Stage) -> Deployment:
        """Start the service."""
        return LegacyProcess(self.variant, stage.root, stage.engine())

    def __str__(self) -> str:
        return str(self.target)


_COMPONENT: Final = Target(TargetKind.FIXED, "", "SemanticIndexes")


@dataclass(frozen=True, slots=True)
class ComponentTarget:
    """The component, on the stage's model."""

    target: Target = _COMPONENT

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """The libraries' versions."""
        return _libraries()

    def deploy(self, stage: Stage) -> Deployment:
        """Start the component as one process of a backend would."""
        from alwrity_checks.txtai.encoding import EncoderRegistry
        from alwrity_checks.txtai.indexes import SemanticIndexes
        from alwrity_checks.txtai.local_store import LocalStorage

        storage = partial(LocalStorage, stage.root / "semantic-index")
        # A registry of its own, because a second deployment is another process and shares no model.
        return _Indexes(SemanticIndexes(storage, load=lambda _: StagedModel(stage), encoders=EncoderRegistry()))

    def __str__(self) -> str:
        return str(self.target)


class StagedModel:
    """The stage's model, as an encoder."""

    identity = "race:32"
    dimensions = 32

    def __init__(self, stage: Stage) -> None:
        stage.load()
        self._stage = stage

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector for each text."""
        return self._stage.encode(texts)


@dataclass(frozen=True, slots=True)
class _Indexes:
    indexes: SemanticIndexes
    used: dict[str, _Index] = field(default_factory=dict)

    def of(self, user_id: str) -> Service:
        self.used[user_id] = _Index(self.indexes, self.indexes.of(user_id))
        return self.used[user_id]

    def wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not all(one.is_settled() for one in self.used.values()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def close(self) -> None:
        self.indexes.close_sync()


@dataclass(frozen=True, slots=True)
class _Index:
    """Every call is a critical one: it waits for the index, and its documents are kept if it has waited in vain."""

    indexes: SemanticIndexes
    index: SemanticIndex

    async def index_content(self, items: list[Item]) -> object:
        return await self.index.add(items, critical=True, timeout=_PATIENCE)

    async def search(self, query: str, limit: int = 5) -> Sequence[Mapping[str, Any]]:
        hits = await self.index.search(query, limit=limit, critical=True, timeout=_PATIENCE)
        return [{"id": hit.id, "text": hit.text, "score": hit.score} for hit in hits]

    def is_initialized(self) -> bool:
        self.indexes.start()
        return self.indexes.status().encoder is State.READY

    def is_settled(self) -> bool:
        return self.is_initialized() and self.index.status().store.queued == 0


def targets() -> tuple[TxtaiTarget, ...]:
    """Return every target, the oldest first."""
    return (*(LegacyTarget(variant) for variant in LegacyVariant), ComponentTarget())


def target_named(name: str) -> TxtaiTarget:
    """Return the target whose `str` is `name`. Raises KeyError."""
    return {str(target): target for target in targets()}[name]
