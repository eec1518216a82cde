"""What the scenarios are done to: each historical state of the middleware, and the component."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from typing import Final, Protocol

from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.fetch import FetchLimits
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.legacy import LegacyMiddleware, LegacyState
from alwrity_checks.auth.scenarios.stage import ORIGIN, Stage
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from alwrity_checks.model import Evidence, Target, TargetKind

__all__ = [
    "FRESH",
    "LIMITS",
    "Answer",
    "AuthTarget",
    "ComponentTarget",
    "Deployment",
    "LegacyTarget",
    "Ruling",
    "targets",
]

FRESH: Final = 300.0
LIMITS: Final = FetchLimits(retry_pause=0.01)
"""Those of production; only the pause before the retry is cut short."""


class Ruling(StrEnum):
    """What became of a token."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """401 or 403."""
    UNDECIDED = "undecided"
    """503: nothing is known of the token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a token, and what was said of it: the user's id, or the reason code where there is one."""

    ruling: Ruling
    detail: str = ""


class Deployment(Protocol):
    """A target in operation, with empty caches."""

    @property
    def issuer(self) -> str:
        """The `iss` that this deployment expects, as anybody can work it out from its public settings."""

    async def judge(self, token: str) -> Answer:
        """Say what becomes of `token`."""

    def let_key_set_age(self) -> None:
        """Let the time pass after which the key set counts as old."""


class AuthTarget(Protocol):
    """Something that can be deployed."""

    @property
    def target(self) -> Target:
        """What it is called."""

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What its behaviour depends on."""

    def deploy(self, stage: Stage, environment: Mapping[str, str]) -> Deployment:
        """Start a deployment of the stage's instance; `environment` adds to the settings of the stage."""


_DESCRIPTIONS: Final = {
    LegacyState.A: "issuer taken from the token",
    LegacyState.B: "unverified fallback on by default",
    LegacyState.C: "issuer pinned to the undecoded key",
    LegacyState.D: "issuer pinned, unverified fallback still on by default",
}


@dataclass(frozen=True, slots=True)
class LegacyTarget:
    """The middleware in one of its states."""

    state: LegacyState

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.LEGACY, self.state.value, _DESCRIPTIONS[self.state])

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """The library's version: later releases have taken some faults from the middleware."""
        return (Evidence("PyJWT", version("pyjwt")),)

    def deploy(self, stage: Stage, environment: Mapping[str, str]) -> Deployment:
        """Start the middleware."""
        middleware = LegacyMiddleware(self.state, {**stage.environment, **environment}, resolve=stage.resolve)
        pinned = self.state in {LegacyState.C, LegacyState.D}
        return _Middleware(middleware, middleware.configured_issuer if pinned else stage.instance.issuer)

    def __str__(self) -> str:
        return str(self.target)


@dataclass(frozen=True, slots=True)
class _Middleware:
    middleware: LegacyMiddleware
    issuer: str

    async def judge(self, token: str) -> Answer:
        user = await self.middleware.verify_token(token)
        return Answer(Ruling.REFUSED) if user is None else Answer(Ruling.ACCEPTED, str(user["id"]))

    def let_key_set_age(self) -> None:
        self.middleware.let_key_sets_expire()


_COMPONENT: Final = Target(TargetKind.FIXED, "", "ClerkTokenVerifier")


@dataclass(frozen=True, slots=True)
class ComponentTarget:
    """The component, as a backend makes it: from the instance's own environment."""

    target: Target = _COMPONENT
    facts: tuple[Evidence, ...] = ()

    def deploy(self, stage: Stage, environment: Mapping[str, str]) -> Deployment:
        """Start a verifier; the URL that it derives is mapped as DNS would."""
        clock = _StoppedClock()
        verifier = ClerkTokenVerifier.from_environment(
            {**stage.environment, **environment, "CLERK_AUTHORIZED_PARTIES": ORIGIN},
            remote_keys=lambda url: RemoteKeys(stage.resolve(url), fresh=FRESH, limits=LIMITS, clock=clock.read),
        )
        return _Verifier(verifier, stage.instance.issuer, clock)

    def __str__(self) -> str:
        return str(self.target)


class _StoppedClock:
    """Advances when told to: no cooldown or backoff ends by itself, however slow the machine is."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def read(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


@dataclass(frozen=True, slots=True)
class _Verifier:
    verifier: ClerkTokenVerifier
    issuer: str
    clock: _StoppedClock

    async def judge(self, token: str) -> Answer:
        try:
            session = await self.verifier.verify(token)
        except KeysUnavailable as error:
            return Answer(Ruling.UNDECIDED, error.reason)
        except TokenRejected as error:
            return Answer(Ruling.REFUSED, error.reason)
        return Answer(Ruling.ACCEPTED, session.user_id)

    def let_key_set_age(self) -> None:
        self.clock.advance(FRESH + 1.0)


def targets() -> tuple[AuthTarget, ...]:
    """Return every target, the oldest first."""
    return (*(LegacyTarget(state) for state in LegacyState), ComponentTarget())
