"""An adoption in, results and tables out: what would be written, what is refused, and what the proof came to."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption.difference import counted, unified
from alwrity_checks.adoption.needs import missing
from alwrity_checks.adoption.rules import rule
from alwrity_checks.model import CheckResult, Evidence, Finding, Location, LocationKind, Table, Verdict
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.adoption.applying import Applied
    from alwrity_checks.adoption.plan import Adoption
    from alwrity_checks.adoption.proposal import Proposal, Refusal
    from alwrity_checks.settings import Settings

__all__ = [
    "applied",
    "contracts_judged",
    "fits",
    "in_place",
    "needed",
    "notes_table",
    "summary",
    "undoing",
    "withheld",
    "written_table",
]

_FITS: Final = "the cure of issue {} fits this checkout"
_IN_PLACE: Final = "the cure of issue {} is in place"
_COMMITTED: Final = "the cure is committed on a branch of its own"


def fits(adoption: Adoption) -> tuple[CheckResult, ...]:
    """Return a result for each issue: whether its cure can be written into the checkout, with the diff as evidence."""
    return tuple(_fit(adoption, proposal, _FITS) for proposal in adoption.proposals)


def in_place(adoption: Adoption) -> tuple[CheckResult, ...]:
    """Return a result for each issue: whether the checkout has its cure as it would be written today."""
    return tuple(
        _differs(adoption, proposal) if proposal.changes else _fit(adoption, proposal, _IN_PLACE)
        for proposal in adoption.proposals
    )


def _fit(adoption: Adoption, proposal: Proposal, title: str) -> CheckResult:
    name, told = f"adopt {proposal.issue}", title.format(proposal.issue)
    if proposal.refusals:
        findings = tuple(_refusal(adoption, proposal.issue, one) for one in proposal.refusals)
        reason = "refused, and nothing of it is written"
        return CheckResult(name, told, proposal.issue, Verdict.FAIL, findings, reason=reason)
    if not proposal.changes:
        return CheckResult(name, told, proposal.issue, Verdict.PASS, reason="everything is in place already")
    evidence = (Evidence("diff", scrub(unified(proposal.changes, adoption.sources.prefix))),)
    count = len(proposal.changes)
    reason = f"{count} file{'s' if count > 1 else ''} would be written"
    return CheckResult(name, told, proposal.issue, Verdict.PASS, reason=reason, evidence=evidence)


def _differs(adoption: Adoption, proposal: Proposal) -> CheckResult:
    command = f"alwrity-doctor adopt {proposal.issue} --backend DIR --apply"
    findings = tuple(
        Finding(
            rule("ADO001", proposal.issue),
            f"{_name(change.path)} is not what adopt writes: {counted(change)} lines"
            if change.before is not None
            else f"{_name(change.path)} is missing: adopt writes it",
            location=Location(LocationKind.FILE, f"{adoption.sources.prefix}{change.path}"),
            commands=(command,),
            identity=change.path,
        )
        for change in proposal.changes
    )
    title = _IN_PLACE.format(proposal.issue)
    return CheckResult(f"adopt {proposal.issue}", title, proposal.issue, Verdict.FAIL, findings)


def _refusal(adoption: Adoption, issue: int, refusal: Refusal) -> Finding:
    place = f"{adoption.sources.prefix}{refusal.path}"
    return Finding(
        replace(rule("ADO002", issue), remedy=refusal.remedy),
        scrub(f"{_name(refusal.path)}: {refusal.reason}"),
        location=Location(LocationKind.FILE, place, refusal.line),
        identity=f"{refusal.path}: {refusal.reason}",
    )


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def needed(adoption: Adoption, settings: Settings) -> Sequence[CheckResult]:
    """Return whether the settings that production does not work without are set here; nothing if none is needed.

    Those that are not are no finding: what production sets is not seen from a developer's machine.
    """
    every = [one for proposal in adoption.proposals for one in proposal.needed]
    if not every:
        return ()
    title = "the settings that the cure needs in production are set"
    lacking = ", ".join(one.name for one in missing(every, settings))
    if not lacking:
        return (CheckResult("settings", title, 0, Verdict.PASS, reason="every required one is set here"),)
    remedy = "set them where the backend runs in production, before the branch is deployed"
    return (CheckResult("settings", title, 0, Verdict.SKIP, reason=f"not set here: {lacking}", remedy=remedy),)


def written_table(adoption: Adoption, title: str) -> Table | None:
    """Return what each issue's commit writes, a row for a file; None if nothing would be."""
    rows = tuple(
        (f"issue {proposal.issue}", f"{adoption.sources.prefix}{change.path}", counted(change))
        for proposal in adoption.proposals
        for change in proposal.changes
    )
    return Table(title, ("commit", "file", "lines"), rows) if rows else None


def notes_table(adoption: Adoption) -> Table | None:
    """Return what a maintainer has to know besides the diff; None if there is nothing."""
    noted: dict[str, int] = {}
    for proposal in adoption.proposals:
        for note in proposal.notes:
            noted.setdefault(scrub(note), proposal.issue)
    rows = tuple((f"issue {issue}", note) for note, issue in noted.items())
    return Table("To know before it is merged", ("of", "note"), rows) if rows else None


def contracts_judged(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Return the contracts' results, those that are broken with a finding, so that they have a remedy and a place."""
    return tuple(
        replace(one, findings=(Finding(rule("ADO003", one.issue), f"{one.title}: not so: {one.reason}"),))
        if one.verdict is Verdict.FAIL and not one.findings
        else one
        for one in results
    )


def applied(done: Applied) -> tuple[CheckResult, Table]:
    """Return that an adoption was applied, and its commits."""
    count = len(done.commits)
    reason = f"{count} commit{'s' if count > 1 else ''} on {done.branch}, which is checked out now"
    evidence = (Evidence("to undo", undoing(done)),)
    result = CheckResult("apply", _COMMITTED, 0, Verdict.PASS, reason=reason, evidence=evidence)
    rows = tuple((one.name[:12], f"issue {one.issue}", one.subject) for one in done.commits)
    return result, Table(f"Committed on {done.branch}", ("commit", "of", "subject"), rows)


def undoing(done: Applied) -> str:
    """Return the commands that take an adoption back, to be pasted: a branch's name may hold what a shell runs."""
    return f"git checkout {shlex.quote(done.before)} && git branch -D {shlex.quote(done.branch)}"


def withheld(results: Sequence[CheckResult]) -> CheckResult | None:
    """Return why an adoption is not applied; None if nothing speaks against it.

    `results` are those of the proof and of the contracts. That something could not be tried does not speak against a
    branch that somebody reviews; that a fault still shows, or that a caller would be broken, does.
    """
    failed = [one.name for one in results if one.verdict is Verdict.FAIL]
    if not failed:
        return None
    reason = f"nothing was applied: {', '.join(failed)} failed in the scratch copy"
    remedy = "adopt the other issues by their numbers, or apply it unproven: --no-prove"
    return CheckResult("apply", _COMMITTED, 0, Verdict.SKIP, reason=reason, remedy=remedy)


def summary(adoption: Adoption, cured: Mapping[int, Sequence[str]], done: Applied | None, *, check: bool) -> str:
    """Return what the run came to, in one sentence."""
    refused = [proposal.issue for proposal in adoption.proposals if proposal.refusals]
    written = [proposal.issue for proposal in adoption.proposals if proposal.changes]
    standing = [proposal.issue for proposal in adoption.proposals if proposal.done]
    parts = []
    if written:
        files = len(adoption.changes)
        verb = "is not in place" if check else "was applied" if done else "would be written"
        parts.append(f"the cure of {_issues(written)} {verb} ({files} file{'s' if files > 1 else ''})")
    if standing:
        parts.append(f"{_issues(standing)} {'are' if len(standing) > 1 else 'is'} cured already")
    if refused:
        parts.append(f"{_issues(refused)} {'are' if len(refused) > 1 else 'is'} refused")
    absent = sum(len(codes) for codes in cured.values())
    if absent:
        parts.append(f"{absent} fault{'s' if absent > 1 else ''} reproduced before {_be(absent)} absent after")
    return f"{'; '.join(parts)}."


def _be(count: int) -> str:
    return "are" if count > 1 else "is"


def _issues(numbers: Sequence[int]) -> str:
    return f"issue{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
