"""`alwrity-doctor render`: an old report, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alwrity_doctor.cli.output import FormatOption, emit, parse_formats
from alwrity_doctor.cli.report_file import read_report

app = typer.Typer()


@app.command()
def render(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="What --format json wrote; - is standard input.")],
    form: FormatOption = None,
) -> None:
    """Write a report again, in other formats: nothing is checked anew. It ends as the command that made it.

    A summary to hand over: alwrity-doctor render report.json --format markdown=report.md
    """
    outputs = parse_formats(form)
    raise typer.Exit(emit(read_report(report), outputs))
