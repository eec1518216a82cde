"""Permission to have a request under way: so many at once, and the longest queue first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Slots"]


class Slots:
    """A semaphore that serves the heaviest waiter first, and whose limit can change. It belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        """Let `limit` hold a slot at once."""
        self._limit = limit
        self._held = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @property
    def limit(self) -> int:
        """How many may be held at once; those held beyond a lowered limit stay."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._serve_soon()

    @asynccontextmanager
    async def hold(self, weight: int) -> AsyncIterator[None]:
        """Wait for a slot and hold it; whoever waits with the greatest `weight` comes next."""
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (-weight, next(self._numbers), granted))
        self._serve_soon()
        try:
            await granted
            yield
        finally:
            if granted.done() and not granted.cancelled():
                self._held -= 1
                self._serve_soon()

    def _serve_soon(self) -> None:
        # Not at once: who has just let go of a slot may want the next one, and outweigh those who wait.
        asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        while self._waiting and self._held < self._limit:
            _, _, granted = heapq.heappop(self._waiting)
            if not granted.done():
                self._held += 1
                granted.set_result(None)
