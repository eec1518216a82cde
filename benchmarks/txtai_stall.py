"""How late an event loop is at worst while documents are accepted, encoded, indexed and saved beside it."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from alwrity_checks.txtai.encoder import import_libraries
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.local_store import LocalStorage
from benchmarks.txtai_texts import titles

__all__ = ["stall"]

_BEAT = 0.005
_PATIENCE = 300.0


class _Watch:
    """Notes by how much each beat of the loop is late, in all and by the doing of this process.

    What the second leaves out is the time in which the loop's thread could have run and the system ran something else.
    What it counts is the wait for the interpreter and for locks: that is what a component does to a loop.
    """

    def __init__(self) -> None:
        self._late = self._ours = 0.0
        self._scheduled = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._task = asyncio.create_task(self._beat())

    def _waited(self) -> float:
        """Return how long this thread has waited for a processor so far, in seconds; see proc_pid_schedstat(5)."""
        return int(self._scheduled.read_text("ascii").split()[1]) / 1e9

    async def _beat(self) -> None:
        while True:
            waited, expected = self._waited(), time.perf_counter() + _BEAT
            await asyncio.sleep(_BEAT)
            late = time.perf_counter() - expected
            self._late = max(self._late, late)
            self._ours = max(self._ours, late - (self._waited() - waited))

    def worst(self) -> tuple[float, float]:
        """Return the worst since the last call, in all and by our doing, in seconds."""
        late, ours, self._late, self._ours = self._late, self._ours, 0.0, 0.0
        return late, ours

    def stop(self) -> None:
        """End."""
        self._task.cancel()


def stall(documents: str) -> dict[str, Any]:
    """Return the worst lateness in each phase, in all and ours, in seconds; the imports have been done before."""
    import_libraries()
    return asyncio.run(_stall(int(documents)))


async def _stall(documents: int) -> dict[str, Any]:
    texts = titles(documents)
    watch = _Watch()
    await asyncio.sleep(2.0)
    worst = {"idle": watch.worst()}
    with tempfile.TemporaryDirectory() as folder:
        indexes = SemanticIndexes(partial(LocalStorage, Path(folder)))
        await indexes.ready(_PATIENCE)
        worst["loading the model"] = watch.worst()
        receipt = await indexes.of("alice").add([{"id": text, "text": text} for text in texts])
        worst["accepting"] = watch.worst()
        await receipt.searchable(_PATIENCE)
        worst["encoding, indexing and saving"] = watch.worst()
        for text in texts[:20]:
            await indexes.of("alice").search(text)
        worst["searching"] = watch.worst()
        await indexes.close(_PATIENCE)
        worst["closing"] = watch.worst()
    watch.stop()
    return worst
