"""`alwrity-doctor hf generate`: one structured generation, by the component that a backend imports."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.hf_settings import (
    BaseUrlOption,
    TokenFileOption,
    load_settings,
    models_of,
    read_schema,
    refuse_stray,
)
from alwrity_doctor.cli.output import EnvFileOption, FailOn, Output, deliver, env_files, parse_formats
from alwrity_doctor.cli.process import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alwrity_checks.hf.chain import Chain
    from alwrity_checks.hf.router import Router
    from alwrity_checks.model import CheckResult, Observer, Report, Table
    from alwrity_checks.settings import Settings

__all__ = ["generate"]

_LARGEST: Final = 1 << 20


def generate(  # noqa: PLR0913 - each parameter is an option of the command
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT | -", help="What is asked, or - for standard input.", show_default=False)
    ],
    *,
    schema: Annotated[
        Path, typer.Option(metavar="F", help="The JSON Schema that the answer must satisfy.", show_default=False)
    ],
    chain: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Ask the chain that `hf chain --write` wrote.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL[:PROVIDER]", help="Ask this one, unmeasured; may be repeated, in order."),
    ] = None,
    base_url: BaseUrlOption = None,
    token_file: TokenFileOption = None,
    env_file: EnvFileOption = None,
    deadline: Annotated[float, typer.Option(metavar="S", min=0.1, help="Seconds for everything together.")] = 60.0,
    max_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Longest answer.")] = 2048,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="F=FILE|json",
            help="Write how it came about as a report, and nothing to stderr; may be repeated. Without a file only "
            "json is possible, and the value is in it.",
        ),
    ] = None,
) -> None:
    """Generate one value that is valid against a schema.

    The value goes to stdout, as JSON, and how it came about to stderr. Without --chain and --model the models are those
    that the backend's settings and code name.
    """
    outputs = _outputs(form)
    if chain is not None and model:
        raise ConfigurationError("--chain and --model were given", "give one of them")

    from alwrity_checks.hf.contract import Contract
    from alwrity_checks.hf.router import Router

    contract = Contract.of(read_schema(schema))  # before any request
    text = _prompt(prompt)
    settings = load_settings(env_files(env_file), base_url, token_file)
    refuse_stray(settings)
    router = Router.from_settings(settings)
    router.refuse_unusable()
    asked = _chain(chain, model or (), settings)
    values: list[Any] = []
    reports: list[Report] = []

    async def work(_observers: Sequence[Observer]) -> Report:
        reports.append(await _reported(router, asked, text, contract.schema, deadline, max_tokens, values))
        return reports[0]

    code = deliver(work, outputs)
    if not reports and not outputs:
        say("Interrupted.")
    for report in reports if not outputs else ():
        from alwrity_doctor.report import render

        say(render(report, "text").rstrip("\n"))
    if values and all(one.path is not None for one in outputs):
        _print(values[0])
    raise typer.Exit(code)


def _outputs(form: Sequence[str] | None) -> tuple[Output, ...]:
    outputs = parse_formats(form) if form else ()
    for one in outputs:
        if one.path is None and one.format != "json":
            raise ConfigurationError(
                "stdout is for the value", f"--format {one.format}=FILE, or --format json, which holds the value"
            )
    return outputs


def _prompt(given: str) -> str:
    if given != "-":
        return given
    if sys.stdin is None or sys.stdin.closed:
        raise ConfigurationError("standard input is closed", "give the prompt as the argument")
    data = sys.stdin.buffer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ConfigurationError("the prompt is larger than 1 MiB", "shorten it: no model takes so much")
    return data.decode("utf-8", "replace")


def _chain(file: Path | None, models: Sequence[str], settings: Settings) -> Chain:
    from alwrity_checks.hf.chain import Chain

    if file is not None:
        return Chain.load(file)
    return Chain.unmeasured(*(one.deployment for one in models_of(models, settings)))


async def _reported(  # noqa: PLR0913, PLR0917 - what is asked of whom, and where the answer goes
    router: Router,
    chain: Chain,
    prompt: str,
    schema: Mapping[str, Any],
    deadline: float,
    max_tokens: int,
    values: list[Any],
) -> Report:
    from alwrity_checks.hf.generation import Generation, GenerationFailed
    from alwrity_checks.hf.generator import StructuredGenerator
    from alwrity_checks.hf.outcome import attempts_table, generation_result
    from alwrity_doctor.results import reported

    results: list[CheckResult] = []
    tables: list[Table] = []

    async def ask() -> None:
        started = time.monotonic()
        came: Generation | GenerationFailed
        try:
            came = await StructuredGenerator(router, chain).generate(
                prompt, schema, deadline=deadline, max_tokens=max_tokens
            )
            values.append(came.value)
        except GenerationFailed as failure:
            came = failure
        finally:
            await router.aclose()
        results.append(generation_result(came, time.monotonic() - started))
        tables.append(attempts_table(came.attempts))

    report = await reported("hf generate", ask(), FailOn.FAIL.severity, results)
    return replace(report, tables=tuple(tables))


def _print(value: object) -> None:
    """Write the value to stdout; what would steer a terminal is written as JSON's own escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    typer.echo("".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text))
