"""What a probe measured at one glance: every deployment in every mode, a sign and a word in each cell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.canary import Structure
from alwrity_checks.hf.causes import Permanence
from alwrity_checks.hf.probe_tables import answer_words, structure_words
from alwrity_checks.model import Verdict
from alwrity_checks.pictures import Cell, Matrix, Row
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Mode
    from alwrity_checks.hf.probe_result import Cell as Answer
    from alwrity_checks.hf.probe_result import ProbeResult
    from alwrity_checks.pictures import Picture

__all__ = ["mode_matrix"]

_ISSUE: Final = 2
_PLAIN: Final = "plain text"
_OF_STRUCTURE: Final[Mapping[Structure, Verdict]] = MappingProxyType(
    {
        Structure.HONOURED: Verdict.PASS,
        Structure.COINCIDENTAL: Verdict.WARN,
        Structure.IGNORED: Verdict.FAIL,
        Structure.CUT: Verdict.UNKNOWN,
    }
)


def mode_matrix(result: ProbeResult) -> Picture:
    """Return a row for each deployment and a column for each mode that was asked for, plain text first."""
    modes: tuple[Mode | None, ...] = tuple(dict.fromkeys((None, *(cell.mode for cell in result.cells))))
    rows = []
    for deployment, cells in result.by_deployment.items():
        by_mode = {cell.mode: cell for cell in cells}
        rows.append(Row(scrub(str(deployment)), tuple(_cell(by_mode.get(mode)) for mode in modes)))
    return Matrix(
        title="Which deployment answers in which mode",
        description=_told(result),
        issue=_ISSUE,
        of="deployment",
        columns=tuple(_PLAIN if mode is None else str(mode) for mode in modes),
        rows=tuple(rows),
    )


def _told(result: ProbeResult) -> str:
    plain = [cell for cell in result.cells if cell.mode is None]
    asked = [cell for cell in result.cells if cell.mode is not None and not cell.skipped]
    honoured = sum(cell.structure is Structure.HONOURED for cell in asked)
    alive = f"{sum(cell.ok for cell in plain)} of {len(plain)} deployments answer in plain text"
    return f"{alive}; {honoured} of {len(asked)} questions for a structure were honoured." if asked else f"{alive}."


def _cell(answer: Answer | None) -> Cell:
    """Return a word and what it means: a fault for good is `fail`, one that may pass by itself is `unknown`."""
    if answer is None:
        return Cell("")
    words = answer_words(answer) if answer.mode is None else structure_words(answer)
    if answer.skipped or answer.classification is None:
        return Cell(words, Verdict.SKIP)
    if answer.structure is not None:
        return Cell(words, _OF_STRUCTURE[answer.structure])
    if answer.ok:
        return Cell(words, Verdict.PASS)
    lasting = answer.classification.permanence is Permanence.PERMANENT
    return Cell(words, Verdict.FAIL if lasting else Verdict.UNKNOWN)
