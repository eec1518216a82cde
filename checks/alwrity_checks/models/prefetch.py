"""Downloads in the background: a server asks for its models and goes on; what has become of them it can look at.

    downloads = Downloads.from_environment()
    downloads.start("Qwen/Qwen2.5-0.5B-Instruct")        # returns at once; nothing is asked over the network here
    downloads.status()["Qwen/…"].state                   # "waiting", "running", "done", "failed"
    directory = await downloads.wait_async("Qwen/…")     # or wait, in a thread

A failure that may pass is tried again, with pauses that grow to minutes; one that will not pass stays, with what to do
about it. Threads are daemons and are told to stop: neither closing nor the end of the process waits for a server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from alwrity_checks.errors import DoctorError
from alwrity_checks.events import emit
from alwrity_checks.models.errors import ModelError, ModelUnavailable
from alwrity_checks.models.reasons import Reason

if TYPE_CHECKING:
    from alwrity_checks.models.hub import Hub

__all__ = ["Downloads", "Progress", "State"]

State: TypeAlias = Literal["waiting", "running", "done", "failed"]

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0
_CLOSING_PATIENCE: Final = 2.0
_MARK_EVERY: Final = 0.1
_RATE_OVER: Final = 5.0
"""Seconds over which the rate is an average."""
_log: Final = logging.getLogger("alwrity_checks.models")


@dataclass(frozen=True, slots=True)
class Progress:
    """How a download stands."""

    state: State
    """`waiting` for its turn or for the next attempt; `failed` when there will be none."""
    done: int = 0
    """Bytes that are here."""
    total: int = 0
    """Bytes in all; 0 until the hub has said so."""
    rate: float = 0.0
    """Bytes a second, lately."""
    error: ModelError | None = None
    """Why the last attempt failed; None where none did, or the next has begun."""
    retry_at: float | None = None
    """When the next attempt begins, in seconds of the monotonic clock."""


class _Job:
    """One model's download, on a thread of its own, attempt after attempt."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.progress = Progress("waiting")
        self.result: Future[Path] = Future()
        self.result.set_running_or_notify_cancel()  # a waiter that gives up cancels nothing
        self.stop = threading.Event()
        self._marks: list[tuple[float, int]] = []

    def tell(self, done: int, total: int) -> None:
        """Note so many bytes."""
        now = time.monotonic()
        if not self._marks or now - self._marks[-1][0] >= _MARK_EVERY:
            self._marks = [mark for mark in self._marks if now - mark[0] <= _RATE_OVER] + [(now, done)]
        self.progress = Progress("running", done, total)

    def now(self) -> Progress:
        """Return the progress with the rate as it is at this moment: one that stands still has none."""
        at, progress = time.monotonic(), self.progress
        recent = next((mark for mark in self._marks if at - mark[0] <= _RATE_OVER), None)
        if progress.state != "running" or recent is None or at <= recent[0]:
            return progress
        return replace(progress, rate=max(0.0, (progress.done - recent[1]) / (at - recent[0])))

    def end(self, result: Path | DoctorError) -> None:
        """Note the end, and let the waiters go on."""
        if isinstance(result, Path):
            self.progress = replace(self.progress, state="done", done=self.progress.total, error=None)
            self.result.set_result(result)
            return
        error = result if isinstance(result, ModelError) else None
        self.progress = replace(self.progress, state="failed", error=error, retry_at=None)
        self.result.set_exception(result)


class Downloads:
    """Downloads of models, each at most once at a time. Thread-safe; no method but `wait` and `close` blocks.

    In a forked child nothing is under way: the threads are the parent's. What is started there anew goes on with the
    same files, or waits for the parent's download by the lock in the cache.
    """

    def __init__(
        self,
        hub: Callable[[], Hub],
        *,
        cache: Path | Callable[[], Path] | None = None,
        first_pause: float = _FIRST_PAUSE,
        longest_pause: float = _LONGEST_PAUSE,
        retries: int | None = None,
    ) -> None:
        """Take what makes the hub, and the cache or what finds it; both are called on the first download's thread.

        A failure that may pass is tried again after `first_pause` seconds, then twice as many, up to `longest_pause`;
        `retries` times at most, for None as long as the process lives. `Retry-After` is obeyed.
        """
        self._make_hub = hub
        self._cache = cache
        self._first, self._longest = first_pause, longest_pause
        self._retries = retries
        self._begin()
        _every.add(self)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Return downloads from the hub and into the cache that the environment names; looks at neither."""
        known = dict(os.environ if environment is None else environment)

        def hub() -> Hub:
            from alwrity_checks.models.hub import Hub

            return Hub.from_environment(known)

        def cache() -> Path:
            from alwrity_checks.models.cache import cache_directory

            return cache_directory(known)

        return cls(hub, cache=cache)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._threads: set[threading.Thread] = set()
        self._hub: Hub | None = None
        self._closed = False

    def start(self, model: str) -> None:
        """Begin to download `model`, unless that is under way or done; one that has failed begins again.

        Returns at once. Raises ModelUnavailable(HUB_OFFLINE) once closed.
        """
        with self._lock:
            if self._closed:
                raise ModelUnavailable(Reason.HUB_OFFLINE, "the downloads of this process are closed", "begin anew")
            job = self._jobs.get(model)
            if job is not None and job.progress.state != "failed":
                return
            job = self._jobs[model] = _Job(model)
            thread = threading.Thread(target=self._run, args=(job,), name=f"download {model}"[:60], daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except (RuntimeError, MemoryError) as error:
                # A download that nobody carries out would be waited for without end.
                self._threads.discard(thread)
                told = f"no thread could be started to download {model}: {error}"
                job.end(ModelUnavailable(Reason.HUB_ERROR, told, "raise the limit of threads, or free memory"))

    def status(self) -> Mapping[str, Progress]:
        """Return how each download stands that was ever started, by the model."""
        with self._lock:
            return {model: job.now() for model, job in self._jobs.items()}

    def wait(self, model: str, timeout: float | None = None) -> Path:
        """Return the model's directory once it is there; begins the download if nobody has. Never on an event loop.

        Raises what `download` raises; TimeoutError after `timeout` seconds, while the download goes on.
        """
        self.start_unless_begun(model)
        try:
            return self._job(model).result.result(timeout)
        except FutureTimeout:
            raise TimeoutError(f"{model} is not here after {timeout:g} s; its download goes on") from None

    async def wait_async(self, model: str) -> Path:
        """Do as `wait` does, without blocking the loop; cancelling it stops nothing but the waiting."""
        self.start_unless_begun(model)
        return await asyncio.shield(asyncio.wrap_future(self._job(model).result))

    def start_unless_begun(self, model: str) -> None:
        """Begin to download `model` unless that was begun before, even if it has failed."""
        with self._lock:
            known = model in self._jobs
        if not known:
            self.start(model)

    def _job(self, model: str) -> _Job:
        with self._lock:
            return self._jobs[model]

    def close(self) -> None:
        """Stop every download and let their waiters go, with Stopped; what has arrived is kept for the next process.

        Waits at most two seconds, for the threads to put their files down.
        """
        with self._lock:
            self._closed = True
            jobs, threads, hub = list(self._jobs.values()), list(self._threads), self._hub
        for job in jobs:
            job.stop.set()
        until = time.monotonic() + _CLOSING_PATIENCE
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))
        if hub is not None:
            hub.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, job: _Job) -> None:
        # Here and not above: a server that only asks for a download shall not wait for what carries it out.
        from alwrity_checks.models.transfer import Stopped

        try:
            job.end(self._persistently(job))
        except DoctorError as error:
            if not isinstance(error, Stopped):
                emit(
                    _log,
                    logging.WARNING,
                    "models.download-failed",
                    "a model cannot be downloaded",
                    model=job.model,
                    reason=getattr(error, "reason", None),
                    error=error,
                )
            job.end(error)
        except BaseException as error:  # a waiter must never wait for ever
            job.end(
                ModelUnavailable(
                    Reason.HUB_ERROR,
                    f"the download of {job.model} ended with {type(error).__name__}",
                    "this is a bug of alwrity-doctor: please report it with the traceback in the log",
                )
            )
            emit(
                _log,
                logging.ERROR,
                "models.download-failed",
                "the download of a model ended unforeseen",
                exc_info=True,
                model=job.model,
                reason=Reason.HUB_ERROR,
            )
            if not isinstance(error, Exception):
                raise
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _persistently(self, job: _Job) -> Path:
        from alwrity_checks.models.download import download
        from alwrity_checks.models.hub_answers import HubFault
        from alwrity_checks.models.transfer import Stopped

        cache = self._cache() if callable(self._cache) else self._cache
        failures = 0
        while True:
            furthest = job.progress.done
            try:
                job.progress = replace(job.progress, state="running", error=None, retry_at=None)
                return download(job.model, hub=self._our_hub(), cache=cache, progress=job.tell, stop=job.stop)
            except HubFault as fault:
                failures = 1 if job.progress.done > furthest else failures + 1
                if not fault.transient or (self._retries is not None and failures > self._retries):
                    raise
                pause = self._pause(failures, fault.retry_after)
                emit(
                    _log,
                    logging.WARNING,
                    "models.download-waits",
                    "a download did not come to its end, and goes on later",
                    model=job.model,
                    reason=fault.reason,
                    failures=failures,
                    retry_in=pause,
                    error=fault,
                )
                job.progress = replace(job.progress, state="waiting", error=fault, retry_at=time.monotonic() + pause)
                if job.stop.wait(pause):
                    raise Stopped from fault

    def _pause(self, failures: int, asked: float | None) -> float:
        if asked is not None:
            return min(asked, threading.TIMEOUT_MAX)
        grown = min(self._first * 2.0 ** min(failures - 1, 30), self._longest)
        return grown * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, hides nothing

    def _our_hub(self) -> Hub:
        with self._lock:
            if self._hub is None:
                self._hub = self._make_hub()
            return self._hub


_every: Final[weakref.WeakSet[Downloads]] = weakref.WeakSet()


def _forget_all() -> None:
    for one in list(_every):
        one._begin()  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
