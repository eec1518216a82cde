"""`alwrity-doctor models generate`: one answer of a local model, by the component that a backend imports."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.models_component import component, examined, fact, failed, role_of
from alwrity_doctor.cli.output import (
    EnvFileOption,
    OfflineOption,
    Output,
    deliver,
    env_files,
    finite,
    parse_formats,
)
from alwrity_doctor.cli.process import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alwrity_checks.model import CheckResult, Evidence, Observer, Report, Table
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.registry import ModelRegistry
    from alwrity_checks.models.roles import Role

__all__ = ["generate"]

_LARGEST: Final = 1 << 20
_TITLE: Final = "a local model answers"


def generate(  # noqa: PLR0913 - each parameter is an option of the command
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT | -", help="What is asked, or - for standard input.", show_default=False)
    ],
    *,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="The role whose model answers.")] = "agent",
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="This model and no other: a name, or a directory.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", metavar="F", help="The JSON Schema that the answer must satisfy.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", metavar="N", min=1, max=1 << 17, help="Longest answer.")
    ] = 256,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature", metavar="T", min=0.0, max=2.0, callback=finite, help="0: always the likeliest token."
        ),
    ] = 0.0,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    form: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="F=FILE",
            help="Write how it came about as a report, and nothing to stderr; may be repeated.",
        ),
    ] = None,
) -> None:
    """Generate one text, or with --schema one value that is valid against it.

    The answer goes to stdout, and how it came about to stderr: the step that was loaded, what the others came to, and
    how long it took.
    """
    outputs = _outputs(form)
    wanted = None if schema is None else _schema(schema)
    text = _prompt(prompt)
    _, _, registry = component(env_files(env_file), offline=offline)
    chosen = role_of(registry, model) if model is not None else _role(registry, role)
    answers: list[str] = []
    reports: list[Report] = []

    async def work(_observers: Sequence[Observer]) -> Report:
        options = {"max_new_tokens": max_new_tokens, "temperature": temperature}
        reports.append(await _reported(registry, chosen, text, wanted, options, answers))
        return reports[0]

    with registry:
        code = deliver(work, outputs)
    if not reports and not outputs:
        say("Interrupted.")
    for report in reports if not outputs else ():
        from alwrity_doctor.report import render

        say(render(report, "text").rstrip("\n"))
    for answer in answers:
        typer.echo("".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in answer))
    raise typer.Exit(code)


def _outputs(form: Sequence[str] | None) -> tuple[Output, ...]:
    outputs = parse_formats(form) if form else ()
    for one in outputs:
        if one.path is None:
            raise ConfigurationError("stdout is for the answer", f"give the report a file: --format {one.format}=FILE")
    return outputs


def _role(registry: ModelRegistry, name: str) -> Role:
    from alwrity_checks.models.roles import EMBEDDINGS

    if name == EMBEDDINGS:
        raise ConfigurationError(f"the role {name} makes vectors and no text", "leave --role out, or name --role agent")
    return registry.role(name)


def _prompt(given: str) -> str:
    """Return what is asked. Raises ConfigurationError for nothing, and for bytes that are no text."""
    try:
        data = os.fsencode(given) if given != "-" else _standard_input()
        text = data.decode("utf-8")
    except UnicodeError as error:
        raise ConfigurationError("the prompt is no UTF-8 text", "give text, converted to UTF-8") from error
    if not text.strip():
        raise ConfigurationError("the prompt is empty", "give the prompt as the argument, or - and standard input")
    return text


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise ConfigurationError("standard input is closed", "give the prompt as the argument")
    data = sys.stdin.buffer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ConfigurationError("the prompt is larger than 1 MiB", "shorten it: no model takes so much")
    return data


def _schema(path: Path) -> Mapping[str, Any]:
    """Read a schema. Raises ConfigurationError, or AnswerFailed(SCHEMA_INVALID): before any model is loaded."""
    from alwrity_checks.models.json_schema import AnswerSchema

    try:
        data = path.read_bytes()[: _LARGEST + 1]
    except OSError as error:
        raise ConfigurationError(
            f"the schema {path} cannot be read: {error.strerror}", "name a file that holds a JSON Schema"
        ) from error
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path} is larger than 1 MiB", "name a file that holds a JSON Schema")
    try:
        schema = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not JSON: {error}", "correct the file") from error
    if not isinstance(schema, dict):
        raise ConfigurationError(f"{path} holds no JSON object", 'a schema is an object, such as {"type": "object"}')
    AnswerSchema.of(schema)
    return schema


async def _reported(  # noqa: PLR0913, PLR0917 - what is asked of whom, and where the answer goes
    registry: ModelRegistry,
    role: Role,
    prompt: str,
    schema: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    answers: list[str],
) -> Report:
    from alwrity_checks.errors import DoctorError
    from alwrity_checks.model import Severity
    from alwrity_doctor.results import reported

    results: list[CheckResult] = []
    tables: list[Table] = []

    async def ask() -> None:
        started = time.monotonic()
        try:
            model = await registry.load(role)
            loaded = time.monotonic()
            answers.append(await _answer(model, prompt, schema, options))
        except DoctorError as error:
            results.append(failed("models.generate", _TITLE, error))
        else:
            facts: list[Evidence] = [
                fact("step", model.step),
                fact("load", f"{loaded - started:.1f} s"),
                fact("answer", f"{time.monotonic() - loaded:.1f} s"),
            ]
            results.append(examined("models.generate", _TITLE, (), facts, str(model.step)))
        tables.append(_steps(registry))

    report = await reported("models generate", ask(), Severity.ERROR, results)
    return replace(report, tables=tuple(one for one in tables if one.rows))


async def _answer(model: LocalModel, prompt: str, schema: Mapping[str, Any] | None, options: Mapping[str, Any]) -> str:
    if schema is None:
        return await model.generate(prompt, **options)
    return json.dumps(await model.generate_json(prompt, schema, **options), indent=2, ensure_ascii=False)


def _steps(registry: ModelRegistry) -> Table:
    """Return what became of each step that was tried."""
    from alwrity_checks.model import Table
    from alwrity_checks.redaction import scrub

    rows = [(str(step), str(one.state), scrub(str(one.error or ""))) for step, one in registry.status().steps.items()]
    return Table("Steps", ("step", "state", "why"), tuple(rows))
