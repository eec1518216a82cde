"""`alwrity-doctor reproduce`: every fault on the model that shows it, the component that does not, and a checkout."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alwrity_checks.catalogue import EXPERIMENTS
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.checkout_options import BackendOption, PythonOption, UseEnvOption, with_checkout
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
    backend: BackendOption = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    form: FormatOption = None,
) -> None:
    """Put each issue's legacy model and its fix through the same scenarios, and judge every rule."""
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as carry_out

    outputs = parse_formats(form)
    named = [_experiment(issue) for issue in dict.fromkeys(issues or sorted(EXPERIMENTS))]
    experiments = with_checkout(named, backend, python, use_env=use_env)
    raise typer.Exit(deliver(lambda observers: carry_out(experiments, Broadcast(observers)), outputs))


def _experiment(issue: int) -> Reproducible[Any]:
    if issue not in EXPERIMENTS:
        known = ", ".join(map(str, sorted(EXPERIMENTS)))
        raise ConfigurationError(f"issue {issue} has no experiment", f"these have one: {known}")
    experiment: Reproducible[Any] = import_module(EXPERIMENTS[issue]).experiment()
    return experiment
