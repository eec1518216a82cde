"""What was accepted and is not searchable yet, in order.

A commit is the acknowledgement. The lock on the user's row makes the order of sequences the order of commits: otherwise
somebody who reads the queue could see a row and move the watermark past an earlier one that commits later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.txtai.postgres.values import comparable, content_of, document_of, key_of
from alwrity_checks.txtai.storage import Batch, DeadLetter

if TYPE_CHECKING:
    from alwrity_checks.txtai.documents import Document
    from alwrity_checks.txtai.postgres.pool import Connection

__all__ = ["Head", "Operation", "accept", "bury", "dead_letters", "head", "operations", "window"]

_LARGEST_WINDOW: Final = 16_000_000
"""Bytes of the documents that one window brings into memory; its first row comes whatever its size."""

_ACCEPT: Final = """
WITH numbered AS (
    INSERT INTO users (key, name, last) VALUES (%(user)s, %(name)s, %(count)s)
    ON CONFLICT (key) DO UPDATE SET last = users.last + excluded.last
    RETURNING number, last
), queued AS (
    INSERT INTO queue (user_number, seq, op, key, id, digest, content, fields, size, at)
    SELECT number, last - %(count)s + position, op, item.key, id, digest, content::json, fields::jsonb,
        coalesce(octet_length(content), 0), clock_timestamp()
    FROM numbered, unnest(
        %(ops)s::text[], %(keys)s::bytea[], %(ids)s::text[], %(digests)s::text[], %(contents)s::text[],
        %(fields)s::text[]
    ) WITH ORDINALITY AS item (op, key, id, digest, content, fields, position)
)
SELECT last FROM numbered
"""
_HEAD: Final = """
SELECT number, last, coalesce(applied, 0), encoder, dimensions
FROM users LEFT JOIN progress ON user_number = number WHERE key = %s
"""
_CLEAR: Final = "SELECT max(seq) FROM queue WHERE user_number = %s AND seq > %s AND op = 'clear'"
_NOT_SPARED: Final = """
SELECT id FROM documents WHERE user_number = %s AND NOT EXISTS (
    SELECT 1 FROM queue WHERE queue.user_number = documents.user_number AND queue.key = documents.key AND seq > %s)
"""
_ROWS: Final = """
WITH next AS (
    SELECT seq, op, key, id, digest, content, sum(size) OVER (ORDER BY seq) AS reach
    FROM queue WHERE user_number = %(user)s AND seq > %(after)s AND seq <= %(last)s ORDER BY seq LIMIT %(limit)s
)
SELECT seq, op, next.id, next.digest, next.content,
    next.digest IS NOT DISTINCT FROM documents.digest, (SELECT count(*) FROM next)
FROM next LEFT JOIN documents ON user_number = %(user)s AND documents.key = next.key
WHERE seq = (SELECT min(seq) FROM next) OR reach <= %(largest)s ORDER BY seq
"""
_BURY: Final = """
WITH item AS (SELECT * FROM unnest(%(keys)s::bytea[], %(digests)s::text[]) AS item (key, digest)),
buried AS (
    DELETE FROM queue USING item
    WHERE user_number = %(user)s AND op = 'upsert' AND queue.key = item.key AND queue.digest = item.digest
    RETURNING queue.*
), replaced AS (
    DELETE FROM dead_letters USING buried
    WHERE dead_letters.user_number = buried.user_number AND dead_letters.key = buried.key
)
INSERT INTO dead_letters (user_number, seq, key, id, digest, content, reason, at)
SELECT DISTINCT ON (key) user_number, seq, key, id, digest, content, %(reason)s, clock_timestamp()
FROM buried ORDER BY key, seq DESC
"""
_DEAD_LETTERS: Final = """
SELECT seq, id, digest, content, reason, extract(epoch FROM at)
FROM dead_letters WHERE user_number = (SELECT number FROM users WHERE key = %s) ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation to accept."""

    op: str
    id: str | None = None
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """How a user's queue stands."""

    user: int
    """The user's number."""
    last: int
    """The last sequence that was given out."""
    applied: int
    encoder: str | None
    """What made the vectors; None before the store was opened for the first time."""
    dimensions: int | None


def operations(upserts: Sequence[Document], deletes: Sequence[str], *, clear: bool) -> list[Operation]:
    """Return the operations of one call in their order."""
    return [
        *([Operation("clear")] if clear else ()),
        *(Operation("delete", one) for one in deletes),
        *(Operation("upsert", document.id, document) for document in upserts),
    ]


def accept(connection: Connection, user_id: str, accepted: Sequence[Operation]) -> int:
    """Accept operations in one statement, hence one commit, and return the last sequence of the user.

    Done twice, it comes to the same as once, with higher sequences.
    """
    documents = [one.document for one in accepted]
    row = connection.execute(
        _ACCEPT,
        {
            "user": key_of(user_id),
            "name": json.dumps(user_id),
            "count": len(accepted),
            "ops": [one.op for one in accepted],
            "keys": [None if one.id is None else key_of(one.id) for one in accepted],
            "ids": [one.id for one in accepted],
            "digests": [one and one.digest for one in documents],
            "contents": [one and content_of(one) for one in documents],
            "fields": [one and comparable(one.fields) for one in documents],
        },
    ).fetchone()
    return int(row[0]) if row else 0


def head(connection: Connection, user_id: str) -> Head | None:
    """Return how the user's queue stands; None where nothing was ever accepted and the store was never opened."""
    row = connection.execute(_HEAD, (key_of(user_id),)).fetchone()
    return Head(*row) if row else None


def window(connection: Connection, at: Head, limit: int) -> Batch:
    """Return the next operations, coalesced by id: of at most `limit` rows, or the last `clear` among all of them.

    What comes before a `clear` is void, and on an id that occurs after it the later row decides.
    """
    row = connection.execute(_CLEAR, (at.user, at.applied)).fetchone()
    if row and row[0] is not None:
        removed = connection.execute(_NOT_SPARED, (at.user, row[0])).fetchall()
        return Batch(row[0], deletes=tuple(one for (one,) in removed), cleared=True)
    names = {"user": at.user, "after": at.applied, "last": at.last, "limit": limit, "largest": _LARGEST_WINDOW}
    rows = connection.execute(_ROWS, names).fetchall()
    winners: dict[str, tuple[Any, ...]] = {}
    for values in rows:
        winners.pop(values[2], None)
        winners[values[2]] = values
    # Fewer rows than there could be, of those that fit in: then there are no more of them.
    complete = not rows or len(rows) == rows[0][6] < limit
    upserts = [values for values in winners.values() if values[1] == "upsert"]
    changed = [values for values in upserts if not values[5]]
    return Batch(
        at.last if complete else rows[-1][0],
        tuple(document_of(values[2], values[3], values[4]) for values in changed),
        tuple(values[2] for values in winners.values() if values[1] == "delete"),
        tuple(values[2] for values in upserts if values[5]),
        rows=tuple(values[0] for values in changed),
    )


def bury(connection: Connection, user: int, documents: Sequence[Document], reason: str) -> None:
    """Make dead letters of the upserts that bring just these documents."""
    names = {
        "user": user,
        "keys": [key_of(one.id) for one in documents],
        "digests": [one.digest for one in documents],
        "reason": reason.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    }
    connection.execute(_BURY, names)


def dead_letters(connection: Connection, user_id: str) -> list[DeadLetter]:
    """Return a user's dead letters, oldest first."""
    return [
        DeadLetter(seq, document_of(one, digest, content), reason, float(at))
        for seq, one, digest, content, reason, at in connection.execute(_DEAD_LETTERS, (key_of(user_id),))
    ]
