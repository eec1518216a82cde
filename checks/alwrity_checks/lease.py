"""A lock on a file that its owner's death frees, for what only one process of a host may do at a time.

Not for network file systems, where such a lock may mean nothing.
"""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path
from typing import Final

__all__ = ["Lease"]


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
        try:
            if _lock(descriptor):
                self._descriptor, descriptor = descriptor, -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return self._descriptor is not None

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
