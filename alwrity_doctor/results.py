"""Results in, one Report out, for the commands that examine a single subject."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from alwrity_checks.model import Report, Severity
from alwrity_doctor import __version__
from alwrity_doctor.facts import environment

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult

__all__ = ["reported"]


async def reported(command: str, results: Awaitable[Sequence[CheckResult]], fail_on: Severity) -> Report:
    """Wait for `results` and return them as the report of `command`."""
    started, clock = datetime.now(UTC), time.monotonic()
    found = tuple(await results)
    return Report(
        command=command,
        version=__version__,
        started=started,
        duration=timedelta(seconds=time.monotonic() - clock),
        results=found,
        fail_on=fail_on,
        environment=environment(),
    )
