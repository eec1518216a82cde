"""`alwrity-doctor models`: local models, what fits, and what they answer."""

from __future__ import annotations

import typer

from alwrity_doctor.cli.models_bench import bench
from alwrity_doctor.cli.models_generate import generate
from alwrity_doctor.cli.models_list import list_models
from alwrity_doctor.cli.models_plan import plan
from alwrity_doctor.cli.models_pull import pull
from alwrity_doctor.cli.models_reproduce import reproduce

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """Issue 5: local models: which are named, which fit, how fast they answer."""


app.command("list")(list_models)
for _command in (plan, bench, pull, generate, reproduce):
    app.command()(_command)
