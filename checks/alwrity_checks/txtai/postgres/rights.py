"""The right to make a user's documents searchable: an advisory lock, which the server takes back when a process ends.

One session holds the rights of a whole process. A right is held while there is something to do, not for life: so the
host that has just accepted documents is the one to encode them, unless another is at it.

A right saves work and prevents nothing: that no batch is applied twice is the watermark's doing (contents.py).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from alwrity_checks.txtai.postgres.pool import Connection

__all__ = ["Rights"]


class Rights:
    """The rights that this process holds. Thread-safe."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Take what makes a connection; none is made yet."""
        self._connect = connect
        self._inherited: list[Connection | None] = []
        self._connection: Connection | None = None
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._inherited.append(self._connection)
        self._connection = None
        self._holders: dict[bytes, object] = {}

    def take(self, user: bytes, holder: object) -> bool:
        """Take the right to a user, or confirm it, for a store; say whether that has it now. Raises psycopg.Error."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            if self._holders.get(user, holder) is not holder:
                return False
            try:
                return self._take(user, holder)
            except psycopg.OperationalError:
                # The session is gone, and every right with it; another may have them by now.
                self._drop()
                return self._take(user, holder)

    def _take(self, user: bytes, holder: object) -> bool:
        if self._connection is None:
            self._connection = self._connect()
        if user in self._holders:
            self._connection.execute("SELECT")
            return True
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (_key(user),)).fetchone()
        if row is not None and row[0]:
            self._holders[user] = holder
            return True
        return False

    def give_back(self, user: bytes, holder: object) -> None:
        """Give the right to a user back, if the store has it."""
        with self._lock:
            if self._pid != os.getpid() or self._holders.get(user) is not holder:
                return
            del self._holders[user]
            try:
                if self._connection is not None:
                    self._connection.execute("SELECT pg_advisory_unlock(%s)", (_key(user),))
            except psycopg.Error:
                self._drop()

    def close(self) -> None:
        """Give every right back."""
        with self._lock:
            if self._pid == os.getpid():
                self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._holders.clear()
        if connection is not None:
            connection.close()


def _key(user: bytes) -> int:
    """Return the number of a user's lock; advisory locks are the whole database's, so it is made of a name, too."""
    return int.from_bytes(hashlib.sha256(b"alwrity_txtai drain " + user).digest()[:8], "big", signed=True)
