"""Foreign errors of the disk and of SQLite, turned into ours."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Final

from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.storage import DamagedIndex, StorageError

__all__ = ["storage_errors"]

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def storage_errors(doing: str, path: Path) -> Iterator[None]:
    """Raise StorageError or DamagedIndex, which name what was being done and where, for what OSError and SQLite say."""
    try:
        yield
    except sqlite3.Error as error:
        raise _of_sqlite(doing, path, error) from error
    except OSError as error:
        raise _of_system(doing, path, error) from error


def _of_system(doing: str, path: Path, error: OSError) -> StorageError:
    if error.errno in _FULL:
        return _full(doing, path)
    if error.errno in _FORBIDDEN:
        return _forbidden(doing, path)
    return StorageError(f"{doing} failed in {path}: {scrub(str(error))}", "look at the directory and the disk under it")


def _of_sqlite(doing: str, path: Path, error: sqlite3.Error) -> StorageError:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
        return _full(doing, path)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return _forbidden(doing, path)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageError(
            f"{doing} failed: another process holds {path} for too long", "find the process that has the file open"
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DamagedIndex(
            f"{doing} failed: {path} is damaged ({scrub(str(error))})",
            f"alwrity-doctor txtai repair {quote(str(path.parent))} --into NEW_DIRECTORY",
        )
    return StorageError(f"{doing} failed in {path}: {name}: {scrub(str(error))}", "look at the file and its disk")


def _full(doing: str, path: Path) -> StorageError:
    return StorageError(
        f"{doing} failed: no space is left for {path}", "make room on the disk; what was accepted before is kept"
    )


def _forbidden(doing: str, path: Path) -> StorageError:
    return StorageError(
        f"{doing} failed: {path} cannot be written", "give the process's user the right to write in this directory"
    )
