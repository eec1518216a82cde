"""A model of the registry, as a runtime's loaded model: it is in memory while somebody uses it, and may go when not.

Who holds one may hold it for ever. Each answer takes a lease; after an idle time the model is unloaded, and the next
answer loads it again, for all who wait.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.models.runtimes.interface import LoadedModel, Session
    from alwrity_checks.models.sharing import Lease, SharedModels
    from alwrity_checks.models.steps import Step

__all__ = ["SharedModel"]


class SharedModel:
    """A LoadedModel that is loaded when it is used. Thread-safe: a second session waits until the first is closed."""

    def __init__(self, models: SharedModels[Any], step: Step) -> None:
        self._models = models
        self._step = step
        self._turn = threading.Lock()
        self._constants: dict[str, Any] = {}

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers and tokenizers are not typed
        """The model's tokenizer."""
        return self._look("tokenizer")

    @property
    def vocabulary(self) -> int:
        """The length of the logits."""
        return int(self._constant("vocabulary"))

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        ends: frozenset[int] = self._constant("ends")
        return ends

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together."""
        return int(self._constant("context"))

    def session(self, tokens: int | None = None) -> Session:
        """Begin an answer of at most `tokens` tokens; waits for the model, and for the answer before.

        Raises as a load does.
        """
        self._turn.acquire()
        try:
            lease: Lease[LoadedModel] = self._models.obtain(self._step)
            try:
                session = lease.model.session(tokens)
            except BaseException:
                lease.release()
                raise
        except BaseException:
            self._turn.release()
            raise
        return _LeasedSession(session, lease, self._turn)

    def close(self) -> None:
        """Do nothing: the model belongs to the registry, which gives its memory back."""

    def _constant(self, name: str) -> Any:  # noqa: ANN401 - whichever attribute it is
        """Return what stays the same while the model goes and comes: to ask for it does not load the model again."""
        if name not in self._constants:
            self._constants[name] = self._look(name)
        return self._constants[name]

    def _look(self, name: str) -> Any:  # noqa: ANN401 - whichever attribute it is
        with self._models.obtain(self._step) as loaded:
            return getattr(loaded, name)


class _LeasedSession:
    """A session whose end ends the lease."""

    def __init__(self, session: Session, lease: Lease[LoadedModel], turn: threading.Lock) -> None:
        self._session = session
        self._lease = lease
        self._turn: threading.Lock | None = turn

    def advance(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Take `tokens` into the context and return the logits of the next token."""
        return self._session.advance(tokens)

    def close(self) -> None:
        """Give the context's memory back; a second call does nothing."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        try:
            self._session.close()
        finally:
            self._lease.release()
            turn.release()
