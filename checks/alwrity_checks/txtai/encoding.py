"""One thread per model, which loads it and encodes for every user.

Two threads in one model gain nothing on a CPU, have been seen to crash, and a thread per user costs memory without
bound. So all texts come to one queue. A query goes before documents; documents go in batches of 32 in turn, so that
nobody waits for another's ten thousand.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from alwrity_checks.events import emit
from alwrity_checks.txtai.encoder import BATCH, Encoder
from alwrity_checks.txtai.errors import Closed
from alwrity_checks.txtai.initialisation import Condition, Initialisation, State
from alwrity_checks.txtai.point import point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EncoderRegistry", "EncoderThread", "Urgency", "shared_encoders"]

LONGEST_READ: Final = 100_000
"""Characters of a text that reach the model, many times what it takes in; its tokenizer would need 12 s and 1.5 GB for
a text of 10 MB, and every user's query would wait for that."""

_log: Final = logging.getLogger("alwrity_checks.txtai")


class Urgency(IntEnum):
    """What goes first."""

    QUERY = 0
    """Somebody waits for the answer."""
    DOCUMENTS = 1


@dataclass(slots=True)
class _Job:
    texts: Sequence[str]
    future: Future[NDArray[np.float32]]
    order: list[int]
    """Positions of the texts, the longest text first: texts of one length go through the model without padding."""
    done: int = 0
    vectors: NDArray[np.float32] | None = field(default=None)


class EncoderThread:
    """A model and the thread that uses it. Thread-safe; usable from any number of event loops."""

    def __init__(self, load: Callable[[], Encoder], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Name what loads the model; nothing is loaded before `start`."""
        self._load = load
        self._loading: Initialisation[Encoder] = Initialisation(clock=clock)
        self._changed = threading.Condition()
        self._jobs: list[tuple[Urgency, int, _Job]] = []
        self._turns = itertools.count()
        self._thread: threading.Thread | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to load the model, in the background; a failure is tried again for as long as it takes."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="txtai-encoder", daemon=True)
                self._thread.start()

    @property
    def condition(self) -> Condition:
        """How the model's loading stands."""
        return self._loading.condition

    def observe(self) -> tuple[Condition, Future[None]]:
        """Return the condition and a future that is done as soon as it is another."""
        return self._loading.observe()

    def until_retry(self) -> float:
        """Seconds until a failed loading is tried again."""
        return self._loading.until_retry()

    @property
    def encoder(self) -> Encoder | None:
        """The model, once it is loaded."""
        loaded = self._loading.get()
        return loaded[1] if loaded else None

    def encode(self, texts: Sequence[str], urgency: Urgency) -> Future[NDArray[np.float32]]:
        """Return a future of the vectors: float32 of shape (len(texts), dimensions), normalised.

        It waits for the model if that is not loaded yet. It fails with what the model raised, or with Closed.
        """
        future: Future[NDArray[np.float32]] = Future()
        job = _Job(texts, future, sorted(range(len(texts)), key=lambda position: -len(texts[position])))
        with self._changed:
            if not self._closing:
                heapq.heappush(self._jobs, (urgency, next(self._turns), job))
                self._changed.notify()
                return future
        future.set_exception(Closed())
        return future

    def close(self, timeout: float | None) -> bool:
        """Encode nothing any more; say whether the thread has ended within `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        self._loading.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        else:
            self._dismiss()
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while not self._closing:
            attempt = self._loading.begin()
            if attempt is not None:
                self._attempt(attempt)
                continue
            entry = self._next()
            if entry is not None:
                self._advance(*entry)
        self._dismiss()

    def _next(self) -> tuple[Urgency, int, _Job] | None:
        """Return what to encode next; wait if there is nothing, or no model to do it with."""
        with self._changed:
            if self._closing:
                return None
            if self._loading.condition.state is not State.READY:
                self._changed.wait(self._loading.until_retry())
                return None
            if not self._jobs:
                self._changed.wait()
                return None
            return heapq.heappop(self._jobs)

    def _attempt(self, attempt: int) -> None:
        try:
            self._loading.succeed(attempt, self._load())
        except Exception as error:  # noqa: BLE001 - whatever a library raises: it is kept, shown and tried again
            emit(_log, logging.WARNING, "txtai.encoder-unloaded", "the encoder could not be loaded", error=error)
            self._loading.fail(attempt, error)

    def _advance(self, urgency: Urgency, _turn: int, job: _Job) -> None:
        """Encode the next batch of a job."""
        encoder = self.encoder
        if encoder is None or (job.done == 0 and not job.future.set_running_or_notify_cancel()):
            return
        try:
            self._batch(encoder, job)
        except Exception as error:  # noqa: BLE001 - the asker's to judge; the next job may do
            job.future.set_exception(error)
            return
        if job.done < len(job.texts):
            with self._changed:
                heapq.heappush(self._jobs, (urgency, next(self._turns), job))
        elif job.vectors is not None:
            job.future.set_result(job.vectors)

    @staticmethod
    def _batch(encoder: Encoder, job: _Job) -> None:
        import numpy as np

        positions = job.order[job.done : job.done + BATCH]
        if job.vectors is None:
            job.vectors = np.empty((len(job.texts), encoder.dimensions), dtype=np.float32)
        point("encoding", encoder)
        if positions:
            job.vectors[positions] = encoder.encode([_beginning(job.texts[position]) for position in positions])
        point("encoded", encoder)
        job.done += len(positions)

    def _dismiss(self) -> None:
        with self._changed:
            jobs, self._jobs = self._jobs, []
        for _, _, job in jobs:
            if job.done or job.future.set_running_or_notify_cancel():
                job.future.set_exception(Closed())


def _beginning(text: str) -> str:
    """Return as much of a text as a model can take in; in a long one, runs of blanks count as one."""
    return text if len(text) <= LONGEST_READ else " ".join(text[: 100 * LONGEST_READ].split())[:LONGEST_READ]


class EncoderRegistry:
    """The encoder threads of a process: one for each model, for as long as somebody needs it."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        """Start empty: in a forked child the threads of the parent do not exist."""
        self._lock = threading.Lock()
        self._threads: dict[Hashable, tuple[EncoderThread, int]] = {}

    def acquire(self, key: Hashable, load: Callable[[], Encoder]) -> EncoderThread:
        """Return the thread of the model `key`, made now if there is none; `release` it once for each time."""
        with self._lock:
            thread, users = self._threads[key] if key in self._threads else (EncoderThread(load), 0)
            self._threads[key] = thread, users + 1
            return thread

    def release(self, key: Hashable, thread: EncoderThread, timeout: float | None) -> bool:
        """Give up what `acquire` returned; the last one to do so ends it. Say whether it ended, if it was to end."""
        with self._lock:
            known, users = self._threads.get(key, (None, 0))
            if known is thread and users > 1:
                self._threads[key] = thread, users - 1
                return True
            if known is thread:
                del self._threads[key]
        return thread.close(timeout)


shared_encoders: Final = EncoderRegistry()
"""The registry that every SemanticIndexes of this process uses unless it is given another."""
