"""The runner: checks in, one Report out. It has no user interface; whoever shows progress observes its events."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.model import CheckResult, Event, Report, Severity, Verdict
from alwrity_doctor import __version__
from alwrity_doctor.check_thread import carry_out, unknown
from alwrity_doctor.facts import environment, first_missing, prerequisites
from alwrity_doctor.interruption import Interrupted
from alwrity_doctor.observers import Broadcast
from alwrity_doctor.selection import ordered
from alwrity_doctor.suppressions import Suppression, apply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alwrity_checks.model import Check, Context, Observer
    from alwrity_doctor.baseline import Acceptance

__all__ = ["run_checks"]

_WENT_WELL: Final = frozenset({Verdict.PASS, Verdict.WARN})


async def run_checks(  # noqa: PLR0913 - what to run, what to hold against it, and who listens
    checks: Sequence[Check],
    context: Context,
    *,
    observers: Sequence[Observer] = (),
    suppressions: Sequence[Suppression] = (),
    baseline: Acceptance | None = None,
    fail_on: Severity = Severity.ERROR,
    command: str = "gate",
) -> Report:
    """Run `checks`, those that do not depend on each other at the same time, and return what they came to.

    A check that raises is `unknown`, one whose requirement does not hold is `skip`; the others go on. Raises
    ConfigurationError where the checks' requirements cannot be ordered, and `Interrupted`, with the report so far,
    when it is cancelled.
    """
    order = ordered(checks, checks)
    run = _Run(context, suppressions, baseline, Broadcast(observers))
    started, clock = datetime.now(UTC), time.monotonic()
    tasks: dict[str, asyncio.Task[CheckResult]] = {}
    for check in order:
        needed = {name: tasks[name] for name in prerequisites(check)}
        tasks[check.name] = asyncio.create_task(run.settle(check, needed))

    def report() -> Report:
        return Report(
            command=command,
            version=__version__,
            started=started,
            duration=timedelta(seconds=time.monotonic() - clock),
            results=tuple(_result_so_far(check, tasks[check.name]) for check in order),
            fail_on=fail_on,
            environment=environment(),
        )

    try:
        await asyncio.gather(*tasks.values())
    except asyncio.CancelledError:
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        raise Interrupted(report()) from None
    return report()


def _result_so_far(check: Check, task: asyncio.Task[CheckResult]) -> CheckResult:
    if task.done() and not task.cancelled():
        return task.result()
    return unknown(check, "interrupted before it came to a verdict", "run it again")


class _Run:
    """What the checks of one run share."""

    def __init__(
        self,
        context: Context,
        suppressions: Iterable[Suppression],
        baseline: Acceptance | None,
        observer: Observer,
    ) -> None:
        self._context = context
        self._suppressions = tuple(suppressions)
        self._baseline = baseline
        self._observer = observer

    async def settle(self, check: Check, needed: Mapping[str, asyncio.Task[CheckResult]]) -> CheckResult:
        """Wait for what `check` requires, then carry it out or say why not."""
        if needed:
            await asyncio.wait(needed.values())
        result = self._skipped(check, [task.result() for task in needed.values()])
        if result is None:
            self._observer.notify(Event("started", check.name, check.title))
            clock = time.monotonic()
            result = await carry_out(check, self._context)
            result = replace(result, duration=timedelta(seconds=time.monotonic() - clock))
            result = apply(self._suppressions, result, self._context.now)
            if self._baseline is not None:
                result = self._baseline.apply(result, self._context.now)
        self._observer.notify(Event("finished", check.name, result.reason, result))
        return result

    def _skipped(self, check: Check, needed: Sequence[CheckResult]) -> CheckResult | None:
        try:
            missing = first_missing(check, self._context)
        except DoctorError as error:
            return unknown(check, error.diagnosis, error.remedy)
        skip = CheckResult(check.name, check.title, check.issue, Verdict.SKIP)
        if missing:
            return replace(skip, reason=missing.reason, remedy=missing.remedy)
        for result in needed:
            if result.verdict not in _WENT_WELL:
                return _following_from(result, skip)
        return None


def _following_from(result: CheckResult, skip: CheckResult) -> CheckResult:
    """Return `skip` with its first cause: what `result` itself follows from, or `result`."""
    if result.because:
        return replace(skip, reason=result.reason, remedy=result.remedy, because=result.because)
    reason = {
        Verdict.FAIL: f"because {result.name} failed",
        Verdict.UNKNOWN: f"because {result.name} could not be checked",
    }.get(result.verdict, f"because {result.name} was skipped: {result.reason}")
    remedy = result.remedy or next((finding.rule.remedy for finding in result.findings), "")
    return replace(skip, reason=reason, remedy=remedy, because=result.name)
