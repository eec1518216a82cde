"""Where a scenario plays: a directory of its own, a model that does as it is told, and a recorder that sees all."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from alwrity_checks.txtai.legacy.engine import Engine, StubEmbeddings, StubEngine, TxtaiEngine, hashed
from alwrity_checks.txtai.legacy.service import BACKGROUND, INITIALISE, LegacyService
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.recorder import Recorder
from alwrity_checks.txtai.scenarios.schedule import AsItComes, Schedule
from alwrity_checks.txtai.watching import watched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EMBEDDINGS_CALLS", "ENGINE_CALLS", "Model", "Stage", "embeddings_class"]

EMBEDDINGS_CALLS: Final = ("index", "upsert", "save", "load", "search", "close")
"""Of txtai's `Embeddings`."""
ENGINE_CALLS: Final = ("load", "upsert", "delete", "search", "save", "close")
"""Of the component's `Engine`, the only place there that calls txtai."""
_ACCEPTED: Final = "enqueued"
"""The point at which the component has accepted documents."""


def embeddings_class() -> type[Any]:
    """Return txtai's own class, also where another one has taken its place."""
    import txtai  # type: ignore[import-untyped]

    owner: type[Any] = next(one for one in txtai.Embeddings.__mro__ if "upsert" in vars(one))
    return owner


@dataclass(frozen=True, slots=True)
class Model:
    """A model that does as the scenario wants."""

    load: Callable[[], None] = lambda: None
    """Called whenever it is loaded."""
    encode: Callable[[Sequence[str]], NDArray[np.float32]] = hashed
    """Turns texts into vectors."""
    work: Callable[[str], None] = lambda _call: None
    """Called within each call of the stub, with the call's name."""


class Stage:
    """A context manager; what plays between may be any target."""

    def __init__(
        self,
        schedule: Callable[[Recorder], Schedule] = AsItComes,
        model: Model = Model(),
        *,
        stubbed: bool = False,
        root: Path | None = None,
    ) -> None:
        """Play on `model`, in the order of `schedule`. `stubbed` replaces txtai.

        `root` is a directory that outlives the stage; without it, it is a temporary one.
        """
        self.recorder = Recorder()
        self.schedule = schedule(self.recorder)
        self.loads = 0
        """How often the model was loaded."""
        self._model = model
        self._stubbed = stubbed
        self._given = root
        self._lock = threading.Lock()
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        """Make the directory and begin to watch."""
        with ExitStack() as exits:
            self.directory = self._given or Path(tempfile.mkdtemp(prefix="txtai-race-"))
            if self._given is None:
                exits.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.root = self.directory / "backend"
            """Where a target keeps its files; its neighbours are not its own."""
            self.root.mkdir(exist_ok=True)
            for owner, names in ((LegacyService, (INITIALISE,)), *self._indexes()):
                exits.enter_context(watched(owner, names, (self.recorder, self.schedule)))
            exits.enter_context(hooked(self._reached))
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching, and remove the directory."""
        self._exits.close()

    def watch(self, owner: type, names: Sequence[str]) -> None:
        """Watch the calls of a class that was not there before."""
        self._exits.enter_context(watched(owner, names, (self.recorder, self.schedule)))

    def engine(self) -> Engine:
        """Return what a legacy target runs on."""
        return (
            StubEngine(self.load_in_service, self._model.work)
            if self._stubbed
            else TxtaiEngine(self._model.encode, self.load_in_service)
        )

    def load(self) -> None:
        """Load the component's model, as slowly and as well as the scenario wants."""
        self._count()
        self.schedule.loading()
        self._model.load()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode with the model."""
        return self._model.encode(texts)

    def load_in_service(self) -> None:
        """Load the model of a service that initialises itself, on a thread in the background or for a call."""
        self._count()
        if threading.current_thread().name == BACKGROUND:
            self.schedule.loading_in_background()
        self._model.load()

    def _count(self) -> None:
        with self._lock:
            self.loads += 1

    def _indexes(self) -> Sequence[tuple[type[Any], Sequence[str]]]:
        """Return the classes that are watched: of txtai, and of the component what alone calls txtai."""
        if self._stubbed:
            return ((StubEmbeddings, EMBEDDINGS_CALLS),)
        from alwrity_checks.txtai.engine import Engine as ComponentsEngine

        return ((embeddings_class(), EMBEDDINGS_CALLS), (ComponentsEngine, ENGINE_CALLS))

    def _reached(self, name: str, subject: object) -> None:
        self.recorder.reached(name, subject)
        if name == _ACCEPTED:
            self.schedule.accepted()
