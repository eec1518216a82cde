"""A bounded number of connections, lent to one thread each.

Between two operations a connection has no transaction. One that does not come back in that state is closed, and all of
them are when nobody keeps the pool: so it needs no thread of its own, and leaves nothing behind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from alwrity_checks.txtai.storage import StorageError

__all__ = ["Connection", "Pool"]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_PATIENCE: Final = 15.0
"""Seconds to wait for a connection while all of them are lent."""


class Pool:
    """Lends connections. Thread-safe; a forked child begins with none, and never touches those of its parent."""

    def __init__(self, connect: Callable[[], Connection], size: int) -> None:
        """Take what makes a connection; none is made yet."""
        self._connect = connect
        self._size = size
        self._inherited: list[Connection] = []
        self._idle: list[Connection] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(self._size)
        self._inherited += self._idle
        self._idle = []
        self._keepers = 0

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection, for one operation. Raises psycopg.Error, and StorageError if none becomes free."""
        if self._pid != os.getpid():
            self._begin()
        free = self._free
        if not free.acquire(timeout=_PATIENCE):
            raise StorageError(
                f"all {self._size} connections to the database are in use", "see in pg_stat_activity what they wait for"
            ) from TimeoutError()
        try:
            connection = self._taken() or self._connect()
            try:
                yield connection
            finally:
                self._return(connection)
        finally:
            free.release()

    def _taken(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _return(self, connection: Connection) -> None:
        sound = not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE
        with self._lock:
            if sound and self._keepers:
                self._idle.append(connection)
                return
        connection.close()

    def keep(self) -> None:
        """Keep connections open between operations, until `let_go` was called as often."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            self._keepers += 1

    def let_go(self) -> bool:
        """Undo one `keep`, and say whether it was the last: then the connections are closed."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            self._keepers = max(0, self._keepers - 1)
            if self._keepers:
                return False
        self.clear()
        return True

    def clear(self) -> None:
        """Close what is not lent: after a connection broke, because the others are to the same server."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
