"""Runs inside the interpreter of the user's checkout and speaks to its authentication: see `sandbox.program`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from alwrity_checks.sandbox.log_lines import LogLines

if TYPE_CHECKING:
    from alwrity_checks.sandbox.inside import Inside

__all__ = ["drive", "prepare"]

_CLERK: Final = "fastapi_clerk_auth"
_ALARMS: Final = ("Unverified token accepted", "Token decoded successfully (fallback", "Authentication disabled")
"""How ordinary lines begin that say that anybody was let in (ALwrity ce9bf293, middleware/auth_middleware.py)."""


def drive(inside: Inside, act: str, *words: str) -> None:
    """Meet the checkout's authentication, or play the scenarios of these numbers with it."""
    from alwrity_checks.auth.scenarios.driven import meet, play

    prepare(inside)
    if act == "meet":
        meet(inside)
    else:
        play(inside, json.loads(words[0]))


def prepare(inside: Inside) -> None:
    """Let the checkout's authentication be imported."""
    # Its absence changes what the middleware accepts: from the backend's own environment it is a fact, from ours not.
    if inside.plan["own"] and find_spec(_CLERK) is None:
        inside.stand_in(_CLERK, ClerkConfig=_Settings, ClerkHTTPBearer=_Settings)
    inside.lines = LogLines(told=_ALARMS)
    inside.open_checkout()


class _Settings:
    """Takes what it is given: the middleware makes one of each, and asks neither for anything."""

    def __init__(self, *_: object, **__: object) -> None: ...
