"""A reason, seen: as a finding of the rule that it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.auth.rules import rule_of
from alwrity_checks.model import Evidence, Finding, Location

if TYPE_CHECKING:
    from alwrity_checks.auth.reasons import Reason
    from alwrity_checks.settings import Setting

__all__ = ["finding"]


def finding(
    reason: Reason,
    message: str,
    where: Setting | Location | None = None,
    evidence: tuple[Evidence, ...] = (),
    commands: tuple[str, ...] = (),
) -> Finding:
    """Return the finding; the reason code is its first evidence."""
    location = where if isinstance(where, Location) or where is None else where.location
    return Finding(rule_of(reason), message, (Evidence("reason", str(reason)), *evidence), location, commands)
