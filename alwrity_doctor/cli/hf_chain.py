"""`alwrity-doctor hf chain`: the deployments that honour a schema now, as a file that a backend loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.hf_settings import (
    BaseUrlOption,
    CheckoutOption,
    ConcurrencyOption,
    MaxCostOption,
    MaxRequestsOption,
    ModelsArgument,
    TimeoutOption,
    TokenFileOption,
    code_of,
    load_settings,
    models_of,
    read_schema,
    refuse_stray,
)
from alwrity_doctor.cli.output import EnvFileOption, FormatOption, deliver, env_files, parse_formats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alwrity_checks.hf.prober import Prober
    from alwrity_checks.hf.router import Router
    from alwrity_checks.model import CheckResult, Observer, Report, Table

__all__ = ["chain"]


def chain(  # noqa: PLR0913 - each parameter is an option of the command
    models: ModelsArgument = None,
    *,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the chain there; without one, the file stays as it is.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(metavar="F", help="Verify with this JSON Schema: the one of production, say.")
    ] = None,
    base_url: BaseUrlOption = None,
    token_file: TokenFileOption = None,
    env_file: EnvFileOption = None,
    backend: CheckoutOption = None,
    concurrency: ConcurrencyOption = 4,
    max_requests: MaxRequestsOption = 200,
    max_cost: MaxCostOption = None,
    timeout: TimeoutOption = 30.0,
    form: FormatOption = None,
) -> None:
    """Measure who honours a schema, and in which order to ask.

    Of each deployment the strictest mode that it honours is looked for. The chain spans two providers where it can, and
    lapses after six hours.
    """
    outputs = parse_formats(form)
    if write is not None and (write.is_dir() or not write.parent.is_dir()):
        raise ConfigurationError(f"{write} cannot be written", "name a file in a directory that exists")

    from alwrity_checks.hf.prober import Prober
    from alwrity_checks.hf.router import Router

    production = None if schema is None else read_schema(schema)
    code = code_of(backend)
    settings = load_settings(env_files(env_file), base_url, token_file, code)
    named = [one.deployment for one in models_of(models, settings, code)]
    refuse_stray(settings)
    router = Router.from_settings(settings)
    router.refuse_unusable()
    prober = Prober(router, concurrency=concurrency, max_requests=max_requests, max_cost=max_cost, timeout=timeout)
    results: list[CheckResult] = []
    tables: list[Table] = []

    async def work(_observers: Sequence[Observer]) -> Report:
        from dataclasses import replace

        from alwrity_doctor.cli.output import FailOn
        from alwrity_doctor.results import reported

        verified = _verified(router, prober, named, production, write, results, tables)
        return replace(await reported("hf chain", verified, FailOn.FAIL.severity, results), tables=tuple(tables))

    raise typer.Exit(deliver(work, outputs))


async def _verified(  # noqa: PLR0913, PLR0917 - what is asked of whom, and where the answer goes
    router: Router,
    prober: Prober,
    models: Sequence[str],
    schema: Mapping[str, Any] | None,
    path: Path | None,
    results: list[CheckResult],
    tables: list[Table],
) -> None:
    from alwrity_checks.hf.outcome import chain_result
    from alwrity_checks.hf.probe_tables import answer_table, chain_table, structure_table
    from alwrity_checks.hf.prober import ChainNotVerified

    try:
        found = await prober.verified_chain(models, schema=schema)
    except ChainNotVerified as failure:
        results.append(chain_result(failure, prober.catalogue))
        if failure.result is not None:
            measured = (answer_table, structure_table)
            tables += [table for make in measured if (table := make(failure.result, prober.catalogue)).rows]
        return
    finally:
        await router.aclose()
    if path is not None:
        found.save(path)
    results.append(chain_result(found, written=path))
    tables.append(chain_table(found))
