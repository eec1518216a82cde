"""One check, carried out in a daemon thread with an event loop of its own.

On one shared loop a single check that blocks, in a DNS lookup or in a third party's synchronous code, would stop every
other check and every timeout with it. A thread cannot be killed, so a check that is given up on may live until the
process ends: see `has_abandoned`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck, DoctorError
from alwrity_checks.model import CheckResult, Finding, Verdict
from alwrity_checks.redaction import scrub
from alwrity_doctor.foreign import in_one_line, scrubbed, traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alwrity_checks.model import Check, Context

__all__ = ["carry_out", "has_abandoned", "unknown"]

_THREAD: Final = "alwrity-doctor check "


async def carry_out(check: Check, context: Context) -> CheckResult:
    """Run `check` and return what it came to; `unknown` if it raises, or once its timeout has passed."""
    return await _CheckThread(check, context).result()


def has_abandoned() -> bool:
    """Say whether a check that was given up on is still running.

    Python waits for the worker threads such a check may have started, for as long as they take; a process that has
    said its last word should then end with `os._exit`.
    """
    return any(thread.name.startswith(_THREAD) for thread in threading.enumerate())


def unknown(check: Check, reason: str, remedy: str) -> CheckResult:
    """Return the result of a check that came to no verdict."""
    return CheckResult(
        check.name, check.title, check.issue, Verdict.UNKNOWN, reason=scrub(reason), remedy=scrub(remedy)
    )


class _CheckThread:
    def __init__(self, check: Check, context: Context) -> None:
        self._check = check
        self._context = context
        self._promise: Future[CheckResult] = Future()
        # Held while the thread begins and while it is given up on: either can come first.
        self._lock = threading.Lock()
        self._cancel: Callable[[], object] | None = None
        self._given_up = False

    async def result(self) -> CheckResult:
        # From here on nobody can cancel the promise, so that the thread can always keep it.
        self._promise.set_running_or_notify_cancel()
        threading.Thread(target=self._work, name=f"{_THREAD}{self._check.name}", daemon=True).start()
        seconds = self._check.timeout.total_seconds()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._promise), seconds)
        except TimeoutError:
            self._give_up()
            remedy = "run it again; if that recurs, look at what it waits for"
            return unknown(self._check, f"no verdict within {seconds:g} s", remedy)
        except asyncio.CancelledError:
            self._give_up()
            raise

    def _work(self) -> None:
        try:
            asyncio.run(self._examine())
        except BaseException as error:  # noqa: BLE001 - a thread has nobody above it who could catch
            self._keep(_raised(self._check, error))

    async def _examine(self) -> None:
        task = asyncio.ensure_future(self._check.run(self._context))
        loop = asyncio.get_running_loop()
        # The default handler logs the tracebacks of a check's forgotten tasks to stderr, with whatever they hold.
        loop.set_exception_handler(lambda _loop, _context: None)
        with self._lock:
            self._cancel = partial(loop.call_soon_threadsafe, task.cancel)
            if self._given_up:
                task.cancel()
        # Kept before the loop is closed: closing waits for worker threads, and the verdict need not.
        try:
            findings = _findings(await task)
            check = self._check
            self._keep(CheckResult(check.name, check.title, check.issue, Verdict.of(findings), findings))
        except BaseException as error:  # noqa: BLE001 - foreign code: SystemExit and CancelledError are no verdict either
            self._keep(_raised(self._check, error))

    def _keep(self, result: CheckResult) -> None:
        if not self._promise.done():
            self._promise.set_result(result)

    def _give_up(self) -> None:
        """Cancel what can be cancelled: an asynchronous check then closes its connections."""
        with self._lock:
            self._given_up = True
            if self._cancel:
                with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
                    self._cancel()


def _findings(returned: Sequence[Finding]) -> tuple[Finding, ...]:
    findings = tuple(returned)
    for one in findings:
        if not isinstance(one, Finding):
            raise TypeError(f"a check returns findings, not a {type(one).__name__}")
    return tuple(scrubbed(one) for one in findings)


def _raised(check: Check, error: BaseException) -> CheckResult:
    if isinstance(error, CannotCheck):
        return replace(unknown(check, error.diagnosis, error.remedy), findings=_findings(error.findings))
    if isinstance(error, DoctorError):
        result = unknown(check, error.diagnosis, error.remedy)
    else:
        result = unknown(check, f"the check raised {in_one_line(error)}", "report it to the author of the check")
    return replace(result, evidence=(traceback_of(error),))
