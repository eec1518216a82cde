"""What the service runs on: txtai itself with chosen vectors, or a stub of it in plain Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Engine", "StubEmbeddings", "StubEngine", "TxtaiEngine", "hashed"]


class Engine(Protocol):
    """Makes what the service calls `Embeddings`."""

    @property
    def loads(self) -> int:
        """How many times the model was loaded."""

    def embeddings(self) -> Any:  # noqa: ANN401 - txtai is not typed
        """Load the model and return an empty index on it. Raises what loading raises."""


def hashed(texts: Sequence[str]) -> np.ndarray:
    """Return a vector for each text, float32 (n, 32): equal texts have equal vectors, others are unrelated."""
    import numpy as np

    digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    vectors = np.frombuffer(digests, dtype=np.uint8).reshape(len(texts), 32).astype(np.float32) - 127.5
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


class TxtaiEngine:
    """The installed txtai, configured as the backend does; only the vectors come from `encode`."""

    def __init__(
        self, encode: Callable[[Sequence[str]], np.ndarray] = hashed, load: Callable[[], None] = lambda: None
    ) -> None:
        self._load = load
        self.loads = 0

        # txtai takes a plain function only: a bound method it would call without arguments.
        def transform(texts: Sequence[str]) -> np.ndarray:
            return encode(texts)

        self._config: dict[str, Any] = {"method": "external", "transform": transform}

    def embeddings(self) -> Any:  # noqa: ANN401 - txtai is not typed
        """Load the model and return an empty index on it."""
        self.loads += 1
        self._load()
        config = {"content": True, "objects": True, "backend": "faiss", "batch": 32, "gpu": False, "limit": 1000}
        return _embeddings_class()({**config, **self._config})


def _embeddings_class() -> Any:  # noqa: ANN401 - txtai is not typed
    import txtai  # type: ignore[import-untyped]

    class Embeddings(txtai.Embeddings):  # type: ignore[misc]
        """Reads a saved index with the vectors of this process: the file holds only their function's name."""

        def load(self, path: str) -> Any:  # noqa: ANN401 - txtai is not typed
            """Load the index at `path`."""
            return super().load(path, config={"transform": self.config["transform"]})

    return Embeddings


class StubEngine:
    """A model and an index that take as long as they are told to: `load()` before, `work(call)` within each call."""

    def __init__(
        self, load: Callable[[], None] = lambda: None, work: Callable[[str], None] = lambda _call: None
    ) -> None:
        self._load = load
        self._work = work
        self.loads = 0

    def embeddings(self) -> StubEmbeddings:
        """Load the model and return an empty index on it."""
        self.loads += 1
        self._load()
        return StubEmbeddings(self._work)


class StubEmbeddings:
    """Of txtai's `Embeddings` what the service uses, with the same semantics; finds equal texts only."""

    def __init__(self, work: Callable[[str], None]) -> None:
        self._work = work
        self._texts: dict[str, str] = {}

    def index(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Replace everything by `rows`."""
        self._work("index")
        self._texts = {}
        self._add(rows)

    def upsert(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Add `rows`, replacing those of the same id."""
        self._work("upsert")
        self._add(rows)

    def _add(self, rows: Iterable[tuple[str, str, str]]) -> None:
        self._texts.update({one: text for one, text, _ in rows})

    def save(self, path: str) -> None:
        """Write the files; an index that was never filled has a configuration alone."""
        self._work("save")
        directory = Path(path)
        directory.mkdir(parents=True, exist_ok=True)
        directory.joinpath("config.json").write_text("{}")
        if self._texts:
            directory.joinpath("documents").write_text(json.dumps(self._texts))

    def load(self, path: str) -> None:
        """Read the files. Raises OSError where there are no documents, as txtai raises where there are no vectors."""
        self._texts = json.loads(Path(path).joinpath("documents").read_text())

    def search(self, query: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the documents with this very text."""
        self._work("search")
        return [{"id": one, "text": text, "score": 1.0} for one, text in self._texts.items() if text == query][:limit]

    def close(self) -> None:
        """Forget everything."""
        self._texts = {}
