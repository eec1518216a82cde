"""The face of issue 1: the authentication middleware becomes an import of the component behind ALwrity's names."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption import fit
from alwrity_checks.adoption.proposal import Needed, Proposal, Refusal
from alwrity_checks.adoption.syntax import Kind, public_names, unaccepted
from alwrity_checks.adoption.whole_module import propose_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.adoption.proposal import Sources

__all__ = ["ISSUE", "PATH", "propose"]

ISSUE: Final = 1
PATH: Final = "middleware/auth_middleware.py"
_MODULE: Final = "middleware.auth_middleware"
_OURS: Final = "alwrity_checks.auth.compat"
_OBJECT: Final = "clerk_auth"
_CLASS: Final = "ClerkAuthMiddleware"
_DEPENDENCIES: Final = ("get_current_user", "get_current_user_with_query_token", "get_optional_user")
_OFFERED: Final = (_CLASS, _OBJECT, *_DEPENDENCIES, "security")
_CODE: Final = frozenset({Kind.CLASS, Kind.FUNCTION, Kind.COROUTINE})
_FACE: Final = '''"""
Authentication middleware for ALwrity backend.

The work is done by alwrity_checks.auth: every token is verified, against the keys of the one Clerk instance that
CLERK_PUBLISHABLE_KEY pins, in development as in production; keys are fetched once for all callers, beside the event
loop, and outlive an outage of the key server. Names, arguments and return values are those that this module has always
had. What cannot be judged, because no key can be had, is answered with 503 and signs nobody out.

Settings: CLERK_PUBLISHABLE_KEY, CLERK_AUTHORIZED_PARTIES (the front end's origins, separated by commas), CLERK_JWT_KEY
(the public key, if none is to be fetched). DISABLE_AUTH=true counts where nothing says production, and
ALLOW_UNVERIFIED_JWT_DEV nowhere. `alwrity-doctor auth env` examines them.
"""

from pathlib import Path

from alwrity_checks.auth.compat import (
    ClerkAuthMiddleware,
    clerk_auth,
    get_current_user,
    get_current_user_with_query_token,
    get_optional_user,
    security,
)
from dotenv import load_dotenv

# For who imports this without app.py; the settings are read at the first token
load_dotenv(Path(__file__).resolve().parent.parent / ".env", override=False)

__all__ = [
    "ClerkAuthMiddleware",
    "clerk_auth",
    "get_current_user",
    "get_current_user_with_query_token",
    "get_optional_user",
    "security",
]
'''
_NEEDED: Final = (
    Needed(
        "CLERK_PUBLISHABLE_KEY",
        "Pins the Clerk instance whose tokens are accepted; without it, and without REACT_APP_CLERK_PUBLISHABLE_KEY, "
        "every token is answered with 503.",
        required=True,
        instead=("REACT_APP_CLERK_PUBLISHABLE_KEY",),
    ),
    Needed(
        "CLERK_AUTHORIZED_PARTIES",
        "The front end's origins, separated by commas: https://app.example.com; without it a token that the instance "
        "minted for another site is accepted too.",
        required=True,
    ),
    Needed(
        "ENVIRONMENT",
        "production there: then DISABLE_AUTH is ignored, as it is with a live key; nothing else depends on it.",
        required=False,
        instead=("APP_ENV",),
    ),
    Needed(
        "CLERK_JWT_KEY",
        "The instance's public key as PEM, from the dashboard: with it no key is ever fetched; without it the key set "
        "is fetched and kept.",
        required=False,
    ),
)
_NOTES: Final = (
    (
        "Tokens are accepted for 5 s after they expire, not for 300: a front end that keeps one instead of calling "
        "getToken() for each request is sent a 401, and its client asks for a fresh one."
    ),
    (
        "Session tokens alone are accepted. If the front end is built with REACT_APP_CLERK_JWT_TEMPLATE, unset that "
        "first: its tokens belong to no session, and outlive it."
    ),
    (
        "ALLOW_UNVERIFIED_JWT_DEV has no effect any more. Who develops without a network sets CLERK_JWT_KEY, or "
        "DISABLE_AUTH=true on that machine."
    ),
)


def propose(sources: Sources) -> Proposal:
    """Return what would be written into the checkout for issue 1. Raises MissingExtra without libcst."""
    return propose_module(
        sources,
        ISSUE,
        PATH,
        _FACE,
        name="the authentication middleware",
        extra="fastapi",
        needed=_NEEDED,
        refusals=_refusals,
        notes=lambda text: (*_NOTES, *fit.gone(public_names(text), _OFFERED)),
    )


def _refusals(sources: Sources, text: str) -> Iterator[Refusal]:
    if (unfinished := fit.conflict(PATH, text)) is not None:
        yield unfinished
        return
    theirs = public_names(text)
    for name in (_OBJECT, _DEPENDENCIES[0]):
        if name not in theirs:
            yield Refusal(PATH, None, f"it does not define {name}", f"look where this revision has {name}")
            return
    yield from fit.unfit_imports(sources, _MODULE, _OFFERED)
    ours = public_names((files("alwrity_checks.auth") / "compat.py").read_text("utf-8"))
    for name in _DEPENDENCIES:
        if name in theirs and theirs[name].kind in _CODE and (reason := unaccepted(theirs[name], ours[name])):
            yield fit.uncallable(PATH, theirs[name].line, name, reason)
    if _CLASS in theirs and theirs[_CLASS].kind is not Kind.IMPORT:
        yield from fit.unfit_calls(PATH, _CLASS, theirs[_CLASS], ours[_CLASS])
        lacking = fit.names_of(text, theirs[_CLASS]) - ours[_CLASS].members.keys()
        yield from fit.unfit_reaches(sources, _OBJECT, lacking, {PATH})
