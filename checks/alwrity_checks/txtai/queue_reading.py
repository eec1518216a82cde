"""A user's queue, for those who only look: also on a disk that takes no writes, such as a mounted snapshot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from alwrity_checks.txtai.contents import copied
from alwrity_checks.txtai.faults import storage_errors
from alwrity_checks.txtai.journal import Journal

__all__ = ["queue_of"]


@contextmanager
def queue_of(directory: Path) -> Iterator[Journal | None]:
    """Open the queue in a user's directory; None where there is none. Raises StorageError.

    SQLite writes beside a file with a write-ahead log even where it only reads. Where that is forbidden the queue is
    read in a copy; elsewhere it is not, because it may be in use, and would change while it is being copied.
    """
    path = directory / "queue.sqlite3"
    if not path.exists():
        yield None
        return
    # This asks about the file system, too, and so holds for root.
    forbidden = not (os.access(path, os.W_OK) and os.access(directory, os.W_OK))
    with ExitStack() as copies:
        with storage_errors("copying the queue", path):
            readable = copies.enter_context(copied(path)) if forbidden else path
        with closing(Journal(readable, durable=False)) as journal:
            yield journal
