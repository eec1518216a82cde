"""The scenarios in which the keys are the weapon: who fetches them, from where, how often, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Final

from alwrity_checks.auth.loopback import Mode
from alwrity_checks.auth.mint import base64url
from alwrity_checks.auth.scenarios.scenario import LOCKED_OUT, Scenario, Seen, accepts_genuine, judged_by_count
from alwrity_checks.auth.scenarios.stage import ORIGIN, PRODUCTION, Stage
from alwrity_checks.auth.scenarios.targets import AuthTarget, Deployment, Ruling
from alwrity_checks.auth.scenarios.watch import Watch
from alwrity_checks.model import Evidence, Outcome

__all__ = ["SCENARIOS"]

_CALLERS: Final = 200
_FLOOD: Final = 1000
_SPELLINGS: Final = 100
_URLS: Final = 50
_LATENCY: Final = 0.5
_TICK: Final = 0.005
_HEALTHY_STALL: Final = 0.1
"""Ten times what is healthy, because the machine may be busy, and a fifth of what a blocked loop shows."""
_ATTEMPTS: Final = 3
_NO_KEY_SET: Final = (
    Mode.UNAVAILABLE,
    Mode.RATE_LIMITED,
    Mode.NOT_FOUND,
    Mode.HTML,
    Mode.REDIRECT,
    Mode.EMPTY,
    Mode.TRUNCATED,
    Mode.GZIP_BOMB,
)


def _scribbled(stage: Stage, number: int, header: dict[str, object] | None = None, **claims: object) -> str:
    """Return a token whose signature is made up: that is all an attacker needs to cause work before it is checked."""
    parts = (stage.instance.header() | (header or {}), stage.instance.claims(azp=ORIGIN, jti=str(number)) | claims)
    signature = hashlib.shake_256(b"%d" % number).digest(255)
    return ".".join((*(base64url(json.dumps(part).encode()) for part in parts), base64url(b"\0" + signature)))


async def _send(deployment: Deployment, tokens: Iterable[str]) -> None:
    for token in tokens:
        await deployment.judge(token)


async def _urls_from_tokens(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    control = await accepts_genuine(deployment, stage)
    origin = stage.attacker_server.origin
    await _send(deployment, (_scribbled(stage, n, iss=f"{origin}/iss/{n}") for n in range(_URLS)))
    for name in ("jku", "x5u", "kid"):
        await _send(deployment, (_scribbled(stage, n, {name: f"{origin}/{name}/{n}"}) for n in range(_URLS)))
    fetched = stage.attacker_server.requests
    if fetched:
        message = f"{4 * _URLS} tokens, each with a URL of its own: {len(fetched)} GETs to the attacker's server"
        return Seen(Outcome.REPRODUCED, message, (Evidence("first path", fetched[0]),))
    return Seen(Outcome.ABSENT, f"{4 * _URLS} tokens with a URL in them: no GET") if control else LOCKED_OUT


async def _cold_callers(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    tokens = [stage.genuine(jti=str(n)) for n in range(_CALLERS)]
    watch = Watch()
    await asyncio.gather(*(watch.judge(deployment, token) for token in tokens))
    fetches = stage.key_server.hits
    if not fetches:
        return Seen(Outcome.UNKNOWN, f"{_CALLERS} callers at once: nobody asked for keys")
    seen = judged_by_count(fetches, 1, f"{_CALLERS} callers at once, no key known yet")
    return replace(seen, lanes=watch.lanes(stage.key_server))


async def _cold_callers_in_outage(target: AuthTarget, stage: Stage) -> Seen:
    stage.key_server.mode = Mode.HTML
    return await _cold_callers(target, stage)


async def _bad_signatures(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    control = await accepts_genuine(deployment, stage)
    before = stage.key_server.hits
    await _send(deployment, (_scribbled(stage, n) for n in range(_FLOOD)))
    seen = judged_by_count(stage.key_server.hits - before, 0, f"{_FLOOD} bad signatures")
    return seen if control else LOCKED_OUT


async def _bad_signatures_in_disguise(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    control = await accepts_genuine(deployment, stage)
    before = stage.key_server.hits
    issuer = stage.instance.issuer
    await _send(deployment, (_scribbled(stage, n, iss=f"{issuer}/{n}") for n in range(_SPELLINGS)))
    seen = judged_by_count(
        stage.key_server.hits - before, 0, f"{_SPELLINGS} bad signatures, each below another path of the issuer"
    )
    return seen if control else LOCKED_OUT


async def _unknown_kids(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    await _send(deployment, (_scribbled(stage, n, {"kid": f"ins_{n}"}) for n in range(_FLOOD)))
    seen = judged_by_count(stage.key_server.hits, 1, f"{_FLOOD} unknown kids, no key known yet")
    return seen if await accepts_genuine(deployment, stage) else LOCKED_OUT


async def _unknown_kids_in_outage(target: AuthTarget, stage: Stage) -> Seen:
    control = await accepts_genuine(target.deploy(stage, PRODUCTION), stage)
    deployment = target.deploy(stage, PRODUCTION)
    stage.key_server.mode = Mode.HTML
    before = stage.key_server.hits
    await _send(deployment, (_scribbled(stage, n, {"kid": f"ins_{n}"}) for n in range(_SPELLINGS)))
    what = f"{_SPELLINGS} unknown kids while the key server answers with a page"
    seen = judged_by_count(stage.key_server.hits - before, 1, what)
    return seen if control else LOCKED_OUT


async def _outage(target: AuthTarget, stage: Stage) -> Seen:
    """Two keys are published, as during a rotation; only one has been used when the outage begins."""
    stage.key_server.document = {"keys": [stage.instance.jwk(), stage.successor.jwk()]}
    deployment = target.deploy(stage, PRODUCTION)
    if not await accepts_genuine(deployment, stage):
        return LOCKED_OUT
    stage.key_server.mode = Mode.UNAVAILABLE
    refused = set[str]()
    for _ in range(3):
        deployment.let_key_set_age()
        for name, signer in (("the key in use", stage.instance), ("the other published key", stage.successor)):
            if (await deployment.judge(stage.genuine(signer))).ruling is not Ruling.ACCEPTED:
                refused.add(name)
    if refused:
        message = (
            f"the key set is old and the key server answers 503: no token of {' and '.join(sorted(refused))} passes"
        )
        return Seen(Outcome.REPRODUCED, message)
    return Seen(Outcome.ABSENT, "the key set is old and the key server answers 503: tokens of both keys pass")


async def _worst_stall(work: Awaitable[object], watch: Watch) -> float:
    """Return by how many seconds, at the worst, a task that sleeps 5 ms at a time overslept while `work` was done."""
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(_TICK)
            turned = time.perf_counter()
            worst = max(worst, turned - begun - _TICK)
            watch.tick(begun, turned)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        await work
        await asyncio.sleep(2 * _TICK)  # so that a tick that is overdue is counted
    finally:
        ticker.cancel()
    return worst


async def _slow_key_server(target: AuthTarget, stage: Stage) -> Seen:
    """Chance can only add to a stall, so that the smallest of a few attempts counts."""
    worst = float("inf")
    watch = Watch()
    for _ in range(_ATTEMPTS):
        deployment = target.deploy(stage, PRODUCTION)
        before = stage.key_server.hits
        stage.key_server.latency = _LATENCY
        token = stage.genuine()
        watch = Watch()
        worst = min(worst, await _worst_stall(watch.judge(deployment, token), watch))
        if stage.key_server.hits == before:
            return Seen(Outcome.UNKNOWN, "nobody asked for keys")
        if worst <= _HEALTHY_STALL or worst >= _LATENCY / 2:
            break
    message = f"the key server takes {1000 * _LATENCY:.0f} ms: the event loop stands for {1000 * worst:.0f} ms"
    lanes = watch.lanes(stage.key_server)
    if worst >= _LATENCY / 2:
        return Seen(Outcome.REPRODUCED, message, lanes=lanes)
    if worst > _HEALTHY_STALL:
        return Seen(Outcome.UNKNOWN, f"{message}, which this machine's load may explain", lanes=lanes)
    return Seen(Outcome.ABSENT, message, lanes=lanes)


async def _no_keys(target: AuthTarget, stage: Stage) -> Seen:
    if not await accepts_genuine(target.deploy(stage, PRODUCTION), stage):
        return LOCKED_OUT
    answers: dict[str, Ruling] = {}
    for mode in _NO_KEY_SET:
        stage.key_server.mode = mode
        answers[mode] = (await target.deploy(stage, PRODUCTION).judge(stage.genuine())).ruling
    stage.dead = True
    answers["dead"] = (await target.deploy(stage, PRODUCTION).judge(stage.genuine())).ruling
    evidence = tuple(Evidence(f"key server: {mode}", ruling) for mode, ruling in answers.items())
    number = len(answers)
    if refused := [mode for mode, ruling in answers.items() if ruling is Ruling.REFUSED]:
        message = f"a genuine token was refused like a bad one in {len(refused)} of {number} outages"
        return Seen(Outcome.REPRODUCED, message, evidence)
    if any(ruling is Ruling.ACCEPTED for ruling in answers.values()):
        return Seen(Outcome.UNKNOWN, "a token was accepted although no key could be had", evidence)
    return Seen(Outcome.ABSENT, f"'could not be judged' (503) in all of {number} outages", evidence)


async def _withdrawn_key(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    compromised = stage.genuine()
    if (await deployment.judge(compromised)).ruling is not Ruling.ACCEPTED:
        return LOCKED_OUT
    stage.key_server.document = stage.successor.jwks()
    deployment.let_key_set_age()
    if (await deployment.judge(stage.genuine(stage.successor))).ruling is not Ruling.ACCEPTED:
        return Seen(Outcome.UNKNOWN, "the new key set was not taken over")
    if (await deployment.judge(compromised)).ruling is Ruling.ACCEPTED:
        return Seen(Outcome.REPRODUCED, "the new key set is in use, and the withdrawn key still verifies")
    return Seen(Outcome.ABSENT, "the withdrawn key stopped verifying with the first refresh")


SCENARIOS: Final = (
    Scenario("AUTH007", "tokens that name URLs", _urls_from_tokens),
    Scenario("AUTH050", "200 callers at a cold start", _cold_callers),
    Scenario("AUTH050", "200 callers at a cold start, the key server failing", _cold_callers_in_outage),
    Scenario("AUTH051", "1000 bad signatures", _bad_signatures),
    Scenario("AUTH051", "100 bad signatures under variations of the issuer", _bad_signatures_in_disguise),
    Scenario("AUTH052", "1000 unknown kids", _unknown_kids),
    Scenario("AUTH052", "100 unknown kids, the key server failing", _unknown_kids_in_outage),
    Scenario("AUTH053", "an outage while two keys are known", _outage),
    Scenario("AUTH054", "a slow key server", _slow_key_server),
    Scenario("AUTH055", "no key to be had at a cold start", _no_keys),
    Scenario("AUTH056", "a rotation that withdraws a key", _withdrawn_key),
)
