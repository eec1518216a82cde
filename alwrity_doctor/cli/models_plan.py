"""`alwrity-doctor models plan`: which model fits, before a byte of it is downloaded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_doctor.cli.models_component import ContextOption, component, examined, fact, in_bits, role_of
from alwrity_doctor.cli.models_component import in_bytes as read_bytes
from alwrity_doctor.cli.output import EnvFileOption, FormatOption, OfflineOption, deliver, env_files, parse_formats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alwrity_checks.model import CheckResult, Evidence, Observer, Report, Table
    from alwrity_checks.models.plan import Plan, PlanRow
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.steps import Step

__all__ = ["plan"]

_MINUTE: Final = 60
_SILENT: Final = frozenset({"hub-unreachable", "hub-offline", "hub-rate-limited", "hub-error", "download-broken"})
"""The reasons for which nothing was found out."""


def plan(  # noqa: PLR0913 - each parameter is an option of the command
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROLE | MODEL]...", help="agent, embeddings, a name on the hub, a directory.  [default: each role]"
        ),
    ] = None,
    *,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="Plan for so much, as 8GiB, not for what is left here."),
    ] = None,
    context: ContextOption = None,
    bandwidth: Annotated[
        str, typer.Option("--bandwidth", metavar="RATE", help="Of the line, for the time of a download.")
    ] = "50Mbit/s",
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure this machine first, if it never was: 10 to 20 s.")
    ] = True,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    form: FormatOption = None,
) -> None:
    """Show which model, runtime and precision fit into memory, and why not the others.

    With the predicted peak, the speed and the time of a download, for each step of a role, or for every way of carrying
    out a model that is named. At most 200 kB are read from the hub for a model; without a hub the figures of ALwrity's
    own models are known.
    """
    import asyncio

    from alwrity_checks.model import Severity
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    available = None if memory is None else read_bytes(memory, "--memory")
    rate = in_bits(bandwidth, "--bandwidth")
    _, works, registry = component(env_files(env_file), offline=offline)
    roles = [role_of(registry, name) for name in names] if names else list(registry.roles.values())
    results: list[CheckResult] = []
    tables: list[Table] = []

    async def look() -> None:
        for role in roles:
            find = partial(
                works.plan,
                context=context or role.context,
                available=available,
                measure=measure,
                download_rate=rate,
            )
            found = await asyncio.to_thread(_planned, role, registry, find)
            tables.append(_table(role, found))
            results.append(_result(role, found))

    async def work(_observers: Sequence[Observer]) -> Report:
        report = await reported("models plan", look(), Severity.ERROR, results)
        return replace(report, tables=tuple(tables))

    with registry:
        raise typer.Exit(deliver(work, outputs))


def _planned(role: Role, registry: ModelRegistry, find: Callable[[tuple[Step, ...]], Plan]) -> Plan:
    return find(_steps(role, registry))


def _steps(role: Role, registry: ModelRegistry) -> tuple[Step, ...]:
    """Return a role's chain; of a model that was named, every way of carrying it out, installed or not."""
    if role.name in registry.roles:
        return registry.steps(role)
    from alwrity_checks.models.steps import Precision, Runtime, Step

    return tuple(
        Step(role.models[0], runtime, precision)
        for runtime, precisions in (
            (Runtime.ONNX, (Precision.INT4,)),
            (Runtime.TRANSFORMERS, (Precision.FLOAT32, Precision.BFLOAT16)),
        )
        for precision in precisions
    )


def _table(role: Role, found: Plan) -> Table:
    from alwrity_checks.model import Table

    columns = ("model", "runtime", "precision", "fits", "peak", "first token", "tokens/s", "download", "why")
    title = f"{role.name}: {_told_memory(found)}, context of {found.context} tokens"
    return Table(title, columns, tuple(_row(row, found) for row in found.rows))


def _row(row: PlanRow, found: Plan) -> tuple[str, ...]:
    from alwrity_checks.models.decision import in_bytes
    from alwrity_checks.redaction import scrub

    prediction = row.prediction
    download = ""
    if row.facts is not None:
        download = in_bytes(row.download_bytes) if row.download_bytes else "here"
        if row.download_bytes and row.download_seconds is not None:
            download += f", {_duration(row.download_seconds)}"
    return (
        scrub(row.step.model),
        str(row.step.runtime),
        str(row.step.precision),
        "chosen" if row.step == found.chosen else str(row.fit),
        "" if prediction is None else in_bytes(prediction.peak_rss),
        "" if prediction is None else f"{prediction.time_to_first_token:.1f} s",
        "" if prediction is None or prediction.tokens_per_second is None else f"{prediction.tokens_per_second:.0f}",
        download,
        scrub(row.why),
    )


def _result(role: Role, found: Plan) -> CheckResult:
    from alwrity_checks.models.decision import in_bytes

    name, title = f"models.plan {role.name}", "a model fits into the memory that is left"
    facts = [fact("memory", _told_memory(found)), fact("context", f"{found.context} tokens")]
    facts += [
        fact("note", f"{row.step.model}: {note}") for row in _one_a_model(found) for note in _notes(row, found.context)
    ]
    facts += [fact(setting.name, f"{setting.shown} ({setting.location})") for setting in role.settings]
    if found.assumed:
        facts.append(fact("assumed, not measured", ", ".join(sorted(found.assumed))))
    if found.busy:
        facts.append(fact("warning", "the machine was busy while it was measured: speeds are told too low"))
    if found.chosen is None:
        return _nothing_fits(name, title, found, facts)
    row = found.row(found.chosen)
    told = str(found.chosen)
    if row is not None and row.peak is not None:
        told += f": {in_bytes(row.peak)} of {in_bytes(found.available)}"
    if found.fallbacks:
        facts.append(fact("falls back to", ", then ".join(map(str, found.fallbacks))))
    return examined(name, title, (), facts, told)


def _nothing_fits(name: str, title: str, found: Plan, facts: list[Evidence]) -> CheckResult:
    """Say why: what does not fit was found out; what no hub could tell was not."""
    from alwrity_checks.model import Verdict
    from alwrity_checks.models.findings import finding
    from alwrity_checks.models.reasons import Reason

    refused = [row for row in found.rows if row.reason is not None]
    # What was found not to fit says more than what nobody knows.
    cause = min(refused, key=lambda row: (row.prediction is None, row.peak or 0), default=None)
    reason = Reason.CHAIN_EXHAUSTED if cause is None else cause.reason or Reason.CHAIN_EXHAUSTED
    why = "" if cause is None else f": {cause.step if cause.prediction else cause.step.model}: {cause.why}"
    advice = (fact("advice", cause.remedy),) if cause is not None and cause.remedy else ()
    told = finding(reason, f"none of {len(found.rows)} steps can be loaded{why}", None, advice)
    result = examined(name, title, [told], facts)
    if reason not in _SILENT:
        return result
    remedy = "" if cause is None else cause.remedy
    known = (*facts, fact("rule", told.rule.code))
    return replace(result, verdict=Verdict.UNKNOWN, findings=(), evidence=known, reason=told.message, remedy=remedy)


def _one_a_model(found: Plan) -> list[PlanRow]:
    return list({row.step.model: row for row in reversed(found.rows)}.values())[::-1]


def _notes(row: PlanRow, context: int) -> tuple[str, ...]:
    if row.facts is None:
        return ()
    longest = row.facts.shape.context
    if context <= longest:
        return row.facts.notes
    return (*row.facts.notes, f"its context ends at {longest} tokens, and it is planned for no more")


def _told_memory(found: Plan) -> str:
    from alwrity_checks.models.decision import in_bytes

    return f"{in_bytes(found.available)} ({found.limited_by})"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.0f} min"
