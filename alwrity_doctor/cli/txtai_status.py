"""`alwrity-doctor txtai status`: how indexes stand, the component's own or those of a backend's directory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
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
from alwrity_doctor.cli.txtai_component import DataOption, Place, examined, fact, patiently, place

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Evidence, Finding, Observer, Report
    from alwrity_checks.txtai.index import IndexStatus, SemanticIndex
    from alwrity_checks.txtai.inspection import Inspection
    from alwrity_checks.txtai.storage import DeadLetter

__all__ = ["status"]

_OVERDUE: Final = 60.0
"""Seconds after which an accepted operation that is not searchable is worth a warning: encoding takes less."""
_SHOWN: Final = 20
"""Dead letters that a report names; of more it gives the number."""


def status(  # noqa: PLR0913 - each parameter is an option of the command
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Examine the index in this directory, or those below it: a backend's workspace, or the component's.",
            show_default=False,
        ),
    ] = None,
    *,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Only this user's index.")] = None,
    data: DataOption = None,
    load: Annotated[
        bool, typer.Option("--load", help="Load the model and the indexes, and work off what is queued.")
    ] = False,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    fail_on: FailOnOption = FailOn.FAIL,
    form: FormatOption = None,
) -> None:
    """Say how the indexes stand: documents, what is queued, what was put aside and why, what is damaged.

    Nothing is changed, unless with --load.
    """
    from alwrity_doctor.cli.txtai_rows import with_facts
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    if directory is not None and (data or user or load):
        raise ConfigurationError("DIR was given with --data, --user or --load", "give one or the other")
    results: list[CheckResult] = []
    if directory is not None:
        if not directory.is_dir():
            raise ConfigurationError(f"{directory} is no directory", "name the directory of an index")
        examining = _examine(directory, results)
    else:
        where = place(data, env_files(env_file), offline=offline)
        examining = _stand(where, _users(where, user), results, load=load)

    async def work(_observers: Sequence[Observer]) -> Report:
        return with_facts(await reported("txtai status", examining, fail_on.severity, results))

    raise typer.Exit(deliver(work, outputs))


def _users(where: Place, user: str | None) -> tuple[str, ...]:
    users = where.users()
    if user is not None:
        where.require(user)
        return (user,)
    if not users:
        told = f"there is no index in {where}"
        raise ConfigurationError(told, "name the directory of the indexes: --data DIR")
    return users


async def _examine(directory: Path, results: list[CheckResult]) -> None:
    """Examine an index directory, or every one below it."""
    from alwrity_checks.txtai.check_indexes import repairable
    from alwrity_checks.txtai.inspection import Kind, inspect_index
    from alwrity_checks.txtai.workspace import indexes_below, workspaces

    found = [inspect_index(directory)]
    if found[0].kind is Kind.NOTHING:
        below = (path for one in (directory, *workspaces(directory)) if one.is_dir() for path in indexes_below(one))
        found = [inspect_index(path) for path in dict.fromkeys(below)] or found
    for one in found:
        title = f"the index in {one.path} can be read and holds together"
        results.append(examined("txtai.index", title, repairable(one), list(_held(one)), _gist(one)))


def _gist(inspection: Inspection) -> str:
    from alwrity_checks.txtai.inspection import Kind

    if inspection.rows is None:
        return ""
    if inspection.kind is Kind.STORE:
        return f"{inspection.rows:,} documents in the last snapshot, {inspection.queued:,} operations after it"
    return f"{inspection.rows:,} documents"


def _held(inspection: Inspection) -> Iterator[Evidence]:
    from alwrity_checks.txtai.inspection import Kind

    own = inspection.kind is Kind.STORE
    facts = {
        "kind": inspection.kind.value,
        "documents in the last snapshot" if own else "documents": inspection.rows,
        "vectors": inspection.vectors,
        "dimensions": inspection.dimensions,
        "written by txtai": inspection.written_by,
        "operations after it": inspection.queued if own else None,
        "dead letters": inspection.dead_letters if own else None,
        "generation": inspection.generation,
    }
    return (fact(label, value) for label, value in facts.items() if value is not None)


async def _stand(where: Place, users: Sequence[str], results: list[CheckResult], *, load: bool) -> None:
    """Say how the component's own indexes stand."""
    from alwrity_checks.model import CheckResult, Verdict
    from alwrity_checks.redaction import scrub
    from alwrity_checks.txtai.errors import NotReady
    from alwrity_checks.txtai.storage import StorageError

    async with where.indexes() as indexes:
        for user in users:
            index = indexes.of(user)
            try:
                if load:
                    await _work_off(index)
                results.append(_standing(index, where.of(user)))
            except (NotReady, StorageError) as error:
                title = f"the index of {user} can be used"
                reason, remedy = scrub(error.diagnosis), scrub(error.remedy)
                failed = CheckResult("txtai.status", title, 3, Verdict.UNKNOWN, reason=reason, remedy=remedy)
                results.append(failed)


async def _work_off(index: SemanticIndex) -> None:
    """Wait until everything accepted is searchable or put aside. Raises NotReady, StorageError."""
    await patiently(index.ready)
    # Operations are done in their order: when this one, which brings nothing, is done, so are those before it.
    await patiently((await index.add(())).searchable)


def _from_here(path: Path) -> Path:
    """Return `path` as it is written here: relative, if it is below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _standing(index: SemanticIndex, directory: Path | None) -> CheckResult:
    """Return how an index stands. Where it is not open its documents are counted as a start would find them."""
    from alwrity_checks.txtai.check_indexes import repairable
    from alwrity_checks.txtai.initialisation import State
    from alwrity_checks.txtai.inspection import inspect_index
    from alwrity_checks.txtai.repair import recover

    now = index.status()
    letters = index.dead_letters()
    documents = now.store.documents
    if directory is not None and now.state is not State.READY:
        documents = len(recover(directory).documents)
    damage = repairable(inspect_index(directory)) if directory else ()
    findings = [*damage, *_overdue(now), *map(_buried, letters[:_SHOWN])]
    facts = {
        "state": now.state.value,
        "documents": f"{documents:,}",
        "queued": f"{now.store.queued:,}",
        "oldest queued": _moment(now.store.oldest_queued_at),
        "dead letters": f"{len(letters):,}",
        "last error": now.error,
        "next attempt": _moment(now.retry_at),
        "directory": directory and _from_here(directory),
    }
    evidence = [fact(label, value) for label, value in facts.items() if value is not None]
    told = f"{documents:,} documents, {now.store.queued:,} queued"
    return examined("txtai.status", f"the index of {index.user_id} is sound and up to date", findings, evidence, told)


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _overdue(now: IndexStatus) -> Iterator[Finding]:
    from alwrity_checks.model import Finding
    from alwrity_checks.txtai.rules import rule_of

    oldest, reason = now.store.oldest_queued_at, "index-behind"
    if oldest is not None and time.time() - oldest > _OVERDUE:
        told = f"{now.store.queued:,} operations are accepted and not searchable, the oldest since {_moment(oldest)}"
        yield Finding(rule_of(reason), told, (fact("reason", reason),))


def _buried(letter: DeadLetter) -> Finding:
    from alwrity_checks.model import Finding
    from alwrity_checks.txtai.rules import rule_of

    reason = "dead-letter"
    evidence = (fact("reason", reason), fact("since", _moment(letter.buried_at)), fact("id", letter.document.id))
    told = f"document {letter.document.id!r:.80} was put aside: {letter.reason:.200}"
    return Finding(rule_of(reason), told, evidence)
