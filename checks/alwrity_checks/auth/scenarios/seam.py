"""Where the authentication of a checkout is spoken to: what it offers by name, whichever revision it is.

`verify_token` of an object or of the module, as every revision known has it; else the dependency `get_current_user`,
asked as FastAPI asks it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, TypeAlias

from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.scenarios.asgi import requested
from alwrity_checks.auth.scenarios.targets import Answer, Ruling

__all__ = ["DEPENDENCY", "VERIFY", "Moved", "Seam", "seam_of"]

VERIFY: Final = "verify_token"
DEPENDENCY: Final = "get_current_user"
_PREFERRED: Final = "clerk_auth"
"""The object that has it in every revision known (ALwrity 8c2d88ef to ce9bf293, middleware/auth_middleware.py)."""
_OK: Final = 200
_UNAVAILABLE: Final = 503
_FIRST_VISIBLE, _LAST_VISIBLE = "!", "~"

Judge: TypeAlias = Callable[[str], Awaitable[Answer]]


class Moved(Exception):  # noqa: N818 - what happened
    """The module offers nothing by the names that are known."""


@dataclass(frozen=True, slots=True)
class Seam:
    """How tokens are judged."""

    name: str
    """What is called, for the report."""
    judge: Judge


def seam_of(module: ModuleType) -> Seam:
    """Return where a module judges tokens. Raises Moved."""
    names = vars(module)
    holders = [(_PREFERRED, names.get(_PREFERRED)), *names.items()]
    for name, holder in holders:
        if holder is not None and not isinstance(holder, (type, ModuleType)) and callable(verify := _attribute(holder)):
            return Seam(f"{name}.{VERIFY}", _by_call(verify))
    if callable(verify := names.get(VERIFY)):
        return Seam(VERIFY, _by_call(verify))
    if callable(dependency := names.get(DEPENDENCY)):
        return Seam(f"{DEPENDENCY}, by FastAPI", _by_request(dependency))
    raise Moved(f"there is neither an object with {VERIFY}, nor {VERIFY}, nor {DEPENDENCY}")


def _attribute(holder: object) -> Any:  # noqa: ANN401 - anybody's object
    """Look in the class, and call no code of the object."""
    return getattr(holder, VERIFY) if inspect.getattr_static(holder, VERIFY, None) is not None else None


def _by_call(verify: Callable[..., Any]) -> Judge:
    async def judge(token: str) -> Answer:
        try:
            user = verify(token)
            if inspect.isawaitable(user):
                user = await user
        except Exception as error:  # noqa: BLE001 - anybody's code
            return _raised(error)
        return Answer(Ruling.REFUSED) if user is None else Answer(Ruling.ACCEPTED, _id(user))

    return judge


def _id(user: object) -> str:
    """Return the user's id from a dictionary of ALwrity's form, or from an object."""
    told = user.get("id") if isinstance(user, dict) else getattr(user, "user_id", getattr(user, "id", None))
    return str(told)


def _raised(error: Exception) -> Answer:
    """Return what an exception means: a route answers with its status."""
    if isinstance(error, KeysUnavailable):
        return Answer(Ruling.UNDECIDED, error.reason)
    if isinstance(error, TokenRejected):
        return Answer(Ruling.REFUSED, error.reason)
    status = getattr(error, "status_code", None)
    if status == _UNAVAILABLE:
        return Answer(Ruling.UNDECIDED, "503")
    return Answer(Ruling.REFUSED, f"raised {type(error).__name__}" if status is None else str(status))


def _by_request(dependency: Callable[..., Any]) -> Judge:
    from fastapi import Depends, FastAPI

    app = FastAPI()

    async def me(user: Any = Depends(dependency)) -> dict[str, str]:  # noqa: ANN401, B008 - FastAPI's way
        return {"id": _id(user)}

    app.add_api_route("/", me, methods=["GET"])

    async def judge(token: str) -> Answer:
        if not token or not all(_FIRST_VISIBLE <= one <= _LAST_VISIBLE for one in token):
            # RFC 9110 §5.5 and §11.4: such a text is no credential in a header, or not the same one.
            return Answer(Ruling.REFUSED, "cannot be sent")
        try:
            response = await requested(app, authorization=f"Bearer {token}")
        except Exception as error:  # noqa: BLE001 - anybody's code
            return _raised(error)
        if response.status == _OK:
            return Answer(Ruling.ACCEPTED, str(json.loads(response.body)["id"]))
        undecided = response.status == _UNAVAILABLE
        return Answer(Ruling.UNDECIDED if undecided else Ruling.REFUSED, str(response.status))

    return judge
