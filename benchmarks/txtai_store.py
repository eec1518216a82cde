"""What one more batch costs in an index of a given size, and what one more user costs in memory."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.local_store import LocalStorage, LocalStore
from benchmarks.txtai_texts import DIMENSIONS, RandomEncoder, vectors

__all__ = ["filled", "growth", "memory"]

_BATCH = 20
_FILLED_AT_ONCE = 1024


def store(root: Path, user: str) -> LocalStore:
    """Return an open store."""
    made = LocalStorage(root, RandomEncoder.identity, DIMENSIONS).user(user)
    made.open()
    return made


def take(target: LocalStore, first: int, count: int) -> None:
    """Accept documents with the given numbers, and make them searchable."""
    target.put(documents((f"id-{number}", f"text {number} of an index") for number in range(first, first + count)))
    while batch := target.pending(_FILLED_AT_ONCE):
        target.apply(batch, vectors([one.text for one in batch.upserts]))


def filled(target: LocalStore, size: int, *, settle: bool = False) -> None:
    """Fill a store; with `settle`, with the snapshots that a runtime takes on the way."""
    for first in range(0, size, _FILLED_AT_ONCE):
        take(target, first, min(_FILLED_AT_ONCE, size - first))
        if settle:
            target.settle()


def growth(size: str) -> dict[str, Any]:
    """Add batches of 20 documents to a store of `size` as a runtime does, until a snapshot has been due once."""
    held = int(size)
    with tempfile.TemporaryDirectory() as folder:
        target = store(Path(folder), "alice")
        filled(target, held)
        target.settle(force=True)
        spent: list[float] = []
        taken = False
        while not taken:
            started = time.perf_counter()
            take(target, held + len(spent) * _BATCH, _BATCH)
            spent.append(time.perf_counter() - started)
            started = time.perf_counter()
            taken = target.settle()
        snapshot = time.perf_counter() - started
        target.close()
    return {"index": statistics.median(spent), "snapshot": snapshot, "batches": len(spent)}


def memory(users: str, size: str) -> dict[str, Any]:
    """Return the growth of this process for each of `users` open stores, in bytes, after a first few; on Linux."""
    with tempfile.TemporaryDirectory() as folder:
        stores = [_full(folder, f"first-{number}", int(size)) for number in range(3)]
        gc.collect()
        before = _resident()
        stores += [_full(folder, f"user-{number}", int(size)) for number in range(int(users))]
        gc.collect()
        grown = _resident() - before
        for one in stores:
            one.close()
    return {"bytes": grown / int(users)}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _full(folder: str, user: str, size: int) -> LocalStore:
    made = store(Path(folder), user)
    filled(made, size)
    made.settle(force=True)
    return made
