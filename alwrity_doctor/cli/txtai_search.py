"""`alwrity-doctor txtai search`: ask a semantic index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli.output import EnvFileOption, FormatOption, OfflineOption, deliver, env_files, parse_formats
from alwrity_doctor.cli.txtai_component import DataOption, Place, UserOption, examined, fact, patiently, place

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Evidence, Finding, Observer, Report
    from alwrity_checks.txtai.index import SemanticIndex
    from alwrity_checks.txtai.storage import Hit

__all__ = ["search"]

_LONGEST_TEXT: Final = 300
"""Characters of a document's text in a report."""


def search(  # noqa: PLR0913 - each parameter is an option of the command
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in words.", show_default=False)],
    *,
    user: UserOption = "local",
    data: DataOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many documents.")] = 10,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="FIELD=VALUE",
            help="Only documents whose field has this value; may be repeated. VALUE is read as JSON (3, true, null, "
            '"3") where it is JSON, else as a word.',
        ),
    ] = None,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    form: FormatOption = None,
) -> None:
    """Show the documents nearest in meaning to the query: id, score, text and fields, the best first."""
    from alwrity_checks.model import Severity
    from alwrity_doctor.cli.txtai_rows import with_facts
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    wanted = _filter(where or ())
    at = place(data, env_files(env_file), offline=offline)
    at.require(user)
    results: list[CheckResult] = []

    async def work(_observers: Sequence[Observer]) -> Report:
        done = _search(at, user, (query, limit, wanted), results)
        return with_facts(await reported("txtai search", done, Severity.ERROR, results), ("id", "score, text, fields"))

    raise typer.Exit(deliver(work, outputs))


def _filter(given: Sequence[str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for one in given:
        name, separator, value = one.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"--where {one!r:.80} is not of the form FIELD=VALUE", "write --where kind=task")
        try:
            wanted[name] = json.loads(value)
        except (ValueError, RecursionError):
            wanted[name] = value
    return wanted


async def _search(
    where: Place, user: str, question: tuple[str, int, Mapping[str, Any]], results: list[CheckResult]
) -> None:
    from alwrity_checks.model import CheckResult, Verdict
    from alwrity_checks.redaction import scrub
    from alwrity_checks.txtai.errors import NotReady

    name, title = "txtai.search", "the index answers"
    query, limit, wanted = question
    async with where.indexes() as indexes:
        index = indexes.of(user)
        try:
            behind = await _catch_up(index)
            hits = (await index.search(query, limit=limit, where=wanted or None, critical=True)).hits
        except NotReady as error:
            reason, remedy = scrub(error.diagnosis), scrub(error.remedy)
            results.append(CheckResult(name, title, 3, Verdict.UNKNOWN, reason=reason, remedy=remedy))
            return
    told = f"{len(hits)} found" if hits else "nothing found"
    findings = [behind] if behind is not None else []
    results.append(examined(name, title, findings, [_shown(hit) for hit in hits], told))


async def _catch_up(index: SemanticIndex) -> Finding | None:
    """Wait until everything accepted before is searchable; return what stays behind, which a search does not see."""
    from alwrity_checks.model import Finding
    from alwrity_checks.txtai.rules import rule_of
    from alwrity_checks.txtai.storage import StorageError

    await patiently(index.ready)
    queued = index.status().store.queued
    if not queued:
        return None
    try:
        # Operations are done in their order: when this one, which brings nothing, is done, so are those before it.
        await patiently((await index.add(())).searchable)
    except StorageError as error:
        reason = "index-behind"
        told = f"{queued} accepted operations are not searchable yet: {error.diagnosis}"
        return Finding(rule_of(reason), told, (fact("reason", reason),))
    return None


def _shown(hit: Hit) -> Evidence:
    text = hit.text if len(hit.text) <= _LONGEST_TEXT else f"{hit.text[:_LONGEST_TEXT]}…"
    fields = f"  {json.dumps(dict(hit.fields), ensure_ascii=False)}" if hit.fields else ""
    return fact(hit.id, f"{hit.score:.3f}  {text}{fields}")
