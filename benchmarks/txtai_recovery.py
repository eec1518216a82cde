"""How long it takes until everything is searchable again after the process was killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.txtai_store import filled, store, take
from benchmarks.txtai_texts import vectors

__all__ = ["fill_and_die", "reopen"]

_UNSAVED = 1000
"""Documents after the last snapshot: nearly as many as there may be before the next is due at 10,000."""


def fill_and_die(folder: str, size: str) -> dict[str, Any]:
    """Make so many documents searchable, the last of them without a snapshot, and kill this process."""
    target = store(Path(folder), "alice")
    filled(target, int(size) - _UNSAVED)
    target.settle(force=True)
    take(target, int(size) - _UNSAVED, _UNSAVED)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def reopen(folder: str, size: str) -> dict[str, Any]:
    """Open what the killed process left, and return how long that took, in seconds, besides the imports."""
    store(Path(folder, "imports"), "nobody").close()
    import txtai.embeddings  # type: ignore[import-untyped] # noqa: F401 - not what is measured here

    started = time.perf_counter()
    target = store(Path(folder), "alice")
    while batch := target.pending():
        target.apply(batch, vectors([one.text for one in batch.upserts]))
    spent = time.perf_counter() - started
    found = target.status().documents
    last = f"text {int(size) - 1} of an index"
    (hit,) = target.search(vectors([last])[0], 1)
    target.close()
    return {"seconds": spent, "missing": int(size) - found + (hit.text != last)}
