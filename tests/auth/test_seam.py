"""Where a checkout's authentication is spoken to, under whatever name and in whatever form it answers."""

from __future__ import annotations

import asyncio
from types import ModuleType, SimpleNamespace

import pytest

from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.scenarios.seam import Moved, seam_of
from alwrity_checks.auth.scenarios.targets import Answer, Ruling


def module(**names: object) -> ModuleType:
    """Return a module with these names."""
    made = ModuleType("middleware.auth_middleware")
    vars(made).update(names)
    return made


class Speaking:
    """Has the method, which returns or raises what it is given; counts whoever looks at it too closely."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def verify_token(self, token: str) -> object:
        """Answer."""
        del token
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Treacherous:
    """Cannot be looked at without something happening."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(f"somebody asked for {name}")


TOKEN = "a.b.c"


def judged(given: ModuleType, token: str = TOKEN) -> Answer:
    """Return what becomes of a token."""
    return asyncio.run(_judged(given, token))


async def _judged(given: ModuleType, token: str) -> Answer:
    return await seam_of(given).judge(token)


class Status(Exception):  # noqa: N818 - as a web framework's, whichever it is
    """An answer with this status."""

    def __init__(self, status_code: int) -> None:
        super().__init__(status_code)
        self.status_code = status_code


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"id": "user_1", "email": None}, Answer(Ruling.ACCEPTED, "user_1")),
        (SimpleNamespace(user_id="user_1"), Answer(Ruling.ACCEPTED, "user_1")),
        (None, Answer(Ruling.REFUSED)),
        (Status(401), Answer(Ruling.REFUSED, "401")),
        (Status(503), Answer(Ruling.UNDECIDED, "503")),
        (ValueError("odd"), Answer(Ruling.REFUSED, "raised ValueError")),
        (TokenRejected(Reason.KID_MISSING, ""), Answer(Ruling.REFUSED, Reason.KID_MISSING)),
        (KeysUnavailable(Reason.JWKS_TIMEOUT, "", retry_after=1.0), Answer(Ruling.UNDECIDED, Reason.JWKS_TIMEOUT)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_answers_are_understood(answer: object, expected: Answer) -> None:
    """A user, none, or an exception that a route would answer with a status."""
    assert judged(module(clerk_auth=Speaking(answer))) == expected


def test_name_of_the_object_may_have_changed() -> None:
    """Whatever it is called, the object with the method is found, and no other one is touched."""
    seam = seam_of(module(odd=Treacherous(), kind=Speaking, auth=Speaking(None)))
    assert seam.name == "auth.verify_token"


def test_function_of_the_module_will_do() -> None:
    """It may be asynchronous or not."""
    given = module(verify_token=lambda token: {"id": f"user of {token}"})
    assert seam_of(given).name == "verify_token"
    assert judged(given) == Answer(Ruling.ACCEPTED, "user of a.b.c")


@pytest.mark.parametrize("status", [401, 403, 503, 500])
def test_dependency_is_asked_as_a_route_asks_it(status: int) -> None:
    """By a request with the token in its header: an answer of 503 says that nothing is known of the token."""
    from fastapi import HTTPException, Request

    async def get_current_user(request: Request) -> dict[str, str]:
        if request.headers["authorization"] != "Bearer a.b.c":
            raise HTTPException(status)
        return {"id": "user_1"}

    # FastAPI reads the annotations at run time, where `Request` is a local name.
    get_current_user.__annotations__ = {"request": Request}
    given = module(get_current_user=get_current_user)
    assert judged(given) == Answer(Ruling.ACCEPTED, "user_1")
    assert judged(given, "x").ruling is (Ruling.UNDECIDED if status == 503 else Ruling.REFUSED)
    assert (
        judged(given, " a.b.c")
        == judged(given, "a.b.c\n")
        == judged(given, "")
        == Answer(Ruling.REFUSED, "cannot be sent")
    )


def test_dependency_that_breaks_accepts_nobody() -> None:
    """An exception in a route is an answer of 500."""

    async def get_current_user() -> dict[str, str]:
        raise ValueError("odd")

    assert judged(module(get_current_user=get_current_user)) == Answer(Ruling.REFUSED, "raised ValueError")


def test_moved_is_said() -> None:
    """Nothing is guessed from other names."""
    with pytest.raises(Moved, match="neither an object with verify_token"):
        seam_of(module(check_session=lambda token: token, Speaking=Speaking))
