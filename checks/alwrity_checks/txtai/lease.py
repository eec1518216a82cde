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
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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


class Lease:
    """A lock on a file, held by at most one `Lease` on this host. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Name the file; its directory has to be there when the lease is taken."""
        self._path = path
        self._descriptor: int | None = None
        _leases.add(self)

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Take the lease if nobody else has it; say whether it is ours now. Raises OSError."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
        if _lock(descriptor):
            self._descriptor = descriptor
            return True
        os.close(descriptor)
        return False

    def give_back(self) -> None:
        """Let others have it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # Closing alone would leave it with a child that was forked meanwhile, for as long as that lives.
            _unlock(descriptor)
            os.close(descriptor)

    def forget(self) -> None:
        """Let go, in a forked child, of what is the parent's: only the parent gives it back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_leases: Final[weakref.WeakSet[Lease]] = weakref.WeakSet()


def _forget_all() -> None:
    for lease in list(_leases):
        lease.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


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
            _log.warning("%s is closed without a snapshot: %s", self._store.directory, error)
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


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
