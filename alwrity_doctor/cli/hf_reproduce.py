"""`alwrity-doctor hf reproduce`: issue 2 on the models that show it, and on the component that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from alwrity_doctor.cli.output import FormatOption, deliver, parse_formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Observation, Observer, Report, Table

__all__ = ["cost_table", "reproduce"]


def reproduce(form: FormatOption = None) -> None:
    """Show the faults on the legacy provider, and none on the fix.

    Both are put through the same answers of a router on this machine; what the truth cost each is in a table.
    """
    from dataclasses import replace

    from alwrity_checks.hf.experiment import experiment
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as reproduction

    outputs = parse_formats(form)

    async def work(observers: Sequence[Observer]) -> Report:
        report = await reproduction([experiment()], Broadcast(observers), command="hf reproduce")
        costs = cost_table(report.observations)
        return replace(report, tables=(costs,)) if costs.rows else report

    raise typer.Exit(deliver(work, outputs))


def cost_table(observations: Sequence[Observation]) -> Table:
    """Return the requests made, and the seconds until the caller was told, for each scenario and target."""
    from alwrity_checks.model import Table

    names = tuple(dict.fromkeys(str(one.target) for one in observations))
    costs: dict[str, dict[str, str]] = {}
    for one in observations:
        facts = {evidence.label: evidence.value for evidence in one.evidence}
        if "requests" in facts:
            costs.setdefault(one.scenario, {})[str(one.target)] = f"{facts['requests']}, {facts['seconds']} s"
    rows = tuple((scenario, *(cells.get(name, "unknown") for name in names)) for scenario, cells in costs.items())
    return Table("Requests, and seconds until the caller was told", ("scenario", *names), rows)
