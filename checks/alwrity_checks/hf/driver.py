"""What speaks to a checkout's Hugging Face provider, in the sandbox: see `sandbox.program`.

The router of the experiment runs in this process as well, and is all that the provider's requests can reach.
"""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.loopback_router import LoopbackRouter
from alwrity_checks.hf.scenarios.driven import MODULE, DrivenTarget
from alwrity_checks.hf.scenarios.faults import SCENARIOS, Seen, useless
from alwrity_checks.hf.scenarios.waits import Waits
from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.log_lines import LogLines
from alwrity_checks.sandbox.speech import say

if TYPE_CHECKING:
    from alwrity_checks.hf.scenarios.faults import Scenario
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["drive", "prepare", "router_for"]

_DISTRIBUTIONS: Final = ("openai", "tenacity", "loguru", "httpx", "httpx2")
_PATIENCE: Final = 60.0
"""Seconds, really waited: a call takes a few, for its pauses are not."""
_LONG: Final = ("❌ Traceback", "❌ Full exception details", "Raw response")
"""How lines begin that only repeat another one at length."""


def drive(inside: Inside, act: str, *words: str) -> None:
    """Carry out an act: `meet`, or `play` with the numbers of the scenarios."""
    target = prepare(inside)
    if act == "meet":
        _meet(target)
    else:
        asyncio.run(_play(target, json.loads(words[0])))


def prepare(inside: Inside) -> DrivenTarget:
    """Let the checkout's provider be imported, its pauses be counted, and return it as a target."""
    waits = Waits()
    waits.install()
    _know_the_platform(inside)
    inside.lines = LogLines(untold=_LONG)
    inside.open_checkout()
    return DrivenTarget(inside, waits, float(inside.plan.get("patience", _PATIENCE)))


def _know_the_platform(inside: Inside) -> None:
    """Let the standard library find out what the openai client wants to tell of this machine in its headers.

    It tries to start `uname` for that, is refused, and does without; the checkout's code has no part in it.
    """
    platform.processor()
    inside.guard.refusals()


def _meet(target: DrivenTarget) -> None:
    """Say what the provider runs on, once it has generated where all is well; or what hinders it."""
    inside = target.inside
    say(begins="openai was imported")
    try:
        target.lead()
        say(begins="the checkout's provider was imported")
        target.restart()
        say(begins="the checkout's provider generated where all is well")
        seen = asyncio.run(_tried(target))
    except BaseException as error:  # noqa: BLE001 - anybody's code, which may even want to exit
        seen = Seen(Outcome.UNKNOWN, _in_one_line(error))
    told = inside.witnessed(Outcome.UNKNOWN, seen.message if seen else "", ())
    if seen is not None:
        say(unmet=told["message"], evidence=told["evidence"])
        return
    facts = [*inside.facts(*_installed()), *_base_urls(target)]
    say(met=[[one.label, one.value] for one in facts])


async def _tried(target: DrivenTarget) -> Seen | None:
    with router_for(target) as router:
        return await useless(target, router)


@contextmanager
def router_for(target: DrivenTarget) -> Iterator[LoopbackRouter]:
    """Start a router; it alone may bind to an address, and only now."""
    with ExitStack() as running:
        with target.inside.loopback():
            router = running.enter_context(LoopbackRouter())
        yield router


def _installed() -> list[str]:
    """Return the distributions to name: of the two HTTP libraries, the one that openai is built on."""
    from importlib.util import find_spec

    return [name for name in _DISTRIBUTIONS if not name.startswith("httpx") or find_spec(name)]


def _base_urls(target: DrivenTarget) -> tuple[Evidence, ...]:
    return tuple(Evidence("base URL of its own", url) for url in target.base_urls)


async def _play(target: DrivenTarget, numbers: list[int]) -> None:
    target.lead()
    for number in numbers:
        say(begins=number)
        seen = await _seen(target, SCENARIOS[number])
        say(number=number, seen=target.inside.witnessed(seen.outcome, seen.message, seen.evidence))


async def _seen(target: DrivenTarget, scenario: Scenario) -> Seen:
    try:
        target.restart()
        with router_for(target) as router:
            return await scenario.play(target, router)
    except BaseException as error:  # noqa: BLE001 - anybody's code
        return Seen(Outcome.UNKNOWN, f"{MODULE}: {_in_one_line(error)}")


def _in_one_line(error: BaseException) -> str:
    words = scrub(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {words[0][:200]}" if words else type(error).__name__
