"""One txtai index in memory: the only place that calls txtai.

txtai is not thread-safe, not even for searches, and two threads inside one index kill the interpreter; so the owner of
an `Engine` holds one lock around every call. Nothing here is durable: the database under the index is a copy, and a
failed write leaves the index unusable, so the owner discards the engine and loads another.

Vectors come from outside and a search is by vector. A user's words never reach txtai as a query, because it would
execute those that look like SQL.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from alwrity_checks.errors import MissingExtra
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.documents import Document, digest_of, fields_of
from alwrity_checks.txtai.generations import Applied, Generation
from alwrity_checks.txtai.storage import DamagedIndex, Hit, StorageError, UnusableFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Engine", "library_versions"]

_SELECT: Final = "SELECT s.indexid, s.id, s.text, d.data FROM sections s LEFT JOIN documents d ON d.id = s.id"
_SCALARS: Final = (str, int, float, bool, type(None))
_CACHE_KIB: Final = 256
"""Of SQLite's pages in memory, for each open index; what is read again and again is in the system's cache."""
_WIDER: Final = 8
"""By how much a filtered search reaches further where too few of the nearest documents fit the filter."""


def library_versions() -> tuple[str, str]:
    """Return the installed versions of txtai and faiss. Raises MissingExtra."""
    try:
        return metadata.version("txtai"), metadata.version("faiss-cpu")
    except metadata.PackageNotFoundError:
        raise MissingExtra("txtai", "the semantic index") from None


class Engine:
    """A txtai index over a throw-away copy of its database. Not thread-safe."""

    def __init__(self, dimensions: int, work: Path) -> None:
        """Use the empty directory `work` for the database; nothing is loaded yet and the index is empty."""
        self.dimensions = dimensions
        self._work = work
        self._index: Any = None
        """The txtai index; None while there are no documents, because txtai can neither save nor load such an index."""
        self._tables = 0
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def load(self, generation: Generation) -> None:
        """Load a generation that has documents, and check it. Raises DamagedIndex, OSError."""
        place = self._place()
        try:
            for name in ("config.json", "embeddings"):
                # Read once and never written: a second name for the file will do.
                _linked(generation.path / name, place / name)
            shutil.copyfile(generation.path / "documents", place / "documents")
            self._index = self._embeddings()
            self._index.load(str(place), config=self._configuration())
            self._prepare_database()
            self._check_against(generation.applied)
        except (MissingExtra, MemoryError):
            self.close()
            raise
        except Exception as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                raise
            # faiss begins with the signature of a function and the place in its source.
            told = str(error).rpartition("Error: ")[2] or type(error).__name__
            raise DamagedIndex(
                f"the index in {generation.path} cannot be loaded: {scrub(told)}",
                f"alwrity-doctor txtai repair {quote(str(generation.path.parent))} --into NEW_DIRECTORY",
            ) from error
        for name in ("config.json", "embeddings"):
            (place / name).unlink()

    def _check_against(self, applied: Applied) -> None:
        self.check()
        held, told = (len(self), self._index.config["dimensions"]), (applied.documents, self.dimensions)
        if held != told:
            raise StorageError(f"it holds {held} vectors and dimensions instead of {told}")

    def upsert(self, documents: Sequence[Document], vectors: NDArray[np.float32]) -> None:
        """Add documents, each id once, or replace those with their ids."""
        if not documents:
            return
        replaced = len(self.digests(one.id for one in documents))
        expected = len(self) - replaced + len(documents)
        self._vectors = {one.text: vector for one, vector in zip(documents, vectors, strict=True)}
        try:
            if self._index is None:
                self._index = self._embeddings(self._configuration())
                self._index.upsert([_content(one) for one in documents])
                # Until it is saved txtai keeps its database in a temporary file, and would tie it to the first
                # generation that is saved.
                self._save(self._place())
                self._prepare_database()
            else:
                self._index.upsert([_content(one) for one in documents])
        finally:
            self._vectors = {}
        if len(self) != expected:
            raise StorageError(f"txtai holds {len(self)} vectors after a write that should have left {expected}")

    def delete(self, ids: Sequence[str]) -> None:
        """Remove the documents with these ids, as far as there are any."""
        if not ids or self._index is None:
            return
        self._index.delete(list(ids))
        if len(self) == 0:
            # txtai would begin anew with a temporary database.
            self.close()

    def search(self, vector: NDArray[np.float32], limit: int, where: Mapping[str, Any] | None = None) -> list[Hit]:
        """Return the nearest documents whose fields have the values of `where`, best first."""
        condition, bound = _condition(where or {})
        total = len(self)
        if limit < 1 or not total:
            return []
        reach = min(limit, total)
        while True:
            nearest = {row: score for row, score in self._nearest(vector, reach) if row >= 0 and score > 0}
            rows = self._rows(nearest, condition, bound)
            if len(rows) >= limit or len(nearest) < reach or reach == total:
                break
            reach = min(reach * _WIDER, total)
        hits = [Hit(one, text, min(nearest[row], 1.0), fields_of(data)) for row, one, text, data in rows]
        return sorted(hits, key=lambda hit: hit.score, reverse=True)[:limit]

    def _nearest(self, vector: NDArray[np.float32], limit: int) -> list[tuple[int, float]]:
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, self.dimensions)
        found: list[list[tuple[int, float]]] = self._index.ann.search(query, limit)
        return found[0]

    def _rows(self, nearest: Iterable[int], condition: str, bound: list[object]) -> list[tuple[int, str, str, str]]:
        query = f"{_SELECT} WHERE s.indexid IN (SELECT value FROM json_each(?)){condition}"  # noqa: S608 - constants
        return self._connection.execute(query, [json.dumps(list(nearest)), *bound]).fetchall()

    def digests(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the digests of those of the documents that are in the index, by id."""
        if self._index is None:
            return {}
        query = f"{_SELECT} WHERE s.id IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
        rows = self._connection.execute(query, (json.dumps(list(ids)),))
        return {one: digest_of(text, fields_of(data)) for _, one, text, data in rows}

    def ids(self) -> list[str]:
        """Return the ids of all documents, in the order in which they came."""
        if self._index is None:
            return []
        return [one for (one,) in self._connection.execute("SELECT id FROM sections ORDER BY indexid")]

    def __len__(self) -> int:
        """Return the number of vectors."""
        return 0 if self._index is None else int(self._index.ann.count())

    def check(self) -> None:
        """Compare the vectors with the rows. Raises StorageError where they are not each other's."""
        if self._index is None:
            return
        rows, ids, last = self._connection.execute(
            "SELECT count(*), count(DISTINCT id), coalesce(max(indexid), -1) FROM sections"
        ).fetchone()
        vectors, offset = len(self), self._index.config["offset"]
        if not vectors == rows == ids or offset <= last:
            raise StorageError(
                f"{vectors} vectors belong to {rows} rows with {ids} ids, and the next row {offset} follows row {last}"
            )

    def save(self, directory: Path, sequence: int, encoder: str) -> Applied:
        """Write the index into an empty directory and return what it holds. Raises StorageError, OSError."""
        self.check()
        if self._index is not None:
            # SQLite copies the pages of a database without a transaction, and row by row of one with.
            self._connection.commit()
            self._save(directory)
        return Applied(sequence, len(self), encoder, self.dimensions, *library_versions())

    def _save(self, directory: Path) -> None:
        try:
            self._index.save(str(directory))
        except RuntimeError as error:
            # What faiss makes of a disk that is full or gone; no document is to blame for it.
            number = errno.ENOSPC if os.strerror(errno.ENOSPC) in str(error) else errno.EIO
            raise OSError(number, scrub(str(error)), str(directory)) from error

    def close(self) -> None:
        """Give the index up; the engine is empty then."""
        index, self._index = self._index, None
        if index is not None:
            index.close()
        for place in self._work.glob("tables-*"):
            shutil.rmtree(place, ignore_errors=True)

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self._index.database.connection
        return connection

    def _place(self) -> Path:
        """Return a new directory: at a path used before, SQLite could meet what another database left there."""
        self._tables += 1
        place = self._work / f"tables-{self._tables}"
        place.mkdir()
        return place

    def _prepare_database(self) -> None:
        # The copy is thrown away after a crash: it need not reach the disk.
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA journal_mode=MEMORY")
        self._connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")

    def _configuration(self) -> dict[str, Any]:
        vectors = self

        def transform(texts: Sequence[str]) -> NDArray[np.float32]:
            return np.array([vectors._vectors[text] for text in texts], dtype=np.float32)

        return {
            "method": "external",
            # txtai calls a plain function with the texts, and anything else callable without arguments.
            "transform": transform,
            "content": True,
            "backend": "faiss",
            "batch": 1024,
        }

    @staticmethod
    def _embeddings(configuration: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - txtai is untyped
        try:
            from txtai.embeddings import Embeddings  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtra("txtai", "the semantic index") from error
        return Embeddings(configuration)


def _content(document: Document) -> dict[str, Any]:
    return {"id": document.id, "text": document.text, **document.fields}


def _condition(where: Mapping[str, Any]) -> tuple[str, list[object]]:
    """Return an SQL condition and its bound values; JSON's true and 1 are two values, as they are in JSON."""
    parts: list[str] = []
    bound: list[object] = []
    if not isinstance(where, Mapping):
        raise UnusableFilter(f"the filter is a {type(where).__name__}", "send a mapping of fields' names to values")
    for name, value in where.items():
        if not isinstance(value, _SCALARS) or not isinstance(name, str):
            raise UnusableFilter(
                f"the filter {name!r:.60} cannot be compared with a {type(value).__name__}",
                "filter by a string, a number, a boolean or None",
            )
        if not _can_be_bound(name) or not _can_be_bound(value):
            raise UnusableFilter(
                f"the filter {name!r:.60} has a number of more than 64 bits, or a lone surrogate",
                "filter by what a document can hold; such a number as a string",
            )
        field = "SELECT 1 FROM json_each(d.data) AS field WHERE field.key = ?"
        bound.append(name)
        if value is None:
            parts.append(f"NOT EXISTS ({field} AND field.type <> 'null')")
        elif isinstance(value, bool):
            parts.append(f"EXISTS ({field} AND field.type = ?)")
            bound.append("true" if value else "false")
        else:
            kinds = "'text'" if isinstance(value, str) else "'integer', 'real'"
            parts.append(f"EXISTS ({field} AND field.value = ? AND field.type IN ({kinds}))")
            bound.append(value)
    return "".join(f" AND {part}" for part in parts), bound


def _can_be_bound(value: object) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    try:
        return not isinstance(value, str) or value.encode() is not None
    except UnicodeEncodeError:
        return False


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
