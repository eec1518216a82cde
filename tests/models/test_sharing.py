"""Shared models: one load for any number of threads and loops, waiters that give up, idle release, forks."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from alwrity_checks.models.errors import LoadFailed, OutOfMemory
from alwrity_checks.models.loading import State
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.sharing import Closed, ForkedProcess, NotLoadedYet, SharedModels
from alwrity_checks.models.steps import Precision, Runtime, Step

STEP = Step("acme/model", Runtime.TRANSFORMERS, Precision.FLOAT32)
OTHER = Step("acme/other", Runtime.TRANSFORMERS, Precision.FLOAT32)
HANG = 30.0
"""Seconds after which a test is taken to hang."""


class Workshop:
    """Loads texts for models, when it is let."""

    def __init__(self) -> None:
        self.loads: list[Step] = []
        self.unloaded: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: BaseException | None = None
        self.begun = threading.Event()

    def load(self, step: Step) -> str:
        """Load."""
        self.loads.append(step)
        self.begun.set()
        assert self.gate.wait(HANG)
        if self.error is not None:
            raise self.error
        return f"{step.model} {len(self.loads)}"


@contextmanager
def shared(workshop: Workshop, *, idle: float = 900.0) -> Iterator[SharedModels[str]]:
    """Yield shared models, closed at the end."""
    models: SharedModels[str] = SharedModels(workshop.load, workshop.unloaded.append, idle=idle)
    yield models
    workshop.gate.set()
    models.close()


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + HANG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_threads_and_event_loops_cause_one_load() -> None:
    """Eight threads, four of them with event loops of their own with three tasks each: one load, one model."""
    workshop = Workshop()
    workshop.gate.clear()
    with shared(workshop) as models, ThreadPoolExecutor(8) as pool:

        async def several() -> list[str]:
            leases = await asyncio.gather(*(models.obtain_async(STEP) for _ in range(3)))
            return [lease.model for lease in leases]

        blocking = [pool.submit(lambda: models.obtain(STEP).model) for _ in range(4)]
        looping = [pool.submit(lambda: asyncio.run(several())) for _ in range(4)]
        assert workshop.begun.wait(HANG)
        workshop.gate.set()
        got = [one.result(HANG) for one in blocking] + [text for one in looping for text in one.result(HANG)]
    assert set(got) == {"acme/model 1"}
    assert len(got) == 16
    assert workshop.loads == [STEP]


def test_a_waiter_that_gives_up_does_not_end_the_load() -> None:
    """A timeout, and a cancelled task, leave the load to the others; what it brings is there for the next."""
    workshop = Workshop()
    workshop.gate.clear()
    with shared(workshop) as models:
        with pytest.raises(NotLoadedYet) as caught:
            models.obtain(STEP, timeout=0.01)
        assert caught.value.step == STEP

        async def cancelled() -> None:
            with pytest.raises(NotLoadedYet):
                await models.obtain_async(STEP, timeout=0.01)
            task = asyncio.create_task(models.obtain_async(STEP))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())
        assert models.conditions()[STEP].state is State.LOADING
        workshop.gate.set()
        assert models.obtain(STEP, timeout=HANG).model == "acme/model 1"
    assert workshop.loads == [STEP]


def test_a_failure_is_everybodys_and_is_kept() -> None:
    """All who waited get the error, each a copy of its own; who asks later gets it without a new attempt."""
    workshop = Workshop()
    workshop.gate.clear()
    workshop.error = OutOfMemory(Reason.OUT_OF_MEMORY, "no room", "free some")
    with shared(workshop) as models, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(models.obtain, STEP) for _ in range(4)]
        assert workshop.begun.wait(HANG)
        workshop.gate.set()
        errors = [one.exception(HANG) for one in asked]
        assert len({id(error) for error in errors}) == 4
        for _ in range(5):
            with pytest.raises(OutOfMemory, match="no room") as caught:
                models.obtain(STEP)
            assert caught.value.reason is Reason.OUT_OF_MEMORY
            assert caught.value.remedy == "free some"
        assert models.resting(STEP) is not None
        assert models.resting(OTHER) is None
    assert workshop.loads == [STEP]


@pytest.mark.parametrize("raised", [MemoryError(), ValueError("foreign"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_a_load_raises_reaches_the_waiter_as_ours(raised: BaseException) -> None:
    """A foreign exception, even one that is none, does not leave anybody waiting."""
    workshop = Workshop()
    workshop.error = raised
    with shared(workshop) as models, pytest.raises(LoadFailed) as caught:
        models.obtain(STEP, timeout=HANG)
    memory = isinstance(raised, MemoryError)
    assert caught.value.reason is (Reason.OUT_OF_MEMORY if memory else Reason.LOAD_FAILED)


def test_a_model_is_unloaded_when_nobody_has_used_it_for_a_while() -> None:
    """In use it stays; idle it goes by itself; asked for again it is loaded again."""
    workshop = Workshop()
    with shared(workshop, idle=0.02) as models:
        lease = models.obtain(STEP)
        assert models.release_idle() == 0
        time.sleep(0.05)
        assert workshop.unloaded == []
        lease.release()
        lease.release()
        until(lambda: workshop.unloaded == ["acme/model 1"])
        assert models.conditions()[STEP].state is State.COLD
        with models.obtain(STEP) as model:
            assert model == "acme/model 2"


def test_closing_waits_for_no_one_and_takes_from_no_one() -> None:
    """After closing nothing is given out; what is in use is unloaded by who releases it, a late load by itself."""
    workshop = Workshop()
    with shared(workshop) as models:
        lease = models.obtain(STEP)
        workshop.gate.clear()
        with pytest.raises(NotLoadedYet):
            models.obtain(OTHER, timeout=0.01)
        models.close()
        with pytest.raises(Closed):
            models.obtain(STEP)
        assert workshop.unloaded == []
        lease.release()
        assert workshop.unloaded == ["acme/model 1"]
        workshop.gate.set()
        until(lambda: len(workshop.unloaded) == 2)


def test_an_unload_that_raises_hurts_nobody() -> None:
    """A runtime that fails in giving memory back does not break the release."""

    def unload(_model: str) -> None:
        raise RuntimeError("cannot")

    workshop = Workshop()
    models: SharedModels[str] = SharedModels(workshop.load, unload)
    models.obtain(STEP).release()
    models.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_told_so_at_once() -> None:
    """A used registry is refused in a forked child, with a word on what to do, instead of a hang."""
    workshop = Workshop()
    with shared(workshop) as models:
        models.obtain(STEP).release()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - the child reports through the pipe
            said = b"nothing"
            try:
                models.obtain(STEP)
            except ForkedProcess as error:
                said = error.remedy.encode()
            finally:
                os.write(write, said)
                os._exit(0)
        os.close(write)
        told = os.read(read, 1000).decode()
        os.close(read)
        os.waitpid(child, 0)
    assert "after the fork" in told


def test_a_load_without_a_thread_is_a_failure_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads, whoever asks is told so, and a later attempt may succeed."""
    workshop, now = Workshop(), [0.0]
    models: SharedModels[str] = SharedModels(workshop.load, workshop.unloaded.append, clock=lambda: now[0])

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(LoadFailed, match="no thread could be started"):
            models.obtain(STEP, timeout=HANG)
    now[0] = 1000.0
    assert models.obtain(STEP, timeout=HANG).model == "acme/model 1"
    models.close()


def test_a_foreign_errors_secret_does_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What a library quotes is scrubbed in the log as it is in the error."""
    workshop = Workshop()
    workshop.error = ValueError("asked with hf_abcdefghijklmnopqrstuvwxyz0123456789")
    with shared(workshop) as models, pytest.raises(LoadFailed):
        models.obtain(STEP)
    assert "raised ValueError" in caplog.text
    assert "abcdefghijklmnopqrstuvwxyz" not in caplog.text


def test_closing_in_a_forked_child_waits_for_no_lock_of_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that a thread of the parent held at the fork is never given back there."""
    workshop = Workshop()
    with shared(workshop) as models:
        models.obtain(STEP).release()
        with monkeypatch.context() as patch, models._lock:
            patch.setattr(os, "getpid", lambda: -1)
            closing = threading.Thread(target=models.close, daemon=True)
            closing.start()
            closing.join(HANG)
            assert not closing.is_alive()
        assert models.conditions()[STEP].state is State.READY
