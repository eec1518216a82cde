"""Accepted findings: `alwrity-doctor.toml`, each entry with a reason and a date on which it lapses.

[[suppress]]
rule = "AUTH031"
location = "$CLERK_*"          # optional: a shell pattern for the finding's location
reason = "the satellite domain moves in December"
expires = 2026-12-31           # to the end of that day, UTC
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, Evidence, Finding, SuppressedFinding, Verdict
from alwrity_doctor.entries import Form, entries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from alwrity_checks.model import Report

__all__ = ["FILE_NAME", "Suppression", "apply", "configured", "load", "unmatched"]

FILE_NAME: Final = "alwrity-doctor.toml"
_REQUIRED: Final = {"rule": str, "reason": str, "expires": date}
_OPTIONAL: Final = {"location": str}
_JUDGED: Final = frozenset({Verdict.PASS, Verdict.WARN, Verdict.FAIL})


@dataclass(frozen=True, slots=True)
class Suppression:
    """One accepted finding, or several of one rule."""

    rule: str
    """The rule's code."""
    reason: str
    expires: date
    """The last day, in UTC, on which it holds."""
    location: str | None = None
    """A shell pattern that the finding's location has to match; None matches any finding of the rule."""

    def matches(self, finding: Finding) -> bool:
        """Say whether `finding` is one of those meant, lapsed or not."""
        if finding.rule.code != self.rule:
            return False
        return self.location is None or (
            finding.location is not None and fnmatchcase(str(finding.location), self.location)
        )

    def has_lapsed(self, now: datetime) -> bool:
        """Say whether the last day is over."""
        return now.astimezone(UTC).date() > self.expires


def configured(path: Path | None) -> tuple[Suppression, ...]:
    """Return the accepted findings of the file at `path`, or of the one in the working directory if there is one.

    Raises ConfigurationError as `load` does.
    """
    from pathlib import Path

    from alwrity_checks.catalogue import rules

    if path is None:
        path = Path(FILE_NAME)
        if not path.is_file():
            return ()
    return load(path, rules().keys())


def load(path: Path, known: Collection[str]) -> tuple[Suppression, ...]:
    """Read `path`; `known` are the codes of all rules.

    Raises ConfigurationError for a file that cannot be read or is not TOML, and for an entry that lacks a reason or a
    date, has a key we do not know, or names a rule that does not exist.
    """
    form = Form("suppress", _REQUIRED, _OPTIONAL, remedy="name a file with --config")
    return tuple(_entry(entry, where, known) for where, entry in entries(path, form))


def _entry(entry: Mapping[str, Any], where: str, known: Collection[str]) -> Suppression:
    if entry["rule"] not in known:
        raise ConfigurationError(f"{where}: there is no rule {entry['rule']}", "alwrity-doctor explain lists the rules")
    return Suppression(**entry)


def apply(suppressions: Iterable[Suppression], result: CheckResult, now: datetime) -> CheckResult:
    """Return `result` with the accepted findings set apart and the verdict judged anew.

    A finding whose suppression has lapsed counts again, and its evidence says so. A result that was not judged by its
    findings (`skip`, `unknown`) keeps its verdict.
    """
    suppressions = tuple(suppressions)
    counting: list[Finding] = []
    accepted: list[SuppressedFinding] = []
    for finding in result.findings:
        matching = [one for one in suppressions if one.matches(finding)]
        holding = next((one for one in matching if not one.has_lapsed(now)), None)
        if holding:
            accepted.append(SuppressedFinding(finding, holding.reason, holding.expires))
            continue
        lapsed = tuple(
            Evidence("suppression", f"lapsed on {one.expires.isoformat()}; its reason was: {one.reason}")
            for one in matching
        )
        counting.append(replace(finding, evidence=(*finding.evidence, *lapsed)))
    return replace(
        result,
        findings=tuple(counting),
        suppressed=(*result.suppressed, *accepted),
        verdict=Verdict.of(counting) if accepted and result.verdict in _JUDGED else result.verdict,
    )


def unmatched(suppressions: Iterable[Suppression], report: Report) -> Sequence[Suppression]:
    """Return the suppressions that no finding of `report` is meant by: candidates for removal."""
    found = (*report.findings, *(one.finding for one in report.suppressed))
    return [one for one in suppressions if not any(one.matches(finding) for finding in found)]
