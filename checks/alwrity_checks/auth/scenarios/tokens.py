"""The scenarios in which a token is the weapon: forged, minted elsewhere, too old, or meant for something else."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from alwrity_checks.auth.kinds import CATEGORY_M2M, CATEGORY_TEMPLATE
from alwrity_checks.auth.mint import ABSENT, base64url, compact
from alwrity_checks.auth.scenarios.forgeries import VICTIM, Forger, forgeries
from alwrity_checks.auth.scenarios.scenario import LOCKED_OUT, Scenario, Seen, accepts_genuine, judged_by_table, listing
from alwrity_checks.auth.scenarios.stage import DEFAULT, ORIGIN, PRODUCTION, Stage
from alwrity_checks.auth.scenarios.targets import AuthTarget, Ruling
from alwrity_checks.model import Evidence, Outcome

__all__ = ["SCENARIOS"]

_BASE64URL: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def _unverified_fallback(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, DEFAULT)
    control = await accepts_genuine(deployment, stage)
    header = stage.attacker.header(kid=stage.instance.kid)
    token = stage.attacker.sign(header, stage.attacker.claims(iss=deployment.issuer, azp=ORIGIN, sub=VICTIM))
    answer = await deployment.judge(token)
    if answer.ruling is Ruling.ACCEPTED:
        in_production = await target.deploy(stage, PRODUCTION).judge(token)
        return Seen(
            Outcome.REPRODUCED,
            f"accepted as {answer.detail} while nothing names the environment; {in_production.ruling} "
            "with ENVIRONMENT=production",
        )
    return Seen(Outcome.ABSENT, "refused, although nothing names the environment") if control else LOCKED_OUT


async def _issuer_confusion(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    control = await accepts_genuine(deployment, stage)
    names = []
    for name, issuer in (("his origin", stage.attacker_server.origin), ("a path", f"{stage.attacker_server.origin}/x")):
        token = stage.attacker.token(iss=issuer, azp=ORIGIN, sub=VICTIM)
        if (await deployment.judge(token)).ruling is Ruling.ACCEPTED:
            names.append(name)
    fetches = stage.attacker_server.hits
    if names or fetches:
        what = f"accepted as {VICTIM}" if names else "refused"
        return Seen(Outcome.REPRODUCED, f"{what}; keys fetched from the attacker's server: {fetches} times")
    return Seen(Outcome.ABSENT, "refused; nothing fetched from the attacker's server") if control else LOCKED_OUT


async def _genuine(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, PRODUCTION)
    version_1: dict[str, Any] = dict.fromkeys(("v", "jti", "pla", "sts"), ABSENT)
    organization: dict[str, Any] = {
        "o": {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read", "fpm": "1"},
        "fea": "o:posts",
    }
    tokens = {
        "version 2": stage.genuine(),
        "version 1": stage.genuine(**version_1),
        "with an organisation": stage.genuine(**organization),
        "with claims of the customer's own": stage.genuine(email="ada@example.com", plan={"seats": 3}),
        "with a header parameter unknown so far": stage.instance.token(header={"oiat": 1, "new": "x"}, azp=ORIGIN),
    }
    answers = {name: await deployment.judge(token) for name, token in tokens.items()}
    evidence = tuple(Evidence(name, f"{answer.ruling} {answer.detail}".rstrip()) for name, answer in answers.items())
    refused = [name for name, answer in answers.items() if answer.ruling is Ruling.REFUSED]
    if refused:
        return Seen(
            Outcome.REPRODUCED, f"refused {len(refused)} of {len(tokens)} genuine tokens: {listing(refused)}", evidence
        )
    if any(answer.ruling is Ruling.UNDECIDED for answer in answers.values()):
        return Seen(Outcome.UNKNOWN, "no key could be had, although the key server is well", evidence)
    return Seen(Outcome.ABSENT, f"accepted all {len(tokens)} forms of a genuine token", evidence)


async def _forgeries(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, DEFAULT)
    forger = Forger(
        jwk=stage.instance.jwk(),
        pem=stage.instance.pem(),
        own_token=stage.genuine(),
        own=stage.attacker,
        server=stage.attacker_server.origin,
        issuer=deployment.issuer,
        origin=ORIGIN,
    )
    return await judged_by_table(deployment, stage, forgeries(forger), "forgeries")


async def _expired(target: AuthTarget, stage: Stage) -> Seen:
    now = int(time.time())
    tokens = {f"expired {ago} s ago": stage.genuine(now=now - 60 - ago, exp=now - ago) for ago in (30, 60, 120, 290)}
    return await judged_by_table(target.deploy(stage, PRODUCTION), stage, tokens, "expired tokens")


async def _limits(target: AuthTarget, stage: Stage) -> Seen:
    """Send validly signed tokens: whoever accepts them asks too little, but has no broken cryptography."""
    instance = stage.instance
    tokens = {
        "no exp": stage.genuine(exp=ABSENT),
        "azp of another site": stage.genuine(azp="https://evil.example"),
        "azp of a look-alike": stage.genuine(azp=f"{ORIGIN}.evil.example"),
        "no azp": stage.genuine(azp=ABSENT),
        "session pending": stage.genuine(sts="pending"),
        "audience of another service": stage.genuine(aud="https://api.evil.example"),
        "no session": stage.genuine(sid=ABSENT),
        "JWT template": instance.token(header={"cat": CATEGORY_TEMPLATE}, azp=ORIGIN, sid=ABSENT),
        "machine-to-machine": instance.token(header={"cat": CATEGORY_M2M}, azp=ORIGIN, sub="mch_1", sid=ABSENT),
        "OAuth access token": instance.token(header={"typ": "at+jwt"}, azp=ORIGIN),
    }
    what = "validly signed tokens outside the policy"
    return await judged_by_table(target.deploy(stage, PRODUCTION), stage, tokens, what)


async def _spellings(target: AuthTarget, stage: Stage) -> Seen:
    """Send validly signed texts that another parser may read differently."""
    instance = stage.instance
    header, claims = (
        json.dumps(part, separators=(",", ":")) for part in (instance.header(), instance.claims(azp=ORIGIN))
    )
    genuine = compact(header.encode(), claims.encode(), instance.private_key)
    start, last = genuine[:-1], genuine[-1]

    def signed(head: str, body: str) -> str:
        return compact(head.encode(), body.encode(), instance.private_key)

    tokens = {
        "alg twice": signed(header.replace("{", '{"alg":"none",', 1), claims),
        "kid twice": signed(header.replace("{", '{"kid":"x",', 1), claims),
        "sub twice": signed(header, claims.replace("{", '{"sub":"user_x",', 1)),
        "exp twice": signed(header, claims.replace("{", '{"exp":1,', 1)),
        "NaN in the payload": signed(header, claims.replace("{", '{"x":NaN,', 1)),
        "a byte-order mark before the payload": signed(header, f"\ufeff{claims}"),
        "padding after the signature": f"{genuine}==",
        "unused bits set in the signature": start + _BASE64URL[_BASE64URL.index(last) | 1],
        "a newline at the end": f"{genuine}\n",
        "a space in front": f" {genuine}",
    }
    return await judged_by_table(target.deploy(stage, PRODUCTION), stage, tokens, "other spellings")


async def _algorithms(target: AuthTarget, stage: Stage) -> Seen:
    deployment = target.deploy(stage, DEFAULT)
    key = stage.instance.private_key
    claims = stage.instance.claims(iss=deployment.issuer, azp=ORIGIN)
    tokens = {}
    for name, algorithm, padding, digest in (
        ("RS384", "RS384", PKCS1v15(), SHA384()),
        ("RS512", "RS512", PKCS1v15(), SHA512()),
        ("PS256", "PS256", PSS(MGF1(SHA256()), 32), SHA256()),
        ("PS256 labelled RS256", "RS256", PSS(MGF1(SHA256()), 32), SHA256()),
    ):
        parts = (stage.instance.header(alg=algorithm), claims)
        signing_input = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        tokens[name] = f"{signing_input}.{base64url(key.sign(signing_input.encode(), padding, digest))}"
    return await judged_by_table(deployment, stage, tokens, "tokens signed in another way than RS256")


SCENARIOS: Final = (
    Scenario("AUTH001", "another key's signature, and nothing names the environment", _unverified_fallback),
    Scenario("AUTH003", "an attacker's key, issuer and key server", _issuer_confusion),
    Scenario("AUTH004", "genuine tokens of every form", _genuine),
    Scenario("AUTH006", "tokens made without the private key", _forgeries),
    Scenario("AUTH008", "tokens expired by 30 to 290 s", _expired),
    Scenario("AUTH009", "tokens for another site, purpose or stage of sign-in", _limits),
    Scenario("AUTH066", "a validly signed token in other spellings", _spellings),
    Scenario("AUTH070", "the instance's key with other algorithms", _algorithms),
)
