"""The way to the database: connections that are ready for use, and one more attempt where one has broken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg

from alwrity_checks.txtai.postgres.address import Address
from alwrity_checks.txtai.postgres.faults import database_errors
from alwrity_checks.txtai.postgres.pool import Connection, Pool
from alwrity_checks.txtai.postgres.rights import Rights
from alwrity_checks.txtai.postgres.schema import find_tables, prepare

if TYPE_CHECKING:
    from alwrity_checks.redaction import Secret

__all__ = ["Database"]

T = TypeVar("T")

_MOST_CONNECTIONS: Final = 4
"""Of a process, besides the one for its rights; the runtime accepts with two threads and searches with four."""

# The server ends a session whose host is gone (by the keepalives: within a minute) and one that waits or works for too
# long. Compiling a search takes longer than the search.
_SETTINGS: Final = {
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "0",
    "jit": "off",
    "lock_timeout": "15s",
    "statement_timeout": "60s",
    "synchronous_commit": "on",
    "tcp_keepalives_count": "3",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
}
_CONFIGURE: Final = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)"


class Database:
    """A database that stores share. Thread-safe; connects at its first use."""

    def __init__(self, url: Secret, most_connections: int = _MOST_CONNECTIONS) -> None:
        """Read the URL. Raises ConfigurationError."""
        self._address = Address.of(url)
        self.place = self._address.place
        self._pool = Pool(self._connect, most_connections)
        self._rights = Rights(self._connect)
        self._prepared = False
        self._users: set[object] = set()
        self._lock = threading.Lock()

    def _connect(self) -> Connection:
        connection = psycopg.connect(self._address.conninfo.reveal(), autocommit=True)
        try:
            if not self._prepared:
                prepare(connection, self.place)
                self._prepared = True
            find_tables(connection)
            connection.execute(_CONFIGURE, (list(_SETTINGS), list(_SETTINGS.values())))
        except BaseException:
            connection.close()
            raise
        return connection

    def run(self, doing: str, act: Callable[[Connection], T]) -> T:
        """Do something with a connection, and once more if that breaks. Raises StorageError, and what `act` raises.

        So `act` may be done twice: it must come to the same then, or find out. Without a transaction of its own every
        statement is one.
        """
        with database_errors(doing, self.place):
            try:
                return self._run(act)
            except _Broken:
                # Typically the server was restarted since the connection was used last; or it is just being.
                self._pool.clear()
            try:
                return self._run(act)
            except _Broken as broken:
                raise broken.error from broken.error.__cause__

    def _run(self, act: Callable[[Connection], T]) -> T:
        with self._pool.connection() as connection:
            try:
                return act(connection)
            except psycopg.OperationalError as error:
                if connection.broken:
                    raise _Broken(error) from error
                raise

    def take_right(self, user: bytes, holder: object) -> bool:
        """Take the right to apply a user's documents; say whether the store has it now. Raises StorageError."""
        with database_errors("asking for the right to apply", self.place):
            return self._rights.take(user, holder)

    def give_right_back(self, user: bytes, holder: object) -> None:
        """Give the right back, if the store has it."""
        self._rights.give_back(user, holder)

    def join(self, user: object) -> None:
        """Keep connections open for somebody who uses them, until he leaves."""
        with self._lock:
            if user not in self._users:
                self._users.add(user)
                self._pool.keep()

    def leave(self, user: object) -> None:
        """Undo `join`; with the last one the connections are closed."""
        with self._lock:
            if user in self._users:
                self._users.remove(user)
                if self._pool.let_go():
                    self._rights.close()


class _Broken(Exception):  # noqa: N818 - a condition, which never leaves this module
    """A connection broke under what was done with it."""

    def __init__(self, error: psycopg.OperationalError) -> None:
        super().__init__(str(error))
        self.error = error
