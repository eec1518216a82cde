"""What is wrong in what a probe measured: one finding for each cause, naming every deployment that it hit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.advertised import id_without_suffix
from alwrity_checks.hf.causes import Action, Cause, Mode
from alwrity_checks.hf.classify import shown
from alwrity_checks.hf.findings import finding_of
from alwrity_checks.model import Evidence, Finding
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.advertised import Objection
    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.probe_result import Cell, ProbeResult

__all__ = ["answer_findings", "structure_findings"]

_NAMED: Final = 3
"""So many deployments are named in a message; the others are in the evidence."""
_QUOTED: Final = 6
"""So many answers are quoted as evidence."""
_LONGEST_ID: Final = 80
_SCHEMA_MODES: Final = frozenset({Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA})


def answer_findings(
    result: ProbeResult, objections: Mapping[Deployment, Objection], catalogue: Catalogue | None
) -> tuple[Finding, ...]:
    """Return why deployments do not answer plain text, with what the catalogue lists instead of them."""
    faults = [cell for cell in result.cells if cell.mode is None and _is_fault(cell)]
    listed = (
        {} if catalogue is None else {cell.deployment: id_without_suffix(catalogue, cell.deployment) for cell in faults}
    )
    return _by_cause(faults, objections, {one: name for one, name in listed.items() if name})


def structure_findings(result: ProbeResult, catalogue: Catalogue | None) -> tuple[Finding, ...]:
    """Return what is wrong with structured output: a deployment that honours no mode, and a flag that is not true.

    That a deployment refuses one mode and honours another is no fault: the ladder is there for it.
    """
    wrong: list[Cell] = []
    for deployment, cells in result.by_deployment.items():
        asked = [cell for cell in cells if cell.mode is not None and cell.classification is not None]
        offer = None if catalogue is None else catalogue.offer(deployment)
        promised = {
            mode
            for mode in Mode
            if offer is not None
            and ((mode in _SCHEMA_MODES and offer.structured_output) or (mode is Mode.TOOL and offer.tools))
        }
        in_vain = not any(cell.ok for cell in asked)
        wrong += [cell for cell in asked if _is_fault(cell) and (in_vain or cell.mode in promised)]
    return _by_cause(wrong, {}, {})


def _is_fault(cell: Cell) -> bool:
    """Say whether it is the deployment's: what ended the whole probe is said once, and for all of them."""
    return not cell.ok and cell.classification is not None and cell.classification.action is not Action.STOP_ALL


def _by_cause(
    cells: Iterable[Cell], objections: Mapping[Deployment, Objection], listed: Mapping[Deployment, str]
) -> tuple[Finding, ...]:
    """Return a finding for each cause; `listed` are ids without the suffix that the server may not understand."""
    groups: dict[Cause, list[Cell]] = {}
    for cell in cells:
        if cell.classification is not None:
            groups.setdefault(cell.classification.cause, []).append(cell)
    return tuple(_finding(group, objections, listed) for group in groups.values())


def _finding(
    cells: Sequence[Cell], objections: Mapping[Deployment, Objection], without_suffix: Mapping[Deployment, str]
) -> Finding:
    first = next(cell.classification for cell in cells if cell.classification is not None)
    deployments = tuple(dict.fromkeys(cell.deployment for cell in cells))
    names = [str(one) for one in deployments]
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    instead = tuple(
        Evidence(f"listed instead of {one}", ", ".join(objections[one].suggestions))
        for one in deployments
        if one in objections and objections[one].suggestions
    )
    bare = {one: without_suffix[one] for one in deployments if one in without_suffix}
    instead += tuple(Evidence(f"listed instead of {one}", name) for one, name in bare.items())
    # The words are in the message already where there is one deployment alone.
    said = () if len(cells) == 1 and not cells[0].request_id else tuple(map(_words, cells[:_QUOTED]))
    if len(cells) > _QUOTED:
        said = (*said, Evidence("and", f"{len(cells) - _QUOTED} more; the tables hold all of them"))
    commands = tuple(f"alwrity-doctor hf probe {quote(name)}" for name in dict.fromkeys(bare.values()))
    found = finding_of(first, evidence=(*instead, *said), commands=commands)
    words = first.message
    if bare:
        words = f"{words}; this server serves its models itself, and may not know {_suffixes(bare)}"
    if first.cause is Cause.STRUCTURE_IGNORED:
        modes = ", ".join(dict.fromkeys(str(cell.mode) for cell in cells))
        words = f"{modes} accepted, and the schema not heeded ({first.message})"
    if len(names) > 1:
        return replace(found, message=f"{len(names)} deployments: {listed}; the first: {words}")
    return replace(found, message=f"{listed}: {words}")


def _suffixes(deployments: Iterable[Deployment]) -> str:
    return ", ".join(dict.fromkeys(f":{one.suffix}" for one in deployments))


def _words(cell: Cell) -> Evidence:
    message = "" if cell.classification is None else cell.classification.message
    said = f"{message} (request id {shown(cell.request_id, _LONGEST_ID)})" if cell.request_id else message
    return Evidence(scrub(f"{cell.deployment}, {cell.mode or 'plain text'}"), said)
