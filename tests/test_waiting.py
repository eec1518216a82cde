"""`--wait`: the run is repeated until it is healthy or the time is up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import CheckResult, Report, Verdict
from alwrity_doctor import waiting
from alwrity_doctor.interruption import Interrupted
from alwrity_doctor.waiting import until_healthy
from tests.support.checks import finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def report(verdict: Verdict) -> Report:
    """Return a report of one result."""
    findings = (finding(),) if verdict is Verdict.FAIL else ()
    return Report("gate", "0", datetime.now(UTC), timedelta(), (CheckResult("a", "a", 1, verdict, findings),))


def coming(*verdicts: Verdict) -> Callable[[], Awaitable[Report]]:
    """Return a run that comes to each of `verdicts` in turn, and stays with the last."""
    left = list(verdicts)

    async def run() -> Report:
        return report(left.pop(0) if len(left) > 1 else left[0])

    return run


def test_healthy_report_is_returned_at_once() -> None:
    """Nothing is said when there is nothing to wait for."""
    said: list[str] = []
    assert asyncio.run(until_healthy(coming(Verdict.PASS), 60, said.append)).verdict is Verdict.PASS
    assert not said


def test_without_time_there_is_one_run() -> None:
    """No `--wait` means zero seconds."""
    said: list[str] = []
    assert asyncio.run(until_healthy(coming(Verdict.FAIL, Verdict.PASS), 0, said.append)).verdict is Verdict.FAIL
    assert not said


def test_seconds_that_are_no_number_are_no_seconds() -> None:
    """`--wait nan` does not wait for ever."""
    assert asyncio.run(until_healthy(coming(Verdict.FAIL), float("nan"), print)).verdict is Verdict.FAIL


def test_it_runs_again_until_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause says what is being waited for."""
    monkeypatch.setattr(waiting, "_FIRST_PAUSE", 0.001)
    said: list[str] = []
    run = coming(Verdict.UNKNOWN, Verdict.FAIL, Verdict.PASS)
    assert asyncio.run(until_healthy(run, 60, said.append)).verdict is Verdict.PASS
    assert [line.split(";")[0] for line in said] == ["unknown (exit code 3)", "fail (exit code 1), TEST001"]


def test_last_report_counts_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run made at the end of the time is the result."""
    monkeypatch.setattr(waiting, "_FIRST_PAUSE", 0.001)
    said: list[str] = []
    assert asyncio.run(until_healthy(coming(Verdict.FAIL), 0.01, said.append)).verdict is Verdict.FAIL
    assert said


def test_interrupted_between_two_runs_it_hands_over_the_last_report() -> None:
    """What was found out is not lost with the waiting."""

    async def interrupted() -> Report:
        waits = asyncio.Event()
        task = asyncio.create_task(until_healthy(coming(Verdict.FAIL), 60, lambda _: waits.set()))
        await waits.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(Interrupted) as caught:
            await task
        return caught.value.report

    assert asyncio.run(interrupted()).verdict is Verdict.FAIL
