"""Documents, vectors and the queue in a PostgreSQL database with pgvector: for several processes, or several hosts.

Every host accepts and searches; one at a time makes a user's documents searchable. Nothing is kept in memory or on the
hosts' disks. What depends on what:

    store ──▶ queue, contents ──▶ database ──▶ pool, rights, schema ──▶ address, faults

The URL must lead to the server itself or to a pooler that leaves a client its session: advisory locks and settings
belong to sessions.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from alwrity_checks.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from alwrity_checks.redaction import Secret
    from alwrity_checks.txtai.postgres.store import PostgresStorage

__all__ = ["storage_at"]


def storage_at(url: Secret) -> Callable[[str, int], PostgresStorage]:
    """Return what makes the storage at a URL for an encoder's identity and dimensions; they share their connections.

    Nothing is connected yet. Raises MissingExtra, and ConfigurationError for what is no URL of a PostgreSQL database.
    """
    try:
        import psycopg  # noqa: F401 - the modules below need it
    except ImportError as error:
        raise MissingExtra("postgres", "a semantic index in PostgreSQL") from error
    from alwrity_checks.txtai.postgres.database import Database
    from alwrity_checks.txtai.postgres.store import PostgresStorage

    return partial(PostgresStorage, Database(url))
