"""A reason, and what a checkout names, as findings of the rules that they break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.model import Evidence, Finding, Location, LocationKind
from alwrity_checks.models.errors import ModelError, NoModel
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.rules import rule_of
from alwrity_checks.models.source import Use
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.source import SourceScan

__all__ = ["finding", "finding_of", "reason_of", "source_findings"]


def reason_of(error: DoctorError) -> Reason:
    """Return the reason code of an error: its own, or the nearest; of a chain, the one that all its steps share."""
    if isinstance(error, NoModel):
        shared = {one.reason for one in error.attempts.values()}
        return shared.pop() if len(shared) == 1 else error.reason
    if isinstance(error, ModelError):
        return error.reason
    return Reason.EXTRA_MISSING if isinstance(error, MissingExtra) else Reason.LOAD_FAILED


def finding(
    reason: str,
    message: str,
    location: Location | None = None,
    evidence: tuple[Evidence, ...] = (),
    commands: tuple[str, ...] = (),
) -> Finding:
    """Return the finding of the rule that `reason` breaks."""
    return Finding(rule_of(reason), scrub(message), (Evidence("reason", reason), *evidence), location, commands)


def finding_of(error: DoctorError, location: Location | None = None) -> Finding:
    """Return what an error means: its rule, its diagnosis, its advice, and what each step of a chain came to."""
    advice = (Evidence("advice", scrub(error.remedy)),) if error.remedy else ()
    attempts = error.attempts if isinstance(error, NoModel) else {}
    told = tuple(Evidence(str(step), f"{one.reason}: {scrub(one.diagnosis)}") for step, one in attempts.items())
    return finding(reason_of(error), error.diagnosis, location, (*advice, *told))


def source_findings(scan: SourceScan, backend: Path, agent: str) -> Iterator[Finding]:
    """Yield where a checkout's modules disagree among themselves; `agent` is the registry's default for its agents."""
    generation = scan.models(Use.GENERATION)
    for one in scan.fetched_in_vain:
        told = (
            f"{one.model} is downloaded ahead, and nothing that runs loads it; "
            f"loaded {'is' if len(generation) == 1 else 'are'} {', '.join(generation) or 'none'}"
        )
        places = tuple(
            Evidence(other.place, f"{other.model} ({other.call})")
            for other in scan.namings
            if other.live and other.use is Use.GENERATION
        )
        yield finding(
            "names-disagree",
            told,
            Location(LocationKind.FILE, str(backend / one.file), one.line),
            (*places, Evidence("the registry's default", agent)),
            ("alwrity-doctor models pull",),
        )
    for one in scan.namings:
        if not one.live:
            told = f"{one.file} names {one.model}, and nothing that runs imports it"
            yield finding("name-in-dead-copy", told, Location(LocationKind.FILE, str(backend / one.file), one.line))
    if scan.unparsed:
        told = f"{len(scan.unparsed)} of {scan.files} files cannot be parsed, and may name models too"
        evidence = tuple(Evidence("file", one) for one in scan.unparsed[:20])
        yield finding("source-unparsed", told, Location(LocationKind.FILE, str(backend)), evidence)
