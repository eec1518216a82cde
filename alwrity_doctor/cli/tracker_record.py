"""`alwrity-doctor tracker record`: each issue's validation is run, and its outcome written into the catalogue."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import CannotCheck, ConfigurationError
from alwrity_checks.exit_code import ExitCode
from alwrity_doctor.cli.output import check_writable
from alwrity_doctor.cli.tracker_change import DryRunOption, YesOption, asking, write
from alwrity_doctor.cli.tracker_commands import complaint
from alwrity_doctor.cli.tracker_file import FileOption, load_tracker
from alwrity_doctor.tracker import PROGRAM, Issue
from alwrity_doctor.tracker_records import (
    BACKEND,
    Came,
    Record,
    backend_record,
    component_record,
    log_record,
    moved,
    recorded,
    with_status,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Report

__all__ = ["record"]

_LOOKING: Final = frozenset(
    {
        "reproduce",
        "gate",
        "auth reproduce",
        "auth env",
        "hf reproduce",
        "hf probe",
        "txtai race",
        "txtai status",
        "models reproduce",
        "models list",
        "startup race",
    }
)
"""What a validation may consist of. A catalogue is a document: it does not make this program run anything else."""
_CHOOSING: Final = frozenset(
    {
        "--issue",
        "--offline",
        "--no-offline",
        "--wait",
        "--fail-on",
        "--rule",
        "--scenario",
        "--seconds",
        "--target",
        "--trials",
        "--variant",
    }
)
"""The options that it may have: no other one, for there are some that start a program, read a file, or write one."""
_PATIENCE: Final = 3600.0
"""Seconds for one validation."""


def record(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    issues: Annotated[
        list[int] | None, typer.Argument(metavar="[ISSUE]...", help="Issues. All with a validation, if none is named.")
    ] = None,
    *,
    backend: Annotated[
        Path | None,
        typer.Option("--backend", metavar="DIR", help="Also this checkout of ALwrity, in a sandbox."),
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option("--python", metavar="PATH", help="The interpreter that drives the checkout."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="LOG", help="Also what this log shows of each issue.")
    ] = None,
    file: FileOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Run the validation of each issue and write its outcome into the issue's session log.

    What would be written is shown first, as a diff; on a terminal you are asked, elsewhere it takes --yes. A status
    moves by one rule: fixed needs a backend that was seen without the fault, regressed is a fault that shows again.
    """
    tracker = load_tracker(file)
    check_writable(tracker.path)
    chosen = _chosen([issue.number for issue in tracker.issues], issues)
    program = context.find_root().command
    plans = [
        (issue, _command(issue, program))
        for issue in tracker.issues
        if issue.number in chosen and issue.value("Validation").startswith(f"{PROGRAM} ")
    ]
    revision = _revision(backend) if backend is not None else ""
    asked = ["--backend", str(backend.absolute())] if backend else []
    if python:
        asked += ["--python", str(python)]
    before = tracker.path.read_bytes()
    triage = _run(["triage", str(log.absolute())]) if log else None
    lines = before.decode("utf-8").split("\n")
    came: list[Came] = []
    # From the last issue to the first: what is added to one leaves the lines of those above where they are.
    for issue, words in reversed(plans):
        typer.echo(f"issue {issue.number}: {shlex.join([PROGRAM, *words])}", err=True)
        report = _run([*words, *asked])
        command = shlex.join([PROGRAM, *words])
        made = [component_record(command, issue.number, report)]
        if backend:
            made.append(backend_record(f"{command} {BACKEND}", report, revision))
        came += [one.came for one in made]
        if triage and log:
            made.append(log_record(f"{PROGRAM} triage {shlex.quote(log.name)}", issue.number, triage))
        lines = _with(lines, issue, made)
    write(tracker.path, before, "\n".join(lines), asking=asking(dry_run=dry_run, yes=yes))
    raise typer.Exit(_exit_code(came))


def _with(lines: list[str], issue: Issue, made: Sequence[Record]) -> list[str]:
    status = issue.value("Status")
    after = moved(status, [*recorded(issue), *made])
    lines = written(lines, issue, made, datetime.now(UTC).date())
    return lines if after == status else with_status(lines, issue, after)


def _chosen(known: Sequence[int], issues: Sequence[int] | None) -> frozenset[int]:
    for number in issues or ():
        if number not in known:
            raise ConfigurationError(f"the tracker has no issue {number}", f"name one of {', '.join(map(str, known))}")
    return frozenset(issues or known)


def _command(issue: Issue, program: object) -> list[str]:
    """Return the words of the validation. Raises ConfigurationError for one that this command does not run."""
    told = issue.value("Validation")
    if problem := complaint(program, f"{told} --format json"):
        raise ConfigurationError(f"the validation of issue {issue.number} cannot be run: {problem}", "correct it")
    _, *words = shlex.split(told)
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    if not {words[0], " ".join(words[:2])} & _LOOKING or options - _CHOOSING:
        raise ConfigurationError(
            f"the validation of issue {issue.number}, {told!r}, is none that is run for a record",
            f"name a command that only looks: {', '.join(sorted(_LOOKING))}; its options may choose what it looks at",
        )
    return words


def _run(words: Sequence[str]) -> Report:
    """Run a command of ours in a process of its own, and return its report. Raises CannotCheck if it made none."""
    from alwrity_doctor.report.json import load as load_report

    with tempfile.TemporaryDirectory(prefix="alwrity-doctor-") as directory:
        place = Path(directory, "report.json")
        try:
            run = subprocess.run(  # noqa: S603 - this program, with words that were looked up in it
                # -P: the directory that we stand in may be the checkout's, and have a module named like one of ours.
                [sys.executable, "-P", "-m", "alwrity_doctor", *words, "--format", f"json={place}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise CannotCheck(
                f"{shlex.join([PROGRAM, *words])} did not end within an hour", "run it by hand, and look why"
            ) from None
        if place.is_file():
            return load_report(place.read_text(encoding="utf-8"))
        said = run.stderr.decode("utf-8", "replace").strip().splitlines()
        code = run.returncode
    message = f"{shlex.join([PROGRAM, *words])} made no report and ended with {code}"
    raise CannotCheck(f"{message}: {said[-1]}" if said else message, "run it by hand")


def _revision(backend: Path) -> str:
    from alwrity_checks.backend.checkout import find_checkout
    from alwrity_checks.backend.files import repository_root
    from alwrity_checks.backend.revision import revision_of

    checkout = find_checkout(backend)
    return revision_of(repository_root(checkout)) or f"the directory {checkout.root.name}"


def _exit_code(came: Sequence[Came]) -> ExitCode:
    if Came.FAILED in came:
        return ExitCode.FINDING
    return ExitCode.UNKNOWN if Came.UNDECIDED in came or not came else ExitCode.HEALTHY
