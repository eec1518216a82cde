"""The store of one user on the local disk: queue, generations and the index in memory, tied together by sequences.

Truth is the last generation plus the queue rows after its sequence. The index in memory is never more than a cache of
that truth, and is thrown away whenever a write into it fails.

Two locks: `_working` covers what changes the store, one operation after another; `_index` covers every call into txtai,
and is held only for those. `put` takes neither.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.events import emit
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai import generations
from alwrity_checks.txtai.faults import storage_errors
from alwrity_checks.txtai.journal import Applied, Journal, Replaced
from alwrity_checks.txtai.paths import create_user_directory, user_directory, users_in
from alwrity_checks.txtai.point import point
from alwrity_checks.txtai.storage import (
    Batch,
    DamagedIndex,
    DeadLetter,
    Hit,
    NotOpen,
    StaleBatch,
    StorageError,
    StoreStatus,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.documents import Document
    from alwrity_checks.txtai.engine import Engine
    from alwrity_checks.txtai.loading import Loaded

__all__ = ["LocalStorage", "LocalStore"]

_LEAST_SNAPSHOT: Final = 256
_SNAPSHOT_SHARE: Final = 8
"""A snapshot is due at 256 rows or an eighth of the documents: so the writing per document stays bounded."""
_CLOSING_SHARE: Final = 8
"""Closing takes one at an eighth of that: a replay of fewer rows is cheaper than a snapshot."""

_log: Final = logging.getLogger(__name__)


class LocalStore:
    """A `UserStore` in a directory of its own."""

    def __init__(self, directory: Path, user_id: str, encoder: str, dimensions: int) -> None:
        """Name the directory and the encoder whose vectors will come; nothing is touched yet."""
        self.directory = directory
        self.user_id = user_id
        self._encoder, self._dimensions = encoder, dimensions
        queue = directory / "queue.sqlite3"
        self._accepting = Journal(queue, durable=True, floor=self._snapshotted)
        self._journal = Journal(queue, durable=False, floor=self._snapshotted)
        self._working, self._index = threading.RLock(), threading.RLock()
        self._loaded: Loaded | None = None
        self._generation: generations.Generation | None = None
        self._damaged: str | None = None
        self._applied = self._documents = 0
        self._issued: Batch | None = None
        self._created = self._wrote = self._was_open = False
        self.may_write: Callable[[], bool] = lambda: True
        """Whether this process alone may write now; asked before another encoder's index is begun anew."""

    def put(self, upserts: Sequence[Document] = (), deletes: Sequence[str] = (), *, clear: bool = False) -> int:
        """Accept operations; see UserStore."""
        self._create()
        point("enqueueing", self)
        sequence = self._accepting.put(upserts, deletes, clear=clear)
        point("enqueued", self)
        return sequence

    def _create(self) -> None:
        if not self._created or not self.directory.is_dir():
            with storage_errors("making the directory", self.directory):
                create_user_directory(self.directory, self.user_id)
            self._created = True

    def _snapshotted(self) -> int:
        return max((one.applied.sequence for one in generations.sound(self.directory)), default=0)

    # Loading

    def open(self) -> None:
        """Load the last generation and replay what was applied after it; see UserStore."""
        with self._working:
            if self._loaded is None:
                self._create()
                self._load()

    def _load(self) -> None:
        try:
            from alwrity_checks.txtai.loading import Encoding, load
        except ImportError as error:
            raise MissingExtra("txtai", "the semantic index") from error

        with storage_errors("loading the index", self.directory):
            point("loading", self)
            # Only at the first time: two processes with two encoders would else encode everything anew in turn.
            encoding = Encoding(self._encoder, self._dimensions, lambda: not self._was_open and self.may_write())
            loaded = load(self.directory, self._journal, encoding, self._damaged)
        self._generation, self._damaged, self._issued = loaded.generation, loaded.damaged, None
        self._applied, self._documents = loaded.applied, len(loaded.engine)
        self._loaded, self._was_open = loaded, True
        point("loaded", self)

    def refresh(self) -> None:
        """Follow what another process has applied; see UserStore."""
        from alwrity_checks.txtai.loading import Overtaken, replay

        with self._working, self._reading_queue():
            engine = self._opened().engine
            try:
                self._applied = replay(engine, self._journal, self._applied, self._encoder, self._index)
                self._documents = len(engine)
            except Overtaken:
                self._discard()
                self._load()
            except Replaced:
                raise
            except Exception:
                self._rebuild()
                raise

    @contextmanager
    def _reading_queue(self) -> Iterator[None]:
        """Give the index in memory up where it turns out to be that of a queue that is not there any more."""
        try:
            yield
        except Replaced as error:
            emit(_log, logging.ERROR, "txtai.queue-replaced", "a queue is not the one that was there", error=error)
            with self._working:
                self._discard()
            raise

    def _opened(self) -> Loaded:
        loaded = self._loaded
        if loaded is None:
            raise NotOpen(f"the index in {self.directory} is not open", "open it; an earlier error says why it is not")
        return loaded

    def _discard(self) -> None:
        with self._index:
            loaded, self._loaded = self._loaded, None
            if loaded is not None:
                loaded.engine.close()
                loaded.work.remove()

    def _rebuild(self) -> None:
        self._discard()
        try:
            self._load()
        except DoctorError as error:
            emit(
                _log,
                logging.WARNING,
                "txtai.index-unopened",
                "an index could not be rebuilt",
                directory=self.directory,
                error=error,
            )

    # Applying

    def pending(self, limit: int = 256) -> Batch:
        """Return what is to be applied next; see UserStore."""
        with self._working, self._reading_queue():
            engine = self._opened().engine
            while True:
                batch = self._next(engine, limit)
                if batch or batch.sequence == self._applied:
                    self._issued = batch
                    return batch
                # Rows that were buried, or removed nothing, leave nothing to apply behind.
                self._journal.note(Applied(self._applied, batch.sequence, {}, (), ()), self._encoder)
                self._applied = batch.sequence

    def _next(self, engine: Engine, limit: int) -> Batch:
        window = self._journal.window(self._applied, limit)
        if window.spared is not None:
            with self._index, storage_errors("reading the index", self.directory):
                removed = tuple(one for one in engine.ids() if one not in window.spared)
            return Batch(window.sequence, deletes=removed, cleared=True)
        upserts = [row for row in window.rows.values() if row.op == "upsert"]
        with self._index, storage_errors("reading the index", self.directory):
            known = engine.digests(row.id for row in upserts)
        changed = [row for row in upserts if known.get(row.id) != row.digest]
        unchanged = [row for row in upserts if known.get(row.id) == row.digest]
        return Batch(
            window.sequence,
            tuple(row.document() for row in changed),
            tuple(row.id for row in window.rows.values() if row.op == "delete"),
            tuple(row.id for row in unchanged),
            rows=tuple(row.seq for row in changed),
            dropped=tuple(row.seq for row in unchanged),
        )

    def apply(self, batch: Batch, vectors: NDArray[np.float32] | None = None) -> None:
        """Make a batch searchable; see UserStore."""
        with self._working:
            engine = self._opened().engine
            if batch is not self._issued:
                raise StaleBatch("the batch is not the one that was given out last", "ask for pending() again")
            if not batch:
                return
            block = self._checked(batch, vectors)
            self._wrote = True
            try:
                with self._index:
                    point("applying", self)
                    engine.delete(batch.deletes)
                    engine.upsert(batch.upserts, block)
                    after, self._applied = self._applied, batch.sequence
                    self._documents = len(engine)
                    point("applied", self)
                self._journal.note(_outcome(batch, after, block), self._encoder)
                point("noted", self)
            except DoctorError:
                self._rebuild()
                raise
            except Exception as error:
                self._rebuild()
                told = f"{type(error).__name__}: {scrub(str(error))}"
                raise StorageError(
                    f"the index in {self.directory} could not take a batch: {told}",
                    "nothing is lost: the batch is still queued",
                ) from error
            except BaseException:
                # The process is being stopped: what is in memory is half written, and there is no time to rebuild it.
                self._loaded = None
                raise
            finally:
                self._issued = None

    def _checked(self, batch: Batch, vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
        import numpy as np

        expected = (len(batch.upserts), self._dimensions)
        given = vectors if vectors is not None and batch.upserts else np.empty((0, self._dimensions))
        block = np.ascontiguousarray(given, np.float32)
        if block.shape != expected:
            raise StorageError(f"vectors of shape {block.shape} came for a batch of shape {expected}")
        if not np.allclose(np.linalg.norm(block, axis=1), 1.0, atol=1e-3):
            raise StorageError("a vector is not normalised, or not finite", "look at what the encoder returns")
        return block

    def bury(self, documents: Sequence[Document], reason: str) -> None:
        """Make dead letters of pending documents; see UserStore."""
        with self._working, self._reading_queue():
            self._opened()
            self._issued = None
            self._journal.bury(self._applied, documents, reason)

    # Reading

    def search(self, vector: NDArray[np.float32], limit: int, where: Mapping[str, Any] | None = None) -> list[Hit]:
        """Return the nearest documents; see UserStore."""
        with self._index, storage_errors("searching", self.directory):
            engine = self._opened().engine
            point("searching", self)
            hits = engine.search(vector, limit, where)
            point("searched", self)
            return hits

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters; see UserStore."""
        return self._journal.dead_letters() if self._journal.path.exists() else []

    def status(self) -> StoreStatus:
        """Return how the store stands; see UserStore."""
        if not self._journal.path.exists():
            return StoreStatus(0, 0, None, 0, 0, 0)
        documents, generation, applied = self._documents, self._generation, self._applied
        if self._loaded is None:
            with storage_errors("reading the index", self.directory):
                generation = generations.current(self.directory)
            documents = generation.applied.documents if generation else 0
            with self._reading_queue():
                known = self._journal.state().applied
            applied = max(known, generation.applied.sequence if generation else 0)
        with self._reading_queue():
            queued, oldest = self._journal.count(applied)
            letters = self._journal.count_dead_letters()
        return StoreStatus(documents, queued, oldest, letters, applied, generation.number if generation else 0)

    # Settling

    def settle(self, *, force: bool = False) -> bool:
        """Take a snapshot if it is due; see UserStore."""
        with self._working, self._reading_queue():
            self._opened()
            return self._settle(1 if force else self._due)

    @property
    def _due(self) -> int:
        """The number of rows at which a snapshot is due."""
        return max(_LEAST_SNAPSHOT, self._documents // _SNAPSHOT_SHARE)

    def _settle(self, least: int) -> bool:
        engine, before = self._opened().engine, self._latest()
        held = before.applied.sequence if before else 0
        if self._damaged is None and self._journal.count(held, self._applied)[0] < least:
            return False

        def content(draft: Path) -> generations.Applied:
            with self._index:
                point("saving", draft)
                applied = engine.save(draft, self._applied, self._encoder)
            point("saved-work", draft)
            return applied

        with storage_errors("taking a snapshot", self.directory):
            self._generation = generations.publish(self.directory, content)
            self._journal.trim(held)
            keep = {one.number for one in (before, self._generation) if one}
            generations.sweep(self.directory, keep=keep, damaged=self._damaged)
            self._damaged = None
            point("trimmed", self)
        return True

    def _latest(self) -> generations.Generation | None:
        """Return the generation that the next one follows: others may have taken snapshots since this one loaded."""
        with storage_errors("reading the index", self.directory):
            try:
                latest = generations.current(self.directory)
            except DamagedIndex:
                self._damaged = generations.current_name(self.directory)
                return self._generation
        return self._generation if latest is None or latest.path.name == self._damaged else latest

    def close(self, *, snapshot: bool = True) -> None:
        """Give up the index in memory, with a snapshot where that saves time at the next start; see UserStore.

        Without `snapshot` there is none, as befits a process that must not write now: the queue has it all.
        """
        with self._working:
            point("closing", self)
            try:
                # A process that only reads leaves the snapshots to the one that applies.
                if snapshot and self._loaded is not None and self._wrote:
                    self._settle(self._due // _CLOSING_SHARE)
            finally:
                self._discard()
                self._accepting.close()
                self._journal.close()
            point("closed", self)


def _outcome(batch: Batch, after: int, vectors: NDArray[np.float32]) -> Applied:
    return Applied(
        after=after,
        sequence=batch.sequence,
        vectors={row: vector.tobytes() for row, vector in zip(batch.rows, vectors, strict=True)},
        dropped=batch.dropped,
        ids=(*(one.id for one in batch.upserts), *batch.deletes, *batch.unchanged),
        removed=batch.deletes if batch.cleared else None,
    )


class LocalStorage:
    """A `Storage` below one directory, which may not be there yet."""

    def __init__(self, root: Path, encoder: str, dimensions: int) -> None:
        """Name the directory, and the identity and dimensions of the encoder whose vectors the stores will get."""
        self.root = root.absolute()
        self._encoder, self._dimensions = encoder, dimensions

    def user(self, user_id: str) -> LocalStore:
        """Return a store for the user: a new object at every call, of which one at a time may apply."""
        return LocalStore(user_directory(self.root, user_id), user_id, self._encoder, self._dimensions)

    def users(self) -> Iterator[str]:
        """Yield the ids of the users who have a store."""
        return users_in(self.root)
