"""The authentication of a checkout as a target, in the process that runs its code: see `driver`.

The module is imported under its own name, afresh for each deployment, with the settings of that deployment and no
others. Nothing of it is changed; what is lent to it is the network and the clock of its caches.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from alwrity_checks.auth.scenarios.lent import Lent
from alwrity_checks.auth.scenarios.scenario import Seen, accepts_genuine
from alwrity_checks.auth.scenarios.seam import Moved, Seam, seam_of
from alwrity_checks.auth.scenarios.stage import DEFAULT, ORIGIN, Cast, Stage
from alwrity_checks.auth.scenarios.targets import Answer, Ruling
from alwrity_checks.model import Evidence, Outcome, Target, TargetKind
from alwrity_checks.picture_parts import told_lanes
from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.speech import say

if TYPE_CHECKING:
    from alwrity_checks.auth.scenarios.targets import Deployment
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["MODULE", "DrivenTarget", "meet", "play"]

MODULE: Final = "middleware.auth_middleware"
_FACE: Final = "alwrity_checks.auth.compat"
"""Our own module that a checkout may have in the middleware's place: like the checkout's, it keeps what it has made."""
_DISTRIBUTIONS: Final = ("PyJWT", "cryptography", "fastapi-clerk-auth", "fastapi", "loguru", "python-dotenv")
_MOVED: Final = "look whether this is the revision you mean; a newer alwrity-doctor may know the new names"
_CLERKS: Final = re.compile(r"(?:\w+_)*CLERK_\w+")
"""The settings that name an instance: the stage's own are used, whatever the user's `.env` says."""
_ORIGINS: Final = re.compile(r"https?://[^\s/'\"<>?#]+")


@dataclass
class DrivenTarget:
    """The checkout's authentication; a deployment is a fresh import, as in a backend that was started again."""

    inside: Inside
    lent: Lent = field(default_factory=Lent)
    issuer: str = ""
    """The `iss` that it expects, where that is not the instance's own; see `learn`."""
    settings: Mapping[str, str] = field(
        default_factory=lambda: {name: value for name, value in os.environ.items() if not _CLERKS.fullmatch(name)}
    )
    seam: Seam | None = None
    """Of the last deployment."""

    @property
    def target(self) -> Target:
        """What it is called."""
        return Target(TargetKind.BACKEND, "", str(self.inside.backend))

    @property
    def facts(self) -> tuple[Evidence, ...]:
        """What it runs on."""
        return self.inside.facts(*_DISTRIBUTIONS)

    def deploy(self, stage: Stage, environment: Mapping[str, str]) -> Deployment:
        """Import the module anew. Raises what its import raises, and Moved."""
        self.lent.enter(stage)
        self.inside.lines.restart()
        self.inside.forget_checkout()
        self.inside.forget(_FACE)
        os.environ.clear()
        os.environ.update({**self.settings, **stage.environment, "CLERK_AUTHORIZED_PARTIES": ORIGIN, **environment})
        self.seam = seam_of(importlib.import_module(MODULE))
        return _Deployed(self.seam, self.issuer or stage.instance.issuer, self.lent)

    async def learn(self, stage: Stage) -> None:
        """Find out which `iss` it expects, from what it accepts: a fault in that is one that locks users out.

        Whoever takes no genuine token may take one, even a forged one, with another issuer: one that it names in its
        log, or that the publishable key spells undecoded (ALwrity b894bc0a, middleware/auth_middleware.py).
        """
        self.inside.lines.records()
        deployment = self.deploy(stage, DEFAULT)
        if await accepts_genuine(deployment, stage):
            return
        logged = [record.message for record in self.inside.lines.records()]
        for issuer in _candidates(stage, logged):
            header = stage.attacker.header(kid=stage.instance.kid)
            for signer in (stage.instance, stage.attacker):
                token = signer.sign(header, signer.claims(iss=issuer, azp=ORIGIN))
                if (await deployment.judge(token)).ruling is Ruling.ACCEPTED:
                    self.issuer = issuer
                    return

    def __str__(self) -> str:
        return str(self.target)


def _candidates(stage: Stage, logged: Iterable[str]) -> tuple[str, ...]:
    body = stage.environment["CLERK_PUBLISHABLE_KEY"].rpartition("_")[2]
    named = [found for line in logged for found in _ORIGINS.findall(line)]
    return tuple(
        dict.fromkeys(
            one
            for one in (f"https://{body.partition('.')[0]}.clerk.accounts.dev", *named)
            if urlsplit(one).hostname and one != stage.instance.issuer
        )
    )


@dataclass(frozen=True, slots=True)
class _Deployed:
    seam: Seam
    issuer: str
    lent: Lent

    async def judge(self, token: str) -> Answer:
        return await self.seam.judge(token)

    def let_key_set_age(self) -> None:
        self.lent.let_time_pass()


def meet(inside: Inside) -> None:
    """Say what the module runs on, once it has judged a token; or what hinders it. What is begun is said before."""
    say(begins="the checkout's authentication was imported")
    try:
        target = DrivenTarget(inside)
        target.lent.install()
        with inside.loopback():
            stage = Stage(Cast()).__enter__()
        deployment = target.deploy(stage, DEFAULT)
        say(begins="the checkout's authentication judged a token")
        asyncio.run(_judged(deployment, stage))
    except Moved as moved:
        say(unmet=f"{MODULE} has moved what is driven here: {moved}", remedy=_MOVED)
    except BaseException as error:  # noqa: BLE001 - anybody's code, which may even want to exit
        say(unmet=_described(error), evidence=[[one.label, one.value] for one in inside.lines.told()])
    else:
        _say_met(inside, target, stage)


def _say_met(inside: Inside, target: DrivenTarget, stage: Stage) -> None:
    elsewhere = [what for kind, what in inside.guard.refusals() if kind == "network"]
    if elsewhere and not stage.key_server.hits:
        say(unmet=f"it fetches keys in a way that cannot be led to the experiment's server: {elsewhere[0]}")
        return
    assert target.seam is not None  # noqa: S101 - it was deployed
    facts = (Evidence("spoken to by", target.seam.name), *target.facts)
    say(met=[[one.label, one.value] for one in facts])


async def _judged(deployment: Deployment, stage: Stage) -> None:
    """Raise what the module raises of a genuine token: a ruling of either kind is an answer."""
    await deployment.judge(stage.genuine())


def _described(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"its import needs {error.name}, which is not installed in this interpreter"
    return f"{type(error).__name__}: {scrub(str(error))[:200]}"


def play(inside: Inside, numbers: Sequence[int]) -> None:
    """Play the scenarios of these numbers, and say what each showed."""
    from alwrity_checks.auth.experiment import SCENARIOS

    target, cast = DrivenTarget(inside), Cast()
    target.lent.install()
    asyncio.run(_on_stage(inside, cast, target.learn))
    inside.guard.refusals()
    for number in numbers:
        say(begins=number)
        scenario = SCENARIOS[number]
        inside.lines.records()

        async def played(stage: Stage) -> Seen:
            return await scenario.play(target, stage)  # noqa: B023 - awaited within the same turn

        try:
            seen = asyncio.run(_on_stage(inside, cast, played))
        except Exception as error:  # noqa: BLE001 - anybody's code
            seen = Seen(Outcome.UNKNOWN, f"the scenario raised {_described(error)}")
        seen_there = inside.witnessed(seen.outcome, seen.message, seen.evidence)
        say(number=number, seen=seen_there, lanes=told_lanes(seen.lanes))


async def _on_stage(inside: Inside, cast: Cast, act: Any) -> Any:  # noqa: ANN401 - what the act returns
    stage = Stage(cast)
    with inside.loopback():
        stage.__enter__()
    try:
        return await act(stage)
    finally:
        stage.__exit__(None, None, None)
