"""What can be had of an index, sound or damaged, put into another store; the index itself is never changed.

Only texts and fields are taken over, never vectors: of a save that was interrupted the vectors may belong to other
texts. The new store encodes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai import generations
from alwrity_checks.txtai.contents import Section, sections
from alwrity_checks.txtai.documents import RESERVED, Document, UnusableDocument, documents
from alwrity_checks.txtai.queue_reading import queue_of
from alwrity_checks.txtai.storage import StorageError, UserStore

if TYPE_CHECKING:
    from alwrity_checks.txtai.journal import Journal

__all__ = ["Recovered", "recover", "repair"]

_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Recovered:
    """What could be read of an index."""

    documents: tuple[Document, ...]
    unusable: tuple[str, ...]
    """Why a row was left out, one sentence for each."""
    doubts: tuple[str, ...]
    """Why there may have been more; empty where everything was read."""


def recover(source: Path) -> Recovered:
    """Read the documents of an index directory, ours or bare txtai's. Raises ConfigurationError where there is none."""
    if (source / "queue.sqlite3").exists() or (source / "CURRENT").exists():
        return _of_store(source)
    if (source / "documents").exists():
        found, unusable, doubts = _of_database(source / "documents")
        return Recovered(tuple(found.values()), unusable, doubts)
    raise ConfigurationError(
        f"{source} has no documents to recover: the file `documents` is missing",
        "name the directory of an index, such as workspace/workspace_<user>/indices/txtai",
    )


def repair(source: Path, into: UserStore) -> Recovered:
    """Recover an index into an empty store, which encodes the documents when it is driven next.

    Raises ConfigurationError where there is nothing to recover, or the store has documents already.
    """
    status = into.status()
    # Of a closed store, what was applied and is in no snapshot yet counts neither as a document nor as queued.
    if status.documents or status.queued or status.applied:
        raise ConfigurationError(
            f"the new store has {status.documents} documents in a snapshot, {status.applied} operations that were "
            f"applied, and {status.queued} operations queued",
            "repair into a new place",
        )
    recovered = recover(source)
    for start in range(0, len(recovered.documents), _AT_ONCE):
        into.put(recovered.documents[start : start + _AT_ONCE])
    return recovered


def _of_database(path: Path) -> tuple[dict[str, Document], tuple[str, ...], tuple[str, ...]]:
    rows, error = sections(path)
    found: dict[str, Document] = {}
    unusable: list[str] = []
    for row in rows:
        try:
            (document,) = documents([_item(row)])
        except (UnusableDocument, ValueError) as refusal:
            unusable.append(f"row {row.indexid}: {refusal}")
        else:
            # The later of two rows with one id is the newer one.
            found.pop(document.id, None)
            found[document.id] = document
    return found, tuple(unusable), () if error is None else (f"{path}: {error}",)


def _item(row: Section) -> tuple[object, object, dict[str, Any]]:
    fields = {f"{name}_" if name in RESERVED else name: value for name, value in row.fields().items()}
    return row.id, row.text, fields


def _of_store(source: Path) -> Recovered:
    """Read the newest generation whose database can be read whole, then what the queue has after it."""
    with queue_of(source) as journal:
        base = _base(source, journal.state().trimmed if journal is not None else 0)
        found = dict(base.documents)
        missing = [f"{source / 'queue.sqlite3'} is missing"]
        doubts = [*base.doubts, *(missing if journal is None else _follow(journal, found, base.sequence))]
    return Recovered(tuple(found.values()), base.unusable, tuple(doubts))


@dataclass(frozen=True, slots=True)
class _Base:
    sequence: int
    documents: dict[str, Document]
    unusable: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def _base(source: Path, trimmed: int) -> _Base:
    """Return the newest whole generation after which the queue is whole; else what can be read of the newest."""
    partial: _Base | None = None
    for candidate in generations.sound(source):
        content: _Base = _Base(candidate.applied.sequence, {})
        if candidate.applied.documents:
            found, unusable, damage = _of_database(candidate.path / "documents")
            content = _Base(candidate.applied.sequence, found, unusable, damage)
        held = len(content.documents) + len(content.unusable)
        if held == candidate.applied.documents and candidate.applied.sequence >= trimmed:
            return content
        if partial is None:
            told = f"{candidate.path}: {held} of {candidate.applied.documents} documents could be read"
            # What the queue still says of an id is at least as new as what a damaged generation has of it.
            partial = _Base(trimmed, content.documents, content.unusable, (*content.doubts, told))
    return partial or _Base(0, {})


def _follow(journal: Journal, found: dict[str, Document], after: int) -> list[str]:
    """Do what the queue says; return the doubts that the queue leaves."""
    doubts = []
    try:
        trimmed = journal.state().trimmed
        if trimmed > after:
            doubts.append(f"operations {after + 1} to {trimmed} were in a generation that cannot be read")
        for row in journal.operations(after):
            found.pop(row.id, None)
            if row.op == "clear":
                found.clear()
            elif row.op == "upsert":
                found[row.id] = row.document()
    except StorageError as error:
        doubts.append(f"the queue cannot be read: {error}")
    return doubts
