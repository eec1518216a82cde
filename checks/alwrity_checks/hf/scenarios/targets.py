"""The targets of the experiment of issue 2: the historical provider in both states, and the component."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.hf.legacy import BASE_PATH, CountedSleep, LegacyProvider, LegacyState
from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.loopback_router import LoopbackRouter

__all__ = ["ComponentTarget", "HfTarget", "LegacyTarget", "Told", "targets"]

_LONGEST_TOLD: Final = 160
_ADDRESS: Final = re.compile(r"0x[0-9a-f]+")
_DEADLINE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told, and what that took."""

    value: object = None
    """What was returned as the result, where there was one."""
    error: str = ""
    """The exception, in one line; empty where a value was returned."""
    cause: str = ""
    """The cause that the exception names as a field; empty where it names none."""
    seconds: float = 0.0
    """Until then: measured, and the pauses counted, which nobody really waits for here."""


class HfTarget(Protocol):
    """Something that generates structured JSON."""

    @property
    def target(self) -> Target:
        """What it is called."""

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What its behaviour depends on."""

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any], *, wrong_path: bool = False
    ) -> Told:
        """Generate with `model` first, and with what the target itself falls back to."""


_DESCRIPTIONS: Final = {
    LegacyState.OLD: "a chain that waits for a 404, six times over",
    LegacyState.HEAD: "the chain lost, the second pass a NameError",
}


@dataclass(frozen=True, slots=True)
class LegacyTarget:
    """The provider in one of its states. A wait lasts for the mean of its limits: every run says the same."""

    state: LegacyState

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.LEGACY, self.state.value, _DESCRIPTIONS[self.state])

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """The client's release: it has retries of its own, and the words of its exceptions are decided upon."""
        return (Evidence("openai", version("openai")),)

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any], *, wrong_path: bool = False
    ) -> Told:
        """Call the provider on a thread; it is synchronous."""
        sleep = CountedSleep()
        base_url = router.origin + BASE_PATH if wrong_path else router.base_url
        provider = LegacyProvider(
            self.state, base_url, router.token, sleep=sleep, uniform=lambda low, high: (low + high) / 2
        )
        call = asyncio.to_thread(provider.structured, "Name a title.", schema, model)
        return await _told(call, lambda: sleep.seconds)

    def __str__(self) -> str:
        return str(self.target)


_COMPONENT: Final = Target(TargetKind.FIXED, "", "StructuredGenerator")
_SECOND: Final = "openai/gpt-oss-120b:cerebras"


@dataclass(frozen=True, slots=True)
class ComponentTarget:
    """The component with the policy of production, and one more deployment in its chain."""

    target: Target = _COMPONENT
    facts: tuple[Evidence, ...] = ()

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any], *, wrong_path: bool = False
    ) -> Told:
        """Call the component; its pauses move the clock that it reads."""
        from alwrity_checks.hf.chain import Chain
        from alwrity_checks.hf.generator import StructuredGenerator
        from alwrity_checks.hf.router import Router

        pauses = CountedSleep()

        async def sleep(seconds: float) -> None:
            pauses(seconds)

        asked = Router(router.wrong_base_url if wrong_path else router.base_url, router.token)
        generator = StructuredGenerator(
            asked,
            Chain.unmeasured(model, _SECOND),
            sleep=sleep,
            clock=lambda: time.monotonic() + pauses.seconds,
        )

        async def call() -> object:
            try:
                return (await generator.generate("Name a title.", schema, deadline=_DEADLINE)).value
            finally:
                await asked.aclose()

        return await _told(call(), lambda: pauses.seconds)

    def __str__(self) -> str:
        return str(self.target)


async def _told(call: Awaitable[object], paused: Callable[[], float]) -> Told:
    started = time.monotonic()
    try:
        value = await call
    except Exception as error:  # noqa: BLE001 - what a caller is told is the subject
        words = scrub(_ADDRESS.sub("0x…", f"{type(error).__name__}: {error}").splitlines()[0])[:_LONGEST_TOLD]
        cause = getattr(getattr(error, "classification", None), "cause", "")
        return Told(error=words, cause=str(cause), seconds=time.monotonic() - started + paused())
    return Told(value=value, seconds=time.monotonic() - started + paused())


def targets() -> tuple[HfTarget, ...]:
    """Return every target, the oldest first."""
    return (*(LegacyTarget(state) for state in LegacyState), ComponentTarget())
