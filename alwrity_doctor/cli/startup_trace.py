"""`alwrity-doctor startup trace`: what a server's start waits for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import (
    FailOn,
    FailOnOption,
    FormatOption,
    check_writable,
    deliver,
    finite,
    parse_formats,
    write_whole,
)

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Observer, Report, Table
    from alwrity_checks.pictures import Picture
    from alwrity_checks.startup.trace_analysis import Analysis
    from alwrity_checks.startup.trace_answer import Question

__all__ = ["CONTEXT", "trace"]

CONTEXT: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""How typer has to be told to leave the command's own options alone."""


def trace(  # noqa: PLR0913 - each parameter is an option of the command
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND...", help="The server's command, as in a shell.", show_default=False),
    ],
    *,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="What to ask for.  [default: the first port that is listened on]"),
    ] = None,
    path: Annotated[str, typer.Option("--path", metavar="PATH", help="What to ask that port for.")] = "/",
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="S", min=0.1, callback=finite, help="How long to wait for the first answer."),
    ] = 60.0,
    threshold: Annotated[
        float,
        typer.Option("--threshold", metavar="S", min=0.05, callback=finite, help="From which wait on it is a finding."),
    ] = 1.0,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that shows the start over time.")
    ] = None,
    chrome: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Write the start as a Chrome trace (Perfetto).")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show on stderr what the command says.")] = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Run a server's command until its first answer, tell what the time went on, and end it.

    Nothing of the user's code is changed: Python processes are watched by audit hooks and samples from within, all
    others from outside. Its arguments are not shown, and of what it says only the last lines where it ends too early.
    """
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    for file in (html, chrome):
        if file is not None:
            check_writable(file)
    if not command[0]:
        raise ConfigurationError("the command is empty", "write it as in a shell, behind --: -- python app.py")
    question = _question(url)
    if not path.startswith("/"):
        raise ConfigurationError(f"--path {path!r:.80} is not a path", "begin it with /")
    results: list[CheckResult] = []
    analyses: list[Analysis] = []

    async def work(observers: Sequence[Observer]) -> Report:
        from dataclasses import replace

        from alwrity_checks.model import Verdict
        from alwrity_checks.startup.pictured import memory_picture, trace_picture

        wish = _Wish(command, question, path, timeout, threshold, verbose=verbose)
        done = _traced(wish, observers, results, analyses)

        def seen() -> tuple[Picture, ...]:
            verdict = Verdict.worst(one.verdict for one in results)
            return tuple(picture for one in analyses for picture in (trace_picture(one, verdict), *memory_picture(one)))

        report = await reported("startup trace", done, fail_on.severity, results, pictures=seen)
        return replace(report, tables=tuple(_tables(analyses)))

    code = deliver(work, outputs)
    for analysis in analyses:
        _write(analysis, results, html, chrome)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class _Wish:
    """The command's options."""

    command: Sequence[str]
    question: Question | None
    path: str
    timeout: float
    threshold: float
    verbose: bool


def _question(url: str | None) -> Question | None:
    from urllib.parse import urlsplit

    from alwrity_checks.startup.trace_answer import Question

    if url is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ConfigurationError("--url is not a URL", "write --url http://127.0.0.1:8000/health") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ConfigurationError(
            "--url is not an http or https URL without a user name", "write --url http://127.0.0.1:8000/health"
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Question(parts.hostname, port, target, parts.scheme == "https")


async def _traced(
    wish: _Wish, observers: Sequence[Observer], results: list[CheckResult], analyses: list[Analysis]
) -> None:
    """Trace on a thread; when cancelled, wait until the command has been ended, and keep what was seen."""
    import asyncio
    import threading

    from alwrity_checks.model import Event
    from alwrity_checks.startup.trace import record
    from alwrity_checks.startup.trace_analysis import analyse
    from alwrity_checks.startup.trace_findings import examine
    from alwrity_doctor.cli.process import say
    from alwrity_doctor.report.characters import visible

    stop = threading.Event()

    def heard(line: str) -> None:
        if wish.verbose:
            say(visible(line))

    def run() -> None:
        recorded = record(
            wish.command, question=wish.question, path=wish.path, timeout=wish.timeout, stop=stop, heard=heard
        )
        analysis = analyse(recorded)
        analyses.append(analysis)
        results.extend(examine(analysis, wish.threshold, timeout=wish.timeout))

    for observer in observers:
        observer.notify(Event("started", "startup trace", "waiting for the first answer"))
    task = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        task.exception()  # what the interrupted trace raised does not matter any more
        raise
    finally:
        for observer in observers:
            observer.notify(Event("finished", "startup trace"))


def _tables(analyses: Sequence[Analysis]) -> list[Table]:
    from alwrity_checks.model import Table
    from alwrity_checks.startup.trace_phases import Phase

    tables: list[Table] = []
    for analysis in analyses:
        whole = analysis.seconds or 1.0
        rows = [
            (
                str(phase),
                f"{seconds:.2f} s",
                f"{seconds / whole:.0%}",
                ", ".join(f"{subject} {spent:.2f} s" for subject, spent in analysis.subjects(phase)[:3]),
            )
            for phase, seconds in sorted(analysis.totals.items(), key=lambda one: -one[1])
        ]
        total = ("in all", f"{analysis.seconds:.2f} s", "100%", "")
        title = f"What the start of {analysis.recorded.program} went on"
        tables.append(Table(title, ("phase", "time", "share", "most of it"), (*rows, total)))
        packages = analysis.subjects(Phase.IMPORTS)[:10]
        if packages:
            listed = tuple((package, f"{spent:.2f} s", f"{spent / whole:.0%}") for package, spent in packages)
            tables.append(Table("Imports, each package without what it imports", ("package", "time", "share"), listed))
    return tables


def _write(analysis: Analysis, results: Sequence[CheckResult], html: Path | None, chrome: Path | None) -> None:
    from alwrity_checks.startup.trace_picture import chrome_trace, page

    if html is not None:
        write_whole(html, page(analysis, results))
    if chrome is not None:
        write_whole(chrome, json.dumps(chrome_trace(analysis)) + "\n")
