"""Trying contracts in the child: the half of a driver that is the same for every room."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.adoption.contract.contract import Broken, Contract, Untried
from alwrity_checks.model import Outcome
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.speech import say

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["attend", "open_with_txtai"]

_LONGEST: Final = 300


def attend(
    inside: Inside,
    act: str,
    words: Sequence[str],
    contracts: Sequence[Contract],
    bench: Callable[[], AbstractContextManager[Any]],
    *distributions: str,
) -> None:
    """Carry out a driver's act: `meet` the module, or `play` (try) the contracts of the numbers in `words`.

    `bench` gives what a contract is tried with: the module, imported afresh as in a backend that was started again,
    and the servers that it speaks to. It is entered once for each contract; what it raises is why a contract is
    `unknown`. `distributions` are the versions to tell. Call `inside.open_checkout()` before.
    """
    if act == "meet":
        _meet(inside, bench, distributions)
        return
    for number in json.loads(words[0]):
        say(begins=number)
        outcome, seen = _tried(contracts[number], bench)
        say(number=number, seen=inside.witnessed(outcome, seen, ()))


def open_with_txtai(inside: Inside) -> None:
    """Put the checkout's names on the path once txtai is there, without torch if it can do without."""
    from alwrity_checks.models.scenarios import driven_imports

    driven_imports.without_torch()
    try:
        import txtai  # type: ignore[import-untyped]  # before the checkout's own names are on the path
    except ImportError:
        driven_imports.with_torch()
        import txtai  # noqa: F401 - an older one, which needs it
    inside.open_checkout()


def _meet(inside: Inside, bench: Callable[[], AbstractContextManager[Any]], distributions: Sequence[str]) -> None:
    say(begins="the checkout's module was imported")
    try:
        with bench():
            facts = inside.facts(*distributions)
    except BaseException as error:  # noqa: BLE001 - anybody's code, which may even want to exit
        say(unmet=_described(error), evidence=[[one.label, one.value] for one in inside.lines.told()])
    else:
        say(met=[[one.label, one.value] for one in facts])


def _tried(contract: Contract, bench: Callable[[], AbstractContextManager[Any]]) -> tuple[Outcome, str]:
    """Return the outcome on the wire: a broken contract is a fault `reproduced`, a kept one is its absence."""
    try:
        with bench() as given:
            try:
                seen = contract.attempt(given)
                if inspect.isawaitable(seen):
                    seen = asyncio.run(_awaited(seen))
            except Untried as why:
                return Outcome.UNKNOWN, str(why)
            except Broken as broken:
                return Outcome.REPRODUCED, str(broken)
            except BaseException as error:  # noqa: BLE001 - what a caller would be hit by
                return Outcome.REPRODUCED, f"it raised {_described(error)}"
    except BaseException as error:  # noqa: BLE001 - anybody's code
        return Outcome.UNKNOWN, f"the module could not be set up: {_described(error)}"
    return Outcome.ABSENT, str(seen or "")


async def _awaited(seen: Any) -> Any:  # noqa: ANN401 - what the attempt returns
    return await seen


def _described(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"its import needs {error.name}, which is not installed in this interpreter"
    lines = scrub(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:_LONGEST]}" if lines else type(error).__name__
