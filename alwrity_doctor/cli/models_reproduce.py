"""`alwrity-doctor models reproduce`: issue 5 on the wrapper that shows it, on the component, and on a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.checkout_options import BackendOption, PythonOption, UseEnvOption, with_checkout
from alwrity_doctor.cli.output import FormatOption, deliver, parse_formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Observer, Report

__all__ = ["reproduce"]


def reproduce(
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="CODE", help="Only the scenario of this rule; may be repeated."),
    ] = None,
    *,
    backend: BackendOption = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    form: FormatOption = None,
) -> None:
    """Show the faults on the historical wrapper, and none on the registry.

    Both load through the same scenarios: four threads, a failing first model, no memory, no network, an event loop.
    Tiny models with random weights are written for it; nothing is downloaded. With --backend DIR a checkout's own
    agents are put through them too, by its interpreter.
    """
    from alwrity_checks.models.experiment import SCENARIOS, ModelsExperiment
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as reproduction

    outputs = parse_formats(form)
    known = [scenario.code for scenario in SCENARIOS]
    if strange := sorted(set(rule or ()) - set(known)):
        raise ConfigurationError(f"no scenario shows {', '.join(strange)}", f"these have one: {', '.join(known)}")
    experiments = with_checkout([ModelsExperiment(codes=rule or None)], backend, python, use_env=use_env)

    async def work(observers: Sequence[Observer]) -> Report:
        return await reproduction(experiments, Broadcast(observers), command="models reproduce")

    raise typer.Exit(deliver(work, outputs))
