"""A cause, or a fault of the settings, seen: as a finding of the rule that it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.hf.rules import rule_of
from alwrity_checks.model import Evidence, Finding, Location

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Cause, Classification
    from alwrity_checks.hf.reasons import ConfigurationReason
    from alwrity_checks.settings import Setting

__all__ = ["consequence", "finding", "finding_of"]


def finding(
    reason: Cause | ConfigurationReason,
    message: str,
    where: Setting | Location | None = None,
    evidence: tuple[Evidence, ...] = (),
    commands: tuple[str, ...] = (),
) -> Finding:
    """Return the finding; the reason code is its first evidence. Raises KeyError for `Cause.OK`."""
    location = where if isinstance(where, Location) or where is None else where.location
    return Finding(rule_of(reason), message, (Evidence("reason", str(reason)), *evidence), location, commands)


def finding_of(
    classified: Classification,
    where: Setting | Location | None = None,
    evidence: tuple[Evidence, ...] = (),
    commands: tuple[str, ...] = (),
) -> Finding:
    """Return the finding of a classified answer, which says its scope and what to do next."""
    return finding(classified.cause, classified.message, where, (*consequence(classified), *evidence), commands)


def consequence(classified: Classification) -> tuple[Evidence, ...]:
    """Return what follows from a cause, as evidence."""
    facts = (
        Evidence("scope", str(classified.scope)),
        Evidence("permanence", str(classified.permanence)),
        Evidence("action", str(classified.action)),
    )
    if classified.retry_after is None:
        return facts
    return (*facts, Evidence("retry after", f"{classified.retry_after:g} s"))
