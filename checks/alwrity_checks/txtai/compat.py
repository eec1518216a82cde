"""The semantic index behind ALwrity's own names: put this class where `services.intelligence.txtai_service` has its.

Names, arguments and the shape of what is returned are those of ALwrity's `TxtaiIntelligenceService` (commit ce9bf293).
What differs is what the catalogue's issue 3 is about: nothing that was accepted is lost, and nothing blocks the loop.
With `SIF_FAIL_FAST` (ALwrity's switch, on by default) `index_content` returns when the documents are searchable and
raises NotReady if that takes too long; without, it returns when they are durable. They are kept in both cases.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from alwrity_checks.errors import ConfigurationError, DoctorError
from alwrity_checks.events import emit
from alwrity_checks.txtai.documents import RESERVED
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.initialisation import State
from alwrity_checks.txtai.model_source import MINILM

if TYPE_CHECKING:
    from alwrity_checks.txtai.index import SemanticIndex
    from alwrity_checks.txtai.storage import Hit

__all__ = ["TXTAI_AVAILABLE", "TxtaiIntelligenceService"]

TXTAI_AVAILABLE: Final = sys.modules.get("txtai") is not None or find_spec("txtai") is not None
"""Whether txtai is installed, which its import would take seconds to say."""

_SEEDS: Final = ("marketing", "SEO", "content", "social media", "email marketing")
"""ALwrity's own seed terms of a clustering."""
_SEEDED: Final = 5
"""Documents that a seed term draws together."""
_PATIENCE: Final = 30.0
_PARTS: Final = 3
"""Of an item: id, text and metadata."""
_LISTING: Final = re.compile(r"\s*select\s[\w\s,*]+\sfrom\s+txtai(?:\s+limit\s+(?P<limit>\d+))?\s*;?\s*", re.IGNORECASE)
"""The statement by which ALwrity's agents list an index (ce9bf293, services/intelligence/sif_agents.py:454)."""

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

        Raises UnusableDocument, StorageError; with `SIF_FAIL_FAST` NotReady and Unindexable: then they were accepted.
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
        """Return the nearest documents as dictionaries with `id`, `text`, `score`, `metadata` and `object`.

        The metadata is a dictionary as it was given, under both names: ALwrity's callers ask for `object` (ce9bf293,
        services/intelligence/sif_integration.py:870), and its own service never had it.
        Without `SIF_FAIL_FAST` an index that is not ready gives an empty list, and a warning in the log.
        """
        try:
            found = await self._index.search(query, limit=limit)
        except DoctorError as error:
            return self._soft([], error)
        if not found.ready:
            emit(_log, logging.WARNING, "txtai.searched-nothing", "nothing was searched for a user", error=found.reason)
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
            "index_path": self.index_path,
            "initialized": True,
            "queued": status.store.queued,
            "dead_letters": status.store.dead_letters,
        }

    # What ALwrity's own code reaches for beside the methods.

    index_path: Final = "in the storage of alwrity_checks.txtai"
    """No path: callers ask whether it is empty (ce9bf293, services/task_memory_service.py:95)."""

    @property
    def _initialized(self) -> bool:
        return self.is_initialized()

    def _ensure_initialized(self) -> None:
        self._index.prepare()

    async def _ensure_initialized_async(self) -> None:
        try:
            await self._index.ready(_PATIENCE)
        except DoctorError as error:
            self._soft(None, error)

    @property
    def embeddings(self) -> _Embeddings | None:
        """What ALwrity's agents reach through; None until the index is ready. It is never txtai's own object."""
        return _Embeddings(self._index) if self.is_initialized() else None

    def _soft(self, substitute: T, error: DoctorError) -> T:
        if self.fail_fast:
            raise error
        emit(_log, logging.WARNING, "txtai.empty-for-failure", "an empty result stands for a failure", error=error)
        return substitute


class _Embeddings:
    """`count`, `search`, `upsert` and `save` in txtai's form, for code that does not wait; they block for that long."""

    def __init__(self, index: SemanticIndex) -> None:
        self._index = index

    def count(self) -> int:
        """Return how many documents are searchable."""
        return self._index.status().store.documents

    def search(self, query: str, limit: int = 3) -> list[dict[str, Any]]:
        """Return the nearest documents; of SQL only `select … from txtai limit N` is understood, which lists them.

        Anything else is a text, whatever it looks like.
        """
        if (listing := _LISTING.fullmatch(query)) is None:
            return [_row(hit) for hit in self._index.search_sync(query, limit=limit)]
        hits = self._index.browse_sync(limit=int(listing["limit"] or limit))
        return [{name: value for name, value in _row(hit).items() if name != "score"} for hit in hits]

    def upsert(self, documents: Iterable[Any]) -> None:
        """Accept documents, which are durable when this returns, and searchable soon after."""
        self._index.add_sync([_document(one) for one in documents])

    def save(self, path: object = None) -> None:
        """Do nothing: what was accepted is durable."""


def _document(item: object) -> Any:  # noqa: ANN401 - what is none of ALwrity's documents is left to whoever judges documents
    if isinstance(item, Mapping) and "id" in item:
        fields = {name: value for name, value in item.items() if name not in {"id", "text"}}
        item = (item["id"], item.get("text"), fields)
    if not isinstance(item, (tuple, list)) or len(item) != _PARTS:
        return item
    document_id, text, metadata = item
    if isinstance(metadata, Mapping):
        metadata = {_stored(name): value for name, value in metadata.items()}
    return str(document_id), text, metadata


def _row(hit: Hit) -> dict[str, Any]:
    metadata = {_given(name): value for name, value in hit.fields.items()}
    return {"id": hit.id, "text": hit.text, "score": hit.score, "metadata": metadata, "object": metadata}


def _stored(name: Any) -> Any:  # noqa: ANN401 - what is no name is refused by whoever judges documents
    """Return the name of a field in the index, where some names mean something else."""
    return f"{name}_" if isinstance(name, str) and name.rstrip("_") in RESERVED else name


def _given(name: str) -> str:
    return name[:-1] if name.endswith("_") and name.rstrip("_") in RESERVED else name
