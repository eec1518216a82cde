"""What can be wrong with structured JSON through Hugging Face's router. The texts are in `rules.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.rulefile import load_rules

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Cause
    from alwrity_checks.hf.reasons import ConfigurationReason
    from alwrity_checks.model import Rule

__all__ = ["BY_REASON", "RULES", "rule", "rule_of"]

_FILE: Final = load_rules("alwrity_checks.hf", issue=2)
_BY_CODE: Final = {rule.code: rule for rule in _FILE.rules}

RULES: Final = _FILE.rules
"""Every rule of this room."""
BY_REASON: Final = _FILE.by_reason
"""Reason code -> the rule it breaks."""


def rule(code: str) -> Rule:
    """Return the rule with the code. Raises KeyError."""
    return _BY_CODE[code]


def rule_of(reason: Cause | ConfigurationReason) -> Rule:
    """Return the rule that a reason breaks. Raises KeyError for `Cause.OK`, which breaks none."""
    return BY_REASON[reason]
