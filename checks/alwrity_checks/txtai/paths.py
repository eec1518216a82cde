"""The directory of a user, and the steps by which a file reaches the disk for good.

<root>/<slug>-<hash>/
    user.json           the id, which no path is ever made from
    queue.sqlite3       what was accepted, in order (journal.py)
    CURRENT             the name of the last complete generation
    gen-000012/         a generation: txtai's files and applied.json (generations.py)
    tmp-000013/         a draft of the next one
    work-<pid>-<n>/     the database of an index in memory (engine.py)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alwrity_checks.txtai.storage import StorageError

__all__ = [
    "create_user_directory",
    "sync_directory",
    "sync_file",
    "user_directory",
    "user_of",
    "users_in",
    "write_file",
]

_LONGEST_SLUG: Final = 40
_USER_FILE: Final = "user.json"


def user_directory(root: Path, user_id: str) -> Path:
    """Return the directory for a user: a readable part for people, and 80 bits of the id's SHA-256 to tell it apart."""
    slug = re.sub(r"[^a-z0-9]+", "-", user_id.lower()).strip("-")[:_LONGEST_SLUG].rstrip("-") or "user"
    digest = hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return root / f"{slug}-{digest}"


def create_user_directory(directory: Path, user_id: str) -> None:
    """Make the directory of a user, so that it is still there after a power failure. Raises StorageError, OSError."""
    if directory.is_dir():
        owner = user_of(directory)
        if owner == user_id:
            return
        if owner is not None:
            raise StorageError(f"{directory} belongs to another user", "move the directory away")
    created = [one for one in (directory, *directory.parents) if not one.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    write_file(directory / _USER_FILE, json.dumps({"user": user_id}).encode())
    for one in created:
        sync_directory(one.parent)


def user_of(directory: Path) -> str | None:
    """Return the id of the user whose directory this is; None where it is nobody's."""
    try:
        owner = json.loads((directory / _USER_FILE).read_bytes())["user"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return owner if isinstance(owner, str) else None


def users_in(root: Path) -> Iterator[str]:
    """Yield the ids of the users who have a directory below `root`."""
    for directory in sorted(root.iterdir()) if root.is_dir() else ():
        user_id = user_of(directory)
        if user_id is not None and user_directory(root, user_id) == directory:
            yield user_id


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, durably: beside it, synced, then renamed onto it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    draft.write_bytes(content)
    sync_file(draft)
    draft.replace(path)
    sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Wait until the file's content has reached the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory have reached the disk; Windows has no call for it and does without."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
