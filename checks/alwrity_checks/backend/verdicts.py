"""What a scan came to, subject by subject: the results that `scan` and the gate show."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.found import Found, as_finding
from alwrity_checks.backend.parsing import FlawKind
from alwrity_checks.backend.rooms import rooms
from alwrity_checks.backend.subjects import FILES, SUBJECTS, name_of
from alwrity_checks.model import CheckResult, Evidence, Finding, Verdict
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.backend.scan import Scan

__all__ = ["result", "results"]

_SHOWN: Final = 20


def results(scan: Scan, everything: Sequence[Found], issues: Sequence[int] = ()) -> Iterator[CheckResult]:
    """Yield the result of each subject of `issues`, or of all; those that belong to no issue are always among them."""
    for subject, (_, issue) in SUBJECTS.items():
        if not issues or issue == 0 or issue in issues:
            yield result(scan, everything, subject)


def result(scan: Scan, everything: Sequence[Found], subject: str) -> CheckResult:
    """Return what a scan says of one subject; what could not be looked into makes it `unknown`, unless it is worse."""
    title, issue = SUBJECTS[subject]
    findings = tuple(as_finding(one) for one in everything if one.subject == subject)
    unseen = tuple(_unseen(scan, subject))
    verdict = Verdict.of(findings)
    if unseen and verdict is not Verdict.FAIL:
        verdict = Verdict.UNKNOWN
    evidence = [Evidence("not looked into", scrub(one)) for one in unseen[:_SHOWN]]
    if len(unseen) > _SHOWN:
        evidence.append(Evidence("not looked into", f"and {len(unseen) - _SHOWN} more"))
    if subject == FILES:
        evidence += _read_with(scan)
    told = _counts(scan) if subject == FILES else f"{_places(findings)}{_besides(scan)}"
    reason = f"{len(unseen)} could not be looked into; {told}" if unseen else told
    remedy = _remedy(scan) if verdict is Verdict.UNKNOWN else ""
    return CheckResult(
        name_of(subject), title, issue, verdict, findings, reason=reason, remedy=remedy, evidence=tuple(evidence)
    )


def _unseen(scan: Scan, subject: str) -> Iterator[str]:
    """Yield what runs, or may run, and might hold what the subject is about."""
    looking = next((room for room in rooms() if room.name == subject), None)
    for reading in scan.blind:
        if subject == FILES or (looking is not None and looking.wants(scan.snapshot.sources[reading.path])):
            flaw = reading.flaw
            why = flaw.message if flaw is not None else "was not parsed"
            needs = f" (Python {'.'.join(map(str, flaw.needs))} may read it)" if flaw is not None and flaw.needs else ""
            yield f"{scan.snapshot.prefix}{reading.path}:{flaw.line if flaw else 1}: {why}{needs}"
    for trouble in (*scan.troubles, *(one for reading in scan.readings.values() for one in reading.troubles)):
        if trouble.room == subject and (not trouble.path or trouble.path in scan.graph.live):
            yield f"{scan.snapshot.prefix}{trouble.path}: {trouble.why}"
    if subject == FILES:
        yield from (f"{scan.snapshot.prefix}{one.path}: {one.why}" for one in scan.left_out)


def _places(findings: Sequence[Finding]) -> str:
    return "nothing was found" if not findings else "1 place" if len(findings) == 1 else f"{len(findings)} places"


def _besides(scan: Scan) -> str:
    """Return what stands beside every count: the files that it does not speak of."""
    failing, left = _failing(scan), len(scan.left_out)
    told = [f"{failing} file{'s do' if failing > 1 else ' does'} not compile"] if failing else []
    told += [f"{left} {'were' if left > 1 else 'was'} not read"] if left else []
    return f"; {', '.join(told)}" if told else ""


def _counts(scan: Scan) -> str:
    live = sum(one.live for one in scan.readings.values())
    return f"{len(scan.readings)} files read, {live} of them run{_besides(scan)}"


def _failing(scan: Scan) -> int:
    kinds = {FlawKind.CONFLICT, FlawKind.ERROR}
    return sum(one.flaw is not None and one.flaw.kind in kinds for one in scan.readings.values())


def _read_with(scan: Scan) -> Iterator[Evidence]:
    told = f"Python {platform.python_version()}"
    if scan.newer is not None:
        told += f", and what is too new for it by {scan.newer.path} ({'.'.join(map(str, scan.newer.version))})"
    yield Evidence("read with", told)
    if scan.declared is not None:
        version = ".".join(map(str, scan.declared.version))
        yield Evidence("declared", f"Python {version} ({scan.declared.path}:{scan.declared.line})")


def _remedy(scan: Scan) -> str:
    if any(one.flaw is not None and one.flaw.needs is not None for one in scan.blind):
        return "install a newer Python beside this one (it is found on the path), or run alwrity-doctor with it"
    return "give yourself the right to read the files, or look at them yourself"
