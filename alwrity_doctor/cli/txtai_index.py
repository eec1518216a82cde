"""`alwrity-doctor txtai index`: give documents to a semantic index, and wait until they are searchable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import typer

from alwrity_doctor.cli.output import EnvFileOption, FormatOption, OfflineOption, deliver, env_files, parse_formats
from alwrity_doctor.cli.txtai_component import DataOption, Place, UserOption, examined, fact, patiently, place
from alwrity_doctor.cli.txtai_files import Refusal, check_files, read_documents

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult, Finding, Observer, Report
    from alwrity_checks.txtai.documents import Document
    from alwrity_checks.txtai.receipts import Receipt

__all__ = ["NoWaitOption", "index", "until_searchable"]

NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Do not wait until the documents are searchable.")]

_SEARCHABLE: Final = ("txtai.searchable", "what was accepted is searchable")
_AT_ONCE: Final = 256
_CHARACTERS_AT_ONCE: Final = 16_000_000
_SHOWN: Final = 20
"""Ids and refusals that a report names; of more it gives the number."""


def index(  # noqa: PLR0913 - each parameter is an option of the command
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files, or - for standard input. In *.jsonl and *.ndjson each line is a JSON object with id, text and "
            "further fields; any other file is one text, whose id is the file's name.",
            show_default=False,
        ),
    ],
    *,
    user: UserOption = "local",
    data: DataOption = None,
    no_wait: NoWaitOption = False,
    env_file: EnvFileOption = None,
    offline: OfflineOption = False,
    form: FormatOption = None,
) -> None:
    """Give documents to the semantic index of a user; a document takes the place of the one that had its id.

    What is accepted is durable at once, and searchable when the command ends. Of a long text the model reads the
    beginning, 256 tokens for MiniLM: split it.
    """
    from alwrity_checks.model import Severity
    from alwrity_doctor.cli.txtai_rows import with_facts
    from alwrity_doctor.results import reported

    outputs = parse_formats(form)
    check_files(files)
    where = place(data, env_files(env_file), offline=offline)
    results: list[CheckResult] = []

    async def work(observers: Sequence[Observer]) -> Report:
        done = _index(where, user, files, results, observers, wait=not no_wait)
        return with_facts(await reported("txtai index", done, Severity.ERROR, results))

    raise typer.Exit(deliver(work, outputs))


async def _index(  # noqa: PLR0913 - what to give to whom, and who hears of it
    where: Place,
    user: str,
    files: Sequence[str],
    results: list[CheckResult],
    observers: Sequence[Observer],
    *,
    wait: bool,
) -> None:
    from alwrity_checks.model import Event
    from alwrity_doctor.observers import Broadcast

    broadcast = Broadcast(observers)
    broadcast.notify(Event("started", "txtai.index"))
    if wait:
        await _index_and_wait(where, user, files, results, broadcast)
    else:
        await _index_only(where, user, files, results, broadcast)
    broadcast.notify(Event("finished", "txtai.index"))


async def _index_and_wait(
    where: Place, user: str, files: Sequence[str], results: list[CheckResult], observer: Observer
) -> None:
    receipts: list[Receipt] = []
    known = _known(where, user)
    async with where.indexes() as indexes:
        index = indexes.of(user)

        async def keep(documents: Sequence[Document]) -> None:
            receipts.append(await index.add(documents))

        count = await _accept_all(files, keep, known, results, observer)
        if receipts:
            results.append(await until_searchable(receipts, count))


async def _index_only(
    where: Place, user: str, files: Sequence[str], results: list[CheckResult], observer: Observer
) -> None:
    """Accept documents without the model, whose libraries take seconds to import."""
    from contextlib import closing
    from shlex import quote

    from alwrity_checks.model import CheckResult, Verdict

    with closing(where.store(user)) as store:

        async def keep(documents: Sequence[Document]) -> None:
            store.put(documents)

        if not await _accept_all(files, keep, _known(where, user), results, observer):
            return
    told = "--no-wait was given: the documents are kept and become searchable when the index is next used"
    data = f" --data {quote(str(where.directory))}" if where.directory is not None else ""
    remedy = f"alwrity-doctor txtai status --load --user {quote(user)}{data}"
    results.append(CheckResult(*_SEARCHABLE, 3, Verdict.SKIP, reason=told, remedy=remedy))


async def _accept_all(
    files: Sequence[str],
    keep: Callable[[Sequence[Document]], Awaitable[None]],
    known: dict[str, str],
    results: list[CheckResult],
    observer: Observer,
) -> int:
    """Have the documents of the files kept, as far as that is possible; return how many were."""
    from alwrity_checks.model import Event

    seen: dict[str, str] = {}
    count = 0
    for name in files:
        tally = _Tally(name)
        await _accept(tally, keep, known, seen)
        results.append(tally.result())
        count += len({*tally.accepted, *tally.unchanged})
        observer.notify(Event("progress", "txtai.index", f"{count:,} documents accepted"))
        if tally.stopped:
            break
    return count


def _known(where: Place, user: str) -> dict[str, str]:
    """Return the digests of what the user's index has, by id; nothing of a database, or where it cannot be read."""
    from alwrity_checks.errors import ConfigurationError
    from alwrity_checks.txtai.repair import recover
    from alwrity_checks.txtai.storage import StorageError

    directory = where.of(user)
    if directory is None:
        return {}
    try:
        return {document.id: document.digest for document in recover(directory).documents}
    except (ConfigurationError, StorageError):
        # There is no index yet, or a damaged one, of which whoever opens it will hear.
        return {}


@dataclass(slots=True)
class _Tally:
    """What became of the documents of one file."""

    name: str
    accepted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    stopped: Finding | None = None
    """Why nothing more can be accepted."""

    def result(self) -> CheckResult:
        from alwrity_checks.model import CheckResult, Verdict

        title = f"the documents of {self.name} are accepted"
        if not (self.accepted or self.unchanged or self.refused or self.stopped):
            told, remedy = f"{self.name} is empty", "name a file with documents in it"
            return CheckResult("txtai.index", title, 3, Verdict.SKIP, reason=told, remedy=remedy)
        findings = [_refused(self.name, one) for one in self.refused[:_SHOWN]]
        if self.stopped is not None:
            findings.append(self.stopped)
        counts = {"accepted": self.accepted, "unchanged": self.unchanged}
        told = ", ".join(f"{len(ids):,} {word}" for word, ids in counts.items() if ids) or "nothing was accepted"
        if self.refused:
            told += f", {len(self.refused):,} refused"
        evidence = [fact(word, _listed(ids)) for word, ids in counts.items() if ids]
        evidence += [fact("refused", f"{len(self.refused):,} documents")] * bool(self.refused)
        return examined("txtai.index", title, findings, evidence, told)


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(f"{one:.80}" for one in ids[:_SHOWN]) + more


def _refused(name: str, refusal: Refusal) -> Finding:
    from alwrity_checks.model import Finding, Location, LocationKind
    from alwrity_checks.txtai.rules import rule_of

    error, reason = refusal.error, "document-unusable"
    known = () if error.id is None else (fact("id", f"{error.id!r:.200}"),)
    evidence = (fact("reason", reason), fact("position", error.position), *known, fact("advice", error.remedy))
    return Finding(rule_of(reason), error.diagnosis, evidence, Location(LocationKind.FILE, name, refusal.line))


async def _accept(
    tally: _Tally,
    keep: Callable[[Sequence[Document]], Awaitable[None]],
    known: dict[str, str],
    seen: dict[str, str],
) -> None:
    from alwrity_checks.model import Evidence, Finding, Location, LocationKind
    from alwrity_checks.txtai.rules import rule_of
    from alwrity_checks.txtai.storage import StorageError

    for documents in _portions(read_documents(tally.name, seen), tally.refused):
        try:
            await keep(documents)
        except StorageError as error:
            reason = "storage-failed"
            evidence = (Evidence("reason", reason), fact("advice", error.remedy))
            at = Location(LocationKind.FILE, tally.name)
            tally.stopped = Finding(rule_of(reason), error.diagnosis, evidence, at)
            return
        for document in documents:
            unchanged = known.get(document.id) == document.digest
            (tally.unchanged if unchanged else tally.accepted).append(document.id)
            known[document.id] = document.digest


def _portions(found: Iterator[Document | Refusal], refused: list[Refusal]) -> Iterator[list[Document]]:
    """Yield the documents in portions that fit into memory, and put what is none aside."""
    portion: list[Document] = []
    size = 0
    for one in found:
        if isinstance(one, Refusal):
            refused.append(one)
            continue
        portion.append(one)
        size += len(one.text)
        if len(portion) == _AT_ONCE or size > _CHARACTERS_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


async def until_searchable(receipts: Sequence[Receipt], count: int) -> CheckResult:
    """Wait until `count` documents are searchable, and return what that came to."""
    from alwrity_checks.model import CheckResult, Finding, Verdict
    from alwrity_checks.redaction import scrub
    from alwrity_checks.txtai.errors import NotReady, Unindexable
    from alwrity_checks.txtai.rules import rule_of

    buried: dict[str, str] = {}
    for receipt in receipts:
        try:
            await patiently(receipt.searchable)
        except Unindexable as error:
            buried |= error.reasons
        except NotReady as error:
            told, remedy = scrub(error.diagnosis), scrub(error.remedy)
            return CheckResult(*_SEARCHABLE, 3, Verdict.UNKNOWN, reason=told, remedy=remedy)
    reason = "dead-letter"
    findings = [
        Finding(rule_of(reason), f"document {one!r:.80} cannot be indexed: {why}", (fact("reason", reason),))
        for one, why in list(buried.items())[:_SHOWN]
    ]
    return examined(*_SEARCHABLE, findings, reason=f"{count - len(buried):,} documents")
