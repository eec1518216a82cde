"""The server's and the driver's errors, turned into ours.

What the server or the way to it is to blame for has an OSError as its cause: so nobody takes a document for the culprit
and buries it because the server was being restarted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.storage import StorageError

__all__ = ["database_errors"]

_KEPT: Final = "what was accepted before is kept"
_REMEDIES: Final = {
    "08": f"see whether the server runs and can be reached; {_KEPT}",
    "25": f"let the URL name the primary server: this one takes no writes; {_KEPT}",
    "28": "correct the user and the password in the URL",
    "3D": "create the database, or correct its name in the URL",
    "40": f"nothing is to be done: it is tried again; {_KEPT}",
    "53": f"give the server more disk, memory or connections; {_KEPT}",
    "55": f"see in pg_stat_activity who holds the lock; {_KEPT}",
    "57": f"see in the server's log why it ended the session; {_KEPT}",
    "58": f"look at the server's disk and its log; {_KEPT}",
    "XX": f"look at the server's log; {_KEPT}",
}
"""By the class of the SQLSTATE (PostgreSQL, appendix A): those that say nothing about a document."""
_FORBIDDEN: Final = "42501"
_UNDEFINED: Final = frozenset({"3F000", "42P01", "42703", "42883", "42704"})


@contextmanager
def database_errors(doing: str, place: str) -> Iterator[None]:
    """Raise StorageError, which names what was being done and where, for what the driver says."""
    try:
        yield
    except psycopg.Error as error:
        raise _of(doing, place, error) from _cause(error)


def _of(doing: str, place: str, error: psycopg.Error) -> StorageError:
    told = scrub((error.diag.message_primary or str(error) or type(error).__name__).strip())
    return StorageError(f"{doing} failed in the database at {place}: {told}", _remedy(error))


def _remedy(error: psycopg.Error) -> str:
    state = error.sqlstate or ""
    if state == _FORBIDDEN:
        return "GRANT the URL's user the rights on the database and on its schema alwrity_txtai"
    if state in _UNDEFINED:
        return "restart the process: the tables are made anew at its start; see who removed them"
    if not state and isinstance(error, psycopg.OperationalError):
        return _REMEDIES["08"]
    return _REMEDIES.get(state[:2], "")


def _cause(error: psycopg.Error) -> Exception:
    if not _remedy(error):
        return error
    cause = ConnectionError(scrub(str(error).strip()))
    cause.__cause__ = error
    return cause
