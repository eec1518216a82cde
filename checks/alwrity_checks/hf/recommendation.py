"""Which deployments a chain should hold, in which order and with which mode, after what a probe has seen of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.causes import Mode, Scope
from alwrity_checks.hf.chain import Link

if TYPE_CHECKING:
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.probe_result import Cell

__all__ = ["recommended_links"]

_RUNGS: Final = tuple(Mode)
_SCHEMA_IS_SENT: Final = frozenset({Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA, Mode.TOOL})
"""Below these the model is merely told of the schema."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    link: Link
    served_by: str
    grade: int
    """0: takes a schema; 1: follows one that it is told of; 2: answers, and no more is known."""
    rank: tuple[int, int, int, float]


def recommended_links(cells_of: Mapping[Deployment, Sequence[Cell]]) -> tuple[Link, ...]:
    """Return the deployments that answered, the best first.

    Those that take a schema come before those that are merely told of it, and these before the rest. Among equals the
    order of the models is the caller's, then the stricter mode counts, then the time of the answer. The second one is
    served by another provider than the first, where one follows a schema: providers fail as a whole.
    """
    places: dict[str, int] = {}
    found = []
    for deployment, cells in cells_of.items():
        place = places.setdefault(deployment.model, len(places))
        if candidate := _candidate(deployment, cells, place):
            found.append(candidate)
    found.sort(key=lambda one: one.rank)
    for position, one in enumerate(found[1:], 1):
        if one.served_by != found[0].served_by and one.grade < 2:  # noqa: PLR2004 - a grade, said above
            found.insert(1, found.pop(position))
            break
    return tuple(one.link for one in found)


def _candidate(deployment: Deployment, cells: Sequence[Cell], place: int) -> _Candidate | None:
    answered = [cell for cell in cells if cell.ok]
    if not answered:
        return None
    best = min(answered, key=lambda cell: len(_RUNGS) if cell.mode is None else _RUNGS.index(cell.mode))
    if best.mode is None:
        # It answers, and no mode was seen honoured: asked and refused, or ignored, or not asked.
        in_vain = [cell for cell in cells if cell.mode is not None]
        hopeless = bool(in_vain) and all(_in_vain(cell) for cell in in_vain)
        grade, mode = 2, Mode.PROMPT if hopeless else None
        reason = "answers; heeds no schema, so that only asking for it is left" if hopeless else "answers"
    else:
        grade, mode = int(best.mode not in _SCHEMA_IS_SENT), best.mode
        reason = f"honours {best.mode}"
    rung = len(_RUNGS) if mode is None else _RUNGS.index(mode)
    served_by = best.served_by or deployment.provider or ""
    link = Link(deployment, mode, f"{reason}; {best.seconds:.2f} s")
    return _Candidate(link, served_by, grade, (grade, place, rung, best.seconds))


def _in_vain(cell: Cell) -> bool:
    """Say whether the mode was refused or ignored, and did not merely fail."""
    return cell.classification is not None and cell.classification.scope is Scope.MODE
