"""A few threads for all users, to which tasks are given for now or for later."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from alwrity_checks.events import emit
from alwrity_checks.txtai.steps import deadline_of, remaining

__all__ = ["Workers"]

_log: Final = logging.getLogger("alwrity_checks.txtai")


class Workers:
    """Threads that carry out tasks, each when it is due. They are started with the first task."""

    def __init__(self, threads: int, name: str) -> None:
        self._changed = threading.Condition()
        self._tasks: list[tuple[float, int, Callable[[], None]]] = []
        self._turns = itertools.count()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        self._started = False
        self._closing = False

    def submit(self, task: Callable[[], None], delay: float = 0.0) -> None:
        """Have `task` carried out `delay` seconds from now; after `close` without effect."""
        with self._changed:
            if self._closing:
                return
            heapq.heappush(self._tasks, (time.monotonic() + delay, next(self._turns), task))
            if not self._started:
                self._started = True
                for thread in self._threads:
                    thread.start()
            self._changed.notify()

    def close(self, timeout: float | None) -> bool:
        """Drop what is not begun; say whether every thread has ended within `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._tasks.clear()
            self._changed.notify_all()
        deadline = deadline_of(timeout)
        running = [thread for thread in self._threads if self._started and thread is not threading.current_thread()]
        for thread in running:
            thread.join(remaining(deadline))
        return not any(thread.is_alive() for thread in running)

    def _run(self) -> None:
        while True:
            task = self._next()
            if task is None:
                return
            try:
                task()
            except Exception:  # noqa: BLE001 - one task that forgot to keep its failure must not stop all users
                emit(_log, logging.ERROR, "txtai.task-failed", "a task of the semantic index failed", exc_info=True)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closing:
                pause = self._tasks[0][0] - time.monotonic() if self._tasks else None
                if pause is not None and pause <= 0:
                    return heapq.heappop(self._tasks)[2]
                self._changed.wait(pause)
            return None
