"""The tables, and how they come into being: step by step, each once, whoever is first.

| table          | a row is                                                                                     |
|----------------|----------------------------------------------------------------------------------------------|
| `users`        | a user, and the last sequence that was given out; its lock puts the user's acceptances in order |
| `progress`     | how far a user's queue is applied, and with which encoder; its lock is for those who apply     |
| `queue`        | an operation that is accepted and not applied: `upsert`, `delete` or `clear`                  |
| `documents`    | a searchable document with its vector                                                        |
| `dead_letters` | an upsert that cannot be indexed, with the reason                                            |
| `version`      | the number of the steps that were taken                                                      |

`content` is JSON as it was sent (`text`, `fields`): of type json, because jsonb refuses a NUL and changes numbers.
`fields` is what searches filter by. `key` is the SHA-256 of an id: an id of 1024 characters is too long for an index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.txtai.storage import StorageError

if TYPE_CHECKING:
    from alwrity_checks.txtai.postgres.pool import Connection

__all__ = ["STEPS", "find_tables", "prepare"]

_OLDEST_SERVER: Final = 14
_LOCK: Final = 0x616C77726974795F
"""An advisory lock for those who make the tables."""

STEPS: Final = (
    """
    CREATE TABLE users (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key bytea NOT NULL UNIQUE,
        name text NOT NULL,
        last bigint NOT NULL);
    CREATE TABLE progress (
        user_number bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        applied bigint NOT NULL DEFAULT 0,
        generation bigint NOT NULL DEFAULT 0,
        encoder text NOT NULL,
        dimensions integer NOT NULL);
    CREATE TABLE queue (
        user_number bigint REFERENCES users ON DELETE CASCADE,
        seq bigint,
        op text NOT NULL,
        key bytea,
        id text,
        digest text,
        content json,
        fields jsonb,
        size integer NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (user_number, seq));
    CREATE INDEX queue_by_key ON queue (user_number, key);
    CREATE INDEX queue_clears ON queue (user_number, seq) WHERE op = 'clear';
    CREATE TABLE documents (
        user_number bigint REFERENCES users ON DELETE CASCADE,
        key bytea,
        id text NOT NULL,
        digest text NOT NULL,
        content json NOT NULL,
        fields jsonb NOT NULL,
        vector vector NOT NULL,
        PRIMARY KEY (user_number, key));
    -- Every search reads every vector of a user: it stays in its row, and a long content makes room.
    ALTER TABLE documents ALTER COLUMN vector SET STORAGE MAIN;
    CREATE TABLE dead_letters (
        user_number bigint REFERENCES users ON DELETE CASCADE,
        seq bigint,
        key bytea NOT NULL,
        id text NOT NULL,
        digest text NOT NULL,
        content json NOT NULL,
        reason text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (user_number, seq));
    """,
)
"""What leads from one version to the next. A step that was released is never changed: another is added."""

_PATH: Final = """
SELECT set_config('search_path', 'alwrity_txtai, ' || quote_ident(nspname), false)
FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'
"""


def prepare(connection: Connection, place: str, steps: tuple[str, ...] = STEPS) -> None:
    """Make the tables, or bring them up to date. Needs no right to make anything where all is there.

    Raises psycopg.Error, StorageError.
    """
    _check_server(connection, place)
    if _version(connection) < len(steps):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            _take(connection, place, steps)
    found = _version(connection)
    if found > len(steps):
        raise StorageError(
            f"the tables in the database at {place} are of version {found}, and this release knows {len(steps)}",
            "use the release of alwrity-doctor that the other hosts use, or a newer one",
        )


def find_tables(connection: Connection) -> None:
    """Let a session find the tables and pgvector by their names, and nothing else."""
    connection.execute(_PATH)


def _check_server(connection: Connection, place: str) -> None:
    version = connection.info.server_version // 10_000
    if version < _OLDEST_SERVER:
        raise StorageError(
            f"the server at {place} is PostgreSQL {version}", f"use PostgreSQL {_OLDEST_SERVER} or newer"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(
            f"the database at {place} is encoded as {encoding}: it cannot hold every character",
            "create a database WITH ENCODING 'UTF8'",
        )


def _version(connection: Connection) -> int:
    """Return the version of the tables; 0 where there are none, or no pgvector."""
    row = connection.execute(
        """SELECT to_regclass('alwrity_txtai.version') IS NOT NULL
           AND EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'vector')"""
    ).fetchone()
    if row != (True,):
        return 0
    row = connection.execute("SELECT max(number) FROM alwrity_txtai.version").fetchone()
    return int(row[0]) if row and row[0] else 0


def _take(connection: Connection, place: str, steps: tuple[str, ...]) -> None:
    if not connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        if not connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
            raise StorageError(
                f"the server at {place} has no pgvector", "install it on the server: apt install postgresql-NN-pgvector"
            )
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    if connection.execute("SELECT to_regclass('alwrity_txtai.version')").fetchone() == (None,):
        connection.execute("CREATE SCHEMA IF NOT EXISTS alwrity_txtai")
        connection.execute("CREATE TABLE alwrity_txtai.version (number integer PRIMARY KEY)")
    find_tables(connection)
    for number in range(_version(connection), len(steps)):
        connection.execute(steps[number])
        connection.execute("INSERT INTO version VALUES (%s)", (number + 1,))
