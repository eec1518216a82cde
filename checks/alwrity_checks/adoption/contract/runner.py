"""Contracts, tried on a checkout: each room's in a sandboxed child that runs the checkout's own module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption.contract.contract import Contract, Keeping, Tried
from alwrity_checks.backend.drivers import DRIVERS
from alwrity_checks.backend.driving import Surroundings
from alwrity_checks.model import CheckResult, Outcome, Table, Verdict
from alwrity_checks.sandbox.conversation import meet, play

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout
    from alwrity_checks.sandbox.sandbox import Sandbox

__all__ = ["ROOMS", "contracts_of", "judge_contracts", "run_contracts", "side_by_side"]

ROOMS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "alwrity_checks.adoption.contract.auth",
        2: "alwrity_checks.adoption.contract.hf",
        3: "alwrity_checks.adoption.contract.txtai",
        5: "alwrity_checks.adoption.contract.models",
        6: "alwrity_checks.adoption.contract.startup",
    }
)
"""The issue -> the module with its `CONTRACTS` and the `drive(inside, act, *words)` that tries them."""
_PATIENCE: Final = 120.0
_SILENCE: Final = 180.0
_UNSAID: Final = Surroundings()
_KEEPING: Final[Mapping[Outcome, Keeping]] = MappingProxyType(
    {Outcome.ABSENT: Keeping.KEPT, Outcome.REPRODUCED: Keeping.BROKEN, Outcome.UNKNOWN: Keeping.UNKNOWN}
)


def contracts_of(issue: int) -> tuple[Contract, ...]:
    """Return the contracts of an issue, in the order in which they are tried."""
    contracts: tuple[Contract, ...] = import_module(ROOMS[issue]).CONTRACTS
    return contracts


async def run_contracts(
    checkout: Checkout,
    issues: Collection[int],
    around: Surroundings = _UNSAID,
    *,
    told: Callable[[Contract], None] = lambda _: None,
) -> tuple[Tried, ...]:
    """Try the contracts of these issues on the modules of a checkout as they stand; nothing is written.

    `told` hears of each contract as it begins. A module that cannot be driven, or dies, leaves its contracts
    `unknown`, with the reason. Takes a few seconds for an issue. Raises nothing of the checkout's.
    """
    tried: list[Tried] = []
    for issue in sorted(issues):
        if issue in ROOMS:
            tried += await _of_issue(checkout, issue, around, told)
    return tuple(tried)


async def _of_issue(
    checkout: Checkout, issue: int, around: Surroundings, told: Callable[[Contract], None]
) -> list[Tried]:
    contracts = contracts_of(issue)
    target = DRIVERS[issue](checkout, around)
    hindrance = getattr(target, "obstacle", None)
    if hindrance is not None:
        return [Tried(one, Keeping.UNKNOWN, hindrance.diagnosis) for one in contracts]
    room: Sandbox = target.sandbox  # type: ignore[attr-defined] # every driver's target has one
    sandbox = replace(room, driver=ROOMS[issue])
    meeting = await meet(sandbox, _PATIENCE)
    if meeting.hindrance:
        return [Tried(one, Keeping.UNKNOWN, meeting.hindrance) for one in contracts]
    tried = []
    async with aclosing(play(sandbox, range(len(contracts)), _SILENCE)) as played:
        async for shown in played:
            contract = contracts[shown.number]
            if shown.outcome is None:
                told(contract)
                continue
            evidence = (*shown.evidence, *meeting.facts)
            tried.append(Tried(contract, _KEEPING[shown.outcome], shown.message, evidence))
    return tried


def side_by_side(before: Sequence[Tried], after: Sequence[Tried]) -> Table:
    """Return both runs as a table: a row for each contract, the old module's answer and the new one's."""
    old = {one.contract.name: one for one in before}
    rows = []
    for new in after:
        was = old.get(new.contract.name)
        rows.append(
            (f"{new.contract.name}: {new.contract.title}", "" if was is None else str(was.keeping), str(new.keeping))
        )
    return Table("Contracts: do callers get what they rely on?", ("contract", "before", "after"), tuple(rows))


def judge_contracts(before: Sequence[Tried], after: Sequence[Tried]) -> tuple[CheckResult, ...]:
    """Return a result for each contract that was tried on the new module.

    `pass`: it is kept. `fail`: the new module breaks what the old one kept, or what nobody tried on the old one.
    `skip`: the old one does not keep it either, so nobody in this checkout can rely on it. `unknown`: it could not be
    tried.
    """
    old = {one.contract.name: one for one in before}
    return tuple(_judged(old.get(one.contract.name), one) for one in after)


def _judged(old: Tried | None, new: Tried) -> CheckResult:
    contract, reason, remedy = new.contract, new.seen, ""
    if new.keeping is Keeping.KEPT:
        verdict = Verdict.PASS
    elif new.keeping is Keeping.UNKNOWN:
        verdict, remedy = Verdict.UNKNOWN, "see why the module cannot be driven, and try again"
    elif old is not None and old.keeping is Keeping.BROKEN:
        verdict = Verdict.SKIP
        reason = f"the module as it was does not keep it either: {old.seen}"
        remedy = "look whether this checkout has such a caller"
    else:
        verdict = Verdict.FAIL
        reason = f"{new.seen}; relied on by {', '.join(contract.callers)}"
    name, title = f"contract {contract.name}", contract.title
    evidence = () if verdict is Verdict.PASS else new.evidence
    return CheckResult(name, title, contract.issue, verdict, reason=reason, remedy=remedy, evidence=evidence)
