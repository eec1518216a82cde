"""The targets of the experiment of issue 2: the historical provider in both states, and the component."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from alwrity_checks.hf.base_url import ROUTER
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.legacy import BASE_PATH, CountedSleep, LegacyProvider, LegacyState
from alwrity_checks.model import Evidence, Target, TargetKind
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.loopback_router import LoopbackRouter

__all__ = [
    "PROMPT",
    "SECOND",
    "ApiPath",
    "ComponentTarget",
    "Function",
    "HfTarget",
    "LegacyTarget",
    "Told",
    "Unanswered",
    "targets",
    "tell",
]

PROMPT: Final = "Name a title."
SECOND: Final = "openai/gpt-oss-120b:cerebras"
"""What a chain falls back to."""
_LONGEST_TOLD: Final = 160
_ADDRESS: Final = re.compile(r"0x[0-9a-f]+")
_DEADLINE: Final = 60.0
_ACCOUNT: Final = {401: Cause.TOKEN_INVALID, 402: Cause.CREDITS_GONE, 403: Cause.PERMISSION_MISSING}
_STATUS: Final = re.compile(r"\b40[123]\b")


class Function(StrEnum):
    """What a target can be asked for."""

    STRUCTURED = "structured JSON"
    TEXT = "text"


class ApiPath(StrEnum):
    """Where a target looks for the API on the router of the experiment."""

    RIGHT = "/v1"
    WRONG = BASE_PATH
    OWN = ""
    """Where it does of itself: what is in its code, or what it takes for want of a setting."""


class Unanswered(Exception):  # noqa: N818 - what happened
    """The caller was never told anything: the call does not return, or only after a wait that nobody sits through."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told, and what that took."""

    value: object = None
    """What was returned as the result, where there was one."""
    error: str = ""
    """The exception, in one line; empty where a value was returned."""
    cause: str = ""
    """The cause that the exception names; empty where it names none."""
    seconds: float = 0.0
    """Until then: measured, and the pauses counted, which nobody really waits for here."""
    unanswered: bool = False
    """Whether the call was given up, because it did not return."""


class HfTarget(Protocol):
    """Something that generates structured JSON, and perhaps text."""

    @property
    def target(self) -> Target:
        """What it is called."""

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What its behaviour depends on."""

    @property
    def functions(self) -> frozenset[Function]:
        """What it can be asked for."""

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any] | None, *, path: ApiPath = ApiPath.RIGHT
    ) -> Told:
        """Generate with `model` first, then with what the target falls back to; without a schema, text."""


_DESCRIPTIONS: Final = {
    LegacyState.OLD: "a chain that waits for a 404, six times over",
    LegacyState.HEAD: "the chain lost, the second pass a NameError",
}


@dataclass(frozen=True, slots=True)
class LegacyTarget:
    """The provider in one of its states. A wait lasts for the mean of its limits: every run says the same."""

    state: LegacyState
    functions: frozenset[Function] = frozenset(Function)

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.LEGACY, self.state.value, _DESCRIPTIONS[self.state])

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """The client's release: it has retries of its own, and the words of its exceptions are decided upon."""
        return (Evidence("openai", version("openai")),)

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any] | None, *, path: ApiPath = ApiPath.RIGHT
    ) -> Told:
        """Call the provider on a thread; it is synchronous."""
        sleep = CountedSleep()
        base_url = router.origin + (path or BASE_PATH)
        provider = LegacyProvider(
            self.state, base_url, router.token, sleep=sleep, uniform=lambda low, high: (low + high) / 2
        )

        def call() -> object:
            if schema is None:
                return provider.text(PROMPT, model)
            return provider.structured(PROMPT, schema, model)

        return await tell(asyncio.to_thread(call), lambda: sleep.seconds)

    def __str__(self) -> str:
        return str(self.target)


_COMPONENT: Final = Target(TargetKind.FIXED, "", "StructuredGenerator")


@dataclass(frozen=True, slots=True)
class ComponentTarget:
    """The component with the policy of production, and one more deployment in its chain."""

    target: Target = _COMPONENT
    facts: tuple[Evidence, ...] = ()
    functions: frozenset[Function] = frozenset({Function.STRUCTURED})

    async def generate(
        self, router: LoopbackRouter, model: str, schema: Mapping[str, Any] | None, *, path: ApiPath = ApiPath.RIGHT
    ) -> Told:
        """Call the component; its pauses move the clock that it reads."""
        from alwrity_checks.hf.chain import Chain
        from alwrity_checks.hf.generator import StructuredGenerator
        from alwrity_checks.hf.router import Router

        assert schema is not None  # noqa: S101 - not among its functions
        pauses = CountedSleep()

        async def sleep(seconds: float) -> None:
            pauses(seconds)

        asked = Router(router.origin + (path or urlsplit(ROUTER).path), router.token)
        generator = StructuredGenerator(
            asked,
            Chain.unmeasured(model, SECOND),
            sleep=sleep,
            clock=lambda: time.monotonic() + pauses.seconds,
        )

        async def call() -> object:
            try:
                return (await generator.generate(PROMPT, schema, deadline=_DEADLINE)).value
            finally:
                await asked.aclose()

        return await tell(call(), lambda: pauses.seconds)

    def __str__(self) -> str:
        return str(self.target)


async def tell(call: Awaitable[object], paused: Callable[[], float], urls: Collection[str] = ()) -> Told:
    """Wait for a call, and return what its caller is told; `paused` counts the seconds that are not really waited.

    `urls` are what the target takes for its base URL, as it would name it; they may be found out while it is called.
    """
    started = time.monotonic()
    try:
        value = await call
    except Exception as error:  # noqa: BLE001 - what a caller is told is the subject
        words = scrub(_ADDRESS.sub("0x…", f"{type(error).__name__}: {error}").splitlines()[0])[:_LONGEST_TOLD]
        seconds = time.monotonic() - started + paused()
        return Told(None, words, _named(error, urls), seconds, isinstance(error, Unanswered))
    return Told(value=value, seconds=time.monotonic() - started + paused())


def _named(error: Exception, urls: Collection[str]) -> str:
    """Return the cause that a caller can take from an exception: from a field of it, or from its words.

    Of an account's fault the status tells enough. "Not Found" does not tell a wrong base URL from a missing model,
    as which issue 2 was recorded: there the URL itself has to be named.
    """
    if cause := getattr(getattr(error, "classification", None), "cause", ""):
        return str(cause)
    words = str(error)
    if any(url in words for url in (ApiPath.WRONG, *urls)):
        return str(Cause.ROUTE_MISSING)
    statuses = [getattr(error, "status_code", None), *map(int, _STATUS.findall(words))]
    return next((str(_ACCOUNT[status]) for status in statuses if status in _ACCOUNT), "")


def targets() -> tuple[HfTarget, ...]:
    """Return every target, the oldest first."""
    return (*(LegacyTarget(state) for state in LegacyState), ComponentTarget())
