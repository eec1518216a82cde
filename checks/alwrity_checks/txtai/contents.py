"""Reading documents from the SQLite file of a txtai index, without txtai and without changing anything.

txtai 7.5 to 9.14 write the same tables: `sections(indexid, id, text, tags, entry)` has a row per vector, and
`documents(id, data, tags, entry)` holds the JSON of the documents that came as mappings. ALwrity sends the fields as
the third part of a tuple, which txtai takes for tags: they are JSON in the column `tags`, where no filter finds them.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Final

from alwrity_checks.txtai.documents import Document, digest_of, fields_of
from alwrity_checks.txtai.storage import DamagedIndex

__all__ = ["Section", "copied", "documents_in", "sections", "tables"]

_QUERY: Final = """
SELECT s.indexid, s.id, s.text, d.data, s.tags FROM sections s LEFT JOIN documents d ON d.id = s.id ORDER BY s.indexid
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A row of an index, as it is stored."""

    indexid: int
    id: object
    text: object
    data: object
    tags: object

    def fields(self) -> dict[str, Any]:
        """Return the fields: of the JSON, and of the tags, which are a field of that name or what ALwrity makes of one.

        ALwrity stores the mapping that it was given as tags, and `{}` where it was given none.
        """
        fields = fields_of(self.data) if isinstance(self.data, str) else {}
        sent = self._sent()
        if sent is not None:
            return {**sent, **fields}
        return fields if self.tags is None else {**fields, "tags": self.tags}

    def fields_in_tags(self) -> dict[str, Any]:
        """Return the fields that were sent as a mapping and stored as tags."""
        return self._sent() or {}

    def _sent(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self.tags) if isinstance(self.tags, str) else None
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


@contextmanager
def tables(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of an index's database; with its journal, if a process was killed while it wrote.

    Raises sqlite3.Error, OSError.
    """
    with copied(path) as copy, closing(sqlite3.connect(copy)) as connection:
        connection.text_factory = _text
        yield connection


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """Copy an SQLite file, with what is beside it of a process that was killed, to where it may be written.

    Raises OSError.
    """
    with tempfile.TemporaryDirectory(prefix="txtai-") as directory:
        copy = Path(directory) / path.name
        shutil.copyfile(path, copy)
        for suffix in ("-journal", "-wal"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                shutil.copyfile(beside, copy.with_name(copy.name + suffix))
        yield copy


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def documents_in(path: Path) -> list[Document]:
    """Return the documents of a generation's database, in the order in which they came. Raises DamagedIndex."""
    rows, error = sections(path)
    if error is not None:
        raise DamagedIndex(
            f"{path} cannot be read: {error}",
            f"alwrity-doctor txtai repair {quote(str(path.parent.parent))} --into NEW_DIRECTORY",
        )
    return [Document(str(row.id), str(row.text), row.fields(), digest_of(str(row.text), row.fields())) for row in rows]


def sections(path: Path) -> tuple[list[Section], str | None]:
    """Return the rows of a database that can be read, in order, and the error where that may not be all of them.

    Around a damaged page the rows are read from both ends.
    """
    found: dict[int, Section] = {}
    error: str | None = None
    try:
        with tables(path) as connection:
            for order in ("ASC", "DESC"):
                try:
                    for row in connection.execute(f"{_QUERY} {order}"):
                        found[row[0]] = Section(*row)
                    break
                except sqlite3.Error as raised:
                    error = error or str(raised)
    except (sqlite3.Error, OSError) as raised:
        error = error or str(raised)
    return [found[number] for number in sorted(found)], error
