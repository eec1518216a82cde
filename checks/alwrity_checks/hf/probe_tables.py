"""What a probe measured, side by side: who answers, what becomes of a schema, and which chain follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.canary import Structure
from alwrity_checks.hf.causes import Cause, Scope
from alwrity_checks.hf.classify import shown
from alwrity_checks.model import Table
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.catalogue import Catalogue, Offer
    from alwrity_checks.hf.chain import Chain
    from alwrity_checks.hf.named_models import NamedModel
    from alwrity_checks.hf.plan import Plan
    from alwrity_checks.hf.probe_result import Cell, ProbeResult

__all__ = [
    "answer_table",
    "answer_words",
    "chain_table",
    "models_table",
    "plan_table",
    "structure_table",
    "structure_words",
]

_WORDS: Final[Mapping[Structure, str]] = MappingProxyType(
    {
        Structure.HONOURED: "honoured",
        Structure.COINCIDENTAL: "by chance",
        Structure.IGNORED: "ignored",
        Structure.CUT: "cut",
    }
)
_NOT_ASKED: Final = "not asked"
_LONGEST_NAME: Final = 40
"""Of a provider, as a server names itself."""


def models_table(models: Iterable[NamedModel]) -> Table:
    """Return the deployments that a backend asks for, and what names each."""
    rows = tuple((scrub(one.deployment), scrub(str(one.where))) for one in models)
    return Table("Models, and what names them", ("deployment", "named by"), rows)


def plan_table(plan: Plan) -> Table:
    """Return what would be asked of each deployment, and what it can cost at most."""
    rows = []
    for deployment in plan.deployments:
        cells = [cell for cell in plan.cells if cell.deployment == deployment]
        costs = [cell.most_cost for cell in cells]
        cost = None if None in costs else sum(one for one in costs if one is not None)
        asked = ", ".join(str(cell.mode or "plain text") for cell in cells)
        rows.append((scrub(str(deployment)), asked, "no price known" if cost is None else f"{cost:.4f} USD"))
    return Table("What would be asked", ("deployment", "asked for", "each once, at most"), tuple(rows))


def answer_table(result: ProbeResult, catalogue: Catalogue | None) -> Table:
    """Return a row for each deployment: whether it answers, how fast, who served it, and what the catalogue says."""
    rows = tuple(
        (
            scrub(str(cell.deployment)),
            answer_words(cell),
            "" if cell.time_to_first_token is None else f"{cell.time_to_first_token:.2f} s",
            "" if cell.tokens_per_second is None else f"{cell.tokens_per_second:.0f}",
            shown(cell.served_by or "", _LONGEST_NAME),
            _advertised_speed(None if catalogue is None else catalogue.offer(cell.deployment)),
        )
        for cell in result.cells
        if cell.mode is None
    )
    heads = ("deployment", "plain text", "first token", "tokens/s", "served by", "advertised speed")
    return Table("Which deployments answer, and how fast", heads, rows)


def structure_table(result: ProbeResult, catalogue: Catalogue | None) -> Table:
    """Return a row for each deployment that was asked for structure: what became of it, beside the catalogue's flags.

    A deployment that does not answer at all has no row. No mode was asked for where the table has a single column.
    """
    modes = tuple(dict.fromkeys(cell.mode for cell in result.cells if cell.mode is not None))
    rows = []
    for deployment, cells in result.by_deployment.items():
        by_mode = {cell.mode: cell for cell in cells}
        if all(cell.skipped for mode, cell in by_mode.items() if mode is not None):
            continue
        offer = None if catalogue is None else catalogue.offer(deployment)
        rows.append(
            (scrub(str(deployment)), *(structure_words(by_mode.get(mode)) for mode in modes), _advertised_flags(offer))
        )
    heads = ("deployment", *map(str, modes), "advertised")
    return Table("Whether a schema is honoured", heads, tuple(rows))


def chain_table(chain: Chain) -> Table:
    """Return the deployments in the order in which they should be asked."""
    rows = tuple((f"{number}. {link.deployment}", link.reason) for number, link in enumerate(chain.links, start=1))
    return Table("Recommended chain", ("deployment, in order", "because"), rows)


def answer_words(cell: Cell) -> str:
    """Return what became of a question in a word or two: the status, and the cause of a refusal."""
    if cell.skipped or cell.classification is None:
        return _NOT_ASKED
    if cell.ok:
        return str(cell.status)
    cause = str(cell.classification.cause)
    return cause if cell.status is None else f"{cell.status} {cause}"


def structure_words(cell: Cell | None) -> str:
    """Return what became of a structure that was asked for, in a word or two."""
    if cell is None or cell.skipped or cell.classification is None:
        return _NOT_ASKED
    if cell.structure is not None:
        return _WORDS[cell.structure]
    if cell.classification.scope is Scope.MODE and cell.classification.cause is not Cause.STRUCTURE_IGNORED:
        return f"refused {cell.status}"
    return answer_words(cell)


def _advertised_speed(offer: Offer | None) -> str:
    if offer is None:
        return ""
    said: Sequence[str] = (
        "" if offer.first_token_seconds is None else f"{offer.first_token_seconds:.2f} s",
        "" if offer.throughput is None else f"{offer.throughput:.0f}/s",
    )
    return ", ".join(filter(None, said))


def _advertised_flags(offer: Offer | None) -> str:
    flags = {} if offer is None else {"schema": offer.structured_output, "tools": offer.tools}
    said = [name for name, flag in flags.items() if flag]
    if said:
        return ", ".join(said)
    return "neither" if flags and None not in flags.values() else "not said"
