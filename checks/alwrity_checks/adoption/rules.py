"""What can be wrong with the cure in a checkout. The texts are in `rules.toml`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.rulefile import load_rules

if TYPE_CHECKING:
    from alwrity_checks.model import Rule

__all__ = ["BY_REASON", "RULES", "rule"]

_FILE: Final = load_rules("alwrity_checks.adoption", issue=0)
_BY_CODE: Final = {rule.code: rule for rule in _FILE.rules}

RULES: Final = _FILE.rules
"""Every rule of this package."""
BY_REASON: Final = _FILE.by_reason
"""Reason code -> the rule it breaks."""


def rule(code: str, issue: int = 0) -> Rule:
    """Return the rule with the code, as one of `issue`. Raises KeyError."""
    return replace(_BY_CODE[code], issue=issue)
