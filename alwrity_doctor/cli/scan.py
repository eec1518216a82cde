"""`alwrity-doctor scan DIR`: the evidence in a checkout, with file and line. It is parsed, and nothing of it is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import FailOn, FailOnOption, FormatOption, deliver, parse_formats
from alwrity_doctor.suppressions import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alwrity_checks.backend.whole import Outcome
    from alwrity_checks.model import CheckResult, Observer, Report

app = typer.Typer()


@app.command()
def scan(  # noqa: PLR0913 - each parameter is an option of the command
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A checkout of ALwrity: its root, or backend/.")],
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REV", help="Only what was introduced since the history parted from REV."),
    ] = None,
    issue: Annotated[
        list[int] | None,
        typer.Option(help="Only what belongs to this issue, or to none and may hide it; may be repeated."),
    ] = None,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Accepted findings.  [default: {FILE_NAME}, if it exists]")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=0, help="So many processes; 0 reads in this one.")
    ] = None,
) -> None:
    """Find the known faults in a checkout's source: every file is parsed, and nothing of it is run.

    Only what is imported from where the backend starts counts; dead copies are notes. With --since, for a pull request:
    what the change introduces, compared with the commit from which its history parted from REV.
    """
    from alwrity_checks.backend.subjects import SUBJECTS
    from alwrity_doctor.suppressions import apply, configured

    outputs = parse_formats(form)
    known = sorted({number for _, number in SUBJECTS.values() if number})
    if unknown := sorted(set(issue or ()) - set(known)):
        raise ConfigurationError(f"nothing is known of issue {unknown[0]}", f"name one of {', '.join(map(str, known))}")
    suppressions = configured(config)

    async def work(observers: Sequence[Observer]) -> Report:
        from datetime import UTC, datetime

        from alwrity_checks.backend.verdicts import results
        from alwrity_checks.backend.whole import scan_checkout
        from alwrity_checks.model import Event
        from alwrity_doctor.results import reported

        found: list[CheckResult] = []
        seen: list[Outcome] = []

        async def look() -> None:
            for observer in observers:
                observer.notify(Event("started", "scan", f"{directory} is read"))
            outcome = await _apart(lambda: scan_checkout(directory, since, jobs))
            seen.append(outcome)
            now = datetime.now(UTC)
            found.extend(apply(suppressions, one, now) for one in results(outcome.scan, outcome.found, issue or ()))

        report = await reported("scan", look(), fail_on.severity, found)
        return _compared(report, seen[0], since) if seen and since is not None else report

    raise typer.Exit(deliver(work, outputs))


async def _apart(work: Callable[[], Outcome]) -> Outcome:
    """Return what `work` does, done in a thread that nobody waits for when this is cancelled."""
    import asyncio
    import threading
    from concurrent.futures import Future

    promise: Future[Outcome] = Future()
    # From here on nobody can cancel the promise, so that the thread can always keep it.
    promise.set_running_or_notify_cancel()

    def carry_out() -> None:
        try:
            promise.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            promise.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    return await asyncio.wrap_future(promise)


def _compared(report: Report, outcome: Outcome, since: str) -> Report:
    from dataclasses import replace

    from alwrity_checks.model import Verdict
    from alwrity_checks.redaction import scrub

    standing = f"{outcome.standing} finding{'s were' if outcome.standing != 1 else ' was'} there before, and not shown"
    said = f"{scrub(since)}: compared with {outcome.base[:12]}; {standing}"
    # That nothing is wrong would be said of the checkout, of which only the change was judged.
    summary = f"nothing known was introduced since {said}." if report.verdict is Verdict.PASS else report.summary
    return replace(report, settings={"--since": said}, summary=summary)
