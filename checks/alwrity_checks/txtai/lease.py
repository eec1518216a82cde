"""Several processes on one host, one store: one at a time makes a user's documents searchable.

Every process may accept and search. The right to write is a lock on a file, which the system takes back when a process
dies, and which is held while there is something to do, not for life: so whoever has accepted documents makes them
searchable, unless another is at it; and what another has done is read from the queue, vectors and all.

A process that is stopped while it writes, and has not ended, keeps the right: others accept and search meanwhile, and
what they accept becomes searchable when it goes on or ends.

Not for network file systems: neither this lock nor SQLite's log can be trusted there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.events import emit
from alwrity_checks.lease import Lease
from alwrity_checks.txtai.local_store import LocalStorage, LocalStore
from alwrity_checks.txtai.storage import Batch, DeadLetter, Hit, StorageError, StoreStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.documents import Document

__all__ = ["Lease", "SharedStorage", "SharedStore"]

_FILE: Final = "writer.lock"
_CLOSING_PATIENCE: Final = 2.0
"""Seconds that closing waits for another process, which is writing, before it does without a snapshot."""
_PAUSE: Final = 0.02

_log: Final = logging.getLogger("alwrity_checks.txtai")


class SharedStore:
    """A `UserStore` on the local disk, which several processes may use at once."""

    def __init__(self, store: LocalStore) -> None:
        """Take the store, which nobody else uses in this process."""
        self._store = store
        self._lease = Lease(store.directory / _FILE)
        self._working = threading.RLock()
        self._open = False
        store.may_write = self._lease.take

    def put(self, upserts: Sequence[Document] = (), deletes: Sequence[str] = (), *, clear: bool = False) -> int:
        """Accept operations; see UserStore."""
        return self._store.put(upserts, deletes, clear=clear)

    def open(self) -> None:
        """Load the index; see UserStore."""
        with self._working, self._lease_as_before():
            self._store.open()
            self._open = True

    def refresh(self) -> None:
        """Follow what another process has applied; see UserStore."""
        with self._working, self._lease_as_before():
            if not self._lease.held:
                self._store.refresh()

    @contextmanager
    def _lease_as_before(self) -> Iterator[None]:
        """Give the lease back if the block has taken it, which it does to begin another encoder's index anew."""
        held = self._lease.held
        try:
            yield
        finally:
            if not held:
                self._lease.give_back()

    @contextmanager
    def _lease_unless_it_fails(self) -> Iterator[None]:
        """Leave the work to other processes where this one fails at it; it tries again like everybody."""
        try:
            yield
        except BaseException:
            self._lease.give_back()
            raise

    def pending(self, limit: int = 256) -> Batch:
        """Return what is to be applied next, or nothing where another process is at it; see UserStore."""
        with self._working, self._lease_unless_it_fails():
            if not self._lease.held and not self._take():
                self._store.refresh()
                return Batch(self._store.status().applied)
            batch = self._store.pending(limit)
            if not batch:
                self._lease.give_back()
            return batch

    def _take(self) -> bool:
        """Take the lease, and then follow what the one before has done; say whether it could be had."""
        try:
            taken = self._lease.take()
        except OSError as error:
            raise StorageError(
                f"the lock of {self._store.directory} cannot be had: {error.strerror}",
                "give the process's user the right to write in this directory",
            ) from error
        if taken:
            with self._lease_unless_it_fails():
                self._store.refresh()
        return taken

    def apply(self, batch: Batch, vectors: NDArray[np.float32] | None = None) -> None:
        """Make a batch searchable; see UserStore. The batch is `pending`'s, so the lease is held."""
        with self._working, self._lease_unless_it_fails():
            self._store.apply(batch, vectors)

    def bury(self, documents: Sequence[Document], reason: str) -> None:
        """Make dead letters of pending documents; see UserStore."""
        with self._working:
            self._store.bury(documents, reason)

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters; see UserStore."""
        return self._store.dead_letters()

    def search(self, vector: NDArray[np.float32], limit: int, where: Mapping[str, Any] | None = None) -> list[Hit]:
        """Return the nearest documents, what other processes have applied included; see UserStore."""
        # Whoever holds the lease is up to date, and may be long at work with the index.
        if not self._lease.held:
            self.refresh()
        return self._store.search(vector, limit, where)

    def status(self) -> StoreStatus:
        """Return how the store stands; see UserStore."""
        return self._store.status()

    def settle(self, *, force: bool = False) -> bool:
        """Take a snapshot if it is due and nobody else is writing; see UserStore."""
        with self._working:
            held = self._lease.held
            if not held and not self._take():
                return False
            try:
                return self._store.settle(force=force)
            finally:
                if not held:
                    self._lease.give_back()

    def close(self) -> None:
        """Give up the index in memory; see UserStore."""
        with self._working:
            try:
                self._store.close(snapshot=self._open and self._may_write())
                self._open = False
            finally:
                self._lease.give_back()

    def _may_write(self) -> bool:
        """Get the right to take a snapshot, if it can be had soon; without one the queue has everything."""
        deadline = time.monotonic() + _CLOSING_PATIENCE
        try:
            while not self._lease.held and not self._take():
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE)
        except StorageError as error:
            emit(
                _log,
                logging.WARNING,
                "txtai.snapshot-failed",
                "an index was closed without a snapshot",
                directory=self._store.directory,
                error=error,
            )
            return False
        return True


class SharedStorage:
    """A `Storage` below one directory, which several processes of this host may use at once."""

    def __init__(self, root: Path, encoder: str, dimensions: int) -> None:
        """Name the directory, and the identity and dimensions of the encoder whose vectors the stores will get."""
        self._storage = LocalStorage(root, encoder, dimensions)

    def user(self, user_id: str) -> SharedStore:
        """Return a store for the user: a new object at every call."""
        return SharedStore(self._storage.user(user_id))

    def users(self) -> Iterator[str]:
        """Yield the ids of the users who have a store."""
        return self._storage.users()
