"""`alwrity-doctor reproduce`: every fault on the model that shows it, the component that does not, and a checkout."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alwrity_checks.catalogue import EXPERIMENTS
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import FormatOption, deliver, parse_formats

if TYPE_CHECKING:
    from alwrity_doctor.reproduction import Reproducible

app = typer.Typer()


@app.command()
def reproduce(
    issues: Annotated[
        list[int] | None, typer.Argument(metavar="[ISSUE]...", help="Issues. All with an experiment, if none is named.")
    ] = None,
    *,
    backend: Annotated[
        Path | None,
        typer.Option(
            "--backend",
            metavar="DIR",
            help="Also what this checkout of ALwrity has in its place, in a sandbox: its root, or backend/.",
        ),
    ] = None,
    form: FormatOption = None,
) -> None:
    """Put each issue's legacy model and its fix through the same scenarios, and judge every rule."""
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as carry_out

    outputs = parse_formats(form)
    experiments = [_experiment(issue) for issue in dict.fromkeys(issues or sorted(EXPERIMENTS))]
    if backend is not None:
        experiments = _with_checkout(experiments, backend)
    raise typer.Exit(deliver(lambda observers: carry_out(experiments, Broadcast(observers)), outputs))


def _experiment(issue: int) -> Reproducible[Any]:
    if issue not in EXPERIMENTS:
        known = ", ".join(map(str, sorted(EXPERIMENTS)))
        raise ConfigurationError(f"issue {issue} has no experiment", f"these have one: {known}")
    experiment: Reproducible[Any] = import_module(EXPERIMENTS[issue]).experiment()
    return experiment


def _with_checkout(experiments: list[Reproducible[Any]], directory: Path) -> list[Reproducible[Any]]:
    """Return the experiments with the checkout among their targets; one that has no driver for it says so."""
    from alwrity_checks.backend.checkout import find_checkout
    from alwrity_checks.backend.drivers import DRIVERS
    from alwrity_doctor.reproduction import Undriven, WithBackend

    checkout = find_checkout(directory)
    return [
        WithBackend(one, DRIVERS[one.issue](checkout) if one.issue in DRIVERS else Undriven(one.issue))
        for one in experiments
    ]
