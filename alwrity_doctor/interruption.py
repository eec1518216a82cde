"""SIGINT and SIGTERM: a run that is told to stop still hands over what it has come to."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Coroutine

    from alwrity_checks.model import Report

__all__ = ["Interrupted", "run"]

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818 - what happened, not a fault; the command line ends with exit code 130
    """A run was told to stop; `report` holds what was finished, and everything else as `unknown`."""

    def __init__(self, report: Report) -> None:
        super().__init__("interrupted")
        self.report = report


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on an event loop of its own; SIGTERM cancels it as SIGINT does.

    Raises whatever `work` made of its cancellation (the runners of this package make it `Interrupted`), and
    KeyboardInterrupt where it made nothing of it.
    """
    import asyncio

    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    task = asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        return await work
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report_others)

    def cancel(_signal: int, _frame: object) -> None:
        loop.call_soon_threadsafe(task.cancel)

    # Not `loop.add_signal_handler`, which Windows does not have.
    before = signal.signal(signal.SIGTERM, cancel)
    try:
        return await work
    finally:
        signal.signal(signal.SIGTERM, before)


def _report_others(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    # Interrupted once more, asyncio ends without asking what became of the task, and would show a traceback for it.
    if not isinstance(context.get("exception"), Interrupted):
        loop.default_exception_handler(context)
