"""`alwrity-doctor startup`: what a server's start waits for."""

from __future__ import annotations

import typer

from alwrity_doctor.cli.startup_race import race
from alwrity_doctor.cli.startup_trace import CONTEXT, trace

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Issue 6: what a server's start waits for."""


app.command(context_settings=CONTEXT)(trace)
app.command()(race)
