"""`alwrity-doctor startup race`: the historical bootstrap, the component and a checkout, against a bad hub."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.checkout_options import BackendOption, PythonOption, UseEnvOption, named_checkout
from alwrity_doctor.cli.output import FormatOption, check_writable, deliver, finite, parse_formats, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Observer, Report, Table
    from alwrity_checks.sandbox.target import CheckoutTarget
    from alwrity_checks.startup.experiment import Played, StartupExperiment
    from alwrity_checks.startup.race_targets import StartTarget

__all__ = ["RaceTarget", "race"]


class RaceTarget(StrEnum):
    """What the race is done to."""

    LEGACY = "legacy"
    FIXED = "fixed"
    BACKEND = "backend"


def race(  # noqa: PLR0913 - each parameter is an option of the command
    *,
    target: Annotated[
        RaceTarget | None,
        typer.Option("--target", help="Only the legacy bootstrap, only the component, or only the checkout's script."),
    ] = None,
    backend: BackendOption = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            metavar="S",
            min=1.0,
            max=3600.0,
            callback=finite,
            help="How long the hub takes for the larger model.",
        ),
    ] = 3.0,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", metavar="NAME", help="Only this one, such as slow or stalled; may be repeated."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that shows who answers when.")
    ] = None,
    form: FormatOption = None,
) -> None:
    """Race a server's start against a model hub that is slow, stands still, refuses, or fills the disk.

    The same small server starts behind the legacy bootstrap and with the component; the hub is on this machine and
    the client is the real one. What decides is whether the server answers before its download has ended. With
    --backend DIR a checkout's own start script is run too, from its first line to the call of its server.
    """
    from dataclasses import replace

    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce

    outputs = parse_formats(form)
    if html is not None:
        check_writable(html)
    own = _own(target, backend, python, use_env=use_env)
    experiment = _experiment(target, seconds, scenario, own)

    async def work(observers: Sequence[Observer]) -> Report:
        report = await reproduce([experiment], Broadcast(observers), command="startup race")
        return replace(report, tables=(_times(experiment),)) if experiment.played else report

    code = deliver(work, outputs)
    if html is not None:
        from alwrity_checks.startup.race_picture import page

        write_whole(html, page(experiment.played, experiment.bare))
    raise typer.Exit(code)


def _own(
    target: RaceTarget | None, directory: Path | None, python: Path | None, *, use_env: bool
) -> CheckoutTarget | None:
    """Return the checkout's script, if one is named. Raises ConfigurationError where options do not fit together."""
    found = named_checkout(directory, python, use_env=use_env)
    if found is None:
        if target is RaceTarget.BACKEND:
            raise ConfigurationError("--target backend needs a checkout", "name it: --backend DIR")
        return None
    if target not in {None, RaceTarget.BACKEND}:
        raise ConfigurationError(f"--backend names a checkout, --target {target} leaves it out", "drop one")
    from alwrity_checks.backend.drivers import startup_target

    return startup_target(*found)


def _experiment(
    target: RaceTarget | None, seconds: float, scenarios: Sequence[str] | None, own: CheckoutTarget | None
) -> StartupExperiment:
    from alwrity_checks.startup.experiment import SCENARIOS, StartupExperiment
    from alwrity_checks.startup.race_targets import targets

    names = [one.name for one in SCENARIOS]
    if unknown := next((name for name in scenarios or () if name not in names), None):
        raise ConfigurationError(f"there is no scenario {unknown!r}", f"the scenarios are: {', '.join(names)}")
    chosen: list[StartTarget | CheckoutTarget] = [
        one for one in targets() if target is None or one.target.kind == target.value
    ]
    if own is not None:
        chosen.append(own)
    return StartupExperiment(seconds=seconds, chosen=chosen, scenarios=scenarios or None)


def _times(experiment: StartupExperiment) -> Table:
    """Return what each target came to, side by side; the server without models for comparison."""
    from alwrity_checks.model import Table

    targets = tuple(dict.fromkeys(str(one.target) for one in experiment.played))
    scenarios = tuple(dict.fromkeys(one.scenario.name for one in experiment.played))
    cells = {(one.scenario.name, str(one.target)): _cell(one) for one in experiment.played}
    bare = "" if experiment.bare is None else f"answers after {experiment.bare:.2f} s"
    return Table(
        "When the server answers, and when the model can be used",
        ("scenario", *targets),
        (
            ("no models at all", *(bare for _ in targets)),
            *((name, *(cells.get((name, target), "not played") for target in targets)) for name in scenarios),
        ),
    )


def _cell(played: Played) -> str:
    start = played.seen.start
    if start is None:
        return str(played.seen.outcome)
    answered, usable = start.at("answered"), start.at("usable")
    told = "not while watched" if answered is None else f"answers after {answered:.2f} s"
    return told if usable is None else f"{told}, usable {usable:.2f} s"
