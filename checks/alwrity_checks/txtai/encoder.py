"""What turns texts into vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.errors import MissingExtra
from alwrity_checks.telemetry import no_telemetry
from alwrity_checks.txtai.model_source import MINILM, ModelFiles, find_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoder", "SentenceEncoder", "import_libraries"]

BATCH: Final = 32
"""Texts that go through the model at once; larger ones bring nothing on a CPU and make a query wait."""

_MOST_THREADS: Final = 4
"""Threads for one model; more of them spin against each other and against the event loop."""


class Encoder(Protocol):
    """A model that turns texts into vectors. Used by one thread at a time."""

    identity: str
    """The same for models with the same vectors; a store never mixes two."""
    dimensions: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (len(texts), dimensions), each row of length 1."""


class SentenceEncoder:
    """A sentence-transformers model, run by txtai: same vectors and same speed as sentence-transformers itself."""

    def __init__(self, files: ModelFiles) -> None:
        """Load the model: 0.2 s for MiniLM, and 5 s more if nobody has imported txtai yet.

        Raises ConfigurationError, or MissingExtra without the extra [txtai].
        """
        import_libraries()
        import torch
        from txtai.vectors import VectorsFactory  # type: ignore[import-untyped]

        if torch.get_num_threads() > _MOST_THREADS:
            torch.set_num_threads(_MOST_THREADS)
        fingerprint = files.fingerprint()
        with _no_progress_bar():
            self._vectors: Any = VectorsFactory.create(
                {"path": str(files.directory), "gpu": False, "maxlength": True, "encodebatch": BATCH}
            )
        self.dimensions = int(self.encode(["dimensions"]).shape[1])
        self.identity = f"{fingerprint}:{self.dimensions}"

    @classmethod
    def load(cls, name: str = MINILM, *, find: Callable[[str], ModelFiles] = find_model) -> SentenceEncoder:
        """Load a model by its directory or its name on the hub; see `find_model`."""
        return cls(find(name))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 of shape (len(texts), dimensions), each row of length 1."""
        import numpy as np

        vectors: NDArray[np.float32] = np.array(self._vectors.encode(list(texts)), dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


def import_libraries() -> None:
    """Import txtai with all that it needs: 5 s of CPU time, in which an event loop of this process stalls at times.

    A server that minds does this before it serves. Raises MissingExtra.
    """
    no_telemetry()  # txtai imports onnxruntime where it is installed
    try:
        import faiss  # noqa: F401 - imported here so that its absence is known before anything is loaded
        import txtai  # type: ignore[import-untyped]  # noqa: F401 - the same
    except ModuleNotFoundError as error:
        raise MissingExtra("txtai", "the semantic index") from error


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing a progress bar into a server's log."""
    from transformers.utils import logging as reporting

    logging: Any = reporting

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
