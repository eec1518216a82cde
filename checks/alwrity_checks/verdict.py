"""How much a finding weighs, and what a check comes to: the words that everything else is told in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alwrity_checks.model import Finding

__all__ = ["Severity", "Verdict"]


class Severity(StrEnum):
    """How much a broken rule weighs in a verdict."""

    ERROR = "error"
    """The verdict is `fail`."""
    WARNING = "warning"
    """The verdict is at best `warn`."""
    NOTE = "note"
    """Shown; the verdict does not change."""


class Verdict(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """Does not apply; always with the reason."""
    UNKNOWN = "unknown"
    """Could not be checked; never shown as pass, never as fail."""

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Verdict:
        """Return the verdict of a check that was carried out to its end."""
        severities = {finding.rule.severity for finding in findings}
        if Severity.ERROR in severities:
            return cls.FAIL
        return cls.WARN if Severity.WARNING in severities else cls.PASS

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """Return the worst of several; `skip` only if nothing was checked."""
        seen = set(verdicts)
        return next((one for one in (cls.FAIL, cls.UNKNOWN, cls.WARN, cls.PASS) if one in seen), cls.SKIP)
