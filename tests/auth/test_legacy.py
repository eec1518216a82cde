"""The model of the historical middleware accepts, refuses, fetches and blocks as the original was measured to."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from alwrity_checks.auth.legacy import LegacyMiddleware, LegacyState
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.mint import ABSENT, Instance, base64url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

A, B, C, D = LegacyState
PRODUCTION = {"ENVIRONMENT": "production"}
SETTINGS = {
    "CLERK_SECRET_KEY": "sk_test_made0up0",
    "CLERK_PUBLISHABLE_KEY": "pk_test_" + b64encode(b"foo-bar-13.clerk.accounts.dev$").decode(),
}
COLUMNS: list[tuple[LegacyState, Mapping[str, str]]] = [
    (state, environment) for state in LegacyState for environment in ({}, PRODUCTION)
]
"""State and environment, in the order of the table's columns."""
column = pytest.mark.parametrize(
    "column", range(len(COLUMNS)), ids=[f"{state}-{'production' if env else 'default'}" for state, env in COLUMNS]
)
TABLE = {
    # '+' accepted, '-' refused:                A A' B B' C C' D D'   (' in production)
    "genuine": "++++--++",
    "genuine without iss": "--+-----",
    "attacker's key and iss": "++++----",
    "attacker's key, genuine iss": "--+---+-",
    "attacker's key, genuine iss and kid": "--+---+-",
    "alg none": "--+---+-",
    "HS256 keyed with the PEM": "--+---+-",
    "no kid": "--+---+-",
    "expired 60 s": "++++--++",
    "expired 290 s": "++++--++",
    "expired 310 s": "--+---+-",
    "expired 1 h": "--+---+-",
    "nbf in 60 s": "++++--++",
    "nbf in 290 s": "++++--++",
    "nbf in 310 s": "--+---+-",
    "iat in 310 s": "--+---+-",
    "no exp": "++++--++",
    "azp of another site": "++++--++",
    "session pending": "++++--++",
    "aud": "--+---+-",
    "no sub": "--------",
    "null": "--------",
    "undefined": "--------",
    "": "--------",
    "abc": "--------",
    "a.b.c": "--------",
}
FALLBACK = "--+-+-+-"
"""What decides where the middleware cannot verify at all."""


@pytest.fixture(scope="module")
def key_server(instance: Instance) -> Iterator[LoopbackServer]:
    """Yield the instance's key server."""
    with LoopbackServer(instance.jwks()) as server:
        yield server


@pytest.fixture(scope="module")
def attacker() -> Iterator[Instance]:
    """Yield an attacker whose issuer is his own server."""
    with LoopbackServer() as server:
        attacker = Instance(server.origin, "ins_2attackerInstance00000000001")
        server.document = attacker.jwks()
        yield attacker


def middleware(
    state: LegacyState, key_server: LoopbackServer, environment: Mapping[str, str], *without: str
) -> LegacyMiddleware:
    """Return the middleware in a network where the instance's host is the key server and no other name resolves."""

    def resolve(url: str) -> str:
        host = urlsplit(url).hostname
        if host == "foo-bar-13.clerk.accounts.dev":
            return key_server.url
        return url if host == "127.0.0.1" else "http://127.0.0.1:1/nobody-listens-here"

    settings = {name: value for name, value in SETTINGS.items() if name not in without}
    return LegacyMiddleware(state, settings | dict(environment), resolve=resolve)


def verify(subject: LegacyMiddleware, token: str) -> dict[str, Any] | None:
    """Return what becomes of `token`."""
    return asyncio.run(subject.verify_token(token))


def token(name: str, instance: Instance, attacker: Instance) -> str:
    """Return the token of a row of the table."""
    now = int(time.time())
    genuine_claims: dict[str, dict[str, Any]] = {
        "genuine": {},
        "genuine without iss": {"iss": ABSENT},
        "no exp": {"exp": ABSENT},
        "azp of another site": {"azp": "https://evil.example"},
        "session pending": {"sts": "pending"},
        "aud": {"aud": "api"},
        "no sub": {"sub": ABSENT},
        "expired 60 s": {"exp": now - 60},
        "expired 290 s": {"exp": now - 290},
        "expired 310 s": {"exp": now - 310},
        "expired 1 h": {"exp": now - 3600},
        "nbf in 60 s": {"nbf": now + 60},
        "nbf in 290 s": {"nbf": now + 290},
        "nbf in 310 s": {"nbf": now + 310},
        "iat in 310 s": {"iat": now + 310},
    }
    if name in genuine_claims:
        return instance.token(**genuine_claims[name])
    claims = instance.claims()
    unsigned = Instance.sign(attacker, instance.header(alg="none"), claims).rpartition(".")[0]
    hs256 = Instance.sign(attacker, instance.header(alg="HS256"), claims).rpartition(".")[0]
    mac = hmac.digest(instance.pem().encode(), hs256.encode(), hashlib.sha256)
    others = {
        "attacker's key and iss": attacker.token(),
        "attacker's key, genuine iss": attacker.sign(attacker.header(), claims),
        "attacker's key, genuine iss and kid": attacker.sign(instance.header(), claims),
        "alg none": f"{unsigned}.",
        "HS256 keyed with the PEM": f"{hs256}.{base64url(mac)}",
        "no kid": instance.token(header={"kid": ABSENT}),
    }
    return others.get(name, name)


@column
@pytest.mark.parametrize("name", TABLE)
def test_truth_table(
    name: str, column: int, instance: Instance, attacker: Instance, key_server: LoopbackServer
) -> None:
    """Each state accepts exactly what the original accepted, with and without ENVIRONMENT=production."""
    state, environment = COLUMNS[column]
    subject = middleware(state, key_server, environment)
    accepted = verify(subject, token(name, instance, attacker)) is not None
    assert accepted == (TABLE[name][column] == "+")


@column
def test_without_publishable_key_the_fallback_decides(
    column: int, attacker: Instance, key_server: LoopbackServer
) -> None:
    """Without the key nothing is verified: any token with a user passes, or none."""
    state, environment = COLUMNS[column]
    subject = middleware(state, key_server, environment, "CLERK_PUBLISHABLE_KEY")
    expected = FALLBACK[column] == "+"
    assert (verify(subject, attacker.token()) is not None) == expected
    assert (verify(subject, attacker.token(sub=ABSENT, user_id="user_1")) is not None) == expected
    assert verify(subject, attacker.token(sub=ABSENT)) is None


@pytest.mark.parametrize("state", LegacyState)
def test_without_secret_key_all_are_refused(state: LegacyState, instance: Instance, key_server: LoopbackServer) -> None:
    """The secret key verifies nothing, but without one nobody passes."""
    assert verify(middleware(state, key_server, {}, "CLERK_SECRET_KEY"), instance.token()) is None


@pytest.mark.parametrize(
    ("environment", "accepted"),
    [
        ({}, True),
        ({"ENVIRONMENT": "staging"}, True),
        ({"ENVIRONMENT": " Prod "}, False),
        ({"APP_ENV": "production"}, False),
        ({"ENVIRONMENT": "development", "APP_ENV": "production"}, True),
        ({"ENV": "production", "DEPLOY_ENV": "production", "REACT_APP_ENVIRONMENT": "production"}, True),
        ({"ENVIRONMENT": "production", "ALLOW_UNVERIFIED_JWT_DEV": "TRUE"}, True),
        ({"ALLOW_UNVERIFIED_JWT_DEV": "false"}, False),
        ({"ALLOW_UNVERIFIED_JWT_DEV": "1"}, False),
    ],
)
def test_environment_decides_on_unverified_tokens(
    environment: dict[str, str], *, accepted: bool, instance: Instance, attacker: Instance, key_server: LoopbackServer
) -> None:
    """The explicit switch wins both ways; then ENVIRONMENT, then APP_ENV; no other name counts."""
    forged = attacker.sign(instance.header(), instance.claims())
    assert (verify(middleware(D, key_server, environment), forged) is not None) == accepted


def test_undecoded_key_becomes_the_host_in_state_c(
    instance: Instance, attacker: Instance, key_server: LoopbackServer
) -> None:
    """The fix that locked the users out left the bypass: whoever names the impossible issuer is let in unverified."""
    subject = middleware(C, key_server, {})
    body = SETTINGS["CLERK_PUBLISHABLE_KEY"].removeprefix("pk_test_")
    assert subject.configured_issuer == f"https://{body}.clerk.accounts.dev"
    assert verify(subject, instance.token()) is None
    assert verify(subject, attacker.token(iss=subject.configured_issuer)) is not None


@pytest.mark.parametrize("host", ["clerk.example.com", "a-b-1.clerk.accounts.dev", "foo-bar-13.clerk.accounts.dev"])
@pytest.mark.parametrize("padded", [True, False])
def test_state_d_decodes_the_key(host: str, *, padded: bool) -> None:
    """Every length of padding, present or not, leads to the host."""
    body = b64encode(f"{host}$".encode()).decode()
    key = "pk_live_" + (body if padded else body.rstrip("="))
    assert LegacyMiddleware(D, {"CLERK_PUBLISHABLE_KEY": key}).configured_issuer == f"https://{host}"


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({"REACT_APP_CLERK_PUBLISHABLE_KEY": "pk_test_YS5iJA=="}, "a.b"),
        ({"CLERK_PUBLISHABLE_KEY": "", "REACT_APP_CLERK_PUBLISHABLE_KEY": "pk_test_YS5iJA=="}, "a.b"),
        ({"CLERK_PUBLISHABLE_KEY": " pk_test_YS5iJA== \n"}, "a.b"),
        ({"CLERK_PUBLISHABLE_KEY": "pk_test_YWIk"}, "ab.clerk.accounts.dev"),
        ({"CLERK_PUBLISHABLE_KEY": "pk_test_a.b"}, "a.b"),
    ],
)
def test_publishable_key_is_looked_up_as_in_the_original(settings: dict[str, str], host: str) -> None:
    """The back end's name comes first, the front end's second; both are stripped."""
    assert LegacyMiddleware(D, settings).configured_issuer == f"https://{host}"


def test_state_a_fetches_whatever_url_the_token_names(attacker: Instance, key_server: LoopbackServer) -> None:
    """Fifty issuers make fifty requests, and a client each is kept."""
    with LoopbackServer() as network:
        subject = middleware(A, key_server, {})
        for number in range(50):
            verify(subject, attacker.token(iss=f"{network.origin}/{number}"))
        assert network.requests == [f"/{number}/.well-known/jwks.json" for number in range(50)]


def test_failing_key_server_is_asked_again_for_each_token(instance: Instance) -> None:
    """There is neither a negative cache nor a backoff."""
    with LoopbackServer(mode=Mode.UNAVAILABLE) as dead:
        subject = middleware(D, dead, PRODUCTION)
        assert [verify(subject, instance.token()) for _ in range(5)] == [None] * 5
        assert dead.hits == 5


def test_withdrawn_key_goes_on_verifying(instance: Instance, attacker: Instance) -> None:
    """Single keys are cached without an expiry, although the set was fetched anew."""
    with LoopbackServer(instance.jwks()) as server:
        subject = middleware(D, server, PRODUCTION)
        assert verify(subject, instance.token()) is not None
        server.document = attacker.jwks()
        subject.let_key_sets_expire()
        assert verify(subject, attacker.token(iss=instance.issuer)) is not None
        assert verify(subject, instance.token()) is not None
        assert server.hits == 2


def test_user_has_the_original_form(instance: Instance, key_server: LoopbackServer) -> None:
    """Default tokens carry neither mail address nor names."""
    user = verify(middleware(D, key_server, {}), instance.token(email="ada@example.com"))
    subject = instance.claims()["sub"]
    assert user == {
        "id": subject,
        "email": "ada@example.com",
        "first_name": None,
        "last_name": None,
        "clerk_user_id": subject,
    }
