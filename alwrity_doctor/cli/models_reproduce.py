"""`alwrity-doctor models reproduce`: issue 5 on the wrapper that shows it, and on the component that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alwrity_checks.errors import ConfigurationError
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
    form: FormatOption = None,
) -> None:
    """Show the faults on the historical wrapper, and none on the registry.

    Both load through the same scenarios: four threads, a failing first model, no memory, no network, an event loop.
    Tiny models with random weights are written for it; nothing is downloaded.
    """
    from alwrity_checks.models.experiment import SCENARIOS, ModelsExperiment
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as reproduction

    outputs = parse_formats(form)
    known = [scenario.code for scenario in SCENARIOS]
    if strange := sorted(set(rule or ()) - set(known)):
        raise ConfigurationError(f"no scenario shows {', '.join(strange)}", f"these have one: {', '.join(known)}")
    experiment = ModelsExperiment(codes=rule or None)

    async def work(observers: Sequence[Observer]) -> Report:
        return await reproduction([experiment], Broadcast(observers), command="models reproduce")

    raise typer.Exit(deliver(work, outputs))
