"""The index directories that ALwrity's own module has written: where they are, and what else is in them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.txtai.contents import sections, tables
from alwrity_checks.txtai.inspection import Kind, inspect_index
from alwrity_checks.txtai.workspace import indexes_below, workspaces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OldIndex", "OldVectors", "leavings", "old_indexes", "user_of_path"]

_USER: Final = re.compile(r"workspace_(.+)")
"""The name of a user's workspace (ALwrity ce9bf293, services/intelligence/txtai_service.py:49)."""
_OURS: Final = frozenset({"config.json", "config", "embeddings", "documents", "documents-journal", "documents-wal"})
_NAMES: Final[Mapping[str, str]] = {
    "graph": "the graph between documents",
    "scoring": "the keyword index",
    "indexes": "the subindexes",
    "lsa": "the reduction of the vectors",
    "ids": "the list of ids",
}
"""What txtai writes besides (9.14, embeddings/base.py:631)."""
_TIE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class OldIndex:
    """An index directory, and whose it is."""

    path: Path
    user: str


def user_of_path(path: Path) -> str | None:
    """Return whose index a directory is, as ALwrity's path says; None where it does not."""
    for name in reversed(path.absolute().parts):
        if (named := _USER.fullmatch(name)) is not None:
            return named[1]
    return None


def old_indexes(directory: Path) -> Iterator[OldIndex]:
    """Yield the indexes of ALwrity's own module: `directory` itself, or those below a workspace or a backend.

    Raises OSError.
    """
    if inspect_index(directory).kind is Kind.TXTAI:
        user = user_of_path(directory)
        if user is not None:
            yield OldIndex(directory, user)
        return
    places = dict.fromkeys(path for one in (directory, *workspaces(directory)) for path in indexes_below(one))
    for path in places:
        user = user_of_path(path.parent.parent)
        if user is not None and path.parent.name == "indices" and inspect_index(path).kind is Kind.TXTAI:
            yield OldIndex(path, user)


def leavings(path: Path) -> Iterator[str]:
    """Yield what of an index is no document with a text, and is not taken over, in a few words each."""
    names = [one.name for one in sorted(path.iterdir()) if one.name not in _OURS]
    yield from dict.fromkeys(_NAMES.get(name.partition(".")[0], f"the file {name}") for name in names)
    try:
        with tables(path / "documents") as connection:
            (objects,) = connection.execute("SELECT count(*) FROM objects").fetchone()
    except (sqlite3.Error, OSError):
        return
    if objects:
        yield f"{objects:,} stored objects"


@dataclass(frozen=True, slots=True)
class OldVectors:
    """The vectors of an old index, with the ids of their documents."""

    _index: Any
    """faiss's."""
    _ids: Mapping[int, str]
    dimensions: int

    @classmethod
    def of(cls, path: Path, model: str) -> tuple[OldVectors | None, str]:
        """Return the vectors in a directory if they are those of `model`; else why they cannot be compared."""
        try:
            import faiss  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            return None, "faiss is not installed"
        named = _model_of(path)
        if named.rpartition("/")[2] != model.rpartition("/")[2]:
            return None, f"its vectors are those of {named or 'an unknown model'}, and the component's of {model}"
        try:
            index = faiss.read_index(str(path / "embeddings"))
        except (RuntimeError, MemoryError):
            return None, "its vectors cannot be read"
        rows, error = sections(path / "documents")
        if error is not None or index.ntotal != len(rows):
            return None, f"it has {index.ntotal} vectors for {len(rows)} documents, which may not be each other's"
        try:
            inverted = faiss.extract_index_ivf(index)
        except RuntimeError:
            pass
        else:
            inverted.nprobe = inverted.nlist
        return cls(index, {row.indexid: str(row.id) for row in rows}, int(index.d)), ""

    def nearest(self, vector: NDArray[np.float32]) -> set[str]:
        """Return the ids of the documents nearest to a vector of length 1: several, if they are equally near."""
        scores, rows = self._index.search(vector.reshape(1, -1), min(5, len(self._ids)))
        best = float(scores[0][0])
        pairs = zip(scores[0], rows[0], strict=True)
        return {self._ids[int(row)] for score, row in pairs if score > best - _TIE and int(row) in self._ids}


def _model_of(path: Path) -> str:
    try:
        configuration = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    named = configuration.get("path") if isinstance(configuration, dict) else None
    return named.rstrip("/") if isinstance(named, str) else ""
