"""Every scenario, in the order of the rules, and which state of the service has which fault."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.txtai.legacy.variant import LegacyVariant
from alwrity_checks.txtai.scenarios import calls, crash, starts, threads

if TYPE_CHECKING:
    from alwrity_checks.txtai.scenarios.scenario import Scenario

__all__ = ["FAULTS", "SCENARIOS"]

SCENARIOS: Final[tuple[Scenario, ...]] = tuple(
    sorted(
        (*calls.SCENARIOS, *starts.SCENARIOS, *threads.SCENARIOS, *crash.SCENARIOS), key=lambda scenario: scenario.code
    )
)

_IN_ALL: Final = frozenset({"TXT007", "TXT009", "TXT010", "TXT012", "TXT013", "TXT014"})

FAULTS: Final[Mapping[LegacyVariant, frozenset[str]]] = MappingProxyType(
    {
        LegacyVariant.SILENT: _IN_ALL | {"TXT002", "TXT005", "TXT006"},
        LegacyVariant.THEIRS: _IN_ALL | {"TXT001", "TXT005"},
        LegacyVariant.AWAITING: _IN_ALL | {"TXT005", "TXT006", "TXT008"},
        LegacyVariant.DOUBLE: _IN_ALL | {"TXT003", "TXT004", "TXT005", "TXT006", "TXT008"},
        LegacyVariant.HEAD: _IN_ALL | {"TXT003", "TXT004", "TXT006", "TXT008", "TXT011"},
    }
)
"""The rules whose fault shows on a state when the order is forced."""
