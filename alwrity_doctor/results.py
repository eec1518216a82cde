"""Results in, one Report out, for the commands that examine a single subject."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from alwrity_checks.model import CheckResult, Report, Severity, Verdict
from alwrity_doctor import __version__
from alwrity_doctor.facts import environment
from alwrity_doctor.interruption import Interrupted

if TYPE_CHECKING:
    from alwrity_checks.pictures import Picture

__all__ = ["reported"]


async def reported(
    command: str,
    work: Awaitable[object],
    fail_on: Severity,
    results: Sequence[CheckResult],
    *,
    pictures: Callable[[], tuple[Picture, ...]] = tuple,
) -> Report:
    """Wait for `work`, which adds to `results`, and return them as the report of `command`.

    Its `pictures` are made when it is over. Raises `Interrupted`, with the results so far, when it is cancelled.
    """
    started, clock = datetime.now(UTC), time.monotonic()

    def report(*rest: CheckResult) -> Report:
        return Report(
            command=command,
            version=__version__,
            started=started,
            duration=timedelta(seconds=time.monotonic() - clock),
            results=(*results, *rest),
            fail_on=fail_on,
            environment=environment(),
            pictures=pictures(),
        )

    try:
        await work
    except asyncio.CancelledError:
        title = f"{command} came to its end"
        rest = CheckResult("interrupted", title, 0, Verdict.UNKNOWN, reason="it was interrupted", remedy="run it again")
        raise Interrupted(report(rest)) from None
    return report()
