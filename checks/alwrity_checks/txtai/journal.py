"""The queue of one user: what was accepted, in order, in an SQLite file with a write-ahead log.

A commit with `synchronous=FULL` is the acknowledgement. A row keeps its vector once it was encoded, so that a replay
after a crash encodes nothing. Rows that came to nothing (overtaken in their batch, or unchanged) are removed as soon as
their batch is applied, and the others when two generations hold them.

| table          | a row is                                                                                      |
|----------------|-----------------------------------------------------------------------------------------------|
| `queue`        | an operation: `upsert`, `delete`, `clear`, or `removed` (what a `clear` came to)              |
| `bodies`       | the text and fields of an upsert; the ids of a `removed`                                      |
| `vectors`      | the vector of an applied upsert, float32                                                      |
| `dead_letters` | an upsert that cannot be indexed, with the reason                                             |
| `state`        | `applied`: the last row that is applied and has its vector; `trimmed`; `encoder`              |
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alwrity_checks.events import emit
from alwrity_checks.txtai.documents import Document
from alwrity_checks.txtai.faults import storage_errors
from alwrity_checks.txtai.storage import DeadLetter, NotOpen

__all__ = ["Applied", "Journal", "Replaced", "Row", "State", "Window", "coalesced"]

# AUTOINCREMENT, because SQLite would reuse the numbers of trimmed rows, which would then lie under the watermark.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS queue (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT NOT NULL, id TEXT, digest TEXT, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS queue_by_id ON queue (id, seq, digest);
CREATE INDEX IF NOT EXISTS queue_clears ON queue (seq) WHERE op = 'clear';
CREATE TABLE IF NOT EXISTS bodies (
    seq INTEGER PRIMARY KEY REFERENCES queue ON DELETE CASCADE, text TEXT, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vectors (
    seq INTEGER PRIMARY KEY REFERENCES queue ON DELETE CASCADE, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS dead_letters (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL, digest TEXT NOT NULL,
    reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""
_ROWS: Final = """
SELECT queue.seq, op, id, digest, text, fields, vector
FROM queue LEFT JOIN bodies USING (seq) LEFT JOIN vectors USING (seq)
WHERE queue.seq > ? AND queue.seq <= ? ORDER BY queue.seq LIMIT ?
"""
_CACHE_KIB: Final = 128
"""Of SQLite's pages in memory, for each of the two connections of an open store; rows are read once, in order."""
_BUSY_SECONDS: Final = 15.0
_PAUSE: Final = 0.005
_TRIMMED_AT_ONCE: Final = 500
_LARGEST_WINDOW: Final = 16_000_000
"""Characters of the texts that one window brings into memory; its first row comes whatever its size."""

_log: Final = logging.getLogger(__name__)


class Replaced(NotOpen):
    """The file of the queue was removed or replaced while it was in use: what was read of it says nothing any more."""


@dataclass(frozen=True, slots=True)
class Row:
    """An operation in the queue."""

    seq: int
    op: str
    id: str
    digest: str = ""
    text: str = ""
    fields: str = "{}"
    vector: bytes | None = None

    def document(self) -> Document:
        """Return the document of an upsert."""
        return Document(self.id, self.text, json.loads(self.fields), self.digest)


@dataclass(frozen=True, slots=True)
class Window:
    """The next operations, coalesced by id."""

    sequence: int
    rows: Mapping[str, Row]
    spared: frozenset[str] | None = None
    """The window is one `clear`: the ids on which later rows decide; None for any other window."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a window."""

    after: int
    sequence: int
    """The window's rows are those after `after` up to `sequence`."""
    vectors: Mapping[int, bytes]
    """The vectors of the upserts, by row."""
    dropped: Sequence[int]
    """The rows that change nothing."""
    ids: Sequence[str]
    """The ids on which the window decided."""
    removed: Sequence[str] | None = None
    """The ids that the window's `clear` removed; None for any other window."""


@dataclass(frozen=True, slots=True)
class State:
    """How the queue stands."""

    last: int
    """The last sequence that was given out; 0 before the first."""
    applied: int
    """The last row that is applied and has its vector, as far as the queue knows."""
    trimmed: int
    """Rows up to this one are in generations alone."""
    encoder: str | None


def coalesced(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the last operation on each id, in the order of those operations."""
    winners: dict[str, Row] = {}
    for row in rows:
        for one in _split(row):
            winners.pop(one.id, None)
            winners[one.id] = one
    return winners


def _split(row: Row) -> list[Row]:
    return [Row(row.seq, "delete", one) for one in json.loads(row.fields)] if row.op == "removed" else [row]


class Journal:
    """A connection to a user's queue. Thread-safe; opened by its first use, in whatever process that is."""

    def __init__(self, path: Path, *, durable: bool, floor: Callable[[], int] = lambda: 0) -> None:
        """Name the file; a commit of a `durable` journal waits for the disk, as an acknowledgement must.

        `floor` says up to which sequence the generations hold everything. A file that knows less is not the one they
        came from: it was lost, or put back from an older copy. What it accepted under those numbers would be taken for
        done, so it goes on after them.
        """
        self.path = path
        self._durable = durable
        self._floor = floor
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._pid = os.getpid()
        self._inherited: list[sqlite3.Connection | None] = []

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def _transaction(self, doing: str, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            # SQLite forbids to carry a connection over a fork, and that includes closing it: so it is kept, unused.
            self._inherited.append(self._connection)
            self._lock, self._connection, self._pid = threading.Lock(), None, os.getpid()
        with self._lock, storage_errors(doing, self.path):
            self._look_for_replacement()
            if self._connection is None:
                self._connection = self._opened()
                self._file = self._file_now()
            connection = self._connection
            connection.execute(begin)
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _look_for_replacement(self) -> None:
        """Let go of a file that is not there any more: SQLite would go on to commit into it, and nobody would read it.

        What is accepted goes into the file that is there now; a reader has to begin anew.
        """
        if self._connection is None or self._file_now() == self._file:
            return
        connection, self._connection = self._connection, None
        connection.close()
        if not self._durable:
            raise Replaced(
                f"{self.path} was removed or replaced while it was in use",
                "stop the backend before its files are moved",
            )

    def _file_now(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            # Empty tables need not wait for the disk: they reach it, in the same log, with the first acknowledgement.
            connection.execute("PRAGMA synchronous=NORMAL")
            _write_ahead(connection)
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            self._go_on_after(connection, self._floor())
            if self._durable:
                connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _go_on_after(self, connection: sqlite3.Connection, floor: int) -> None:
        if _last(connection) >= floor:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            last = _last(connection)
            if last < floor:
                connection.execute("DELETE FROM sqlite_sequence WHERE name = 'queue'")
                connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('queue', ?)", (floor,))
                _set(connection, trimmed=floor)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        if last < floor:
            emit(
                _log,
                logging.WARNING,
                "txtai.queue-lost",
                "a queue was lost or put back from an older copy: what was accepted after the snapshot is gone with it",
                queue=self.path,
                ends_at=last,
                snapshot_at=floor,
            )

    def put(self, upserts: Sequence[Document], deletes: Sequence[str], *, clear: bool) -> int:
        """Accept operations in one commit and return the last sequence."""
        now = time.time()
        with self._transaction("accepting documents") as connection:
            add = "INSERT INTO queue (op, id, at) VALUES (?, ?, ?)"
            if clear:
                connection.execute(add, ("clear", None, now))
            connection.executemany(add, (("delete", one, now) for one in deletes))
            for document in upserts:
                _add(connection, document, now)
            return _last(connection)

    def window(self, after: int, limit: int) -> Window:
        """Return the operations after the row `after`, of at most `limit` rows, or the last `clear` among all of them.

        What comes before a `clear` is void, and on an id that occurs after it the later row decides.
        """
        with self._transaction("reading the queue", "BEGIN") as connection:
            clear = connection.execute("SELECT max(seq) FROM queue WHERE op = 'clear' AND seq > ?", (after,)).fetchone()
            if clear[0] is not None:
                later = connection.execute("SELECT DISTINCT id FROM queue WHERE seq > ? AND id NOT NULL", clear)
                return Window(clear[0], {}, frozenset(one for (one,) in later))
            last = _last(connection)
            rows, all_of_them = _rows(connection, after, last, limit)
            return Window(last if all_of_them else rows[-1].seq, coalesced(rows))

    def replay(self, after: int, limit: int) -> tuple[State, list[Row]]:
        """Return how the queue stands, and the applied rows after `after`, at most `limit` of them, with vectors."""
        with self._transaction("reading the queue", "BEGIN") as connection:
            state = _state(connection)
            return state, _rows(connection, after, state.applied, limit)[0]

    def operations(self, after: int) -> list[Row]:
        """Return every operation after `after` that still matters, in order, one id each except for a `clear`."""
        with self._transaction("reading the queue", "BEGIN") as connection:
            rows = connection.execute(_ROWS, (after, _last(connection), -1))
            return [one for values in rows for one in _split(_row(values))]

    def note(self, applied: Applied, encoder: str) -> None:
        """Note in one commit that a window is applied, keep its vectors, and remove the rows that came to nothing."""
        after, sequence = applied.after, applied.sequence
        with self._transaction("noting what is applied") as connection:
            if applied.removed is not None:
                connection.execute("DELETE FROM queue WHERE seq > ? AND seq < ?", (after, sequence))
                connection.execute("UPDATE queue SET op = 'removed' WHERE seq = ?", (sequence,))
                connection.execute("INSERT INTO bodies VALUES (?, NULL, ?)", (sequence, json.dumps(applied.removed)))
                connection.execute("DELETE FROM dead_letters WHERE seq < ?", (sequence,))
            # Overtaken: a later row of the same window has the same id, be it one that is dropped next.
            connection.execute(
                """DELETE FROM queue WHERE seq > ?1 AND seq <= ?2 AND id NOT NULL AND EXISTS (
                       SELECT 1 FROM queue AS later
                       WHERE later.id = queue.id AND later.seq > queue.seq AND later.seq <= ?2)""",
                (after, sequence),
            )
            connection.executemany("DELETE FROM queue WHERE seq = ?", ((seq,) for seq in applied.dropped))
            connection.executemany("INSERT INTO vectors VALUES (?, ?)", applied.vectors.items())
            connection.executemany("DELETE FROM dead_letters WHERE id = ?", ((one,) for one in applied.ids))
            _set(connection, applied=sequence, encoder=encoder)

    def restart(self, encoder: str, documents: Iterable[Document], after: int) -> None:
        """Forget every vector, and accept `documents` anew unless a row after `after` says something of their id."""
        now = time.time()
        with self._transaction("changing the encoder") as connection:
            rows = connection.execute(
                "SELECT seq, op, id, NULL, NULL, fields, NULL FROM queue LEFT JOIN bodies USING (seq) WHERE seq > ?",
                (after,),
            )
            later = [_row(values) for values in rows]
            cleared = any(row.op == "clear" for row in later)
            decided = coalesced(later)
            for document in documents:
                if not cleared and document.id not in decided:
                    _add(connection, document, now)
            connection.execute("DELETE FROM vectors")
            _set(connection, applied=0, encoder=encoder)

    def bury(self, after: int, documents: Sequence[Document], reason: str) -> None:
        """Make dead letters of the upserts after `after` that bring just these documents."""
        with self._transaction("burying documents") as connection:
            for one in documents:
                named = (after, one.id, one.digest)
                which = "seq > ? AND id = ? AND digest = ? AND op = 'upsert'"
                rows = [seq for (seq,) in connection.execute(f"SELECT seq FROM queue WHERE {which}", named)]  # noqa: S608 - constants
                if rows:
                    connection.execute("DELETE FROM dead_letters WHERE id = ?", (one.id,))
                    fields = json.dumps(one.fields, allow_nan=False, ensure_ascii=False)
                    letter = (rows[-1], one.id, one.text, fields, one.digest, reason, time.time())
                    connection.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?)", letter)
                    connection.executemany("DELETE FROM queue WHERE seq = ?", ((seq,) for seq in rows))

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters in the order of their rows."""
        with self._transaction("reading the dead letters", "BEGIN") as connection:
            rows = connection.execute("SELECT seq, id, text, fields, digest, reason, at FROM dead_letters ORDER BY seq")
            return [
                DeadLetter(seq, Document(one, text, json.loads(fields), digest), reason, at)
                for seq, one, text, fields, digest, reason, at in rows
            ]

    def trim(self, through: int) -> None:
        """Remove the rows up to `through`, a few per commit, so that nobody who accepts documents waits for long."""
        while True:
            with self._transaction("trimming the queue") as connection:
                connection.execute(
                    "DELETE FROM queue WHERE seq IN (SELECT seq FROM queue WHERE seq <= ? ORDER BY seq LIMIT ?)",
                    (through, _TRIMMED_AT_ONCE),
                )
                _set(connection, trimmed=max(through, _state(connection).trimmed))
                if not connection.execute("SELECT 1 FROM queue WHERE seq <= ? LIMIT 1", (through,)).fetchone():
                    return

    def state(self) -> State:
        """Return how the queue stands."""
        with self._transaction("reading the queue", "BEGIN") as connection:
            return _state(connection)

    def count(self, after: int, through: int | None = None) -> tuple[int, float | None]:
        """Return the number of rows after `after` (up to `through`), and when the oldest of them was accepted."""
        with self._transaction("counting the queue", "BEGIN") as connection:
            last = _last(connection) if through is None else through
            where = "FROM queue WHERE seq > ? AND seq <= ?"
            count, at = connection.execute(f"SELECT count(*), min(at) {where}", (after, last)).fetchone()
            return count, at

    def count_dead_letters(self) -> int:
        """Return the number of dead letters."""
        with self._transaction("counting the dead letters", "BEGIN") as connection:
            return int(connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0])


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait, as for a transaction, where another is just at it."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _row(values: tuple[Any, ...]) -> Row:
    seq, op, one, digest, text, fields, vector = values
    return Row(seq, op, one or "", digest or "", text or "", fields or "{}", vector)


def _rows(connection: sqlite3.Connection, after: int, through: int, limit: int) -> tuple[list[Row], bool]:
    """Return the next rows, as many as one window may have, and whether these are all."""
    rows: list[Row] = []
    size = 0
    for values in connection.execute(_ROWS, (after, through, limit + 1)):
        size += len(values[4] or "")
        if len(rows) == limit or (rows and size > _LARGEST_WINDOW):
            return rows, False
        rows.append(_row(values))
    return rows, True


def _add(connection: sqlite3.Connection, document: Document, now: float) -> None:
    fields = json.dumps(document.fields, allow_nan=False, ensure_ascii=False)
    seq = connection.execute(
        "INSERT INTO queue (op, id, digest, at) VALUES ('upsert', ?, ?, ?)", (document.id, document.digest, now)
    ).lastrowid
    connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (seq, document.text, fields))


def _last(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'queue'").fetchone()
    return int(found[0]) if found else 0


def _state(connection: sqlite3.Connection) -> State:
    values = dict(connection.execute("SELECT name, value FROM state"))
    return State(_last(connection), values.get("applied", 0), values.get("trimmed", 0), values.get("encoder"))


def _set(connection: sqlite3.Connection, **values: int | str) -> None:
    connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())
