"""`alwrity-doctor explain`: what a rule says, why, and how its fault is reproduced, fixed and validated."""

from __future__ import annotations

import json
import textwrap
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.catalogue import reasons, rules
from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.report.phrases import of_issue
from alwrity_doctor.rulebook import is_command, page, sections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alwrity_checks.model import Rule

SCHEMA: Final = "alwrity-doctor/rules/1"
_WIDTH: Final = 100

app = typer.Typer()


class _Format(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command()
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="[CODE]", help="A rule (AUTH003) or a reason (token-expired); without it, all rules."),
    ] = None,
    form: Annotated[_Format, typer.Option("--format", help="How to write it.")] = _Format.TEXT,
) -> None:
    """Explain a rule: what, why, how it is reproduced, how it is fixed, how the fix is validated."""
    chosen = tuple(rules().values()) if code is None else (_rule(code),)
    if form is _Format.JSON:
        typer.echo(json.dumps({"schema": SCHEMA, "rules": [_document(rule) for rule in chosen]}, indent=2))
    elif code is None:
        typer.echo(_list(chosen, bullet="* " if form is _Format.MARKDOWN else ""))
    else:
        rule = chosen[0]
        typer.echo(page(rule) if form is _Format.MARKDOWN else _text(rule), nl=False)


def _rule(code: str) -> Rule:
    name = code.strip()
    if rule := rules().get(name.upper()) or reasons().get(name.lower()):
        return rule
    from difflib import get_close_matches

    close = get_close_matches(name.upper(), rules(), cutoff=0.5) or get_close_matches(name.lower(), reasons())
    raise ConfigurationError(
        f"there is no rule {code}",
        f"did you mean {' or '.join(close)}?" if close else "alwrity-doctor explain lists the rules",
    )


def _list(chosen: Iterable[Rule], bullet: str) -> str:
    return "\n".join(f"{bullet}{rule.code}  {rule.title}" for rule in chosen)


def _text(rule: Rule) -> str:
    lines = [f"{rule.code}  {rule.title}", f"{of_issue(rule)}, severity {rule.severity}"]
    for heading, text in sections(rule).items():
        lines += ["", heading, _indented(text)]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> str:
    # A command is copied from here, so it is never broken.
    if is_command(text):
        return f"  {text}"
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    wrap = partial(
        textwrap.fill,
        width=_WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,  # the name of a model or header is copied too
    )
    return "\n\n".join(wrap(paragraph) for paragraph in paragraphs)


def _document(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "title": rule.title,
        "severity": rule.severity,
        "issue": rule.issue,
        "explanation": rule.explanation,
        "reproduction": rule.reproduction,
        "remedy": rule.remedy,
        "validation": rule.validation,
    }
