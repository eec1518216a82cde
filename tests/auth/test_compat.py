"""ALwrity's own names over the verifier: a user, None, or an answer that signs nobody out by mistake."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials

from alwrity_checks.auth import compat
from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.fetch import FetchFailed
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.kinds import CATEGORY_TEMPLATE
from alwrity_checks.auth.mint import ABSENT
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from tests.support.keyfetch import URL, Clock, Fetch
from tests.support.tokens import NOW, pinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.auth.mint import Instance

SETTINGS = (
    "CLERK_PUBLISHABLE_KEY",
    "REACT_APP_CLERK_PUBLISHABLE_KEY",
    "CLERK_SECRET_KEY",
    "CLERK_JWT_KEY",
    "DISABLE_AUTH",
    "ENVIRONMENT",
    "APP_ENV",
    "ENV",
    "DEPLOY_ENV",
)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run without this machine's settings, and leave the module's object as it was found."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    yield
    compat.clerk_auth.use(None)


@pytest.fixture
def app() -> FastAPI:
    """Return a backend with a route for each of ALwrity's dependencies."""
    found = FastAPI()

    @found.get("/me")
    async def me(user: Annotated[dict[str, Any], Depends(compat.get_current_user)]) -> dict[str, Any]:
        return user

    @found.get("/optional")
    async def optional(user: Annotated[dict[str, Any] | None, Depends(compat.get_optional_user)]) -> Any:  # noqa: ANN401 - JSON
        return user

    @found.get("/media")
    async def media(user: Annotated[dict[str, Any], Depends(compat.get_current_user_with_query_token)]) -> Any:  # noqa: ANN401 - JSON
        return user["id"]

    return found


def get(app: FastAPI, path: str, token: str | None = None) -> httpx.Response:
    """Send one request through the whole application."""

    async def scenario() -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://backend") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(scenario())


def verified(token: str) -> dict[str, Any] | None:
    """Return what `verify_token` gives."""
    return asyncio.run(compat.clerk_auth.verify_token(token))


def without_keys(instance: Instance) -> ClerkTokenVerifier:
    """Return a verifier whose key server does not answer."""
    fetch = Fetch(instance)
    fetch.failure = FetchFailed(Reason.JWKS_DNS, "no such host")
    keys = RemoteKeys(URL, fetch=fetch, clock=Clock())
    return ClerkTokenVerifier(keys, ClaimPolicy(issuers=frozenset({instance.issuer})), clock=lambda: NOW)


def test_genuine_token_is_a_user_everywhere(app: FastAPI, instance: Instance) -> None:
    """The object and all three dependencies give ALwrity's dictionary."""
    compat.clerk_auth.use(pinned(instance))
    token, subject = instance.token(now=NOW, email="a@example.com"), instance.claims()["sub"]
    user = {"id": subject, "email": "a@example.com", "first_name": None, "last_name": None, "clerk_user_id": subject}
    assert verified(token) == user
    assert get(app, "/me", token).json() == user
    assert get(app, "/optional", token).json() == user
    assert get(app, f"/media?token={token}").json() == subject
    assert get(app, "/media?token=undefined", token).json() == subject


@pytest.mark.parametrize(
    "token", [None, 5, b"a.b.c", "\ud800", "x" * 100_000], ids=["None", "number", "bytes", "surrogate", "long"]
)
def test_what_is_no_text_is_no_token(token: Any, instance: Instance) -> None:  # noqa: ANN401 - whatever a caller has
    """Whatever a caller hands in is None, as it was of the old object: nothing is raised."""
    compat.clerk_auth.use(pinned(instance))
    assert verified(token) is None


@pytest.mark.parametrize("token", ["undefined", "a.b.c", "sk_test_abcdef"])
def test_what_is_no_token_is_refused(token: str, app: FastAPI, instance: Instance) -> None:
    """None from the object and where a user is optional, else 401; the answer names a reason and nothing else."""
    compat.clerk_auth.use(pinned(instance))
    assert verified(token) is None
    assert get(app, "/optional", token).json() is None
    for answer in (get(app, "/me", token), get(app, f"/media?token={token}")):
        assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication failed"})
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["X-Auth-Reason"]


@pytest.mark.parametrize("path", ["/me", "/media", "/media?token="])
def test_no_token_is_not_authenticated(path: str, app: FastAPI) -> None:
    """Without a token nothing is looked at, not even the settings."""
    answer = get(app, path)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    assert get(app, "/optional").json() is None


def test_token_without_keys_is_not_called_bad(app: FastAPI, instance: Instance) -> None:
    """Where no key can be had the answer is 503, at which the front end keeps its session; an optional user is none."""
    compat.clerk_auth.use(without_keys(instance))
    token = instance.token(now=NOW)
    answer = get(app, "/me", token)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    with pytest.raises(HTTPException) as caught:
        verified(token)
    assert caught.value.status_code == 503
    assert get(app, "/optional", token).json() is None


def test_settings_are_read_at_the_first_token(
    app: FastAPI, instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without settings no token is accepted, and why is logged once; those that come later count."""
    token = instance.token()
    with caplog.at_level(logging.ERROR, "alwrity_checks.auth"):
        answers = [get(app, "/me", token) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {503}
    assert [record.message for record in caplog.records] == [
        "no token can be verified: CLERK_PUBLISHABLE_KEY is not set: no issuer can be pinned (alwrity-doctor auth env)"
    ]
    host = base64.b64encode(f"{instance.issuer.removeprefix('https://')}$".encode()).decode()
    monkeypatch.setenv("REACT_APP_CLERK_PUBLISHABLE_KEY", f"pk_test_{host}")
    monkeypatch.setenv("CLERK_JWT_KEY", instance.pem())
    assert get(app, "/me", token).status_code == 200


def test_switched_off_is_the_mock_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a developer's machine every token is ALwrity's mock user; there is nothing to warm."""
    monkeypatch.setenv("DISABLE_AUTH", "true")
    off = compat.ClerkAuthMiddleware()
    assert off.disable_auth
    assert asyncio.run(off.verify_token("anything")) == compat.MOCK_USER
    assert asyncio.run(off.warm()) is True


@pytest.mark.parametrize(
    ("name", "value"),
    [("ENVIRONMENT", "production"), ("APP_ENV", "prod"), ("CLERK_SECRET_KEY", "sk_live_abcdefgh")],
)
def test_switch_is_ignored_where_anything_says_production(
    name: str, value: str, instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A forgotten switch lets nobody in, and is told; no key is."""
    monkeypatch.setenv("DISABLE_AUTH", "true")
    monkeypatch.setenv(name, value)
    on = compat.ClerkAuthMiddleware(pinned(instance))
    assert not on.disable_auth
    assert asyncio.run(on.verify_token("anything")) is None
    assert "DISABLE_AUTH is true and is ignored" in caplog.text
    assert "sk_live_abcdefgh" not in caplog.text


def test_the_switch_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The object is made before the thin module loads its .env; a script may also set the switch on it."""
    found = compat.ClerkAuthMiddleware()
    monkeypatch.setenv("DISABLE_AUTH", "true")
    assert found.disable_auth
    found.disable_auth = False
    assert not found.disable_auth


@pytest.mark.parametrize("value", ["false", "", "1", "yes", " true"])
def test_nothing_but_true_switches_it_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old middleware took `true` in any capitals and nothing else."""
    monkeypatch.setenv("DISABLE_AUTH", value)
    assert not compat.ClerkAuthMiddleware().disable_auth


def test_refusal_is_logged_with_its_endpoint_and_an_expiry_is_no_news(
    app: FastAPI, instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says what was asked for and why it was refused; the token itself is never in it."""
    compat.clerk_auth.use(pinned(instance))
    forged, expired = f"{instance.token(now=NOW)[:-4]}AAAA", instance.token(now=NOW - 3600)
    with caplog.at_level(logging.INFO, "alwrity_checks.auth"):
        get(app, "/me", forged)
        get(app, "/me", expired)
        verified(expired)
    levels = [(record.levelname, getattr(record, "event_fields", {}).get("endpoint")) for record in caplog.records]
    assert levels == [("WARNING", "GET /me"), ("INFO", "GET /me"), ("INFO", None)]
    assert {getattr(record, "event", "") for record in caplog.records} == {"auth.token-refused"}
    assert forged not in caplog.text
    assert expired not in caplog.text


def test_dependency_that_is_called_by_hand_finds_the_header(instance: Instance) -> None:
    """Who leaves the credentials out leaves FastAPI's own placeholder in their place: the header is looked at."""
    compat.clerk_auth.use(pinned(instance))
    token = instance.token(now=NOW)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "server": ("b", 80), "scheme": "http"}
    request = Request({**scope, "headers": [(b"authorization", f"Bearer {token}".encode())]})
    assert asyncio.run(compat.get_current_user(request))["id"] == instance.claims()["sub"]
    given = HTTPAuthorizationCredentials(scheme="Bearer", credentials=token)
    assert asyncio.run(compat.get_current_user(Request({**scope, "headers": []}), given))["id"]
    assert asyncio.run(compat.get_optional_user()) is None


def test_policy_of_ones_own_can_be_used(instance: Instance) -> None:
    """Who has to accept template tokens says so with a verifier of his own; a health check sees that one."""
    template = instance.token(now=NOW, header={"cat": CATEGORY_TEMPLATE}, sid=ABSENT)
    compat.clerk_auth.use(pinned(instance))
    assert verified(template) is None
    lenient = pinned(instance, accept_templates=True)
    compat.clerk_auth.use(lenient)
    assert compat.clerk_auth.verifier is lenient
    assert verified(template) is not None
    assert asyncio.run(compat.clerk_auth.warm()) is True
