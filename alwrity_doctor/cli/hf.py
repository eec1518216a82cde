"""`alwrity-doctor hf`: the Hugging Face router, and structured JSON through it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.hf_chain import chain
from alwrity_doctor.cli.hf_generate import generate
from alwrity_doctor.cli.hf_probe import probe
from alwrity_doctor.cli.hf_reproduce import reproduce
from alwrity_doctor.cli.output import FailOn, FailOnOption, FormatOption, deliver, parse_formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.hf.answer import Answer
    from alwrity_checks.model import CheckResult, Observer, Report

app = typer.Typer(no_args_is_help=True)

app.command()(probe)
app.command()(chain)
app.command()(generate)
app.command()(reproduce)

_BODY_KEPT: Final = 1 << 16


@app.command()
def explain(  # noqa: PLR0913 - each parameter is an option of the command
    *,
    status: Annotated[
        int | None, typer.Option(metavar="N", min=100, max=599, help="The status of a recorded answer.")
    ] = None,
    body: Annotated[str, typer.Option(metavar="TEXT|@FILE", help="Its body.", show_default=False)] = "",
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="One of its headers; may be repeated.")
    ] = None,
    exception: Annotated[
        str | None,
        typer.Option(metavar="TEXT|@FILE", help="The text of a logged exception, instead.", show_default=False),
    ] = None,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Name the cause of a recorded answer, or of a logged exception: offline, and as the component decides it.

    An exception's text says less than its answer, and says it differently in each release of the openai client.
    """
    outputs = parse_formats(form)
    if (status is None) == (exception is None):
        raise ConfigurationError("one of --status and --exception is needed", "give the status and body, or the text")
    if exception is not None and (body or header):
        raise ConfigurationError("--body and --header belong to --status", "leave them out, or leave out --exception")

    from alwrity_checks.hf.explanation import explain_answer, explain_exception

    if exception is None:
        answer = _answer(status, body, header or ())
        result = explain_answer(answer)
    else:
        result = explain_exception(_text(exception).decode("utf-8", "replace"))

    results: list[CheckResult] = []

    async def explained() -> None:
        results.append(result)

    async def work(_observers: Sequence[Observer]) -> Report:
        from alwrity_doctor.results import reported

        return await reported("hf explain", explained(), fail_on.severity, results)

    raise typer.Exit(deliver(work, outputs))


def _answer(status: int | None, body: str, headers: Sequence[str]) -> Answer:
    from alwrity_checks.hf.answer import Answer

    pairs = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            # The whole of it may be a secret: only its form is spoken of.
            raise ConfigurationError("a --header is not NAME:VALUE", "for example --header 'Retry-After: 3'")
        pairs[name.strip().lower()] = value.strip()
    return Answer(status, _text(body), pairs)


def _text(given: str) -> bytes:
    """Return what stands in the argument, or at the beginning of the file that it names after `@`."""
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")[:_BODY_KEPT]
    path = Path(given[1:])
    try:
        with path.open("rb") as file:
            return file.read(_BODY_KEPT)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", "name a readable file") from error
