"""What the callers of `middleware.auth_middleware` rely on, and the driver that tries it in the sandbox.

The module is deployed as in the experiment of issue 1: afresh for each contract, with an instance's settings, a key
server on this machine and nothing else to reach.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.adoption.contract.contract import Contract, Untried, expect
from alwrity_checks.adoption.contract.inside import attend

if TYPE_CHECKING:
    from alwrity_checks.auth.scenarios.asgi import Response
    from alwrity_checks.auth.scenarios.driven import DrivenTarget
    from alwrity_checks.auth.scenarios.stage import Stage
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["CONTRACTS", "drive"]

_SOURCE: Final = "ALwrity ce9bf293, "
_FIELDS: Final = frozenset({"id", "email", "first_name", "last_name", "clerk_user_id"})
_MOCK: Final = "mock_user_id"
_NO_TOKENS: Final = ("", "undefined", "a.b.c", "eyJhbGciOiJub25lIn0..", "x" * 5000)
"""What a front end that has lost its session sends, and worse."""
_UNSET: Final = dict.fromkeys(("CLERK_PUBLISHABLE_KEY", "CLERK_SECRET_KEY", "CLERK_AUTHORIZED_PARTIES"), "")


@dataclass(frozen=True, slots=True)
class _Bench:
    stage: Stage
    target: DrivenTarget

    def deployed(self, environment: Mapping[str, str] | None = None) -> ModuleType:
        """Return the module, imported with the settings of production, or with others."""
        from alwrity_checks.auth.scenarios.driven import MODULE
        from alwrity_checks.auth.scenarios.stage import PRODUCTION

        self.target.deploy(self.stage, PRODUCTION if environment is None else environment)
        return sys.modules[MODULE]

    def named(self, name: str, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - anybody's object
        """Return what the module calls so. Raises Untried where a revision has no such name."""
        found = getattr(self.deployed(environment), name, None)
        if found is None:
            raise Untried(f"this revision has no {name}")
        return found

    async def answer(self, dependency: Any, token: str | None = None, query: str = "") -> Response:  # noqa: ANN401 - the same
        """Return how a route with this dependency answers."""
        from fastapi import Depends, FastAPI

        from alwrity_checks.auth.scenarios.asgi import requested

        app = FastAPI()

        async def route(user: Any = Depends(dependency)) -> Any:  # noqa: ANN401, B008 - FastAPI's way
            return {"user": user}

        app.add_api_route("/", route, methods=["GET"])
        return await requested(app, authorization=None if token is None else f"Bearer {token}", query=query)


def drive(inside: Inside, act: str, *words: str) -> None:
    """Meet the module, or try contracts on it."""
    from alwrity_checks.auth.driver import prepare
    from alwrity_checks.auth.scenarios.driven import DrivenTarget
    from alwrity_checks.auth.scenarios.stage import Cast, Stage

    prepare(inside)
    target, cast = DrivenTarget(inside), Cast()
    target.lent.install()

    @contextmanager
    def bench() -> Iterator[_Bench]:
        stage = Stage(cast)
        with inside.loopback():
            stage.__enter__()
        try:
            given = _Bench(stage, target)
            given.deployed()
            yield given
        finally:
            stage.__exit__(None, None, None)

    attend(inside, act, words, CONTRACTS, bench, "PyJWT", "fastapi", "loguru")


async def _user_dictionary(bench: _Bench) -> str:
    claims: dict[str, Any] = {"email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace"}
    user = await bench.named("clerk_auth").verify_token(bench.stage.genuine(**claims))
    _expect_user(user, bench)
    expect({name: user[name] for name in claims} == claims, "e-mail and names are not those of the token")
    return f"a dictionary of {', '.join(sorted(user))}"


async def _without_email(bench: _Bench) -> str:
    user = await bench.named("clerk_auth").verify_token(bench.stage.genuine())
    _expect_user(user, bench)
    expect([user["email"], user["first_name"], user["last_name"]] == [None] * 3, "what is not in the token is not None")
    return "e-mail and names are None"


def _expect_user(user: object, bench: _Bench) -> None:
    subject = bench.stage.instance.claims()["sub"]
    expect(isinstance(user, dict), f"a genuine token gives {_kind(user)}")
    assert isinstance(user, dict)  # noqa: S101 - expected above
    expect(user.keys() >= _FIELDS, f"no {', no '.join(sorted(_FIELDS - user.keys()))} in the dictionary")
    expect(user["id"] == user["clerk_user_id"] == subject, "id and clerk_user_id are not the token's subject")


async def _bad_token_is_none(bench: _Bench) -> str:
    verify = bench.named("clerk_auth").verify_token
    for token in _NO_TOKENS:
        user = await verify(token)
        expect(user is None, f"{token[:12]!r} gives {_kind(user)}")
    return f"None for {len(_NO_TOKENS)} texts that are no token"


async def _route_gets_user(bench: _Bench) -> str:
    response = await bench.answer(bench.named("get_current_user"), bench.stage.genuine())
    return _served(response, bench)


def _served(response: Response, bench: _Bench) -> str:
    expect(response.status == 200, f"a genuine token is answered with {response.status}")  # noqa: PLR2004 - OK
    _expect_user(json.loads(response.body)["user"], bench)
    return "the route gets the user's dictionary"


async def _route_without_token(bench: _Bench) -> str:
    response = await bench.answer(bench.named("get_current_user"))
    return _refused(response, "Not authenticated")


async def _route_with_bad_token(bench: _Bench) -> str:
    dependency = bench.named("get_current_user")
    for token in _NO_TOKENS[1:]:
        _refused(await bench.answer(dependency, token), "Authentication failed")
    return "401, with a challenge and a detail"


def _refused(response: Response, detail: str) -> str:
    expect(response.status == 401, f"it is answered with {response.status}, not 401")  # noqa: PLR2004 - RFC 9110 §15.5.2
    challenge = response.headers.get("www-authenticate", "")
    expect(challenge.startswith("Bearer"), f"the challenge is {challenge!r:.80}")
    told = json.loads(response.body)
    expect(told == {"detail": detail}, f"the body is {told!r:.80}")
    return f"401 {detail}"


async def _query_token(bench: _Bench) -> str:
    dependency = bench.named("get_current_user_with_query_token")
    _served(await bench.answer(dependency, query=f"token={bench.stage.genuine()}"), bench)
    _served(await bench.answer(dependency, bench.stage.genuine(), query="token=undefined"), bench)
    return "the parameter counts, and a header before it"


async def _query_token_missing(bench: _Bench) -> str:
    dependency = bench.named("get_current_user_with_query_token")
    _refused(await bench.answer(dependency, query="token="), "Not authenticated")
    return _refused(await bench.answer(dependency, query="token=undefined"), "Authentication failed")


async def _optional(bench: _Bench) -> str:
    dependency = bench.named("get_optional_user")
    _served(await bench.answer(dependency, bench.stage.genuine()), bench)
    for token in (None, "undefined"):
        response = await bench.answer(dependency, token)
        told = json.loads(response.body)
        expect(told == {"user": None}, f"{'no' if token is None else 'a bad'} token is answered with {told!r:.80}")
    return "the user, or None"


async def _switched_off(bench: _Bench) -> str:
    user = await bench.named("clerk_auth", {"DISABLE_AUTH": "true"}).verify_token("test-token")
    expect(isinstance(user, dict) and user.get("id") == _MOCK, f"DISABLE_AUTH=true gives {_kind(user)}")
    return f"{_MOCK}, where nothing says production"


async def _no_settings(bench: _Bench) -> str:
    response = await bench.answer(bench.named("get_current_user", _UNSET))
    return _refused(response, "Not authenticated")


def _kind(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


CONTRACTS: Final[tuple[Contract, ...]] = tuple(
    Contract(1, f"auth.{name}", title, tuple(f"{_SOURCE}{caller}" for caller in callers), attempt)
    for name, title, callers, attempt in (
        (
            "user-dictionary",
            "a genuine token gives a dictionary of id, e-mail, names and clerk_user_id",
            ("middleware/api_key_injection_middleware.py:94", "api/podcast/handlers/video.py:303"),
            _user_dictionary,
        ),
        (
            "without-email",
            "what a token does not say is None, and its name is in the dictionary",
            ("api/subscription/routes/disputes.py:19",),
            _without_email,
        ),
        (
            "bad-token-is-none",
            "verify_token gives None for what is no token, and raises nothing",
            ("middleware/api_key_injection_middleware.py:95", "api/podcast/handlers/video.py:304"),
            _bad_token_is_none,
        ),
        (
            "route-gets-user",
            "a route that depends on get_current_user gets the dictionary",
            ("api/charts.py:72", "api/subscription/routes/disputes.py:59"),
            _route_gets_user,
        ),
        (
            "no-token-is-401",
            "a request without a token is answered with 401, a challenge and a detail",
            ("frontend/src/api/client.ts:298",),
            _route_without_token,
        ),
        (
            "bad-token-is-401",
            "a request with what is no token is answered with 401, a challenge and a detail",
            ("frontend/src/api/client.ts:298",),
            _route_with_bad_token,
        ),
        (
            "query-token",
            "media routes take the token as ?token= where there is no header",
            ("api/assets_serving.py:74", "api/assets_serving.py:99"),
            _query_token,
        ),
        (
            "bad-query-token-is-401",
            "media routes answer 401 where neither header nor parameter holds a token",
            ("api/assets_serving.py:74",),
            _query_token_missing,
        ),
        (
            "optional-user",
            "get_optional_user gives the user or None, and refuses nobody",
            ("api/youtube/oauth_router.py:10",),
            _optional,
        ),
        (
            "switched-off",
            "DISABLE_AUTH=true makes everybody the mock user on a developer's machine",
            ("scripts/run_podcast_billing_sequence.py:11", "scripts/run_podcast_billing_sequence.py:39"),
            _switched_off,
        ),
        (
            "no-settings",
            "the module can be imported, and refuses who brings no token, without any setting",
            ("tests/test_seo_dashboard_routes_smoke.py:47", "scripts/run_podcast_billing_sequence.py:28"),
            _no_settings,
        ),
    )
)
