"""The first call on a fresh user: how long it takes, and whether what it brought is searchable later."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from alwrity_checks.txtai.encoder import import_libraries
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.local_store import LocalStorage
from benchmarks.txtai_texts import titles

__all__ = ["accept"]

_DOCUMENTS = 6
_LATER = 900.0
"""Seconds until the last of all documents must be searchable; they wait for one model on a shared machine."""


def accept(users: str, imported: str) -> dict[str, Any]:
    """Have so many users send a few documents each, then look for every document.

    The model is loaded meanwhile, and encodes. If `imported` is "cold", the libraries are imported meanwhile, too: that
    takes the interpreter for seconds, and everything in this process waits for it again and again.
    """
    if imported != "cold":
        import_libraries()
    return asyncio.run(_accept(int(users)))


async def _accept(users: int) -> dict[str, Any]:
    texts = titles(users * _DOCUMENTS)
    batches = {f"user-{number}": texts[number * _DOCUMENTS :][:_DOCUMENTS] for number in range(users)}
    latencies, receipts = [], []
    with tempfile.TemporaryDirectory() as folder:
        indexes = SemanticIndexes(partial(LocalStorage, Path(folder)))
        for user, batch in batches.items():
            index = indexes.of(user)
            items = [{"id": text, "text": text} for text in batch]
            started = time.perf_counter()
            receipts.append(await index.add(items))
            latencies.append(time.perf_counter() - started)
        deadline = time.monotonic() + _LATER
        for receipt in receipts:
            await receipt.searchable(max(0.0, deadline - time.monotonic()))
        searchable = 0
        for user, batch in batches.items():
            hits = await indexes.of(user).search(batch[0], limit=2 * _DOCUMENTS)
            here = await asyncio.to_thread(indexes.of(user).status)
            found = {hit.id for hit in hits} <= set(batch) and hits[0].id == batch[0]
            searchable += here.store.documents if found else 0
        await indexes.close()
    return {"latencies": latencies, "searchable": searchable / (users * _DOCUMENTS)}
