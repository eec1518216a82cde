"""A real application behind the dependencies: every answer of RFC 6750, and nothing in it that helps an attacker."""

# The dependencies are made inside functions, where a postponed annotation cannot name them: they stand as defaults.
# ruff: noqa: B008, FAST002

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.fastapi import clerk_session, clerk_user
from alwrity_checks.auth.fetch import FetchFailed
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.mint import ABSENT
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.session import Session  # noqa: TC001 - FastAPI reads the annotations when it runs
from alwrity_checks.auth.unsafe import UnsafeNoVerification
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from tests.support.keyfetch import URL, Clock, Fetch
from tests.support.tokens import NOW, pinned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from alwrity_checks.auth.mint import Instance

REALM = 'Bearer realm="alwrity"'


def application(verifier: Any) -> FastAPI:  # noqa: ANN401 - whatever verifies
    """Return a backend with a route for each way of using the dependencies."""
    session, user = clerk_session(verifier), clerk_user(verifier)
    optional = clerk_session(verifier, optional=True)
    optional_user = clerk_user(verifier, optional=True)
    reader = clerk_session(verifier, permissions=["org:posts:read"])
    writer = clerk_session(verifier, permissions=["org:posts:read", "org:posts:write"])
    media = clerk_session(verifier, query_parameter="token")
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"], expose_headers=["WWW-Authenticate", "X-Auth-Reason"])

    @app.get("/me")
    async def me(user: dict[str, Any] = Depends(user)) -> dict[str, Any]:
        return user

    @app.get("/session")
    async def whole(session: Session = Depends(session)) -> dict[str, Any]:
        return {"user": session.user_id, "session": session.session_id, "claims": session.claims}

    @app.get("/sync")
    def sync(user: dict[str, Any] = Depends(user)) -> str:
        return str(user["id"])

    @app.get("/optional")
    async def maybe(session: Session | None = Depends(optional)) -> str:
        return session.user_id if session else "nobody"

    @app.get("/optional-user")
    async def maybe_user(user: dict[str, Any] | None = Depends(optional_user)) -> str:
        return user["id"] if user else "nobody"

    @app.get("/read")
    async def read(session: Session = Depends(reader)) -> str:
        return session.user_id

    @app.get("/write")
    async def write(session: Session = Depends(writer)) -> str:
        return session.user_id

    @app.get("/media")
    async def play(session: Session = Depends(media)) -> str:
        return session.user_id

    return app


def get(app: FastAPI, path: str, headers: Any = None, params: Any = None) -> httpx.Response:  # noqa: ANN401 - as httpx
    """Send one request through the whole application."""

    async def scenario() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://backend") as client:
            return await client.get(path, headers=headers, params=params)

    return asyncio.run(scenario())


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def app(instance: Instance) -> FastAPI:
    """Return a backend that accepts the instance's tokens of the fixed moment."""
    return application(pinned(instance))


def test_a_genuine_token_opens(app: FastAPI, instance: Instance) -> None:
    """ALwrity's user dictionary comes back; a default token carries no e-mail and no names."""
    answer = get(app, "/me", bearer(instance.token(now=NOW)))
    subject = instance.claims()["sub"]
    assert answer.status_code == 200
    assert answer.json() == {
        "id": subject, "email": None, "first_name": None, "last_name": None, "clerk_user_id": subject,
    }  # fmt: skip


def test_customised_claims_reach_the_dictionary(app: FastAPI, instance: Instance) -> None:
    """E-mail and names are passed on where the token has them."""
    token = instance.token(now=NOW, email="a@example.com", first_name="Ada", last_name="L.")
    assert get(app, "/me", bearer(token)).json()["email"] == "a@example.com"


def test_names_by_their_openid_claims(app: FastAPI, instance: Instance) -> None:
    """Where the token has given_name and family_name instead, those are the names."""
    token = instance.token(now=NOW, given_name="Ada", family_name="L.")
    found = get(app, "/me", bearer(token)).json()
    assert (found["first_name"], found["last_name"]) == ("Ada", "L.")


def test_the_whole_session_is_there(app: FastAPI, instance: Instance) -> None:
    """A route may take the session itself."""
    found = get(app, "/session", bearer(instance.token(now=NOW))).json()
    assert found["session"] == instance.claims()["sid"]
    assert found["claims"]["iss"] == instance.issuer


def test_synchronous_routes(app: FastAPI, instance: Instance) -> None:
    """A route that runs in a thread takes the same dependency."""
    assert get(app, "/sync", bearer(instance.token(now=NOW))).json() == instance.claims()["sub"]
    assert get(app, "/sync").status_code == 401


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} ", " Bearer {}"])
def test_the_scheme_is_not_case_sensitive(app: FastAPI, instance: Instance, header: str) -> None:
    """RFC 9110: the scheme's case does not matter; blanks around the token are no part of it."""
    token = instance.token(now=NOW)
    assert get(app, "/session", {"Authorization": header.format(token)}).status_code == 200


@pytest.mark.parametrize("value", [None, "Basic dXNlcjpwYXNz", "Token abc", "abc", "Digest x=1", "Bearerabc", ""])
def test_no_credentials(app: FastAPI, value: str | None) -> None:
    """Without bearer credentials the answer is 401 with a bare challenge: no error code (RFC 6750 section 3)."""
    answer = get(app, "/session", {} if value is None else {"Authorization": value})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == REALM


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "bearer   "])
def test_an_empty_bearer(app: FastAPI, value: str) -> None:
    """The scheme without a token is 401."""
    assert get(app, "/session", {"Authorization": value}).status_code == 401


@pytest.mark.parametrize(
    "value", ["Bearer a b", "Bearer null", "Bearer undefined", "Bearer a.b.c", "Bearer sk_test_abcdef"]
)
def test_credentials_that_are_no_session_token(app: FastAPI, value: str) -> None:
    """What is no token is 401 invalid_token with its reason."""
    answer = get(app, "/session", {"Authorization": value})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert answer.headers["X-Auth-Reason"] in set(Reason)


@pytest.mark.parametrize("name", ["session", "optional"])
def test_a_repeated_header_is_a_bad_request(app: FastAPI, instance: Instance, name: str) -> None:
    """Two Authorization headers are 400 invalid_request, also where they are equal."""
    token = f"Bearer {instance.token(now=NOW)}"
    answer = get(app, f"/{name}", [("Authorization", token), ("Authorization", token)])
    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("changes", "status", "error", "reason"),
    [
        ({"exp": int(NOW) - 60}, 401, "invalid_token", Reason.TOKEN_EXPIRED),
        ({"nbf": int(NOW) + 60}, 401, "invalid_token", Reason.TOKEN_NOT_ACTIVE_YET),
        ({"iss": "https://evil.example"}, 401, "invalid_token", Reason.ISSUER_MISMATCH_ENVIRONMENT),
        ({"sub": ABSENT}, 401, "invalid_token", Reason.SUB_MISSING),
        ({"sts": "pending"}, 403, "insufficient_scope", Reason.SESSION_PENDING),
    ],
)
def test_rejections(  # noqa: PLR0913, PLR0917 - two fixtures and a row of the table
    app: FastAPI, instance: Instance, changes: dict[str, Any], status: int, error: str, reason: Reason
) -> None:
    """Each rejection has its status, its RFC 6750 error and its reason code."""
    answer = get(app, "/session", bearer(instance.token(now=NOW, **changes)))
    assert answer.status_code == status
    assert answer.headers["WWW-Authenticate"].startswith(f'{REALM}, error="{error}", error_description="')
    assert answer.headers["X-Auth-Reason"] == reason


def test_the_description_keeps_to_its_characters() -> None:
    """A reason code may stand in error_description as it is (RFC 6750 section 3: no quote, no backslash)."""
    for reason in Reason:
        assert all(0x20 <= ord(character) <= 0x7E and character not in '"\\' for character in reason)


def organisation(*permissions: str) -> dict[str, object]:
    """Return the claims of an organisation that grants these permissions on posts."""
    bitmap = str((1 << len(permissions)) - 1)
    return {"fea": "o:posts", "o": {"id": "org_1", "rol": "member", "per": ",".join(permissions), "fpm": bitmap}}


@pytest.mark.parametrize(
    ("path", "claims", "status"),
    [
        ("/read", {}, 403),
        ("/read", organisation(), 403),
        ("/read", organisation("read"), 200),
        ("/read", organisation("write"), 403),
        ("/read", organisation("read", "write"), 200),
        ("/write", organisation("read"), 403),
        ("/write", organisation("read", "write"), 200),
        ("/session", {}, 200),
        ("/read", {"org_id": "org_1", "org_permissions": ["org:posts:read"]}, 200),
    ],
)
def test_permissions(app: FastAPI, instance: Instance, path: str, claims: dict[str, Any], status: int) -> None:
    """Each route asks for its own permissions; what is missing is 403 with the scope that is needed."""
    answer = get(app, path, bearer(instance.token(now=NOW, **claims)))
    assert answer.status_code == status
    if status == 403:
        scope = "org:posts:read org:posts:write" if path == "/write" else "org:posts:read"
        assert (
            f'error="insufficient_scope", error_description="insufficient-scope", scope="{scope}"'
            in (answer.headers["WWW-Authenticate"])
        )


@pytest.mark.parametrize("path", ["/optional", "/optional-user"])
def test_optional_credentials(app: FastAPI, instance: Instance, path: str) -> None:
    """Nobody is let through as nobody; a bad token is still refused."""
    assert get(app, path).json() == "nobody"
    assert get(app, path, {"Authorization": "Basic dXNlcjpwYXNz"}).json() == "nobody"
    assert get(app, path, bearer(instance.token(now=NOW))).json() == instance.claims()["sub"]
    assert get(app, path, bearer(instance.token(now=NOW - 600))).status_code == 401
    assert get(app, path, bearer("null")).status_code == 401


def test_the_query_parameter_is_off_unless_asked_for(app: FastAPI, instance: Instance) -> None:
    """A URL ends up in logs: only a route that says so takes a token from it."""
    token = instance.token(now=NOW)
    for path in ("/session", "/me", "/read", "/optional"):
        answer = get(app, path, params={"token": token})
        assert answer.status_code == 401 or answer.json() == "nobody"
    assert get(app, "/media", params={"token": token}).status_code == 200
    assert get(app, "/media", bearer(token)).status_code == 200
    assert get(app, "/media").status_code == 401
    assert get(app, "/media", params={"token": "null"}).status_code == 401


@pytest.mark.parametrize("twice", ["parameter", "both"])
def test_two_credentials_are_a_bad_request(app: FastAPI, instance: Instance, twice: str) -> None:
    """A repeated parameter, or a parameter beside a header, is 400 (RFC 6750 section 3.1)."""
    token = instance.token(now=NOW)
    parameters = [("token", token)] * (2 if twice == "parameter" else 1)
    answer = get(app, "/media", bearer(token) if twice == "both" else None, parameters)
    assert answer.status_code == 400
    assert token not in answer.text


def test_an_unreachable_key_server_is_503(instance: Instance) -> None:
    """Without a key nothing is known of the token: 503 with Retry-After, so that nobody is logged out."""
    fetch = Fetch(instance)
    fetch.failure = FetchFailed(Reason.JWKS_RATE_LIMITED, "HTTP 429 from https://foo-bar-13", retry_after=41.2)
    keys = RemoteKeys(URL, fetch=fetch, clock=Clock())
    app = application(ClerkTokenVerifier(keys, ClaimPolicy(issuers=frozenset({instance.issuer}))))
    for path in ("/session", "/optional", "/read"):
        answer = get(app, path, bearer(instance.token()))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "42"
        assert "WWW-Authenticate" not in answer.headers
        assert "foo-bar-13" not in answer.text + str(answer.headers)
    assert get(app, "/optional").json() == "nobody"


def test_no_answer_helps_an_attacker(app: FastAPI, instance: Instance, other_instance: Instance) -> None:
    """No body and no header holds a key id, an issuer, a host or any part of the token."""
    tokens = [
        instance.token(now=NOW - 600),
        instance.token(now=NOW, iss="https://evil.example"),
        instance.token(now=NOW, header={"kid": "ins_attacker"}),
        instance.token(now=NOW, header={"alg": "none"}),
        instance.token(now=NOW, header={"jku": "https://evil.example"}),
        other_instance.sign(instance.header(), instance.claims(now=NOW)),
        other_instance.token(now=NOW),
        instance.token(now=NOW, sts="pending"),
        f"{instance.token(now=NOW)}x.y",
    ]
    for token in tokens:
        answer = get(app, "/session", bearer(token))
        assert answer.status_code in {401, 403}
        everything = answer.text + json.dumps(dict(answer.headers))
        for secret in (instance.kid, other_instance.kid, instance.issuer, "clerk.accounts.dev", "evil", "attacker"):
            assert secret not in everything
        assert not any(part in everything for part in token.split(".") if len(part) > 4)


def test_the_log_tells_what_the_answer_does_not(
    app: FastAPI, instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the detail under the token's fingerprint, never the token, nor a second line of the attacker's."""
    token = instance.token(now=NOW, iss="https://evil.example\nFAKE LOG LINE")
    with caplog.at_level(logging.INFO, "alwrity_checks.auth"):
        get(app, "/session", bearer(token))
    (record,) = [record for record in caplog.records if record.name == "alwrity_checks.auth"]
    assert "issuer-mismatch" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert not any(part in record.getMessage() for part in token.split("."))


def test_the_scheme_is_in_the_openapi_document(app: FastAPI) -> None:
    """The document names the scheme, its format, and each route that needs it; no stray parameters."""
    document = app.openapi()
    (name, scheme), *others = document["components"]["securitySchemes"].items()
    assert others == []
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for path, operations in document["paths"].items():
        assert operations["get"]["security"] == [{name: []}], path
        assert operations["get"].get("parameters", []) == [], path


def test_a_browser_may_read_the_challenge(app: FastAPI) -> None:
    """With CORS set up as documented, a page can read why it was refused."""
    answer = get(app, "/session", {"Origin": "https://app.example.com"})
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


def test_warming_in_the_lifespan(instance: Instance) -> None:
    """An application that warms its verifier has its keys before the first request, and fetches once."""
    fetch = Fetch(instance)
    guard = ClerkTokenVerifier(
        RemoteKeys(URL, fetch=fetch, clock=Clock()), ClaimPolicy(issuers=frozenset({instance.issuer}))
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        assert await guard.warm()
        yield

    app = application(guard)
    app.router.lifespan_context = lifespan

    async def scenario() -> None:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://backend") as client,
        ):
            assert fetch.calls == 1
            answers = await asyncio.gather(
                *(client.get(path, headers=bearer(instance.token())) for path in ("/me", "/sync", "/session") * 10)
            )
            assert {answer.status_code for answer in answers} == {200}

    asyncio.run(scenario())
    assert fetch.calls == 1


def test_dependencies_of_one_request_share_nothing_they_should_not(instance: Instance) -> None:
    """Two routes with different verifiers in one application do not get each other's sessions."""
    strict = clerk_session(pinned(instance, authorized_parties=frozenset({"https://app.example.com"})))
    loose = clerk_session(pinned(instance))
    app = FastAPI()

    @app.get("/both")
    async def both(a: Session = Depends(loose), b: Session = Depends(strict)) -> str:
        return a.user_id + b.user_id

    assert get(app, "/both", bearer(instance.token(now=NOW))).status_code == 401
    assert get(app, "/both", bearer(instance.token(now=NOW, azp="https://app.example.com"))).status_code == 200


def test_the_development_escape_fits_in(instance: Instance, other_instance: Instance) -> None:
    """The dependencies take the unsafe verifier as well: any token, any user."""
    app = application(UnsafeNoVerification({}))
    forged = other_instance.sign(instance.header(), instance.claims(sub="user_x"))
    assert get(app, "/me", bearer(forged)).json()["id"] == "user_x"
    assert get(app, "/me", bearer("null")).status_code == 401


@pytest.mark.parametrize("headers", [{"Authorization": b"Bearer \xff\xfe"}, {"Authorization": b"\xff"}])
def test_bytes_beyond_ascii(app: FastAPI, headers: Mapping[str, bytes]) -> None:
    """A header that is not ASCII is refused like any other."""
    assert get(app, "/session", headers).status_code == 401
