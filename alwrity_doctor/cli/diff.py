"""`alwrity-doctor diff`: what became better, worse, is new or no longer known between two reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alwrity_doctor.cli.output import FailOn, FailOnOption, FormatOption, emit, parse_formats
from alwrity_doctor.cli.report_file import read_report

app = typer.Typer()


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A report that --format json wrote; - is stdin.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="A later one of the same command.")],
    *,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Compare two reports of one command: only what became worse is a finding.

    Exit codes: 0 nothing became worse; 1 something did; 3 something is no longer known, and nothing worse.
    """
    from alwrity_doctor.comparison import compare

    outputs = parse_formats(form)
    report = compare(read_report(before), read_report(after))
    raise typer.Exit(emit(replace(report, fail_on=fail_on.severity), outputs))
