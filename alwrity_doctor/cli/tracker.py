"""`alwrity-doctor tracker`: the catalogue of issues, listed, shown and checked."""

from __future__ import annotations

import json
import os.path
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import ExitCode
from alwrity_doctor.tracker import FORMS, SECTIONS, SHORT_FIELDS, Issue, Tracker, check, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMA: Final = "alwrity-doctor/tracker/1"
_COLUMNS: Final = ("Status", "Severity", "Subsystem", "Title", "Validation")

app = typer.Typer(help="The catalogue of issues: what is known, and which command shows it.", no_args_is_help=True)


class _Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class _CheckFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


_File = Annotated[
    Path | None,
    typer.Option("--file", help="The tracker. Default: tracker.md here, or above up to the repository's root."),
]


@app.command("list")
def list_issues(
    file: _File = None,
    form: Annotated[_Format, typer.Option("--format", help="How to write the list.")] = _Format.TEXT,
) -> None:
    """List the issues, one line each."""
    tracker = _load(file)
    if form is _Format.JSON:
        _echo_json({"issues": [{"number": i.number, **_row(i), "line": i.line} for i in tracker.issues]})
        return
    rows = [("Issue", *_COLUMNS)] + [(str(i.number), *_row(i).values()) for i in tracker.issues]
    if form is _Format.MARKDOWN:
        rows.insert(1, ("---",) * len(rows[0]))
        lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    else:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    typer.echo("\n".join(lines))


@app.command("show")
def show_issue(
    number: Annotated[int, typer.Argument(metavar="N", help="The issue's number.")],
    file: _File = None,
    form: Annotated[_Format, typer.Option("--format", help="How to write the issue.")] = _Format.TEXT,
) -> None:
    """Show everything that is known of one issue."""
    tracker = _load(file)
    issue = tracker.issue(number)
    if form is _Format.JSON:
        _echo_json({"issue": _document(issue)})
    elif form is _Format.MARKDOWN:
        typer.echo("\n".join(tracker.lines[issue.line - 1 : issue.last_line]).rstrip())
    else:
        typer.echo("\n".join(_readable(issue)))


@app.command("check")
def check_tracker(
    context: typer.Context,
    file: _File = None,
    form: Annotated[_CheckFormat, typer.Option("--format", help="How to write the problems.")] = _CheckFormat.TEXT,
) -> None:
    """Say what is wrong with the catalogue: its form, its words, and codes and commands that do not exist."""
    from alwrity_checks.catalogue import rules

    tracker = _load(file)
    program = context.find_root().command
    problems = check(tracker, rules(), lambda line: complaint(program, line))
    if form is _CheckFormat.JSON:
        found = [{"line": problem.line, "message": problem.message} for problem in problems]
        _echo_json({"file": str(tracker.path), "problems": found})
    else:
        lines = [f"{tracker.path}:{problem.line}: {problem.message}" for problem in problems]
        typer.echo("\n".join(lines) or f"{tracker.path}: {len(tracker.issues)} issues, no problem")
    if problems:
        raise typer.Exit(ExitCode.FINDING)


def complaint(program: Any, command_line: str) -> str:  # noqa: ANN401 - typer carries its own copy of click's types
    """Say what keeps `command_line` from being a command of `program`, typer's root command; nothing if it is one.

    Names of commands and options are looked up and arguments counted; the values are not judged, so that a
    placeholder like `FILE` may stand for one.
    """
    try:
        path, *words = shlex.split(command_line)
    except ValueError as error:
        return f"not a command line: {error}"
    command, context = program, typer.Context(program, info_name=path, **program.context_settings)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"{path} has no command {words[0]}"
        path = f"{path} {words.pop(0)}"
        command, context = found, typer.Context(found, parent=context, info_name=path)
    if isinstance(command, TyperGroup) and not words:
        return f"{path} is a group: name one of its commands"
    return _misused(command.get_params(context), words, path)


def _misused(parameters: Sequence[Any], words: Sequence[str], path: str) -> str:
    options = {name: p for p in parameters if p.param_type_name == "option" for name in (*p.opts, *p.secondary_opts)}
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    values = 0
    rest = iter(words)
    for word in rest:
        name, has_value, _ = word.partition("=")
        if word == "--":
            values += len(list(rest))
        elif not word.startswith("-") or word == "-":
            values += 1
        elif name not in options:
            return f"{path} has no option {name}"
        elif not (has_value or options[name].is_flag or next(rest, None) is not None):
            return f"{name} needs a value"
    if values < sum(p.required for p in arguments) and not {"-h", "--help"} & {*words}:
        return f"{path} needs {' and '.join(p.human_readable_name for p in arguments if p.required)}"
    if values > len(arguments) and not any(p.nargs < 0 for p in arguments):
        return f"{path} takes {len(arguments)} arguments, not {values}"
    return ""


def _load(file: Path | None) -> Tracker:
    return load(_nearest() if file is None else file)


def _nearest() -> Path:
    try:
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "tracker.md").is_file():
                return Path(os.path.relpath(folder / "tracker.md", here))
            if (folder / ".git").exists():
                break
    except OSError as error:
        raise ConfigurationError(f"tracker.md cannot be looked for: {error.strerror}", "name it with --file") from error
    raise ConfigurationError(
        "there is no tracker.md here, nor above up to the repository's root", "name the tracker with --file"
    )


def _row(issue: Issue) -> dict[str, str]:
    return {name.lower(): issue.title if name == "Title" else issue.value(name) for name in _COLUMNS}


def _echo_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps({"schema": SCHEMA, **content}, indent=2))


def _document(issue: Issue) -> dict[str, Any]:
    document: dict[str, Any] = {"number": issue.number, "title": issue.title, "line": issue.line}
    for name in (*SHORT_FIELDS, *SECTIONS):
        field = issue.field(name)
        key = name.lower().replace(" ", "_")
        if name in FORMS:
            document[key] = [{**entry.parts, "line": entry.line} for entry in field.entries if entry.parts]
        else:
            document[key] = field.text
    document |= {name.lower(): issue.value(name) for name in ("Status", "Severity", "Confidence")}
    return document


def _readable(issue: Issue) -> Iterator[str]:
    yield f"Issue {issue.number}: {issue.title}"
    width = max(map(len, SHORT_FIELDS))
    for field in issue.fields:
        text = field.text.replace("**", "")
        if field.section:
            # The code spans stay: they show where a literal log line ends.
            yield from ("", field.name, "", text)
        else:
            yield f"  {field.name.ljust(width)}  {' '.join(text.replace('`', '').split())}"
