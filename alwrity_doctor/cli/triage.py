"""`alwrity-doctor triage`: what a backend's log says, and what failed first."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from alwrity_doctor.cli.output import FailOn, FailOnOption, FormatOption, finite, parse_formats

app = typer.Typer()


class EngineName(StrEnum):
    """What looks for the signatures."""

    AUTO = "auto"
    PYTHON = "python"
    HYPERSCAN = "hyperscan"


@app.command()
def triage(  # noqa: PLR0913 - each parameter is an option of the command
    log: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LOG]...",
            help="Files, quoted patterns ('logs/**/*.log*'), directories, - for standard input; plain or compressed.  "
            "[default: standard input, if something is piped in]",
            show_default=False,
        ),
    ] = None,
    *,
    issue: Annotated[
        list[int] | None, typer.Option("--issue", metavar="N", min=1, max=6, help="Only this issue; may be repeated.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("-f", "--follow", help="Go on as the logs grow; Ctrl-C ends with the report."),
    ] = False,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="S", min=0, callback=finite, help="With -f: how long to wait for a file."),
    ] = 60.0,
    redact: Annotated[
        str | None,
        typer.Option(
            "--redact",
            metavar="OUT",
            help="Write a cleaned copy with as many lines: a file (compressed by its name), or a directory.",
        ),
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Also print drafts of signatures for lines that none knows.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, max=256, help="Processes that read.  [default: 2]")
    ] = None,
    engine: Annotated[
        EngineName, typer.Option("--engine", help="What looks for the signatures; hyperscan needs the extra [fast].")
    ] = EngineName.AUTO,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Read on this Dask cluster; LOG may then be an address such as s3://logs/*.log. Extra [fleet].",
        ),
    ] = None,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Group a backend's log under the known issues; name the first failing subsystem and its cause.

    What is known, what is harmless and what nobody knows yet is told apart; nothing secret is shown. Exit code 1 for a
    finding, 3 if a log could not be read and nothing worse, 2 if nothing of that name exists.
    """
    from alwrity_doctor.cli.triage_run import Wish, run

    outputs = parse_formats(form)
    wish = Wish(
        logs=tuple(log or ()),
        issues=tuple(issue or ()),
        wait=wait,
        redact=redact,
        suggest=suggest,
        workers=workers,
        engine=engine.value,
        scheduler=scheduler,
        fail_on=fail_on,
        outputs=outputs,
    )
    raise typer.Exit(run(wish, follow=follow))
