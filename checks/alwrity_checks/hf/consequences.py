"""Cause -> scope, permanence, action: one table, so that every part of the room draws the same conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from alwrity_checks.hf.causes import Action, Cause, Classification, Permanence, Scope

__all__ = ["CONSEQUENCES", "classification"]

_ENDPOINT: Final = (Scope.ENDPOINT, Permanence.PERMANENT, Action.STOP_ALL)
_ACCOUNT: Final = (Scope.ACCOUNT, Permanence.PERMANENT, Action.STOP_ALL)
_PROVIDER: Final = (Scope.PROVIDER, Permanence.TRANSIENT, Action.RETRY_THEN_MOVE)
_MODEL: Final = (Scope.MODEL, Permanence.PERMANENT, Action.MOVE)
_DEPLOYMENT: Final = (Scope.DEPLOYMENT, Permanence.PERMANENT, Action.MOVE)
_MODE: Final = (Scope.MODE, Permanence.PERMANENT, Action.STEP_DOWN)
_REQUEST: Final = (Scope.REQUEST, Permanence.PERMANENT, Action.RAISE)

CONSEQUENCES: Final[Mapping[Cause, tuple[Scope, Permanence, Action]]] = MappingProxyType(
    {
        Cause.OK: (Scope.NONE, Permanence.UNKNOWN, Action.USE),
        Cause.ROUTE_MISSING: _ENDPOINT,
        Cause.HOST_RETIRED: _ENDPOINT,
        Cause.NOT_A_ROUTER: _ENDPOINT,
        # A resolver can be down for a moment, a misspelt host is down for ever: the fault alone does not say which.
        Cause.ENDPOINT_DNS: (Scope.ENDPOINT, Permanence.UNKNOWN, Action.STOP_ALL),
        Cause.ENDPOINT_TLS: _ENDPOINT,
        Cause.TOKEN_INVALID: _ACCOUNT,
        Cause.PERMISSION_MISSING: _ACCOUNT,
        # Until the billing period ends: longer than any call or run.
        Cause.CREDITS_GONE: _ACCOUNT,
        Cause.QUOTA_EXHAUSTED: _ACCOUNT,
        Cause.RATE_LIMITED: _PROVIDER,
        Cause.PROVIDER_FAULT: _PROVIDER,
        Cause.MODEL_LOADING: _PROVIDER,
        Cause.CONNECTION_LOST: _PROVIDER,
        Cause.TIMED_OUT: _PROVIDER,
        Cause.MODEL_NOT_FOUND: _MODEL,
        Cause.NOT_A_CHAT_MODEL: _MODEL,
        Cause.MODEL_NOT_SUPPORTED: _DEPLOYMENT,
        Cause.SUFFIX_INVALID: _DEPLOYMENT,
        Cause.DEPLOYMENT_MISSING: _DEPLOYMENT,
        Cause.DECOMMISSIONED: _DEPLOYMENT,
        Cause.SCHEMA_UNSUPPORTED: _MODE,
        Cause.TOOLS_UNSUPPORTED: _MODE,
        Cause.STRUCTURE_IGNORED: _MODE,
        Cause.CONTEXT_TOO_LONG: _REQUEST,
        Cause.PARAMETER_INVALID: _REQUEST,
        Cause.CONTENT_FILTERED: _REQUEST,
        Cause.TRUNCATED: (Scope.REQUEST, Permanence.PERMANENT, Action.REPEAT_LARGER),
        Cause.EMPTY_ANSWER: (Scope.DEPLOYMENT, Permanence.UNKNOWN, Action.RETRY_THEN_MOVE),
        # Says nothing about other deployments, so they may be asked; that it failed here is all that is known.
        Cause.NOT_RECOGNISED: (Scope.UNKNOWN, Permanence.UNKNOWN, Action.MOVE),
    }
)
"""Every cause, and what follows from it."""


def classification(cause: Cause, message: str, *, retry_after: float | None = None) -> Classification:
    """Return what follows from `cause`; `message` is redacted already, `retry_after` in seconds."""
    scope, permanence, action = CONSEQUENCES[cause]
    return Classification(cause, scope, permanence, action, message, retry_after)
