"""`alwrity-doctor txtai`: the semantic index, its faults and its cure."""

from __future__ import annotations

import json
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.legacy.variant import LegacyVariant  # noqa: TC001 - typer reads the annotations
from alwrity_doctor.cli.checkout_options import BackendOption, PythonOption, UseEnvOption, named_checkout
from alwrity_doctor.cli.output import FormatOption, check_writable, deliver, parse_formats, write_whole
from alwrity_doctor.cli.txtai_index import index
from alwrity_doctor.cli.txtai_migrate import migrate
from alwrity_doctor.cli.txtai_repair import repair
from alwrity_doctor.cli.txtai_search import search
from alwrity_doctor.cli.txtai_status import status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Observer, Report
    from alwrity_checks.txtai.experiment import Played, TxtaiExperiment
    from alwrity_checks.txtai.scenarios.backend import BackendTarget
    from alwrity_checks.txtai.scenarios.targets import Contender
    from alwrity_doctor.cli.output import Output

app = typer.Typer(no_args_is_help=True)

_FREE_TRIALS: Final = 20
_WIDTH: Final = 100


class RaceTarget(StrEnum):
    """What the race is done to."""

    LEGACY = "legacy"
    FIXED = "fixed"
    BACKEND = "backend"


@app.callback()
def group() -> None:
    """Issue 3: the semantic index, its initialisation race and its cure."""


@app.command()
def race(  # noqa: PLR0913 - each parameter is an option of the command
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", min=1, help="Play each scenario N times.  [default: 1; 20 free]"),
    ] = None,
    *,
    target: Annotated[
        RaceTarget | None,
        typer.Option("--target", help="Only the legacy service, only the component, or only the checkout's service."),
    ] = None,
    backend: BackendOption = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    variant: Annotated[
        list[LegacyVariant] | None,
        typer.Option(
            "--variant", help="Only this state of the legacy service, and the faults it has; may be repeated."
        ),
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="Force no order: how often does it happen by chance?")] = False,
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Write what happened as a Chrome trace (Perfetto).")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that shows what happened, by thread.")
    ] = None,
    form: FormatOption = None,
) -> None:
    """Race indexing against initialisation, threads, event loops and kill -9, on the legacy service and the component.

    The order in which a fault shows is forced, so that one trial is enough; with --free it is left to chance. No model
    and no network are needed. With --backend DIR a checkout's own service is put through it too, by its interpreter.
    """
    from dataclasses import replace

    from alwrity_doctor.cli.race_view import counts
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce

    outputs = parse_formats(form)
    for path in (trace, html):
        if path is not None:
            check_writable(path)
    if target not in {None, RaceTarget.LEGACY} and variant:
        raise ConfigurationError("--variant names a state of the legacy service, --target leaves it out", "drop one")
    own = _own(target, backend, python, use_env=use_env)
    experiment = _experiment(trials or (_FREE_TRIALS if free else 1), target, variant or [], own, free=free)

    async def work(observers: Sequence[Observer]) -> Report:
        report = await reproduce([experiment], Broadcast(observers), command="txtai race")
        return replace(report, tables=(counts(experiment.played),)) if experiment.played else report

    code = deliver(work, outputs)
    # The files first: whoever reads the output may stop reading.
    _write(experiment.played, trace, html)
    _show(experiment.played, outputs)
    raise typer.Exit(code)


def _own(
    target: RaceTarget | None, directory: Path | None, python: Path | None, *, use_env: bool
) -> BackendTarget | None:
    """Return the checkout's service, if one is named. Raises ConfigurationError where options do not fit together."""
    if directory is None and target is RaceTarget.BACKEND:
        raise ConfigurationError("--target backend needs a checkout", "name it: --backend DIR")
    if directory is not None and target not in {None, RaceTarget.BACKEND}:
        raise ConfigurationError(f"--backend names a checkout, --target {target} leaves it out", "drop one")
    found = named_checkout(directory, python, use_env=use_env)
    if found is None:
        return None
    from alwrity_checks.backend.drivers import txtai_target

    return txtai_target(*found)


def _experiment(
    trials: int,
    target: RaceTarget | None,
    variants: Sequence[LegacyVariant],
    own: BackendTarget | None,
    *,
    free: bool,
) -> TxtaiExperiment:
    from alwrity_checks.model import TargetKind
    from alwrity_checks.txtai.experiment import TxtaiExperiment
    from alwrity_checks.txtai.scenarios.catalogue import FAULTS
    from alwrity_checks.txtai.scenarios.targets import targets

    names = {f"{TargetKind.LEGACY} {variant}" for variant in variants}
    chosen: list[Contender] = [
        one
        for one in targets()
        if (target is None or one.target.kind == target.value)
        and (not names or one.target.kind is not TargetKind.LEGACY or str(one) in names)
    ]
    if own is not None:
        chosen.append(own)
    faults = frozenset[str]().union(*(FAULTS[variant] for variant in variants))
    codes = faults if variants and not free else None
    return TxtaiExperiment(trials=trials, chosen=chosen, codes=codes, free=free)


def _show(played: Sequence[Played], outputs: Sequence[Output]) -> None:
    """Add the timelines to a report that a person reads on stdout."""
    if not played or not any(output.format == "text" and output.path is None for output in outputs):
        return
    from alwrity_doctor.cli.race_view import timelines

    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size((_WIDTH, 24)).columns if terminal else _WIDTH
    typer.echo(timelines(played, colour=colour, width=width), nl=False)


def _write(played: Sequence[Played], trace: Path | None, html: Path | None) -> None:
    from alwrity_checks.txtai.picture import page
    from alwrity_checks.txtai.recorder import chrome_trace
    from alwrity_doctor.cli.race_view import chapters, recordings

    if trace is not None:
        write_whole(trace, json.dumps(chrome_trace(recordings(played)), indent=1) + "\n")
    if html is not None:
        introduction = (
            "What happens when documents come while the semantic index starts: recorded from the legacy service, "
            "rebuilt in its historical states, from the component, and from a checkout's own service where one was "
            "named, under the same forced order."
        )
        write_whole(html, page("txtai race", introduction, chapters(played)))


for _command in (index, search, status, repair, migrate):
    app.command()(_command)
