"""`make bench-auth`: the verifier beside its peers, in one run. Ratios count; absolute times are this machine's."""

from __future__ import annotations

import asyncio
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
from clerk_backend_api.security import verify_token
from clerk_backend_api.security.types import VerifyTokenOptions
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import RSAKey

from alwrity_checks.auth import ClaimPolicy, ClerkTokenVerifier, RemoteKeys, StaticKeys, TokenRejected, key_set
from alwrity_checks.auth.loopback import LoopbackServer
from alwrity_checks.auth.mint import Instance, base64url
from alwrity_checks.auth.strict import decode_base64url
from benchmarks.measure import child_cpu, interleaved, ratio, table

if TYPE_CHECKING:
    from alwrity_checks.auth.key_source import KeySource

ROUNDS, CALLS = 25, 200
PARTY = "https://app.example.com"


def verifier(instance: Instance, keys: KeySource, *, cache: int = 0) -> ClerkTokenVerifier:
    """Return the component as a backend configures it."""
    policy = ClaimPolicy(issuers=frozenset({instance.issuer}), authorized_parties=frozenset({PARTY}))
    return ClerkTokenVerifier(keys, policy, cache_size=cache)


def throughput(instance: Instance) -> list[tuple[str, ...]]:
    """Verify one good token again and again with every peer, one thread."""
    organization = {"id": "org_2fooBarOrganisation00000001", "slg": "acme", "rol": "admin", "per": "read", "fpm": "1"}
    token = instance.token(azp=PARTY, o=organization, fea="o:dashboard", exp=int(time.time()) + 3600)
    signing_input, _, seal = token.encode().rpartition(b".")
    signature, public_key, pem = decode_base64url(seal), instance.private_key.public_key(), instance.pem()
    padding, digest = PKCS1v15(), SHA256()
    keys = StaticKeys(key_set(instance.jwks()))
    uncached, cached = verifier(instance, keys), verifier(instance, keys, cache=1024)
    clerk_options = VerifyTokenOptions(jwt_key=pem, authorized_parties=[PARTY])
    joserfc_key = RSAKey.import_key(pem)
    registry = jws.JWSRegistry(strict_check_header=False, algorithms=["RS256"])
    required = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": instance.issuer}, sub={"essential": True}, exp={"essential": True}
    )

    def pyjwt() -> object:
        return jwt.decode(
            token, public_key, algorithms=["RS256"], issuer=instance.issuer, options={"require": ["exp", "iat", "sub"]}
        )

    def joserfc() -> object:
        decoded = joserfc_jwt.decode(token, joserfc_key, registry=registry)
        required.validate(decoded.claims)
        return decoded

    figures = interleaved(
        {
            "raw": lambda: public_key.verify(signature, signing_input, padding, digest),
            "ours": lambda: uncached.verify_sync(token),
            "PyJWT": pyjwt,
            "joserfc": joserfc,
            "clerk": lambda: verify_token(token, clerk_options),
            "cached": lambda: cached.verify_sync(token),
        },
        rounds=ROUNDS,
        calls=CALLS,
    )
    ours = figures["ours"]
    return [
        _row("full verification against raw public_key.verify", ratio(figures["raw"], ours), 0.45, ""),
        _row(f"... against PyJWT {jwt.__version__}, key object", ratio(figures["PyJWT"], ours), 2.0, " x"),
        _row("... against joserfc", ratio(figures["joserfc"], ours), None, " x"),
        _row("... against clerk-backend-api verify_token(jwt_key=...)", ratio(figures["clerk"], ours), 3.0, " x"),
        _row("repeated token against uncached", ratio(ours, figures["cached"]), 8.0, " x"),
    ]


def _row(measure: str, value: float, least: float | None, unit: str) -> tuple[str, ...]:
    goal = "-" if least is None else f">= {least:g}{unit}"
    return measure, f"{value:.2f}{unit}", goal, _held(least is None or value >= least)


def _most(measure: str, value: float, most: float, unit: str) -> tuple[str, ...]:
    return measure, f"{value:.3g}{unit}", f"<= {most:g}{unit}", _held(value <= most)


def _held(held: bool) -> str:  # noqa: FBT001 - the one thing it is about
    return "yes" if held else "NO"


async def _all_refused(component: ClerkTokenVerifier, tokens: list[str]) -> None:
    """Verify all of `tokens` at once. Raises RuntimeError if one is accepted: then the count would mean nothing."""
    outcomes = await asyncio.gather(*(component.verify(token) for token in tokens), return_exceptions=True)
    if not all(isinstance(outcome, TokenRejected) for outcome in outcomes):
        raise RuntimeError("a token that must be refused was not")


async def fetches(instance: Instance) -> list[tuple[str, ...]]:
    """Count what reaches the key server."""
    good = instance.token(azp=PARTY)
    with LoopbackServer(instance.jwks(), latency=0.2) as server:
        component = verifier(instance, RemoteKeys(server.url))
        await asyncio.gather(*(component.verify(good) for _ in range(200)))
        cold = server.hits
        stranger = Instance(kid=instance.kid)
        forged = stranger.token(azp=PARTY)
        await _all_refused(component, [forged] * 1000)
        bad = server.hits - cold
    with LoopbackServer(instance.jwks()) as server:
        clock = [0.0]
        component = verifier(instance, RemoteKeys(server.url, clock=lambda: clock[0]))
        await component.verify(good)
        before, clock[0] = server.hits, 31.0  # the cooldown of the first fetch has run out
        unknown = [stranger.token(header={"kid": f"ins_{n}"}) for n in range(1000)]
        await _all_refused(component, unknown)
        flood = server.hits - before
    return [
        _most("fetches: 200 cold concurrent callers", cold, 1, ""),
        _most("fetches: 1,000 bad signatures", bad, 0, ""),
        _most("fetches: 1,000 unknown kids in one cooldown", flood, 1, ""),
    ]


async def stall(instance: Instance) -> float:
    """Return by how much, in seconds, the event loop was late at worst while a key server took 2 s to answer."""
    worst = 0.0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not done.is_set():
            expected = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - expected)

    with LoopbackServer(instance.jwks(), latency=2.0) as server:
        component = verifier(instance, RemoteKeys(server.url))
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        token = instance.token(azp=PARTY)
        await asyncio.gather(*(component.verify(token) for _ in range(30)))
        done.set()
        await watcher
    return worst


def refusal_of_a_megabyte(instance: Instance) -> float:
    """Return the CPU time, in seconds, of refusing a token of 1 MiB."""
    component = verifier(instance, StaticKeys(key_set(instance.jwks())), cache=1024)
    header, _, seal = instance.token().split(".")
    token = f"{header}.{base64url(bytes(786432))}.{seal}"

    def refuse() -> None:
        try:
            component.verify_sync(token)
        except TokenRejected:
            return
        raise AssertionError("a token of 1 MiB was accepted")

    return min(interleaved({"refuse": refuse}, rounds=ROUNDS, calls=100)["refuse"])


def cold_starts(instance: Instance) -> list[tuple[str, ...]]:
    """Measure whole processes; `auth verify` without a token ends where its own work would begin."""
    program = str(Path(sys.executable).with_name("alwrity-doctor"))
    empty = child_cpu([sys.executable, "-c", "pass"])
    rows: list[tuple[str, ...]] = [("(an empty Python process)", f"{empty * 1000:.0f} ms", "-", "yes")]
    for arguments, most in ((["--version"], 30.0), (["--help"], 100.0), (["auth", "verify"], 120.0)):
        spent = child_cpu([program, *arguments]) * 1000
        note = ", to its first own line" if len(arguments) > 1 else ""
        rows.append(_most(f"CPU time of {' '.join(arguments)}{note}", spent, most, " ms"))
    with tempfile.TemporaryDirectory() as folder:
        keys, token = Path(folder, "jwks.json"), Path(folder, "token")
        keys.write_text(json.dumps(instance.jwks()), encoding="utf-8")
        token.write_text(instance.token(), encoding="utf-8")
        command = [program, "auth", "verify", "--jwks-file", str(keys), "--token-file", str(token)]
        rows.append(("(CPU time of a whole auth verify, offline)", f"{child_cpu(command) * 1000:.0f} ms", "-", "yes"))
    return rows


def main() -> int:
    """Print the table; return 1 if a goal was missed."""
    instance = Instance()
    rows: list[tuple[str, ...]] = [("measure", "measured", "goal", "held")]
    rows += throughput(instance)
    rows += asyncio.run(fetches(instance))
    rows.append(
        _most("event-loop stall while the key server takes 2 s", asyncio.run(stall(instance)) * 1000, 10, " ms")
    )
    rows.append(_most("CPU time to refuse a token of 1 MiB", refusal_of_a_megabyte(instance) * 1000, 0.2, " ms"))
    rows += cold_starts(instance)
    print(f"CPython {platform.python_version()}, {platform.machine()}; medians of {ROUNDS} interleaved rounds\n")
    print(table(rows))
    return int(any(row[-1] == "NO" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
