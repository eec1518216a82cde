"""The semantic index behind ALwrity's own names: put this class where `services.intelligence.txtai_service` has its.

Names, arguments and the shape of what is returned are those of ALwrity's `TxtaiIntelligenceService` (commit ce9bf293).
What differs is what the catalogue's issue 3 is about: nothing that was accepted is lost, and nothing blocks the loop.
With `SIF_FAIL_FAST` (ALwrity's switch, on by default) `index_content` returns when the documents are searchable and
raises NotReady if that takes too long; without, it returns when they are durable. They are kept in both cases.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from alwrity_checks.errors import ConfigurationError, DoctorError
from alwrity_checks.txtai.documents import RESERVED
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.initialisation import State
from alwrity_checks.txtai.model_source import MINILM

if TYPE_CHECKING:
    from alwrity_checks.txtai.index import SemanticIndex
    from alwrity_checks.txtai.storage import Hit

__all__ = ["TxtaiIntelligenceService"]

_SEEDS: Final = ("marketing", "SEO", "content", "social media", "email marketing")
"""ALwrity's own seed terms of a clustering."""
_SEEDED: Final = 5
"""Documents that a seed term draws together."""
_PATIENCE: Final = 30.0
_PARTS: Final = 3
"""Of an item: id, text and metadata."""

T = TypeVar("T")
_log: Final = logging.getLogger("alwrity_checks.txtai")


class TxtaiIntelligenceService:
    """The index of one user. Objects are views: any number of them for one user see the same index."""

    DEFAULT_MODEL_PATH: Final = MINILM
    _shared: ClassVar[SemanticIndexes | None] = None
    _sharing: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, user_id: str, model_path: str | None = None, enable_caching: bool = True) -> None:  # noqa: FBT001, FBT002 - ALwrity's signature
        """Take the user's id. `enable_caching` is accepted for ALwrity's sake: there is no cache that could go stale.

        Raises ConfigurationError for a model other than the one that all users share: vectors of two do not mix.
        """
        self._indexes = self._all()
        if model_path is not None and model_path != self._indexes.model:
            raise ConfigurationError(
                f"the model {model_path!r:.200} is not the one that all users share, {self._indexes.model!r:.200}",
                "set ALWRITY_TXTAI_MODEL for the whole backend, and leave model_path out",
            )
        self._index = self._indexes.of(user_id)
        self.user_id = user_id
        self.model_path = self._indexes.model
        self.enable_caching = enable_caching
        self.fail_fast = self._indexes.fail_fast

    @classmethod
    def use(cls, indexes: SemanticIndexes | None) -> None:
        """Have every service made from now on use `indexes`; None for those of the environment, made when needed."""
        with cls._sharing:
            cls._shared = indexes

    @classmethod
    def _all(cls) -> SemanticIndexes:
        with cls._sharing:
            if cls._shared is None:
                cls._shared = SemanticIndexes.from_environment()
            return cls._shared

    async def index_content(self, items: Iterable[tuple[str, str, Mapping[str, Any] | None]]) -> int:
        """Accept `(id, text, metadata)` tuples, each instead of the one that had its id; return how many there were.

        A name in the metadata that means something else in an index gets an underscore behind it. Raises
        UnusableDocument, StorageError; with `SIF_FAIL_FAST` NotReady and Unindexable, and then they were accepted.
        """
        documents = [_document(item) for item in items]
        if documents:
            await self._index.add(documents, critical=self.fail_fast)
        return len(documents)

    async def delete_content(self, doc_ids: Iterable[str]) -> int:
        """Remove documents; return how many ids there were."""
        ids = [str(one) for one in doc_ids]
        if ids:
            await self._index.delete(ids, critical=self.fail_fast)
        return len(ids)

    async def reindex_all(self, items: Iterable[tuple[str, str, Mapping[str, Any] | None]]) -> int:
        """Accept documents instead of all that were there; return how many there were."""
        documents = [_document(item) for item in items]
        await self._index.reindex(documents, critical=self.fail_fast)
        return len(documents)

    async def search(self, query: str, limit: int = 5) -> list[dict[str, Any]]:
        """Return the nearest documents as dictionaries with `id`, `text`, `score` and `metadata`.

        Without `SIF_FAIL_FAST` an index that is not ready gives an empty list, and a warning in the log.
        """
        try:
            found = await self._index.search(query, limit=limit)
        except DoctorError as error:
            return self._soft([], error)
        if not found.ready:
            _log.warning("nothing was searched for a user: %s", found.reason)
        return [_row(hit) for hit in found]

    async def get_similarity(self, text1: str, text2: str) -> float:
        """Return the cosine of the two texts' vectors, -1 to 1; 0.0 without `SIF_FAIL_FAST` if it cannot be had."""
        try:
            one, other = await self._indexes.encode([text1, text2])
        except DoctorError as error:
            return self._soft(0.0, error)
        return float(one @ other)

    async def cluster(self, min_score: float = 0.5, seed_terms: Sequence[str] | None = None) -> list[list[int]]:
        """Group documents by the seed terms that they are near to, with at least `min_score`.

        A number stands for one document wherever it occurs: the documents are numbered from 0 as they are found.
        """
        seeds = [*(seed_terms or ())][:_SEEDED]
        seeds += [seed for seed in _SEEDS if seed not in seeds][: _SEEDED - len(seeds)]
        numbers: dict[str, int] = {}
        clusters: list[list[int]] = []
        for seed in seeds:
            rows = [row for row in await self.search(seed, limit=_SEEDED) if row["score"] >= min_score]
            cluster = [numbers.setdefault(row["id"], len(numbers)) for row in rows]
            if cluster and cluster not in clusters:
                clusters.append(cluster)
        return clusters

    async def classify(self, text: str, labels: Sequence[str]) -> list[tuple[str, float]]:
        """Return each label with its likeness to the text, the likeliest first.

        The likeness is the cosine of the vectors: ALwrity's zero-shot model is a hidden download of 1.6 GB.
        """
        if not labels:
            return []
        try:
            vectors = await self._indexes.encode([text, *labels])
        except DoctorError as error:
            return self._soft([], error)
        scores = [float(vector @ vectors[0]) for vector in vectors[1:]]
        return sorted(zip(labels, scores, strict=True), key=lambda pair: -pair[1])

    def is_initialized(self) -> bool:
        """Say whether searches find the index ready; if not, it is got ready in the background."""
        return self._index.prepare() is State.READY

    def get_index_stats(self) -> dict[str, Any]:
        """Return how the index stands, in ALwrity's words; reads the queue, so it blocks for a millisecond or more."""
        try:
            status = self._index.status()
        except DoctorError as error:
            return {"status": "error", "user_id": self.user_id, "error": str(error)}
        if status.state is not State.READY:
            return {"status": "not_initialized", "user_id": self.user_id}
        return {
            "status": "active",
            "user_id": self.user_id,
            "index_size": status.store.documents,
            "model_path": self.model_path,
            "initialized": True,
            "queued": status.store.queued,
            "dead_letters": status.store.dead_letters,
        }

    # What ALwrity's own code reaches for beside the methods.

    @property
    def _initialized(self) -> bool:
        return self.is_initialized()

    async def _ensure_initialized_async(self) -> None:
        try:
            await self._index.ready(_PATIENCE)
        except DoctorError as error:
            self._soft(None, error)

    @property
    def embeddings(self) -> _ReadOnlyEmbeddings | None:
        """What ALwrity's agents read through; None until the index is ready. txtai's own object is never handed out."""
        return _ReadOnlyEmbeddings(self._index) if self.is_initialized() else None

    def _soft(self, substitute: T, error: DoctorError) -> T:
        if self.fail_fast:
            raise error
        _log.warning("an empty result stands for a failure: %s", error)
        return substitute


class _ReadOnlyEmbeddings:
    """`count` and `search` in txtai's form, for code that is not in an event loop; SQL is not understood."""

    def __init__(self, index: SemanticIndex) -> None:
        self._index = index

    def count(self) -> int:
        """Return how many documents are searchable."""
        return self._index.status().store.documents

    def search(self, query: str, limit: int = 3) -> list[dict[str, Any]]:
        """Return the nearest documents; the query is a text, whatever it looks like."""
        return [_row(hit) for hit in self._index.search_sync(query, limit=limit)]


def _document(item: object) -> Any:  # noqa: ANN401 - what is none of ALwrity's tuples is left to whoever judges documents
    if not isinstance(item, (tuple, list)) or len(item) != _PARTS:
        return item
    document_id, text, metadata = item
    if metadata is None or not isinstance(metadata, Mapping):
        return str(document_id), text, metadata
    fields: dict[str, Any] = {}
    for name, value in metadata.items():
        free = name
        while free in RESERVED or (free != name and free in metadata):
            free += "_"
        fields[free] = value
    return str(document_id), text, fields


def _row(hit: Hit) -> dict[str, Any]:
    return {"id": hit.id, "text": hit.text, "score": hit.score, "metadata": dict(hit.fields)}
