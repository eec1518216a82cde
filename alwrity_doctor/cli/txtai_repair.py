"""`alwrity-doctor txtai repair`: what can be had of an index, sound or damaged, in a new place."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from alwrity_doctor.cli.txtai_index import NoWaitOption, until_searchable

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Finding, Observer, Report
    from alwrity_checks.txtai.repair import Recovered

__all__ = ["repair"]

_BACKENDS_USER: Final = re.compile(r"workspace_(.+)")
"""The name of a user's workspace in ALwrity."""
_SHOWN: Final = 20
"""Rows left out that a report names; of more it gives the number."""


def repair(  # noqa: PLR0913 - each parameter is an option of the command
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="The index: workspace/workspace_<user>/indices/txtai of a backend, or a user's directory of the "
            "component.",
            show_default=False,
        ),
    ],
    *,
    into: Annotated[
        Path,
        typer.Option("--into", metavar="DIR", help="The new place, for ALWRITY_TXTAI_DIR.", show_default=False),
    ],
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Whose index it is.  [default: as its path says]")
    ] = None,
    no_wait: NoWaitOption = False,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Recover the documents of an index, sound or damaged, into a new place; the old one is not touched.

    Texts and fields are taken over and encoded anew: of a save that was interrupted the vectors may belong to others.
    """
    from alwrity_doctor.cli.txtai_rows import with_facts
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    whose = user or _user_of(directory)
    new = place(into, env_files(env_file), offline=offline)
    _check_apart(directory, new)
    results: list[CheckResult] = []

    async def work(_observers: Sequence[Observer]) -> Report:
        done = _repair(directory, new, whose, results, wait=not no_wait)
        return with_facts(await reported("txtai repair", done, fail_on.severity, results))

    raise typer.Exit(deliver(work, outputs))


def _user_of(directory: Path) -> str:
    """Return whose index a directory is: as the component noted there, or as the backend's path says."""
    from alwrity_checks.txtai.paths import user_of

    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is no directory", "name the directory of an index")
    noted = user_of(directory)
    if noted is not None:
        return noted
    for name in reversed(directory.absolute().parts):
        named = _BACKENDS_USER.fullmatch(name)
        if named:
            return named[1]
    raise ConfigurationError(f"nothing in {directory} says whose index it is", "name the user: --user ID")


def _check_apart(old: Path, new: Place) -> None:
    """Raise ConfigurationError where the new place is in the old one, or around it."""
    source, target = old.resolve(), (new.directory or Path()).resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise ConfigurationError(f"{new} is not a new place: {old} lies there", "name a new directory")


async def _repair(directory: Path, new: Place, user: str, results: list[CheckResult], *, wait: bool) -> None:
    from contextlib import closing

    from alwrity_checks.txtai.repair import repair as recover_into

    with closing(new.store(user)) as store:
        recovered = recover_into(directory, store)
    results.append(_recovered(directory, new.of(user), recovered))
    if wait and recovered.documents:
        async with new.indexes() as indexes:
            index = indexes.of(user)
            # Operations are done in their order: when this one, which brings nothing, is done, so are those before it.
            results.append(await until_searchable([await index.add(())], len(recovered.documents)))


def _recovered(old: Path, new: Path | None, recovered: Recovered) -> CheckResult:
    from alwrity_checks.model import Finding, Location, LocationKind
    from alwrity_checks.txtai.rules import rule_of

    reason = "recovery-incomplete"
    told = [*recovered.doubts, *recovered.unusable[:_SHOWN]]
    if len(recovered.unusable) > _SHOWN:
        told.append(f"{len(recovered.unusable) - _SHOWN:,} further rows were left out")
    findings: list[Finding] = [
        Finding(rule_of(reason), one, (fact("reason", reason),), Location(LocationKind.FILE, str(old))) for one in told
    ]
    evidence = [fact("recovered", f"{len(recovered.documents):,} documents"), fact("from", old), fact("into", new)]
    gist = f"{len(recovered.documents):,} documents"
    return examined("txtai.repair", f"the documents of {old} are recovered", findings, evidence, gist)
