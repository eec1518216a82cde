"""Worker processes, and what to do when one dies.

A worker is a fresh interpreter: it imports what it needs and nothing else, and no thread or lock is copied into it.
While one part is read by it, the next one waits in its pipe. What it answers is taken up by a thread.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Self, cast

from alwrity_checks.logs.worker import START, Order

if TYPE_CHECKING:
    from alwrity_checks.logs.segments import Part

__all__ = ["Answer", "Died", "Pool"]

_WAITING: Final = 2
"""Parts that a worker is given at once: it never waits for us between two of them."""
_DEATHS: Final = 8
"""So many workers are started anew in a run, at most."""


class Answer(NamedTuple):
    """What a worker says of a part."""

    number: int
    kind: str
    value: Any


class Died(NamedTuple):
    """A worker is gone."""

    reading: int | None
    """The part that it was reading, if any."""
    waiting: tuple[int, ...]
    """Parts that it was given and had not begun."""
    status: str
    """How it ended."""


class _Worker:
    """One process, its pipes, and the thread that takes up its answers."""

    def __init__(self, order: bytes, answers: SimpleQueue[tuple[_Worker, Any]]) -> None:
        self.given: deque[int] = deque()
        self._answers = answers
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-S", "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._orders = cast("BinaryIO", self._process.stdin)
        self._thread = threading.Thread(target=self._take_up, name="alwrity-triage-answers", daemon=True)
        self._thread.start()
        self.send(order)

    def send(self, data: bytes) -> None:
        """Hand over; that a worker is gone is told by the thread."""
        with contextlib.suppress(OSError):
            self._orders.write(data)
            self._orders.flush()

    def _take_up(self) -> None:
        with cast("BinaryIO", self._process.stdout) as output:
            try:
                while True:
                    self._answers.put((self, pickle.load(output)))  # noqa: S301 - our own child's
            except Exception:  # noqa: BLE001 - the end of the pipe, or of a pickle that was cut by a death
                self._answers.put((self, None))

    def end(self, *, now: bool) -> str:
        """End the process and say how it ended."""
        if now:
            self._process.kill()
        with contextlib.suppress(OSError):
            self._orders.close()
        status = self._process.wait()
        self._thread.join()
        return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


class Pool:
    """A number of workers that read parts. To be closed, which leaves no process behind."""

    def __init__(self, workers: int, order: Order) -> None:
        """Start the workers. Raises OSError, and what pickle raises for an order that cannot be handed on."""
        self._order = pickle.dumps(sys.path) + pickle.dumps(order)
        self._answers: SimpleQueue[tuple[_Worker, Any]] = SimpleQueue()
        self._restarts = _DEATHS
        self._workers: list[_Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(_Worker(self._order, self._answers))
        except BaseException:
            self.close()
            raise

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return any(worker.given for worker in self._workers)

    @property
    def alive(self) -> bool:
        """Whether there is a worker left."""
        return bool(self._workers)

    def give(self, parts: deque[tuple[int, Part]]) -> None:
        """Take from `parts` what the workers have room for."""
        for worker in self._workers:
            while parts and len(worker.given) < _WAITING:
                number, part = parts.popleft()
                worker.given.append(number)
                worker.send(pickle.dumps((number, part)))

    def answer(self, *, wait: bool) -> Answer | Died | None:
        """Return the next answer; None where none is there and `wait` is false."""
        try:
            worker, said = self._answers.get(block=wait)
        except Empty:
            return None
        if said is not None:
            answer = Answer(*said)
            worker.given.remove(answer.number)
            return answer
        if worker not in self._workers:
            return None
        self._workers.remove(worker)
        status = worker.end(now=True)
        given = tuple(worker.given)
        if self._restarts:
            self._restarts -= 1
            self._workers.append(_Worker(self._order, self._answers))
        return Died(given[0] if given else None, given[1:], status)

    def close(self) -> None:
        """End all workers; those that still read something are killed."""
        for worker in self._workers:
            worker.end(now=bool(worker.given))
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
