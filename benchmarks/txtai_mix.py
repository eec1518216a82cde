"""Everything at once: threads and event loops that add, search, delete and look, each with documents of its own."""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.local_store import LocalStorage
from benchmarks.txtai_texts import RandomEncoder

if TYPE_CHECKING:
    from alwrity_checks.txtai.index import SemanticIndex

__all__ = ["mix"]

_THREADS: Final = 8
_LOOPS: Final = 3
_USERS: Final = ("alice", "bob", "carol")
_IDS: Final = 20
_PATIENCE: Final = 300.0


class Worker:
    """One thread's or one loop's share: it knows what it has brought, and nobody else touches that."""

    def __init__(self, name: str, indexes: SemanticIndexes, operations: int) -> None:
        self.name = name
        self.indexes = indexes
        self.operations = operations
        self.expected: dict[tuple[str, str], str] = {}
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self._chance = random.Random(name)  # noqa: S311 - a plan of work

    def plan(self, number: int) -> tuple[str, SemanticIndex, str, str]:
        """Return what to do next, with whose index, and with which document."""
        user = self._chance.choice(_USERS)
        act = self._chance.choices(("search", "add", "delete", "status"), (55, 30, 10, 5))[0]
        one, text = f"{self.name}-{self._chance.randrange(_IDS)}", f"{self.name} wrote {number}"
        if act == "add":
            self.expected[user, one] = text
        elif act == "delete":
            self.expected.pop((user, one), None)
        self.done[act] += 1
        return act, self.indexes.of(user), one, text

    def thread(self) -> None:
        """Do the operations in this thread."""
        for number in range(self.operations):
            act, index, one, text = self.plan(number)
            acts: dict[str, Callable[[], object]] = {
                "search": partial(index.search_sync, text, timeout=_PATIENCE),
                "add": partial(index.add_sync, [(one, text)]),
                "delete": partial(index.delete_sync, [one]),
                "status": index.status,
            }
            try:
                acts[act]()
            except Exception as error:  # noqa: BLE001 - counted
                self.errors.append(f"{act}: {error!r}")

    async def coroutine(self) -> None:
        """Do the operations in this loop."""
        for number in range(self.operations):
            act, index, one, text = self.plan(number)
            try:
                if act == "search":
                    await index.search(text, timeout=_PATIENCE)
                elif act == "add":
                    await index.add([(one, text)])
                elif act == "delete":
                    await index.delete([one])
                else:
                    await asyncio.to_thread(index.status)
            except Exception as error:  # noqa: BLE001 - counted
                self.errors.append(f"{act}: {error!r}")

    def loop(self) -> None:
        """Do the operations in a loop of this thread's own."""
        asyncio.run(self.coroutine())


def mix(operations: str) -> dict[str, Any]:
    """Do so many operations from 8 threads and 3 event loops, and compare what is there with what was brought."""
    with tempfile.TemporaryDirectory() as folder:
        load = lambda _model: RandomEncoder()  # noqa: E731 - the encoder's loader
        indexes = SemanticIndexes(partial(LocalStorage, Path(folder)), load=load, encoders=EncoderRegistry())
        share = int(operations) // (_THREADS + _LOOPS) + 1
        workers = [Worker(f"w{number}", indexes, share) for number in range(_THREADS + _LOOPS)]
        threads = [
            threading.Thread(target=worker.loop if number < _LOOPS else worker.thread)
            for number, worker in enumerate(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wrong = sum(_wrong(indexes.of(user), user, workers) for user in _USERS)
        indexes.close_sync(_PATIENCE)
    errors = [error for worker in workers for error in worker.errors]
    done = sum((worker.done for worker in workers), Counter[str]())
    return {"operations": done.total(), "errors": len(errors), "first": errors[:3], "wrong": wrong}


def _wrong(index: SemanticIndex, user: str, workers: list[Worker]) -> int:
    """Return how many documents of a user are not what they should be."""
    index.delete_sync(["nobody's"], critical=True, timeout=_PATIENCE)
    expected = dict(
        itertools.chain.from_iterable(
            ((one, text) for (whose, one), text in worker.expected.items() if whose == user) for worker in workers
        )
    )
    wrong = abs(index.status().store.documents - len(expected))
    for one, text in expected.items():
        hits = index.search_sync(text, limit=1, timeout=_PATIENCE)
        wrong += not hits or (hits[0].id, hits[0].text) != (one, text)
    return wrong
