"""`alwrity-doctor hf reproduce`: issue 2 on the models that show it, the component that does not, and a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from alwrity_doctor.cli.checkout_options import BackendOption, PythonOption, UseEnvOption, with_checkout
from alwrity_doctor.cli.output import FormatOption, deliver, parse_formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Observation, Observer, Report, Table

__all__ = ["cost_table", "reproduce"]


def reproduce(
    *,
    backend: BackendOption = None,
    python: PythonOption = None,
    use_env: UseEnvOption = False,
    form: FormatOption = None,
) -> None:
    """Show the faults on the legacy provider, and none on the fix.

    Both are put through the same answers of a router on this machine; what the truth cost each is in a table. With
    --backend DIR a checkout's own provider is put through them too, by its interpreter, with a token made up.
    """
    from dataclasses import replace

    from alwrity_checks.hf.experiment import experiment
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce as reproduction

    outputs = parse_formats(form)
    experiments = with_checkout([experiment()], backend, python, use_env=use_env)

    async def work(observers: Sequence[Observer]) -> Report:
        report = await reproduction(experiments, Broadcast(observers), command="hf reproduce")
        costs = cost_table(report.observations)
        return replace(report, tables=(costs,)) if costs.rows else report

    raise typer.Exit(deliver(work, outputs))


def cost_table(observations: Sequence[Observation]) -> Table:
    """Return the requests made, and the seconds until the caller was told, for each scenario and target.

    A target without the function that a scenario asks for was not asked.
    """
    from alwrity_checks.model import Table

    names = tuple(dict.fromkeys(str(one.target) for one in observations))
    costs: dict[str, dict[str, str]] = {}
    for one in observations:
        facts = {evidence.label: evidence.value for evidence in one.evidence}
        if "requests" in facts:
            costs.setdefault(one.scenario, {})[str(one.target)] = f"{facts['requests']}, {facts['seconds']} s"
    played = {(one.scenario, str(one.target)) for one in observations}

    def cell(scenario: str, name: str) -> str:
        return costs[scenario].get(name) or ("unknown" if (scenario, name) in played else "not asked")

    rows = tuple((scenario, *(cell(scenario, name) for name in names)) for scenario in costs)
    return Table("Requests, and seconds until the caller was told", ("scenario", *names), rows)
