"""Models in memory, shared: loaded once for all threads and event loops, counted, and given back when idle.

A load runs on a thread of its own. It belongs to nobody who waits for it: a waiter whose time is up, or whose task is
cancelled, leaves it running for the others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from alwrity_checks.errors import DoctorError
from alwrity_checks.events import emit
from alwrity_checks.models.errors import LoadFailed, OutOfMemory
from alwrity_checks.models.loading import Condition, Loading, State
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.heap import give_back
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from types import TracebackType

    from alwrity_checks.models.steps import Step

__all__ = ["Closed", "ForkedProcess", "Lease", "NotLoadedYet", "SharedModels"]

M = TypeVar("M")

_log: Final = logging.getLogger("alwrity_checks.models")


class Closed(DoctorError):  # noqa: N818 - the condition's name
    """The registry was closed."""

    def __init__(self) -> None:
        super().__init__("the model registry is closed", "make another: ModelRegistry.from_environment()")


class ForkedProcess(DoctorError):  # noqa: N818 - the condition's name
    """A registry was used in a forked child: its threads, and those of the runtime's pool, are the parent's."""

    def __init__(self, owner: int) -> None:
        super().__init__(
            f"this model registry is in use by process {owner}, from which this process was forked",
            "make the ModelRegistry in each worker, after the fork; one that was never used may be inherited",
        )
        self.owner = owner


class NotLoadedYet(DoctorError):  # noqa: N818 - the condition's name
    """The time was up while the model was still being fetched or loaded; that goes on."""

    def __init__(self, step: Step, timeout: float) -> None:
        super().__init__(
            f"{step} is not loaded after {timeout:.0f} s; it goes on in the background",
            "call again later, allow more time, or pull the model ahead: alwrity-doctor models pull",
        )
        self.step = step


class Lease(Generic[M]):
    """The use of a loaded model: it stays in memory until `release`."""

    __slots__ = ("_release", "model")

    def __init__(self, model: M, release: Callable[[], None]) -> None:
        """Take the model, and what ends its use."""
        self.model = model
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """End the use; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> M:
        return self.model

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.release()


class SharedModels(Generic[M]):
    """The models of a process, by step. Thread-safe, and usable from any number of event loops."""

    def __init__(
        self,
        load: Callable[[Step], M],
        unload: Callable[[M], None],
        *,
        idle: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        """Name what loads a step, blocking, and what gives its model's memory back.

        A model that nobody has used for `idle` seconds is unloaded. Nothing is loaded, and no thread started, before
        somebody obtains a model.
        """
        self._load = load
        self._unload = unload
        self._idle = idle
        self._options = {"clock": clock} if jitter is None else {"clock": clock, "jitter": jitter}
        self._lock = threading.Lock()
        self._steps: dict[Step, Loading[M]] = {}
        self._stirred = threading.Condition()
        self._reaper: threading.Thread | None = None
        self._closed = False
        self._owner: int | None = None

    def conditions(self) -> Mapping[Step, Condition]:
        """Return how each step that somebody asked for stands."""
        with self._lock:
            return {step: one.condition for step, one in self._steps.items()}

    def resting(self, step: Step) -> Exception | None:
        """Return the failure for which `step` is not tried now; None if it may be."""
        one = self._steps.get(step)
        if one is None or one.condition.state is not State.FAILED or one.due:
            return None
        return one.condition.error

    def obtain(self, step: Step, timeout: float | None = None) -> Lease[M]:
        """Return the use of `step`'s model, loaded now if it is not: by one thread, however many ask.

        Raises the error of the load, also when it lies back and its time has not come; NotLoadedYet after `timeout`
        seconds; Closed; ForkedProcess.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            lease, changed = self._look(step)
            if lease is not None:
                return lease
            try:
                changed.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except FutureTimeout:
                raise NotLoadedYet(step, timeout or 0.0) from None

    async def obtain_async(
        self,
        step: Step,
        timeout: float | None = None,  # noqa: ASYNC109 - the same deadline as `obtain` has, and the load outlives it
    ) -> Lease[M]:
        """As `obtain`, without blocking the event loop; cancelling it cancels nothing but the waiting."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            lease, changed = self._look(step)
            if lease is not None:
                return lease
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                await asyncio.wait_for(asyncio.wrap_future(changed), remaining)
            except TimeoutError:
                raise NotLoadedYet(step, timeout or 0.0) from None

    def release_idle(self) -> int:
        """Unload what nobody has used for long enough, and return how many models that were."""
        with self._lock:
            every = tuple(self._steps.items())
        expired = [(step, model) for step, one in every if (model := one.expire(self._idle)) is not None]
        for step, model in expired:
            emit(
                _log,
                logging.INFO,
                "models.unloaded",
                "nobody has used a model for a while: unloaded",
                model=step.model,
                step=step,
                idle=self._idle,
            )
            self._discard(model)
        return len(expired)

    def close(self) -> None:
        """Load nothing any more, and unload what nobody uses; what is in use is unloaded by the last to release it.

        In a forked child it does nothing: the models are the parent's.
        """
        if self._owner not in {None, os.getpid()}:
            return
        with self._lock:
            self._closed = True
            every = tuple(self._steps.values())
        with self._stirred:
            self._stirred.notify_all()
        for one in every:
            model = one.close()
            if model is not None:
                self._discard(model)
        reaper = self._reaper
        if reaper is not None and reaper is not threading.current_thread():
            reaper.join(10.0)

    def _look(self, step: Step) -> tuple[Lease[M] | None, Future[None]]:
        """Return the use of the model if it is there, else what to wait for; begin an attempt if one is due."""
        one = self._of(step)
        while True:
            condition, changed = one.observe()
            entered = one.enter()
            if entered is not None:
                attempt, model = entered
                return Lease(model, partial(self._left, one, attempt)), changed
            if condition.state is State.CLOSED:
                raise Closed
            if condition.state is State.FAILED and not one.due and condition.error is not None:
                # A copy: one exception that many raise would gather the traceback of each.
                raise copy(condition.error)
            attempt_begun = one.begin()
            if attempt_begun is not None:
                self._begin(step, one, attempt_begun)
            elif condition.state is State.LOADING:
                return None, changed

    def refuse_fork(self) -> None:
        """Raise ForkedProcess in a forked child of the process that uses the models."""
        if self._owner not in {None, os.getpid()}:
            raise ForkedProcess(self._owner or 0)

    def _of(self, step: Step) -> Loading[M]:
        # Not even the lock may be touched: a thread of the parent may have held it at the fork.
        self.refuse_fork()
        with self._lock:
            if self._closed:
                raise Closed
            self._owner = os.getpid()
            one = self._steps.get(step)
            if one is None:
                one = self._steps[step] = Loading(**self._options)
            return one

    def _begin(self, step: Step, one: Loading[M], attempt: int) -> None:
        name = f"model-load-{step.model.rpartition('/')[2]}"
        try:
            threading.Thread(target=self._carry_out, args=(step, one, attempt), name=name, daemon=True).start()
        except (RuntimeError, MemoryError) as error:
            # An attempt that nobody carries out would be waited for without end.
            told = f"no thread could be started to load {step}: {error}"
            one.fail(attempt, LoadFailed(Reason.LOAD_FAILED, told, "raise the limit of threads, or free memory"))

    def _carry_out(self, step: Step, one: Loading[M], attempt: int) -> None:
        try:
            model = self._load(step)
        except DoctorError as error:
            _tell(step, error)
            one.fail(attempt, error)
        except MemoryError as error:
            told = f"memory ran out while {step} was loaded{f': {error}' if str(error) else ''}"
            ran_out = OutOfMemory(Reason.OUT_OF_MEMORY, told, "free memory, or choose a lighter model")
            _tell(step, ran_out)
            one.fail(attempt, ran_out)
        except BaseException as error:  # noqa: BLE001 - whatever a library raises: a waiter must hear of it
            told = f"loading {step} raised {type(error).__name__}: {scrub(str(error))[:300]}"
            failed = LoadFailed(Reason.LOAD_FAILED, told, "see what the runtime says; upgrade it or choose another")
            _tell(step, failed)
            one.fail(attempt, failed)
        else:
            if not one.succeed(attempt, model):
                self._discard(model)
                return
            self._watch()

    def _left(self, one: Loading[M], attempt: int) -> None:
        model = one.leave(attempt)
        if model is not None:
            self._discard(model)
        with self._stirred:
            self._stirred.notify_all()

    def _discard(self, model: M) -> None:
        try:
            self._unload(model)
        except Exception as error:  # noqa: BLE001 - the model is gone for us, whatever its runtime says of it
            emit(_log, logging.WARNING, "models.unloading-failed", "a model could not be unloaded cleanly", error=error)
        del model
        give_back()

    def _watch(self) -> None:
        """Have somebody wait for models to become idle."""
        with self._stirred:
            if self._reaper is None and not self._closed:
                reaper = threading.Thread(target=self._reap, name="model-reaper", daemon=True)
                reaper.start()
                self._reaper = reaper
            self._stirred.notify_all()

    def _reap(self) -> None:
        while True:
            with self._stirred:
                if self._closed:
                    return
                with self._lock:
                    every = tuple(self._steps.values())
                waits = [wait for one in every if (wait := one.until_idle(self._idle)) is not None]
                if not waits or min(waits) > 0:
                    self._stirred.wait(min(waits, default=None))
                    continue
            self.release_idle()


def _tell(step: Step, error: DoctorError) -> None:
    emit(
        _log,
        logging.WARNING,
        "models.step-failed",
        "a model could not be loaded",
        model=step.model,
        step=step,
        reason=getattr(error, "reason", None),
        error=error,
    )
