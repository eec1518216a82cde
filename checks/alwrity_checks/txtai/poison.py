"""Which document of a batch it is that cannot be indexed.

A batch that fails as a whole would be tried for ever, and everything behind it would wait. So a batch that cannot be
encoded is cut in halves until the documents at fault stand alone; but only while the encoder can encode anything at
all, because an encoder that is broken says nothing about a document.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.encoding import EncoderThread, Urgency
from alwrity_checks.txtai.errors import Closed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.documents import Document

__all__ = ["Sieve", "is_environmental"]

_HARMLESS: Final = "a harmless text"


def is_environmental(error: BaseException | None) -> bool:
    """Say whether an error, or one that caused it, comes from the machine: then no document is to blame."""
    while error is not None:
        if isinstance(error, (MemoryError, OSError, sqlite3.OperationalError, ImportError, ConfigurationError)):
            return True
        error = error.__cause__
    return False


class Sieve:
    """The vectors of the documents in hand, and the documents that have none. Used by one turn at a time."""

    def __init__(self, encoder: EncoderThread) -> None:
        self._encoder = encoder
        self._known: dict[tuple[str, str], NDArray[np.float32]] = {}
        self.unusable: list[tuple[Document, str]] = []
        """Documents that cannot be encoded, with the reason."""

    def wanted(self, documents: Sequence[Document]) -> tuple[Document, ...]:
        """Return the documents whose vectors are not at hand; what is at hand for others is let go."""
        keys = {(document.id, document.digest) for document in documents}
        self._known = {key: vector for key, vector in self._known.items() if key in keys}
        self.unusable = []
        return tuple(document for document in documents if (document.id, document.digest) not in self._known)

    def take(self, documents: Sequence[Document], vectors: Future[NDArray[np.float32]]) -> None:
        """Take the vectors of what was `wanted` of `documents`, or find out who is at fault; may block for seconds.

        Raises Closed, or the encoder's error if no document is at fault.
        """
        wanted = tuple(document for document in documents if (document.id, document.digest) not in self._known)
        try:
            self._keep(wanted, vectors.result())
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001 - what a model raises for a text is the model's secret
            self._separate(wanted, error)

    def vectors(self, documents: Sequence[Document]) -> NDArray[np.float32] | None:
        """Return the vectors of documents, which are all at hand: float32 (n, dimensions); None without documents."""
        import numpy as np

        if not documents:
            return None
        return np.stack([self._known[document.id, document.digest] for document in documents])

    def _separate(self, documents: Sequence[Document], error: Exception) -> None:
        # Raises if the encoder can do nothing at all.
        self._encode([_HARMLESS])
        if len(documents) > 1:
            middle = len(documents) // 2
            for half in (documents[:middle], documents[middle:]):
                self._try(half)
        elif documents:
            self._confirm(documents[0], error)

    def _try(self, documents: Sequence[Document]) -> None:
        try:
            self._keep(documents, self._encode([document.text for document in documents]))
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001 - as in `take`
            self._separate(documents, error)

    def _confirm(self, document: Document, error: Exception) -> None:
        """Judge a document by a second failure, which the machine's mood does not explain any more."""
        try:
            self._keep([document], self._encode([document.text]))
        except Closed:
            raise
        except Exception:  # noqa: BLE001 - as in `take`
            self.unusable.append((document, scrub(f"it cannot be encoded: {type(error).__name__}: {error}")))

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._encoder.encode(texts, Urgency.DOCUMENTS).result()

    def _keep(self, documents: Sequence[Document], vectors: NDArray[np.float32]) -> None:
        import numpy as np

        sound = np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1, initial=0.0) > 0)
        for document, vector, usable in zip(documents, vectors, sound, strict=True):
            if usable:
                self._known[document.id, document.digest] = vector
            else:
                self.unusable.append((document, "its vector is not a finite one"))
