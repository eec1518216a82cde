"""The disk's part in a download: whether there is room, and what its errors mean."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.reasons import Reason

__all__ = ["SPARE", "disk_errors", "full", "require_room", "room"]

SPARE: Final = 64 << 20
"""Bytes that a download leaves free: a database or a log on the same disk has to be able to write."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_NOT_OURS: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR})
_UNITS: Final = ("B", "kB", "MB", "GB")


def room(directory: Path) -> int:
    """Return the bytes that this user can still write below `directory`, which need not be there yet."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return shutil.disk_usage(directory).free


def require_room(directory: Path, wanted: int, what: str) -> None:
    """Raise ModelUnavailable(DISK_FULL) unless `wanted` bytes fit and some are left."""
    if wanted and (free := room(directory)) < wanted + SPARE:
        raise full(directory, f"{what} needs {_told(wanted)} more, and {_told(max(0, free - SPARE))} can be used")


def full(directory: Path, because: str) -> ModelUnavailable:
    """Return the error of a disk that holds no more."""
    return ModelUnavailable(
        Reason.DISK_FULL,
        f"there is no room in {directory}: {because}",
        "free some (`hf cache ls`, `hf cache rm`), or set HF_HUB_CACHE to a larger disk, and start again",
    )


@contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Turn the block's OSErrors into ours: DISK_FULL, CACHE_READ_ONLY; any other one is FILE_CORRUPT's: unreadable."""
    try:
        yield
    except OSError as error:
        told = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _FULL:
            raise full(directory, told) from error
        if error.errno in _NOT_OURS:
            raise ModelUnavailable(
                Reason.CACHE_READ_ONLY,
                f"nothing can be written to {directory}: {told}",
                "set HF_HUB_CACHE to a directory that this user may write, or download as the user who owns it",
            ) from error
        raise ModelUnavailable(
            Reason.FILE_CORRUPT,
            f"the cache {directory} cannot be used: {told} ({Path(error.filename or directory).name})",
            "check the disk; removing the model's directory in the cache makes the next download begin anew",
        ) from error


def _told(amount: float) -> str:
    for unit in _UNITS[:-1]:
        if amount < 1000:  # noqa: PLR2004 - a disk's units are decimal
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} {_UNITS[-1]}"
