"""What `adopt` does, in its order: plan, prove, apply, tell."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from alwrity_checks.exit_code import ExitCode
from alwrity_checks.redaction import scrub
from alwrity_doctor.cli.output import Output, emit, to_stdout, write_whole
from alwrity_doctor.cli.process import say
from alwrity_doctor.cli.progress import progress
from alwrity_doctor.interruption import Interrupted, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.adoption.applying import Applied
    from alwrity_checks.adoption.plan import Adoption
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.backend.driving import Surroundings
    from alwrity_checks.model import CheckResult, Observer, Report, Table

__all__ = ["Wish", "carry_out"]

_COMMAND = "adopt"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options ask for; see `adopt --help`."""

    backend: Path
    apply: bool
    branch: str | None
    check: bool
    prove: bool
    contract: bool
    patch: Path | None
    requirements: tuple[str, ...]
    origin: str | None
    env_files: tuple[Path, ...]


@dataclass
class _Run:
    """What is known so far."""

    wish: Wish
    checkout: Checkout
    around: Surroundings
    planned: Adoption | None = None
    contracts: tuple[CheckResult, ...] = ()
    tables: list[Table] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)

    @property
    def adoption(self) -> Adoption:
        """What would be written, once that is planned."""
        if self.planned is None:
            raise RuntimeError("nothing is planned yet")
        return self.planned

    @property
    def branch(self) -> str:
        """The branch to make."""
        return self.wish.branch or f"alwrity-doctor/adopt-{'-'.join(map(str, self.adoption.issues))}"


def carry_out(
    wish: Wish, checkout: Checkout, around: Surroundings, issues: Sequence[int], outputs: Sequence[Output]
) -> ExitCode:
    """Do what is wished with a checkout, emit the report and return its exit code.

    Raises ConfigurationError for what cannot be done.
    """
    one = _Run(wish, checkout, around)

    async def work(observers: Sequence[Observer]) -> Report:
        await _plan(one, issues, observers)
        return await _tried(one, observers)

    try:
        with progress() as observers:
            report = run(work(observers))
    except Interrupted as interrupted:
        emit(_assembled(one, interrupted.report, interrupted.report.results, {}, None), outputs)
        return ExitCode.INTERRUPTED
    return emit(_told(one, report, outputs), outputs)


async def _plan(one: _Run, issues: Sequence[int], observers: Sequence[Observer]) -> None:
    from alwrity_checks.adoption.applying import check_appliable
    from alwrity_checks.adoption.plan import plan
    from alwrity_checks.model import Event

    for observer in observers:
        observer.notify(Event("started", _COMMAND, f"{one.wish.backend} is read"))
    one.planned = await asyncio.to_thread(plan, one.checkout, issues, one.wish.requirements, one.wish.origin)
    for observer in observers:
        observer.notify(Event("finished", _COMMAND))
    if one.wish.apply and one.adoption.changes:
        # Before the experiments, not after minutes of them.
        await asyncio.to_thread(check_appliable, one.adoption, one.branch)


async def _tried(one: _Run, observers: Sequence[Observer]) -> Report:
    """Return the report of the experiments and contracts, of nothing where none is wished."""
    from alwrity_checks.adoption.scratch import scratch_copy
    from alwrity_doctor.adoption_proof import judge, proofs
    from alwrity_doctor.observers import Broadcast
    from alwrity_doctor.reproduction import reproduce

    changed = bool(one.adoption.changes)
    wanted = (one.wish.prove and changed) or one.wish.contract
    with scratch_copy(one.adoption) if wanted and changed else nullcontext(one.checkout) as after:
        experiments = proofs(one.adoption.issues, one.checkout, after, one.around) if one.wish.prove and changed else []
        report = await reproduce(experiments, Broadcast(observers), command=_COMMAND, judged=judge)
        if one.wish.contract:
            try:
                await _contracts(one, after if changed else None, observers)
            except asyncio.CancelledError:
                raise Interrupted(report) from None
    return report


async def _contracts(one: _Run, after: Checkout | None, observers: Sequence[Observer]) -> None:
    from alwrity_checks.adoption.contract.runner import judge_contracts, run_contracts, side_by_side
    from alwrity_checks.model import Event
    from alwrity_doctor.adoption import contracts_judged

    def tell(kind: str, message: str = "") -> None:
        for observer in observers:
            observer.notify(Event(kind, "contracts", message))

    issues = [proposal.issue for proposal in one.adoption.proposals]
    tell("started")
    standing = await run_contracts(one.checkout, issues, one.around, told=lambda each: tell("progress", each.title))
    changed = standing
    if after is not None:
        changed = await run_contracts(after, issues, one.around, told=lambda each: tell("progress", each.title))
    tell("finished")
    before = () if after is None else standing
    one.contracts = contracts_judged(judge_contracts(before, changed))
    one.tables.append(side_by_side(before, changed))


def _told(one: _Run, report: Report, outputs: Sequence[Output]) -> Report:
    """Apply what was proved, where that is wished; print the diff where it is not; return the whole report."""
    from alwrity_doctor.adoption import applied, undoing, withheld
    from alwrity_doctor.adoption_proof import cured, settled
    from alwrity_doctor.report.characters import visible

    proved = tuple(map(settled, report.results))
    absent = cured(report.observations)
    done: Applied | None = None
    last: list[CheckResult] = []
    if one.wish.apply and one.adoption.changes:
        against = withheld((*proved, *one.contracts))
        if against is not None:
            last.append(against)
        else:
            done = _apply(one, absent)
            result, table = applied(done)
            say(visible(f"{done.branch} is checked out. To undo: {undoing(done)}"))
            last.append(result)
            one.tables.append(table)
    if not one.wish.check:
        _show(one, printed=done is None and Output("text") in outputs)
    return _assembled(one, report, (*proved, *one.contracts, *last), absent, done)


def _apply(one: _Run, absent: dict[int, list[str]]) -> Applied:
    from alwrity_checks.adoption.applying import apply
    from alwrity_checks.adoption.messages import message
    from alwrity_doctor import __version__

    messages = {
        proposal.issue: message(proposal, absent.get(proposal.issue, ()), __version__)
        for proposal in one.adoption.proposals
        if proposal.changes
    }
    return apply(one.adoption, one.branch, messages)


def _show(one: _Run, *, printed: bool) -> None:
    from alwrity_checks.adoption.difference import unified
    from alwrity_doctor.report.characters import visible

    diff = unified(one.adoption.changes, one.adoption.sources.prefix)
    shown = scrub(diff)
    if shown != diff:
        say("Note: what looks like a credential is masked in the diff, so that it cannot be applied. --apply can.")
    if one.wish.patch is not None:
        write_whole(one.wish.patch, shown)
    if printed and shown:
        to_stdout(visible(shown) if sys.stdout and sys.stdout.isatty() else shown)


def _assembled(
    one: _Run,
    report: Report,
    results: Sequence[CheckResult],
    absent: dict[int, list[str]],
    done: Applied | None,
) -> Report:
    from alwrity_checks.adoption.needs import env_files_of, listed
    from alwrity_checks.settings import Settings
    from alwrity_doctor.adoption import fits, in_place, needed, notes_table, summary, written_table

    told: dict[str, str] = {}
    needs: list[CheckResult] = []
    if not one.wish.check:
        settings = Settings.load(env_files=one.wish.env_files or env_files_of(one.checkout))
        every = [need for proposal in one.adoption.proposals for need in proposal.needed]
        told = listed(every, settings, one.adoption.sources.root)
        needs += needed(one.adoption, settings)
    first = in_place(one.adoption) if one.wish.check else fits(one.adoption)
    title = "What differs" if one.wish.check else "What was written" if done else "What would be written"
    tables = (written_table(one.adoption, title), *one.tables, None if one.wish.check else notes_table(one.adoption))
    return replace(
        report,
        started=one.started,
        duration=timedelta(seconds=time.monotonic() - one.clock),
        results=(*first, *results, *needs),
        settings=told,
        tables=tuple(table for table in tables if table is not None),
        summary=summary(one.adoption, absent, done, check=one.wish.check),
    )
