"""`alwrity-doctor tracker`: the catalogue of issues, listed, shown and checked."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.exit_code import ExitCode
from alwrity_doctor.cli.tracker_commands import complaint
from alwrity_doctor.cli.tracker_file import FileOption, load_tracker
from alwrity_doctor.cli.tracker_new import new
from alwrity_doctor.cli.tracker_record import record
from alwrity_doctor.tracker import FORMS, SECTIONS, SHORT_FIELDS, Issue, check

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = "alwrity-doctor/tracker/1"
_COLUMNS: Final = ("Status", "Severity", "Subsystem", "Title", "Validation")

app = typer.Typer(help="The catalogue of issues: what is known, and which command shows it.", no_args_is_help=True)
app.command("record")(record)
app.command("new")(new)


class _Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class _CheckFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.command("list")
def list_issues(
    file: FileOption = None,
    form: Annotated[_Format, typer.Option("--format", help="How to write the list.")] = _Format.TEXT,
) -> None:
    """List the issues, one line each."""
    tracker = load_tracker(file)
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
    file: FileOption = None,
    form: Annotated[_Format, typer.Option("--format", help="How to write the issue.")] = _Format.TEXT,
) -> None:
    """Show everything that is known of one issue."""
    tracker = load_tracker(file)
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
    file: FileOption = None,
    form: Annotated[_CheckFormat, typer.Option("--format", help="How to write the problems.")] = _CheckFormat.TEXT,
) -> None:
    """Say what is wrong with the catalogue: its form, its words, and codes and commands that do not exist."""
    from alwrity_checks.catalogue import rules
    from alwrity_doctor.tracker_records import contradictions

    tracker = load_tracker(file)
    program = context.find_root().command
    problems = check(tracker, rules(), lambda line: complaint(program, line)) + contradictions(tracker)
    if form is _CheckFormat.JSON:
        found = [{"line": problem.line, "message": problem.message} for problem in problems]
        _echo_json({"file": str(tracker.path), "problems": found})
    else:
        lines = [f"{tracker.path}:{problem.line}: {problem.message}" for problem in problems]
        typer.echo("\n".join(lines) or f"{tracker.path}: {len(tracker.issues)} issues, no problem")
    if problems:
        raise typer.Exit(ExitCode.FINDING)


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
