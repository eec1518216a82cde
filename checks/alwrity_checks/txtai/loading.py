"""From what is durable to an index in memory: the last generation, then the queue rows that were applied after it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from alwrity_checks.errors import DoctorError
from alwrity_checks.events import emit
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai import generations
from alwrity_checks.txtai.contents import documents_in
from alwrity_checks.txtai.engine import Engine, library_versions
from alwrity_checks.txtai.journal import Journal, coalesced
from alwrity_checks.txtai.storage import DamagedIndex, StorageError
from alwrity_checks.txtai.work import Work, sweep_work

if TYPE_CHECKING:
    from alwrity_checks.txtai.generations import Generation
    from alwrity_checks.txtai.journal import Row

__all__ = ["AnotherEncoder", "Encoding", "Loaded", "Overtaken", "load", "replay"]

_REPLAYED_AT_ONCE: Final = 1024

_log: Final = logging.getLogger(__name__)


class Overtaken(StorageError):  # noqa: N818 - a condition
    """Another process has taken snapshots, and trimmed rows that this one had not read yet."""


class AnotherEncoder(StorageError):  # noqa: N818 - a condition
    """The index is kept with the vectors of another encoder, and this process may not change that now."""

    def __init__(self, directory: Path, kept: str | None, ours: str) -> None:
        super().__init__(
            f"the index in {directory} is kept with vectors of {kept}, and this process encodes with {ours}",
            "give every process the same model (ALWRITY_TXTAI_MODEL) and start this one again; what it accepts is kept",
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """An index in memory."""

    engine: Engine
    work: Work
    generation: Generation | None
    """The generation it was loaded from."""
    applied: int
    damaged: str | None = None
    """The name of the current generation where that could not be loaded, and it had to be done without."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoder whose vectors an index is loaded for."""

    identity: str
    dimensions: int
    may_adopt: Callable[[], bool]
    """Whether this process alone may write now, and may begin anew with the documents of another encoder's index."""


def load(directory: Path, journal: Journal, encoding: Encoding, damaged: str | None = None) -> Loaded:
    """Load the index of a user, without the generation that is known to be `damaged`.

    Raises StorageError, DamagedIndex, AnotherEncoder, OSError, sqlite3.Error.
    """
    sweep_work(directory)
    while True:
        name = generations.current_name(directory)
        if name is not None and name == damaged:
            told = DamagedIndex(f"{directory / name} was found damaged before")
            return _step_back(directory, journal, name, told, encoding)
        try:
            return _based(directory, journal, generations.current(directory), encoding)
        except (DamagedIndex, Overtaken) as damage:
            # The process that applies may have switched, and removed what was just being read.
            if name is None or generations.current_name(directory) == name:
                return _step_back(directory, journal, name, damage, encoding)


def replay(engine: Engine, journal: Journal, after: int, encoder: str, lock: AbstractContextManager[object]) -> int:
    """Apply the rows after `after` that were applied before, with their vectors, and return the last such row.

    `lock` is held for every call of the engine. Raises Overtaken where rows are missing, AnotherEncoder where the
    vectors are not `encoder`'s.
    """
    while True:
        state, rows = journal.replay(after, _REPLAYED_AT_ONCE)
        if state.encoder not in {None, encoder}:
            raise AnotherEncoder(journal.path.parent, state.encoder, encoder)
        if state.trimmed > after:
            raise Overtaken("the rows to replay are in a generation alone", "open the store again")
        if not rows:
            return max(after, state.applied)
        with lock:
            _replay(engine, rows)
        after = rows[-1].seq


def _replay(engine: Engine, rows: Sequence[Row]) -> None:
    winners = coalesced(rows).values()
    upserts = [row for row in winners if row.op == "upsert"]
    try:
        vectors = np.array([np.frombuffer(row.vector or b"", dtype=np.float32) for row in upserts])
        engine.delete([row.id for row in winners if row.op == "delete"])
        engine.upsert([row.document() for row in upserts], vectors)
    except (DoctorError, OSError, sqlite3.Error):
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {scrub(str(error))}"
        raise StorageError(
            f"the queue could not be replayed: {told}", "nothing is lost: the rows are still queued"
        ) from error


def _based(directory: Path, journal: Journal, base: Generation | None, encoding: Encoding) -> Loaded:
    """Load a generation, or an index without one, and replay the queue over it."""
    state = journal.state()
    if state.trimmed > (base.applied.sequence if base else 0):
        raise Overtaken(f"the queue begins at {state.trimmed + 1} and has not all that came after the generation")
    base = _in_our_encoding(directory, journal, base, state.encoder, encoding)
    work = Work(directory)
    engine = Engine(encoding.dimensions, work.path)
    try:
        if base is not None and base.applied.documents:
            engine.load(base)
        applied = replay(engine, journal, base.applied.sequence if base else 0, encoding.identity, nullcontext())
    except BaseException:
        engine.close()
        work.remove()
        raise
    return Loaded(engine, work, base, applied)


def _in_our_encoding(
    directory: Path, journal: Journal, base: Generation | None, kept: str | None, encoding: Encoding
) -> Generation | None:
    """Return what to load: `base`, unless the generation or the queue (`kept`) holds another encoder's vectors."""
    foreign = base is not None and (base.applied.encoder, base.applied.dimensions) != (
        encoding.identity,
        encoding.dimensions,
    )
    if not foreign and kept in {None, encoding.identity}:
        return base
    if not encoding.may_adopt():
        raise AnotherEncoder(
            directory, base.applied.encoder if base is not None and foreign else kept, encoding.identity
        )
    if base is not None and foreign:
        return _adopt(directory, journal, base, encoding)
    journal.restart(encoding.identity, (), base.applied.sequence if base else 0)
    return base


def _step_back(directory: Path, journal: Journal, name: str | None, damage: StorageError, encoding: Encoding) -> Loaded:
    """Load from another generation, or from the queue alone, if the queue still has all that came after it."""
    refusal = damage
    for candidate in (*generations.sound(directory), None):
        if candidate is None or candidate.path.name != name:
            try:
                loaded = _based(directory, journal, candidate, encoding)
            except (DamagedIndex, Overtaken):
                continue
            except AnotherEncoder as error:
                # The queue may have all of it in our encoding, where this process adopted it before.
                refusal = error
                continue
            emit(
                _log,
                logging.WARNING,
                "txtai.snapshot-damaged",
                "a snapshot is damaged; its predecessor and the queue have all of it",
                loaded_from=candidate.path.name if candidate else "the queue alone",
                error=damage,
            )
            return replace(loaded, damaged=name)
    raise refusal


def _adopt(directory: Path, journal: Journal, base: Generation, encoding: Encoding) -> Generation:
    """Accept the documents of another encoder's generation anew, and begin with an empty one."""
    emit(
        _log,
        logging.WARNING,
        "txtai.encoding-anew",
        "a snapshot holds another encoder's vectors: its documents are encoded anew",
        snapshot=base.path,
        was=base.applied.encoder,
        encoder=encoding.identity,
    )
    documents = documents_in(base.path / "documents") if base.applied.documents else []
    if len(documents) != base.applied.documents:
        raise DamagedIndex(f"{base.path} has {len(documents)} documents and had {base.applied.documents}")
    # The generation that is switched to next outlives a power failure; so the documents must have reached the disk.
    with closing(Journal(journal.path, durable=True)) as durable:
        durable.restart(encoding.identity, documents, base.applied.sequence)
    empty = generations.Applied(base.applied.sequence, 0, encoding.identity, encoding.dimensions, *library_versions())
    return generations.publish(directory, lambda _: empty)
