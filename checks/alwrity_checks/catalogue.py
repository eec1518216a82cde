"""The one table of rooms: where each room keeps its rules and its experiment.

A room is imported only when something of it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.model import Rule

__all__ = ["EXPERIMENTS", "ROOMS", "reasons", "rules"]

ROOMS: Final = ("auth", "hf", "txtai", "models", "startup", "logs", "backend", "adoption")
"""The packages below `alwrity_checks` that hold a `rules` module with `RULES` and `BY_REASON`."""

EXPERIMENTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "alwrity_checks.auth.experiment",
        2: "alwrity_checks.hf.experiment",
        3: "alwrity_checks.txtai.experiment",
        5: "alwrity_checks.models.experiment",
        6: "alwrity_checks.startup.experiment",
    }
)
"""Issue -> the module whose `experiment()` returns the issue's experiment."""


@cache
def rules() -> Mapping[str, Rule]:
    """Return every rule by its code, in the order of the codes."""
    found = [rule for room in ROOMS for rule in import_module(f"alwrity_checks.{room}.rules").RULES]
    return MappingProxyType({rule.code: rule for rule in sorted(found, key=lambda rule: rule.code)})


@cache
def reasons() -> Mapping[str, Rule]:
    """Return, for each reason code that a component can give, the rule it breaks."""
    return MappingProxyType(
        {code: rule for room in ROOMS for code, rule in import_module(f"alwrity_checks.{room}.rules").BY_REASON.items()}
    )
