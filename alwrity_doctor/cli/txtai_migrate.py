"""`alwrity-doctor txtai migrate`: the indexes of a backend's own module, taken over into the component's storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import (
    EnvFileOption,
    FailOn,
    FailOnOption,
    FormatOption,
    OfflineOption,
    deliver,
    env_files,
    parse_formats,
)
from alwrity_doctor.cli.txtai_component import Place, examined, fact, place

if TYPE_CHECKING:
    from alwrity_checks.adoption.migration import Migrated
    from alwrity_checks.adoption.old_indexes import OldIndex
    from alwrity_checks.model import CheckResult, Observer, Report

__all__ = ["migrate"]

_SHOWN: Final = 20
"""Sentences on what was left out that a report has; of more it gives the number."""
_NAME: Final = "txtai.migrate"


def migrate(  # noqa: PLR0913 - each parameter is an option of the command
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The old indexes: a backend, its workspace, or one workspace/workspace_<user>/indices/txtai.",
            show_default=False,
        ),
    ],
    *,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="DIR",
            help="Where the backend will look.  [default: the database of ALWRITY_TXTAI_URL, else ALWRITY_TXTAI_DIR, "
            "else semantic-index in the workspace]",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ID", help="Only this user's index; whose DIR is, where its path does not say."),
    ] = None,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Take the indexes of a backend's own module over into the component's storage; the old ones are only read.

    Each is encoded anew in a draft, compared with what was read - ids, texts, fields, and what searches find nearest -
    and only then put in its place, in one step. What a user has there already, stays.
    """
    from alwrity_doctor.cli.txtai_rows import with_facts
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    found = _found(directory, user)
    new = place(into, env_files(env_file), offline=offline)
    new = _beside(new, found[0].path) if into is None and new.directory is not None and not _is_named(env_file) else new
    _check_apart(found, new)
    results: list[CheckResult] = []

    async def work(observers: Sequence[Observer]) -> Report:
        done = _migrate_all(found, new, results, observers)
        return with_facts(await reported("txtai migrate", done, fail_on.severity, results))

    raise typer.Exit(deliver(work, outputs))


def _found(directory: Path, user: str | None) -> list[OldIndex]:
    """Return the old indexes. Raises ConfigurationError where there is none, or the user has none."""
    from alwrity_checks.adoption.old_indexes import OldIndex, old_indexes
    from alwrity_checks.txtai.inspection import Kind, inspect_index

    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is no directory", "name a backend, its workspace, or one index")
    try:
        found = list(old_indexes(directory))
        single = inspect_index(directory).kind is Kind.TXTAI
    except OSError as error:
        told = f"{directory} cannot be read: {error.strerror}"
        raise ConfigurationError(told, "give this user the right to read there") from error
    if single and user is not None:
        return [OldIndex(directory, user)]
    if single and not found:
        raise ConfigurationError(f"nothing in {directory} says whose index it is", "name the user: --user ID")
    wanted = [one for one in found if user in {None, one.user}]
    if not wanted:
        whose = "no index" if user is None else f"no index of {user!r:.80}"
        remedy = "name the directory in which workspace/workspace_<user>/indices/txtai is"
        raise ConfigurationError(f"there is {whose} of ALwrity's own module in {directory}", remedy)
    return wanted


def _is_named(env_file: Sequence[Path] | None) -> bool:
    """Say whether a setting names the component's directory."""
    from alwrity_checks.settings import Settings
    from alwrity_checks.txtai.workspace import component_directory

    return component_directory(Settings.load(env_files=env_files(env_file))) is not None


def _beside(new: Place, old: Path) -> Place:
    """Return the place that a backend uses which is started where its workspace is, as the old module's was."""
    from alwrity_checks.txtai.indexes import DEFAULT_DIRECTORY
    from alwrity_checks.txtai.workspace import DIRECTORY_SETTING

    above = old.absolute().parents
    if len(above) < 3 or above[2].name != DEFAULT_DIRECTORY.parent.name:  # noqa: PLR2004 - workspace_<user>/indices/txtai
        told = f"{old} is in no workspace, so that nothing says where its documents are to go"
        raise ConfigurationError(told, "name the place: --into DIR")
    directory = above[2] / DEFAULT_DIRECTORY.name
    return replace(new, directory=directory, environment=new.environment | {DIRECTORY_SETTING: str(directory)})


def _check_apart(found: Sequence[OldIndex], new: Place) -> None:
    """Raise ConfigurationError where the new place is in an old index."""
    for old in found:
        if new.directory is not None and new.directory.resolve().is_relative_to(old.path.resolve()):
            raise ConfigurationError(f"{new} is in the old index {old.path}", "name a directory of its own: --into DIR")


async def _migrate_all(
    found: Sequence[OldIndex], new: Place, results: list[CheckResult], observers: Sequence[Observer]
) -> None:
    from alwrity_checks.adoption.migration import MigrationFailed, NewPlace, migrate
    from alwrity_checks.errors import DoctorError
    from alwrity_checks.model import CheckResult, Event, Verdict
    from alwrity_checks.redaction import scrub

    home = NewPlace(new.directory, new.environment, new.store)

    def told(what: str) -> None:
        for observer in observers:
            observer.notify(Event("progress", _NAME, what))

    for old in found:
        title = f"the index of {old.user} is taken over"
        try:
            results.append(_taken_over(title, await migrate(old, home, told), new))
        except DoctorError as error:
            # An index that was never filled is none; one of vectors alone had documents, and they are not in it.
            empty = isinstance(error, ConfigurationError) and not (old.path / "embeddings").exists()
            verdict = Verdict.FAIL if isinstance(error, (ConfigurationError, MigrationFailed)) else Verdict.UNKNOWN
            verdict = Verdict.SKIP if empty else verdict
            reason, remedy = scrub(error.diagnosis), scrub(error.remedy)
            results.append(CheckResult(_NAME, title, 3, verdict, reason=reason, remedy=remedy))
        except OSError as error:
            reason = scrub(f"{error.filename or old.path}: {error.strerror}")
            remedy = "give this user the right to read the old index and to write in the new place, or make room"
            results.append(CheckResult(_NAME, title, 3, Verdict.UNKNOWN, reason=reason, remedy=remedy))


def _taken_over(title: str, done: Migrated, new: Place) -> CheckResult:
    from alwrity_checks.model import Finding, Location, LocationKind
    from alwrity_checks.txtai.rules import rule_of

    reason = "recovery-incomplete"
    shown = [*done.left_out[:_SHOWN]]
    if len(done.left_out) > _SHOWN:
        shown.append(f"{len(done.left_out) - _SHOWN:,} further things were left out")
    at = Location(LocationKind.FILE, str(done.old.path))
    findings = [Finding(rule_of(reason), one, (fact("reason", reason),), at) for one in shown]
    searches = (
        f"{done.compared} searches find the same document"
        if done.compared
        else f"searches were not compared: {done.uncompared}"
    )
    kept = f", of which {done.kept:,} were there already and stay" if done.kept else ""
    without = f"; without {', '.join(done.besides)}" if done.besides else ""
    gist = f"{done.documents:,} documents of {done.rows:,} rows{kept}{without}; {searches}"
    evidence = [
        fact("from", done.old.path),
        fact("into", new),
        fact("the old index, before and after", f"SHA-256 {done.fingerprint}"),
        fact("documents compared: id, text, fields", f"{done.documents:,}"),
        fact("searches in both", searches),
        *(fact("not taken over", one) for one in done.besides),
    ]
    return examined(_NAME, title, findings, evidence, gist)
