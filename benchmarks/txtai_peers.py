"""The same documents, vectors and searches with each peer: 1,000 documents there, then 20 more at a time.

Chroma and Qdrant are no dependencies of this project. They come from the directory that TXTAI_PEERS names:

    pip install --target DIRECTORY chromadb qdrant-client
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.model_source import MINILM, find_model
from benchmarks.txtai_store import store
from benchmarks.txtai_texts import DIMENSIONS, titles, vectors

__all__ = ["PEERS", "peer"]

_SIZE: Final = 1000
_BATCH: Final = 20
_SEARCHES: Final = 200
_HITS: Final = 10


class Ours:
    """The component's store: `accept` returns when the documents are durable; `finish` makes them searchable."""

    def __init__(self, folder: Path) -> None:
        self._store = store(folder, "alice")

    def accept(self, texts: list[str]) -> None:
        """Accept documents."""
        self._store.put(documents((text, text) for text in texts))

    def finish(self) -> None:
        """Make searchable what was accepted."""
        while batch := self._store.pending():
            self._store.apply(batch, vectors([one.text for one in batch.upserts]))
            self._store.settle()

    def search(self, text: str) -> str:
        """Return the id of the best hit."""
        return self._store.search(vectors([text])[0], _HITS)[0].id


class Bare:
    """txtai as a backend calls it: encode and upsert, then save in place; the first 1,000 come in one call."""

    def __init__(self, folder: Path) -> None:
        from txtai.embeddings import Embeddings  # type: ignore[import-untyped]

        model = str(find_model(MINILM).directory)
        self._folder = str(folder / "index")
        self._index: Any = Embeddings({"path": model, "content": True, "backend": "faiss", "gpu": False})

    def accept(self, texts: list[str]) -> None:
        """Make documents searchable and save the index."""
        self._index.upsert([{"id": text, "text": text} for text in texts])
        self._index.save(self._folder)

    def finish(self) -> None:
        """Nothing is left to do."""

    def search(self, text: str) -> str:
        """Return the id of the best hit for a random direction: the encoding is not what is compared."""
        hits = self._index.search(vectors([text])[0], _HITS)
        return str(hits[0]["id"]) if hits else ""


class Chroma:
    """Chroma in this process, on the disk."""

    def __init__(self, folder: Path) -> None:
        chroma = import_module("chromadb")
        settings = import_module("chromadb.config").Settings(anonymized_telemetry=False)
        self._collection: Any = chroma.PersistentClient(str(folder), settings).create_collection("alice")

    def accept(self, texts: list[str]) -> None:
        """Write documents with their vectors."""
        self._collection.upsert(ids=texts, documents=texts, embeddings=vectors(texts))

    def finish(self) -> None:
        """Nothing is left to do."""

    def search(self, text: str) -> str:
        """Return the id of the best hit."""
        found = self._collection.query(query_embeddings=vectors([text]), n_results=_HITS)
        return str(found["ids"][0][0])


class Qdrant:
    """Qdrant's local mode, on the disk."""

    def __init__(self, folder: Path) -> None:
        qdrant = import_module("qdrant_client")
        self._models: Any = import_module("qdrant_client.models")
        self._client: Any = qdrant.QdrantClient(path=str(folder))
        shape = self._models.VectorParams(size=DIMENSIONS, distance=self._models.Distance.COSINE)
        self._client.create_collection("alice", vectors_config=shape)

    def accept(self, texts: list[str]) -> None:
        """Write documents with their vectors."""
        points = [
            self._models.PointStruct(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, text)), vector=vector.tolist(), payload={"id": text, "text": text}
            )
            for text, vector in zip(texts, vectors(texts), strict=True)
        ]
        self._client.upsert("alice", points)

    def finish(self) -> None:
        """Nothing is left to do."""

    def search(self, text: str) -> str:
        """Return the id of the best hit."""
        found = self._client.query_points("alice", query=vectors([text])[0], limit=_HITS)
        return str(found.points[0].payload["id"])


PEERS: Final[dict[str, Callable[[Path], Ours | Bare | Chroma | Qdrant]]] = {
    "ours": Ours,
    "txtai": Bare,
    "chromadb": Chroma,
    "qdrant-client": Qdrant,
}


def peer(name: str, batches: str) -> dict[str, Any]:
    """Return median seconds to accept 20 documents, until they are searchable, and of a search; or what is missing."""
    directory = os.environ.get("TXTAI_PEERS")
    if directory and name in {"chromadb", "qdrant-client"}:
        sys.path.insert(0, directory)
    texts = titles(_SIZE + int(batches) * _BATCH)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            target = PEERS[name](Path(folder))
        except ModuleNotFoundError as error:
            return {"missing": str(error)}
        target.accept(texts[:_SIZE])
        target.finish()
        accepted, searchable = [], []
        for first in range(_SIZE, len(texts), _BATCH):
            batch = texts[first : first + _BATCH]
            started = time.perf_counter()
            target.accept(batch)
            accepted.append(time.perf_counter() - started)
            target.finish()
            searchable.append(time.perf_counter() - started)
        spent = []
        wrong = 0
        for text in texts[-_SEARCHES:]:
            started = time.perf_counter()
            best = target.search(text)
            spent.append(time.perf_counter() - started)
            wrong += best != text
    return {
        "accept": statistics.median(accepted),
        "searchable": statistics.median(searchable),
        "search": statistics.median(spent),
        "wrong": wrong,
    }
