"""The development escape: where it refuses to start, and what it takes at its word."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.auth.compact import MAX_TOKEN_BYTES
from alwrity_checks.auth.mint import ABSENT
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.unsafe import ENVIRONMENT_NAMES, UnsafeNoVerification, says_production
from alwrity_checks.errors import ConfigurationError
from tests.support.tokens import reason, signed

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance


@pytest.mark.parametrize("name", ENVIRONMENT_NAMES)
@pytest.mark.parametrize("value", ["production", "PRODUCTION", " prod ", "live"])
def test_it_refuses_to_start_in_production(name: str, value: str) -> None:
    """One of the names is enough, however it is written, whatever the others say."""
    environment = dict.fromkeys(ENVIRONMENT_NAMES, "development") | {name: value}
    with pytest.raises(ConfigurationError, match=name):
        UnsafeNoVerification(environment)


@pytest.mark.parametrize("environment", [{}, {"ENVIRONMENT": "development"}, {"ENV": ""}, {"APP_ENV": "preproduction"}])
def test_it_starts_elsewhere_and_says_so(environment: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """It starts with a warning."""
    with caplog.at_level(logging.WARNING):
        UnsafeNoVerification(environment)
    assert "any token is accepted as any user" in caplog.text


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the environment of the process counts."""
    for name in ENVIRONMENT_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEPLOY_ENV", "production")
    with pytest.raises(ConfigurationError):
        UnsafeNoVerification()


def test_it_believes_anybody(instance: Instance, other_instance: Instance) -> None:
    """A forged token becomes a session: that is what its name says."""
    escape = UnsafeNoVerification({})
    forged = other_instance.sign(instance.header(alg="none"), instance.claims(sub="user_admin", exp=1))
    assert escape.verify_sync(forged).user_id == "user_admin"
    assert asyncio.run(escape.verify(forged)).user_id == "user_admin"
    assert asyncio.run(escape.warm())


@pytest.mark.parametrize(
    "token", [None, 7, b"a.b.c", [], "", "null", "a.b", "a.b.c.d", "sk_test_abc", "x" * (MAX_TOKEN_BYTES + 1), "\ud800"]
)
def test_what_is_no_jwt_is_refused(token: object) -> None:
    """Only what has the form of a JWT is decoded; everything else is a rejection."""
    escape = UnsafeNoVerification({})
    assert reason(lambda: escape.verify_sync(token)) is Reason.TOKEN_NOT_JWT  # type: ignore[arg-type] # the point


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"null", Reason.PAYLOAD_INVALID),
        (b"\xff", Reason.PAYLOAD_INVALID),
        (b"[" * 3000, Reason.PAYLOAD_INVALID),
        (b'{"sub":"a","sub":"b"}', Reason.PAYLOAD_INVALID),
        (b"{}", Reason.SUB_MISSING),
        (b'{"sub":""}', Reason.SUB_MISSING),
        (b'{"sub":7}', Reason.SUB_MISSING),
    ],
)
def test_what_names_no_user_is_refused(instance: Instance, payload: bytes, expected: Reason) -> None:
    """A payload that is no object, or names nobody, is a rejection."""
    token = signed(instance, instance.header(), payload)
    assert reason(lambda: UnsafeNoVerification({}).verify_sync(token)) is expected


@pytest.mark.parametrize("value", [ABSENT, None, "x", [], True, 10**400, -(10**400), 1e308], ids=lambda v: repr(v)[:9])
@pytest.mark.parametrize("name", ["exp", "sid", "iss", "azp"])
def test_odd_claims_break_nothing(instance: Instance, name: str, value: object) -> None:
    """Claims of any type are taken or left out; nothing but a rejection is ever raised."""
    claims: dict[str, Any] = {name: value}
    assert UnsafeNoVerification({}).verify_sync(instance.token(**claims)).user_id


@pytest.mark.parametrize(
    ("value", "production"), [("production", True), ("Prod", True), ("live", True), ("", False), ("staging", False)]
)
def test_names_of_production(value: str, *, production: bool) -> None:
    """Which values mean production."""
    assert says_production(value) is production


@pytest.mark.parametrize("name", ["CLERK_SECRET_KEY", "CLERK_PUBLISHABLE_KEY", "REACT_APP_CLERK_PUBLISHABLE_KEY"])
def test_a_live_key_says_production_too(name: str) -> None:
    """Whoever forgot to name the environment has at least a production instance's key."""
    kind = "sk" if "SECRET" in name else "pk"
    with pytest.raises(ConfigurationError, match=name):
        UnsafeNoVerification({name: f"{kind}_live_abc"})
    assert isinstance(UnsafeNoVerification({name: f"{kind}_test_abc"}), UnsafeNoVerification)
