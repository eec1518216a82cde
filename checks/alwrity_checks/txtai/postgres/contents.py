"""The searchable documents, changed together with the watermark in one transaction.

Whoever applies a batch locks the user's progress, and skips it where another has it locked; and the batch must follow
the very operation up to which everything is applied. So of two hosts that have the same batch, one applies it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.txtai.point import point
from alwrity_checks.txtai.postgres.values import filter_of, key_of
from alwrity_checks.txtai.storage import Batch, Hit, StaleBatch, StorageError, StoreStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.postgres.pool import Connection
    from alwrity_checks.txtai.postgres.queue import Head

__all__ = ["adopt", "apply", "begin", "names", "note", "search", "status", "superseded"]

_LOCK: Final = """
SELECT applied, encoder, dimensions FROM progress WHERE user_number = %s FOR UPDATE SKIP LOCKED
"""
_DELETE: Final = "DELETE FROM documents WHERE user_number = %s AND key = ANY (%s)"
_UPSERT: Final = """
INSERT INTO documents (user_number, key, id, digest, content, fields, vector)
SELECT user_number, key, id, digest, content, fields, %s::real[]::vector
FROM queue WHERE user_number = %s AND seq = %s
ON CONFLICT (user_number, key) DO UPDATE SET
    digest = excluded.digest, content = excluded.content, fields = excluded.fields, vector = excluded.vector
"""
_FORGIVE: Final = """
DELETE FROM dead_letters AS letter WHERE user_number = %s AND EXISTS (
    SELECT 1 FROM queue WHERE queue.user_number = letter.user_number AND queue.seq > letter.seq AND queue.seq <= %s
    AND (queue.key = letter.key OR op = 'clear'))
"""
_TRIM: Final = "DELETE FROM queue WHERE user_number = %s AND seq <= %s"
_MOVE: Final = "UPDATE progress SET applied = %s, generation = generation + 1 WHERE user_number = %s"
_NOTE: Final = "UPDATE progress SET applied = %s WHERE user_number = %s AND applied = %s"

# The encoder stands in the query, so that a search never compares vectors of two encoders, nor meets one half changed;
# and the vector in a subquery of its own, so that it is converted once and not for every document.
_SEARCH: Final = """
WITH asked AS MATERIALIZED (SELECT %(vector)s::real[]::vector AS vector)
SELECT encoder, dimensions, id, content, 1 - distance FROM progress LEFT JOIN LATERAL (
    SELECT id, content, documents.vector <=> (SELECT vector FROM asked) AS distance
    FROM documents
    WHERE documents.user_number = progress.user_number
        AND progress.encoder = %(encoder)s AND progress.dimensions = %(dimensions)s
        AND fields @> %(present)s::jsonb AND NOT fields ?| %(absent)s::text[]
    ORDER BY distance, key LIMIT %(limit)s
) AS found ON true
WHERE progress.user_number = %(user)s ORDER BY distance
"""
_STATUS: Final = """
SELECT
    (SELECT count(*) FROM documents WHERE user_number = number),
    (SELECT count(*) FROM queue WHERE user_number = number),
    (SELECT extract(epoch FROM min(at)) FROM queue WHERE user_number = number),
    (SELECT count(*) FROM dead_letters WHERE user_number = number),
    coalesce(applied, 0), coalesce(generation, 0)
FROM users LEFT JOIN progress ON user_number = number WHERE key = %s
"""
_BEGIN: Final = """
WITH known AS (
    INSERT INTO users (key, name, last) VALUES (%s, %s, 0)
    ON CONFLICT (key) DO UPDATE SET last = users.last RETURNING number
)
INSERT INTO progress (user_number, encoder, dimensions) SELECT number, %s, %s FROM known
ON CONFLICT (user_number) DO NOTHING
"""
_LOCK_ENCODER: Final = "SELECT encoder, dimensions FROM progress WHERE user_number = %s FOR UPDATE"
_REQUEUE: Final = """
WITH again AS (
    INSERT INTO queue (user_number, seq, op, key, id, digest, content, fields, size, at)
    SELECT user_number, last + row_number() OVER (ORDER BY documents.key), 'upsert', documents.key, id, digest, content,
        fields, octet_length(content::text), clock_timestamp()
    FROM documents JOIN users ON number = user_number
    WHERE user_number = %(user)s AND NOT EXISTS (
        SELECT 1 FROM queue WHERE queue.user_number = documents.user_number
        AND (queue.key = documents.key OR queue.op = 'clear'))
    RETURNING seq
)
UPDATE users SET last = greatest(last, (SELECT max(seq) FROM again)) WHERE number = %(user)s
"""


def begin(connection: Connection, user_id: str, name: str, encoder: str, dimensions: int) -> None:
    """Note the encoder of a user who has none yet."""
    connection.execute(_BEGIN, (key_of(user_id), name, encoder, dimensions))


def adopt(connection: Connection, user: int, encoder: str, dimensions: int) -> None:
    """Change the encoder: every document is queued anew, unless an operation in the queue decides on it."""
    with connection.transaction():
        found = connection.execute(_LOCK_ENCODER, (user,)).fetchone()
        if found == (encoder, dimensions):
            return
        # As long as it takes: a time limit that is too short once is so for ever.
        connection.execute("SET LOCAL statement_timeout = 0")
        # Nobody accepts meanwhile: an operation accepted later comes after the documents that are queued here.
        connection.execute("SELECT 1 FROM users WHERE number = %s FOR NO KEY UPDATE", (user,))
        connection.execute(_REQUEUE, {"user": user})
        connection.execute("DELETE FROM documents WHERE user_number = %s", (user,))
        connection.execute(
            "UPDATE progress SET encoder = %s, dimensions = %s WHERE user_number = %s", (encoder, dimensions, user)
        )


def apply(connection: Connection, at: Head, batch: Batch, vectors: NDArray[np.float32]) -> None:
    """Make a batch searchable that was taken `at` this state of the queue. Raises StaleBatch, psycopg.Error.

    `vectors` is float32 of shape (len(batch.upserts), dimensions).
    """
    with connection.transaction():
        locked = connection.execute(_LOCK, (at.user,)).fetchone()
        if locked != (at.applied, at.encoder, at.dimensions):
            raise StaleBatch("another process applies for this user, or has", "ask for pending() again")
        point("applying", batch)
        connection.execute(_DELETE, (at.user, [key_of(one) for one in batch.deletes]))
        with connection.cursor() as cursor:
            rows = zip(vectors.tolist(), batch.rows, strict=True)
            cursor.executemany(_UPSERT, [(vector, at.user, row) for vector, row in rows])
        connection.execute(_FORGIVE, (at.user, batch.sequence))
        connection.execute(_TRIM, (at.user, batch.sequence))
        connection.execute(_MOVE, (batch.sequence, at.user))
        point("copied", batch)


def note(connection: Connection, at: Head, sequence: int) -> None:
    """Move the watermark over operations that were buried, unless another has moved it."""
    connection.execute(_NOTE, (sequence, at.user, at.applied))


def search(  # noqa: PLR0913 - what a search is made of
    connection: Connection,
    user: int,
    encoder: tuple[str, int],
    *,
    vector: NDArray[np.float32],
    limit: int,
    where: Mapping[str, Any],
) -> list[Hit]:
    """Return the nearest documents, by comparison with all that fit the filter: none is missed.

    Raises UnusableFilter, and StorageError where the documents have vectors of another encoder.
    """
    present, absent = filter_of(where)
    names = {
        "user": user,
        "vector": vector.tolist(),
        "encoder": encoder[0],
        "dimensions": encoder[1],
        "present": present,
        "absent": absent,
        "limit": max(limit, 0),
    }
    rows = connection.execute(_SEARCH, names).fetchall()
    if not rows or rows[0][:2] != encoder:
        raise superseded(encoder[0], rows[0][0] if rows else None)
    return [
        Hit(one, content["text"], min(score, 1.0), content["fields"])
        for _, _, one, content, score in rows
        if one is not None and score > 0
    ]


def superseded(ours: str, theirs: str | None) -> StorageError:
    """Return the error of a process whose encoder another has replaced while it ran."""
    return StorageError(
        f"the index was changed to the encoder {theirs}, and this process has {ours}",
        "give every host the same ALWRITY_TXTAI_MODEL, and restart those that have another",
    )


def status(connection: Connection, user_id: str) -> StoreStatus:
    """Return how the user's store stands."""
    row = connection.execute(_STATUS, (key_of(user_id),)).fetchone()
    if row is None:
        return StoreStatus(0, 0, None, 0, 0, 0)
    documents, queued, oldest, letters, applied, generation = row
    return StoreStatus(documents, queued, None if oldest is None else float(oldest), letters, applied, generation)


def names(connection: Connection) -> Iterator[str]:
    """Yield the users' names as they were kept."""
    for (name,) in connection.execute("SELECT name FROM users ORDER BY number"):
        yield name
