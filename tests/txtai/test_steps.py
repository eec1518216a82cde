"""The two drivers of an operation's steps: same results, same errors, same deadlines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeAlias

import pytest

from alwrity_checks.txtai.steps import Overdue, Steps, in_loop, in_thread

Driver: TypeAlias = Callable[[Steps[Any], float | None], object]


def from_loop(steps: Steps[Any], timeout: float | None) -> object:
    """Drive steps in an event loop of their own."""
    return asyncio.run(in_loop(steps, timeout))


@pytest.fixture(params=[in_thread, from_loop], ids=["thread", "loop"])
def drive(request: pytest.FixtureRequest) -> Driver:
    """Return one driver after the other."""
    driver: Driver = request.param
    return driver


def later(result: object, delay: float = 0.01) -> Future[Any]:
    """Return a future that another thread settles after a while."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    settle = future.set_exception if isinstance(result, Exception) else future.set_result
    threading.Timer(delay, settle, [result]).start()
    return future


def test_results_are_handed_in(drive: Driver) -> None:
    """An operation gets what its futures come to, done before or later, and its value is returned."""

    def steps() -> Steps[list[int]]:
        ready: Future[int] = Future()
        ready.set_result(1)
        first = yield ready
        second = yield later(2)
        return [first, second]

    assert drive(steps(), None) == [1, 2]
    assert drive(steps(), 30) == [1, 2]


def test_errors_are_raised_at_their_step(drive: Driver) -> None:
    """A step's error can be handled in the operation, TimeoutError too, which is not the deadline's."""

    def steps() -> Steps[str]:
        try:
            yield later(TimeoutError("the step's own"))
        except TimeoutError as error:
            handled = str(error)
        yield later(KeyError(handled))
        return "not reached"

    with pytest.raises(KeyError, match="the step's own"):
        drive(steps(), 30)


def test_the_deadline_ends_the_operation(drive: Driver) -> None:
    """After the deadline the operation is told where it stands, and what only it waits for is cancelled."""
    own: Future[None] = Future()
    shared: Future[None] = Future()
    shared.set_running_or_notify_cancel()

    def steps(future: Future[None]) -> Steps[str]:
        try:
            yield future
        except Overdue:
            return "overdue"
        return "done"

    assert drive(steps(own), 0.01) == "overdue"
    assert own.cancelled()
    assert drive(steps(shared), 0.01) == "overdue"
    shared.set_result(None)
    assert drive(steps(shared), 0) == "done"


def test_a_cancelled_task_lets_go_of_what_it_waits_for() -> None:
    """Cancelling a task cancels what only it waits for, leaves what others wait for, and ends the operation."""
    own: Future[None] = Future()
    shared: Future[None] = Future()
    shared.set_running_or_notify_cancel()
    ended: list[object] = []

    def steps(future: Future[None]) -> Steps[None]:
        try:
            yield future
        finally:
            ended.append(future)

    async def scenario() -> None:
        tasks = [asyncio.create_task(in_loop(steps(future), None)) for future in (own, shared)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2

    asyncio.run(scenario())
    assert ended == [own, shared]
    assert own.cancelled()
    assert not shared.cancelled()
    shared.set_result(None)


def test_one_future_serves_many_loops() -> None:
    """20 tasks in each of 6 loops wait for the same future and all go on: nothing is bound to a loop (race 8)."""
    shared: Future[int] = Future()
    shared.set_running_or_notify_cancel()
    together = threading.Barrier(7)
    results: list[int] = []

    def steps() -> Steps[int]:
        value: int = yield shared
        return value

    async def many() -> None:
        tasks = [asyncio.create_task(in_loop(steps(), None)) for _ in range(20)]
        await asyncio.sleep(0)
        together.wait(30)
        results.extend(await asyncio.gather(*tasks))

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(6)]
    for thread in threads:
        thread.start()
    together.wait(30)
    shared.set_result(7)
    for thread in threads:
        thread.join(30)
    assert results == [7] * 120


def test_a_loop_that_is_closed_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that is closed while one of its tasks waits leaves nobody with an error, and other waiters go on."""
    shared: Future[int] = Future()
    shared.set_running_or_notify_cancel()

    def steps() -> Steps[int]:
        value: int = yield shared
        return value

    operation = in_loop(steps(), None)
    loop = asyncio.new_event_loop()
    task = loop.create_task(operation)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    operation.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    shared.set_result(7)
    assert in_thread(steps(), 1) == 7
    assert [record.levelname for record in caplog.records if record.name != "concurrent.futures"] == []
