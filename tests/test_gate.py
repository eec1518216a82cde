"""The runner: what each kind of check comes to, and what none of them can do to the others."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import CannotCheck, ConfigurationError, DoctorError
from alwrity_checks.model import Context, ExitCode, Requirement, RequirementKind, Severity, Verdict
from alwrity_checks.redaction import Secret
from alwrity_doctor import check_thread
from alwrity_doctor.gate import run_checks
from alwrity_doctor.interruption import Interrupted
from alwrity_doctor.suppressions import Suppression
from tests.support.checks import Record, StubCheck, after, context, finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from alwrity_checks.model import CheckResult, Event, Finding, Report

OFFLINE = frozenset({Requirement(RequirementKind.NETWORK)})


def run(*checks: StubCheck, where: Context | None = None, **options: object) -> Report:
    """Return the report of `checks`."""
    return asyncio.run(run_checks(checks, where or context(), **options))  # type: ignore[arg-type]


def only(report: Report) -> CheckResult:
    """Return the one result of `report`."""
    (result,) = report.results
    return result


def raising(error: BaseException) -> Callable[[Context], Awaitable[Sequence[Finding]]]:
    """Return what a check does that raises `error`."""

    async def act(_context: Context) -> Sequence[Finding]:
        raise error

    return act


def join_check_threads() -> None:
    """Wait until no check is left behind by a test."""
    for thread in threading.enumerate():
        if thread.name.startswith("alwrity-doctor check "):
            thread.join()


@pytest.mark.parametrize(
    ("severities", "verdict", "code"),
    [
        ((), Verdict.PASS, ExitCode.HEALTHY),
        ((Severity.NOTE,), Verdict.PASS, ExitCode.HEALTHY),
        ((Severity.WARNING,), Verdict.WARN, ExitCode.HEALTHY),
        ((Severity.WARNING, Severity.ERROR), Verdict.FAIL, ExitCode.FINDING),
    ],
)
def test_findings_make_the_verdict(severities: tuple[Severity, ...], verdict: Verdict, code: ExitCode) -> None:
    """The worst finding decides, and the findings are in the result as they were made."""
    findings = tuple(finding(f"TEST00{number}", severity) for number, severity in enumerate(severities))
    report = run(StubCheck("a.b", findings=findings))
    assert only(report).verdict is verdict
    assert only(report).findings == findings
    assert report.exit_code is code


def test_fail_on_reaches_the_report() -> None:
    """With `fail_on` a warning, a warning makes exit code 1."""
    warned = StubCheck("a.b", findings=(finding(severity=Severity.WARNING),))
    assert run(warned, fail_on=Severity.WARNING).exit_code is ExitCode.FINDING


def test_report_says_what_ran() -> None:
    """The command, the version and facts of the machine are in the report."""
    report = run(StubCheck("a.b"), command="auth env")
    assert report.command == "auth env"
    assert report.environment["python"].startswith(("CPython", "PyPy"))


def test_raising_check_is_unknown_and_the_others_go_on() -> None:
    """An exception costs one verdict, with the traceback as evidence."""
    report = run(StubCheck("a.bad", raising(ValueError("odd"))), StubCheck("a.good"))
    bad, good = report.results
    assert (bad.verdict, good.verdict) == (Verdict.UNKNOWN, Verdict.PASS)
    assert bad.reason == "the check raised ValueError: odd"
    assert "in act" in bad.evidence[0].value
    assert report.exit_code is ExitCode.UNKNOWN


def test_secret_in_an_exception_is_masked_before_it_is_cut() -> None:
    """Neither reason nor traceback shows a secret, not even where the line's end falls into it."""
    secret = Secret("correct horse battery staple")
    error = ValueError("x" * 270 + secret.reveal())
    result = only(run(StubCheck("a.b", raising(error))))
    assert "correct horse" not in f"{result}"


def test_secret_in_a_third_partys_finding_is_masked() -> None:
    """What a check returns is scrubbed where it enters the report."""
    secret = Secret("another well known phrase")
    from dataclasses import replace

    from alwrity_checks.model import Evidence, Location, LocationKind

    made = replace(
        finding(),
        message=f"saw {secret.reveal()}",
        evidence=(Evidence("header", secret.reveal()),),
        location=Location(LocationKind.URL, f"https://{secret.reveal()}/"),
        commands=(f"curl {secret.reveal()}",),
    )
    assert secret.reveal() not in f"{only(run(StubCheck('a.b', findings=(made,))))}"


def test_cannot_check_is_unknown_with_all_it_brings() -> None:
    """Diagnosis, remedy and the findings made so far are in the result; there is no traceback."""
    error = CannotCheck("the server is silent", "ask again", (finding(severity=Severity.NOTE),))
    result = only(run(StubCheck("a.b", raising(error))))
    assert result.verdict is Verdict.UNKNOWN
    assert (result.reason, result.remedy) == ("the server is silent", "ask again")
    assert len(result.findings) == 1
    assert not result.evidence


def test_other_error_of_ours_keeps_its_remedy() -> None:
    """A DoctorError that is no CannotCheck is unknown, with its remedy and its traceback."""
    result = only(run(StubCheck("a.b", raising(DoctorError("broken", "mend it")))))
    assert (result.verdict, result.reason, result.remedy) == (Verdict.UNKNOWN, "broken", "mend it")
    assert result.evidence


@pytest.mark.parametrize("error", [SystemExit(0), asyncio.CancelledError(), KeyboardInterrupt()])
def test_exit_from_within_a_check_is_no_verdict(error: BaseException) -> None:
    """A check that exits, cancels itself or interrupts does so for itself alone."""
    report = run(StubCheck("a.bad", raising(error)), StubCheck("a.good"))
    assert [result.verdict for result in report.results] == [Verdict.UNKNOWN, Verdict.PASS]


@pytest.mark.parametrize("returned", [None, [1], "ab"])
def test_a_check_that_returns_no_findings_is_unknown(returned: object) -> None:
    """Whatever is not a sequence of findings is a fault of the check, not a pass."""

    async def act(_context: Context) -> Sequence[Finding]:
        return returned  # type: ignore[return-value]

    assert only(run(StubCheck("a.b", act))).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("act", "verdict", "reason"),
    [
        (None, Verdict.SKIP, "because a failed"),
        (raising(CannotCheck("silence", "listen")), Verdict.SKIP, "because a could not be checked"),
    ],
)
def test_skip_names_the_first_cause(
    act: Callable[[Context], Awaitable[Sequence[Finding]]] | None, verdict: Verdict, reason: str
) -> None:
    """What follows from a failed or unknown check, over any number of steps, names the check where it began."""
    report = run(
        StubCheck("c", requires=after("b")),
        StubCheck("b", requires=after("a")),
        StubCheck("a", act, findings=(finding(),)),
    )
    by_name = {result.name: result for result in report.results}
    for name in ("b", "c"):
        assert by_name[name].verdict is verdict
        assert by_name[name].because == "a"
        assert by_name[name].reason == reason
        assert by_name[name].remedy


def test_skip_of_a_skip_names_its_reason() -> None:
    """A check that requires a skipped one says why that one was skipped."""
    report = run(StubCheck("a", requires=OFFLINE), StubCheck("b", requires=after("a")), where=context(offline=True))
    assert report.results[1].because == "a"
    assert "--offline was given" in report.results[1].reason
    assert report.exit_code is ExitCode.UNKNOWN


def test_warning_does_not_stop_what_follows() -> None:
    """A check that came out `warn` satisfies the requirement."""
    warned = StubCheck("a", findings=(finding(severity=Severity.WARNING),))
    assert run(warned, StubCheck("b", requires=after("a"))).results[1].verdict is Verdict.PASS


def test_requirement_that_does_not_exist_is_a_configuration_error() -> None:
    """Nothing runs when the order cannot be known."""
    with pytest.raises(ConfigurationError, match="requires the check z, which does not exist"):
        run(StubCheck("a", requires=after("z")))


def test_unknown_extra_costs_one_verdict() -> None:
    """A third party that requires an extra we do not have is shown as unknown; the others go on."""
    odd = StubCheck("a", requires=frozenset({Requirement(RequirementKind.EXTRA, ("nonsense",))}))
    report = run(odd, StubCheck("b"))
    assert [result.verdict for result in report.results] == [Verdict.UNKNOWN, Verdict.PASS]


def test_independent_checks_run_at_the_same_time() -> None:
    """Two checks that each block until the other has come are both carried out."""
    barrier = threading.Barrier(2)

    async def meet(_context: Context) -> Sequence[Finding]:
        barrier.wait(timeout=30)
        return ()

    assert run(StubCheck("a", meet), StubCheck("b", meet)).exit_code is ExitCode.HEALTHY


def test_blocking_check_is_given_up_on() -> None:
    """A check that blocks in synchronous code stops neither the others nor its own timeout."""
    release = threading.Event()

    async def block(_context: Context) -> Sequence[Finding]:
        release.wait()
        return ()

    try:
        report = run(StubCheck("a.blocks", block, timeout=timedelta(milliseconds=50)), StubCheck("a.other"))
        assert check_thread.has_abandoned()
    finally:
        release.set()
        join_check_threads()
    assert [result.verdict for result in report.results] == [Verdict.UNKNOWN, Verdict.PASS]
    assert report.results[0].reason == "no verdict within 0.05 s"
    assert not check_thread.has_abandoned()


def test_asynchronous_check_is_cancelled_at_its_timeout() -> None:
    """A check that waits on its loop gets to close what it has opened."""
    closed = threading.Event()

    async def wait(_context: Context) -> Sequence[Finding]:
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()
        return ()

    result = only(run(StubCheck("a", wait, timeout=timedelta(milliseconds=50))))
    join_check_threads()
    assert result.verdict is Verdict.UNKNOWN
    assert closed.is_set()


def test_verdict_does_not_wait_for_worker_threads() -> None:
    """A worker thread that a check has left behind delays the closing of its loop, but not its verdict."""
    release = threading.Event()

    async def leave_behind(_context: Context) -> Sequence[Finding]:
        left = asyncio.get_running_loop().run_in_executor(None, release.wait)
        assert not left.done()
        return ()

    try:
        assert only(run(StubCheck("a", leave_behind))).verdict is Verdict.PASS
    finally:
        release.set()
        join_check_threads()


def test_forgotten_task_writes_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """The traceback of a task that a check forgot, which may hold anything, goes nowhere."""

    async def fail() -> None:
        raise ValueError("whatever it knows")

    async def forget(_context: Context) -> Sequence[Finding]:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        del task
        return ()

    run(StubCheck("a", forget))
    join_check_threads()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_events_tell_what_happens() -> None:
    """Observers hear of each start and end; of a skipped check only the end, with the result."""
    record = Record()
    run(StubCheck("a"), StubCheck("b", requires=OFFLINE), where=context(offline=True), observers=(record,))
    assert sorted(record.kinds()) == [("finished", "a"), ("finished", "b"), ("started", "a")]
    assert all(event.result for event in record.events if event.kind == "finished")


def test_raising_observer_harms_nothing() -> None:
    """An observer that raises is left alone from then on; the run and the other observers go on."""

    class Broken:
        heard = 0

        def notify(self, event: Event) -> None:
            self.heard += 1
            raise RuntimeError(event.name)

    broken, record = Broken(), Record()
    report = run(StubCheck("a"), observers=(broken, record))
    assert report.exit_code is ExitCode.HEALTHY
    assert broken.heard == 1
    assert record.kinds() == [("started", "a"), ("finished", "a")]


def test_accepted_finding_is_set_apart_and_what_follows_runs() -> None:
    """A suppression changes the verdict that other checks depend on."""
    accepted = Suppression("TEST001", "known", date(2999, 1, 1))
    report = run(StubCheck("a", findings=(finding(),)), StubCheck("b", requires=after("a")), suppressions=(accepted,))
    assert [result.verdict for result in report.results] == [Verdict.PASS, Verdict.PASS]
    assert report.suppressed[0].reason == "known"
    assert report.exit_code is ExitCode.HEALTHY


def test_suppression_is_judged_by_the_contexts_clock() -> None:
    """A suppression that had lapsed at the time of the run does not hold."""
    lapsed = Suppression("TEST001", "known", date(2020, 1, 1))
    where = Context(context().settings, now=datetime(2020, 1, 2, tzinfo=UTC))
    assert run(StubCheck("a", findings=(finding(),)), where=where, suppressions=(lapsed,)).exit_code == 1


def test_cancelled_run_hands_over_what_was_finished() -> None:
    """Interrupted, the report holds the finished results, and the others as unknown."""

    async def hang(_context: Context) -> Sequence[Finding]:
        await asyncio.Event().wait()
        return ()

    async def interrupted() -> Report:
        done = asyncio.Event()

        class Watch:
            def notify(self, event: Event) -> None:
                if (event.kind, event.name) == ("finished", "a"):
                    done.set()

        checks = (StubCheck("a", findings=(finding(),)), StubCheck("b", hang), StubCheck("c", requires=after("b")))
        task = asyncio.create_task(run_checks(checks, context(), observers=(Watch(),)))
        await done.wait()
        task.cancel()
        with pytest.raises(Interrupted) as caught:
            await task
        return caught.value.report

    report = asyncio.run(interrupted())
    join_check_threads()
    assert [result.verdict for result in report.results] == [Verdict.FAIL, Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert report.results[1].reason == "interrupted before it came to a verdict"
