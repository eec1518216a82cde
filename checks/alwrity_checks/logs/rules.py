"""What a log says of itself. The texts are in `rules.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.rulefile import load_rules

if TYPE_CHECKING:
    from alwrity_checks.model import Rule

__all__ = ["BY_REASON", "RULES", "rule", "rule_of"]

_FILE: Final = load_rules("alwrity_checks.logs", issue=4)
_BY_CODE: Final = {rule.code: rule for rule in _FILE.rules}

RULES: Final = _FILE.rules
"""Every rule of this room."""
BY_REASON: Final = _FILE.by_reason
"""Reason code -> the rule it breaks."""


def rule(code: str) -> Rule:
    """Return the rule with the code. Raises KeyError."""
    return _BY_CODE[code]


def rule_of(reason: str) -> Rule:
    """Return the rule that a reason breaks. Raises KeyError."""
    return BY_REASON[reason]
