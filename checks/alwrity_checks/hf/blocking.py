"""An event loop for callers that have none: in a thread of its own, so that connections outlive the call."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["BlockingLoop"]

T = TypeVar("T")


class BlockingLoop:
    """Runs coroutines for threads that wait; started by the first call, and anew in a forked child."""

    def __init__(self, closing: Callable[[], Awaitable[object]]) -> None:
        """Start nothing yet. `closing` is awaited on the loop before it ends."""
        self._closing = closing
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what `coroutine` returns, or raise what it raises; interrupted, it is cancelled."""
        if self._pid != os.getpid():  # a child has none of its parent's threads, and whoever held the lock is gone too
            self._pid, self._loop, self._lock = os.getpid(), None, threading.Lock()
        with self._lock:
            # What is handed over under the lock comes before a stop: nobody is left waiting on an ended loop.
            future = asyncio.run_coroutine_threadsafe(coroutine, self._started())
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread, and with CancelledError the calls that are under way."""
        if self._pid != os.getpid():
            return
        with self._lock:
            thread, loop, self._loop = self._thread, self._loop, None
            if loop is None or thread is None:
                return
            loop.call_soon_threadsafe(self._stop.set)
        if thread is not threading.current_thread():  # the last reference may be dropped there
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop, self._stop = asyncio.new_event_loop(), asyncio.Event()
            self._thread = threading.Thread(
                target=_serve, args=(loop, self._stop, self._closing), name="alwrity-hf", daemon=True
            )
            self._thread.start()
            self._loop = loop
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, closing: Callable[[], Awaitable[object]]) -> None:
    async def until_stopped() -> None:
        await stop.wait()
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await closing()
        await loop.shutdown_asyncgens()

    try:
        loop.run_until_complete(until_stopped())
    finally:
        # asyncio's own runner would wait for its threads in one more, which cannot be had while the process ends.
        loop.close()
