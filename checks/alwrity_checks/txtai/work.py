"""Work directories: one per index in memory, locked for as long as it is used, removed when its process is gone."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Final

__all__ = ["Work", "sweep_work"]

_numbers: Final = count(1)
_ours: Final[set[Path]] = set()
"""The work directories of this process; a lock of one's own would be granted again on some systems."""
_claiming = threading.Lock()
_LOCK: Final = "lock"


def _renew() -> None:
    """Start anew in a forked child: another thread of the parent may have held the lock, and the locks are its own."""
    global _claiming  # noqa: PLW0603 - one per process
    _claiming = threading.Lock()
    _ours.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Work:
    """A directory that no other index uses, has used or will use: a path is never taken twice."""

    def __init__(self, directory: Path) -> None:
        """Make the directory below `directory`. Raises OSError."""
        with _claiming:
            while not self._claim(directory / f"work-{os.getpid()}-{next(_numbers)}"):
                continue

    def _claim(self, path: Path) -> bool:
        try:
            path.mkdir()
        except FileExistsError:
            return False
        try:
            descriptor = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        except FileNotFoundError:
            return False
        # Between these two steps another process may have found the directory abandoned, and be removing it.
        if not _lock(descriptor) or not (path / _LOCK).exists():
            os.close(descriptor)
            return False
        self.path, self._descriptor = path, descriptor
        _ours.add(path)
        return True

    def remove(self) -> None:
        """Give the directory up."""
        with _claiming:
            if self.path in _ours:
                os.close(self._descriptor)
                _ours.discard(self.path)
        shutil.rmtree(self.path, ignore_errors=True)


def sweep_work(directory: Path) -> None:
    """Remove the work directories of processes that have ended."""
    for path in directory.glob("work-*"):
        with _claiming:
            if path not in _ours:
                _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    try:
        descriptor = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        return
    try:
        if _lock(descriptor):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
