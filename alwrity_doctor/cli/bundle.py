"""`alwrity-doctor bundle`: the gate's report and what belongs to it, cleaned, in one archive to hand over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alwrity_doctor.cli.gate import ConfigOption  # noqa: TC001 - typer reads the annotations
from alwrity_doctor.cli.output import EnvFileOption, OfflineOption  # noqa: TC001 - the same

app = typer.Typer()


@app.command()
def bundle(  # noqa: PLR0913 - each parameter is an option of the command
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A .tar.gz (also without the ending) or a .zip that is not there yet.")
    ],
    *,
    backend: Annotated[
        Path | None,
        typer.Option(
            "--backend",
            metavar="DIR",
            help="The root of your checkout: its .env files are read, its source is scanned.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="LOG", help="A log, a quoted pattern or a directory, as for triage; repeatable."),
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", metavar="FILE", help="A report that --format json wrote; may be repeated."),
    ] = None,
    lines: Annotated[
        int,
        typer.Option("--lines", metavar="N", min=0, max=100_000, help="Of each log at most N lines; 0 takes none."),
    ] = 2000,
    env_file: EnvFileOption = None,
    config: ConfigOption = None,
    offline: OfflineOption = False,
) -> None:
    """Run the gate, read the logs, and put everything into one archive to hand over; secrets stay here.

    What was taken out is counted in its ledger. `gate --from` judges it again, on any machine, without a network.
    Exit codes: 0 it is written, whatever it says; 2 it is not; 3 it is written, and a log in it could not be read.
    """
    from alwrity_doctor.cli.bundle_run import Wish, run

    wish = Wish(
        out=out,
        backend=backend,
        logs=tuple(log or ()),
        reports=tuple(report or ()),
        lines=lines,
        env_files=tuple(env_file or ()),
        config=config,
        offline=offline,
    )
    raise typer.Exit(run(wish))
