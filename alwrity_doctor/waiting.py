"""`--wait`: run again until the report is healthy, or the time is up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import ExitCode
from alwrity_doctor.interruption import Interrupted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alwrity_checks.model import Report

__all__ = ["until_healthy"]

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0


async def until_healthy(run: Callable[[], Awaitable[Report]], seconds: float, say: Callable[[str], None]) -> Report:
    """Return the first healthy report of `run`, or the last one, made when `seconds` have passed.

    The pause between two runs doubles from 0.5 s to 5 s; before each, `say` is told what is being waited for.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        report = await run()
        left = deadline - time.monotonic()
        # Not `left <= 0`, which is never true of a number of seconds that is none.
        if report.exit_code is ExitCode.HEALTHY or not left > 0:
            return report
        wait = min(pause, left)
        say(f"{_summary(report)}; again in {wait:.1f} s, for another {left:.0f} s")
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            raise Interrupted(report) from None
        pause = min(pause * 2, _LONGEST_PAUSE)


def _summary(report: Report) -> str:
    cause = report.first_cause
    return f"{report.verdict} (exit code {report.exit_code.value})" + (f", {cause.rule.code}" if cause else "")
