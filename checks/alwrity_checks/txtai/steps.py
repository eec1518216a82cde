"""One order of steps for callers in a thread and for callers in an event loop.

An operation is a generator that yields the futures it has to wait for and is given their results. Where the deadline
passes before a future is done, `Overdue` is raised in it at that place; it then has to come to an end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

__all__ = ["Overdue", "Steps", "deadline_of", "in_loop", "in_thread", "remaining"]

R = TypeVar("R")
Steps: TypeAlias = Generator["Future[Any]", Any, R]


class Overdue(Exception):  # noqa: N818 - the condition's name; no caller sees it
    """The deadline has passed before a step was done."""


def deadline_of(timeout: float | None) -> float | None:
    """Return the moment of the monotonic clock that is `timeout` seconds from now; None for never."""
    return None if timeout is None else time.monotonic() + timeout


def remaining(deadline: float | None) -> float | None:
    """Return the seconds until a deadline, 0 after it; None if there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def in_thread(steps: Steps[R], timeout: float | None) -> R:
    """Carry the steps out in this thread; `timeout` in seconds, None for no deadline."""
    deadline = deadline_of(timeout)
    try:
        future = next(steps)
        while True:
            try:
                result = future.result(remaining(deadline))
            except BaseException as error:  # noqa: BLE001 - the operation's to judge
                future = steps.throw(_overdue(future) or error)
            else:
                future = steps.send(result)
    except StopIteration as end:
        value: R = end.value
        return value
    finally:
        steps.close()


async def in_loop(steps: Steps[R], timeout: float | None) -> R:  # noqa: ASYNC109 - the steps say what it means
    """Carry the steps out in the running event loop, which is never blocked; `timeout` as in `in_thread`."""
    deadline = deadline_of(timeout)
    try:
        future = next(steps)
        while True:
            if not future.done():
                await _done(future, remaining(deadline))
            overdue = _overdue(future)
            error = overdue or (None if future.cancelled() else future.exception())
            future = steps.throw(error) if error is not None else steps.send(future.result())
    except StopIteration as end:
        value: R = end.value
        return value
    finally:
        steps.close()


async def _done(future: Future[Any], timeout: float | None) -> None:  # noqa: ASYNC109 - asyncio.wait raises nothing
    waiting = asyncio.wrap_future(future)
    try:
        await asyncio.wait({waiting}, timeout=timeout)
    finally:
        # Whoever gives up lets go of what only he waits for; a future that others wait for cannot be cancelled.
        if not waiting.get_loop().is_closed():
            waiting.cancel()
        if waiting.done() and not waiting.cancelled():
            waiting.exception()


def _overdue(future: Future[Any]) -> Overdue | None:
    """Give up a future that is not done; None if it is."""
    if future.done() and not future.cancelled():
        return None
    future.cancel()
    return Overdue()
