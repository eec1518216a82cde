"""What an inspection of an index directory found, as findings of the rules that it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.model import Evidence, Finding, Location, LocationKind
from alwrity_checks.txtai.rules import rule_of

if TYPE_CHECKING:
    from alwrity_checks.txtai.inspection import Fault, Inspection

__all__ = ["findings", "reason"]


def reason(fault: Fault) -> str:
    """Return the reason code of a fault: its own word, and what it is a fault of."""
    return f"index-{fault}"


def findings(inspection: Inspection) -> tuple[Finding, ...]:
    """Return a finding for each problem, with what the directory holds as its evidence."""
    held = tuple(_held(inspection))
    return tuple(
        Finding(
            rule_of(reason(problem.fault)),
            problem.detail,
            (Evidence("reason", reason(problem.fault)), *held),
            Location(LocationKind.FILE, str(problem.path)),
        )
        for problem in inspection.problems
    )


def _held(inspection: Inspection) -> list[Evidence]:
    counts = {
        "documents": inspection.rows,
        "vectors": inspection.vectors,
        "dimensions": inspection.dimensions,
        "written by txtai": inspection.written_by,
    }
    return [Evidence(label, str(value)) for label, value in counts.items() if value is not None]
