"""`alwrity-doctor models list`: every model that the registry, and a checkout, name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_doctor.cli.models_component import component, examined, fact, failed
from alwrity_doctor.cli.output import EnvFileOption, FormatOption, deliver, env_files, parse_formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import CheckResult, Observer, Report, Table
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.source import SourceScan
    from alwrity_checks.models.workshop import Workshop
    from alwrity_checks.settings import Settings

__all__ = ["list_models"]

_LANGUAGES: Final = 4
"""So many are named; a table has a width."""


def list_models(
    *,
    backend: Annotated[
        Path | None,
        typer.Option("--backend", metavar="DIR", help="A checkout of ALwrity: it is parsed, and nothing of it is run."),
    ] = None,
    env_file: EnvFileOption = None,
    form: FormatOption = None,
) -> None:
    """Show every model that the registry names, and with --backend every one that the checkout does.

    With place, use, licence and size, and with the disagreements: one role, one model is the healthy state. Nothing is
    asked over the network.
    """
    import asyncio

    from alwrity_checks.model import Severity
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    checkout = _checkout(backend)
    settings, works, registry = component(env_files(env_file), offline=True)
    results: list[CheckResult] = []
    tables: list[Table] = []

    async def look() -> None:
        tables.append(_of_registry(registry, works))
        results.append(_roles_result(registry, settings))
        if checkout is not None:
            from alwrity_checks.models.source import scan_source

            scan = await asyncio.to_thread(scan_source, checkout)
            tables.append(_of_checkout(scan))
            results.append(_checkout_result(scan, checkout, registry))

    async def work(_observers: Sequence[Observer]) -> Report:
        report = await reported("models list", look(), Severity.ERROR, results)
        return replace(report, tables=tuple(tables), settings=_shown(registry))

    with registry:
        raise typer.Exit(deliver(work, outputs))


def _checkout(named: Path | None) -> Path | None:
    if named is None:
        return None
    from alwrity_checks.backend.checkout import find_checkout

    return find_checkout(named).backend


def _of_registry(registry: ModelRegistry, works: Workshop) -> Table:
    from alwrity_checks.model import Table

    rows = [
        (
            model,
            role.name,
            str(number),
            _origin(role, model),
            *_facts(works, model),
        )
        for role in registry.roles.values()
        for number, model in enumerate(role.models, 1)
    ]
    columns = ("model", "role", "place", "named by", "licence", "languages", "template", "size", "here")
    return Table("Models of the registry", columns, tuple(rows))


def _facts(works: Workshop, model: str) -> tuple[str, str, str, str, str]:
    from alwrity_checks.errors import DoctorError
    from alwrity_checks.models.cache import cached_snapshot
    from alwrity_checks.models.decision import in_bytes
    from alwrity_checks.models.facts import find_facts

    here = "yes" if cached_snapshot(model, works.cache) is not None else "no"
    try:
        facts = find_facts(model, hub=None, cache=works.cache)
    except DoctorError:
        return "", "", "", "", here
    licence = f"{facts.licence or 'unknown'}{'' if facts.commercial_use else ' (no commercial use)'}"
    more = len(facts.languages) - _LANGUAGES
    languages = ", ".join(facts.languages[:_LANGUAGES]) + (f" and {more} more" if more > 0 else "")
    return licence, languages, facts.template or "none", in_bytes(facts.weights.file_bytes), here


def _origin(role: Role, model: str) -> str:
    for setting in role.settings:
        if model in setting.value.reveal() or Path(model).name in setting.value.reveal():
            return f"{setting.name} ({setting.location})"
    return "default"


def _shown(registry: ModelRegistry) -> dict[str, str]:
    from alwrity_checks.redaction import scrub

    # None of these is a secret: they name models, runtimes and precisions.
    return {
        setting.name: f"{scrub(setting.value.reveal())} ({setting.source}: {setting.location})"
        for role in registry.roles.values()
        for setting in role.settings
    }


def _roles_result(registry: ModelRegistry, settings: Settings) -> CheckResult:
    from alwrity_checks.models.check_settings import setting_findings

    chains = [fact(role.name, " > ".join(role.models)) for role in registry.roles.values()]
    title = "the settings of the local models mean what they seem to mean"
    return examined("models.roles", title, tuple(setting_findings(settings)), chains, f"{len(chains)} roles")


def _of_checkout(scan: SourceScan) -> Table:
    from alwrity_checks.model import Table
    from alwrity_checks.redaction import scrub

    rows = [
        (one.place, scrub(one.model), str(one.use), one.call, "yes" if one.live else "no: a dead copy")
        for one in scan.namings
    ]
    return Table("Models of the checkout", ("place", "model", "use", "reaches", "runs"), tuple(rows))


def _checkout_result(scan: SourceScan, checkout: Path, registry: ModelRegistry) -> CheckResult:
    from alwrity_checks.errors import DoctorError
    from alwrity_checks.model import Verdict
    from alwrity_checks.models.findings import source_findings
    from alwrity_checks.models.source import Use

    title = "the checkout's modules agree on their models"
    try:
        found = tuple(source_findings(scan, checkout, registry.role().models[0]))
    except DoctorError as error:
        return failed("models.checkout", title, error)
    evidence = [fact(str(use), ", ".join(scan.models(use))) for use in Use if scan.models(use)]
    evidence.append(fact("files", f"{scan.files} read, {len(scan.unparsed)} not parsed"))
    result = examined("models.checkout", title, found, evidence, f"{len(scan.namings)} places")
    if scan.namings or found:
        return result
    return replace(result, verdict=Verdict.SKIP, reason=f"none of {scan.files} files names a model")
