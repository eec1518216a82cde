"""The indexes that lie on this machine, each examined without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.findings import findings
from alwrity_checks.txtai.inspection import Inspection, Kind, inspect_index
from alwrity_checks.txtai.workspace import component_directory, indexes_below, workspaces

if TYPE_CHECKING:
    from alwrity_checks.model import Finding
    from alwrity_checks.settings import Settings

__all__ = ["index_findings", "repairable"]

_REPAIRED: Final = frozenset({"TXT032", "TXT033", "TXT034"})
"""The rules whose breach `txtai repair` makes good."""
_OF_THE_LIBRARIES: Final = "TXT036"
"""What `txtai.libraries` says once, and an inspection of each index again."""


def index_findings(settings: Settings, backend: Path | None = None) -> Iterator[Finding]:
    """Yield what is wrong with the indexes of the workspaces here or of a checkout, and of the component.

    Raises CannotCheck for a directory that cannot be looked into.
    """
    own = component_directory(settings)
    roots = [*workspaces(), *(workspaces(backend) if backend else ()), *([own] if own and own.is_dir() else [])]
    seen: set[Path] = set()
    for root in roots:
        try:
            found = {path.resolve(): path for path in indexes_below(root)}
        except OSError as error:
            told = f"{root} cannot be looked into: {scrub(str(error.strerror))}"
            raise CannotCheck(told, "run it as the user who owns the directory") from error
        for place in sorted(found.keys() - seen):
            yield from (one for one in repairable(inspect_index(found[place])) if one.rule.code != _OF_THE_LIBRARIES)
        seen |= found.keys()


def repairable(inspection: Inspection) -> tuple[Finding, ...]:
    """Return the findings of an inspection, with the command that repairs the index where one does."""
    if inspection.kind is Kind.NOTHING:
        return findings(inspection)
    command = f"alwrity-doctor txtai repair {quote(str(inspection.path))} --into NEW_DIRECTORY"
    return tuple(
        replace(one, commands=(command,)) if one.rule.code in _REPAIRED else one for one in findings(inspection)
    )
