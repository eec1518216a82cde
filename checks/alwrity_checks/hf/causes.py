"""What an answer of the router means: the words of this room.

A cause has a scope, and the scope says what to do next; nothing here is decided by the text of an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Action", "Cause", "Classification", "Mode", "Permanence", "Scope"]


class Scope(StrEnum):
    """What a fault belongs to, the widest first."""

    ENDPOINT = "endpoint"
    """The base URL: nothing behind it can work."""
    ACCOUNT = "account"
    """The token: nothing that uses it can work."""
    PROVIDER = "provider"
    """Who serves the model, for now."""
    MODEL = "model"
    DEPLOYMENT = "deployment"
    """A model at a provider."""
    MODE = "mode"
    """A way of asking for structure, of a deployment."""
    REQUEST = "request"
    """What the caller sent; no other model will take it either."""
    UNKNOWN = "unknown"
    """The answer was not recognised."""
    NONE = "none"
    """A usable answer."""


class Permanence(StrEnum):
    """Whether the same request can succeed later."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What the scope and the permanence imply."""

    STOP_ALL = "stop-all"
    """Ask nothing more of this endpoint or with this token; where the permanence is unknown, after two more tries."""
    RETRY_THEN_MOVE = "retry-then-move"
    """The same deployment again, within the deadline, then the next."""
    MOVE = "move"
    """The next deployment of the chain, at once."""
    STEP_DOWN = "step-down"
    """The next mode of the ladder, on the same deployment."""
    RAISE = "raise"
    """Tell the caller: the chain cannot help."""
    REPEAT_LARGER = "repeat-larger"
    """The answer was cut: more output tokens."""
    USE = "use"


class Mode(StrEnum):
    """The ladder of structured output, the strictest first."""

    JSON_SCHEMA_STRICT = "json_schema strict"
    JSON_SCHEMA = "json_schema"
    TOOL = "tool"
    JSON_OBJECT = "json_object"
    PROMPT = "prompt"


class Cause(StrEnum):
    """Why an answer is what it is. The value is the reason code that rules.toml assigns to a rule."""

    OK = "ok"
    # endpoint
    ROUTE_MISSING = "route-missing"
    HOST_RETIRED = "host-retired"
    NOT_A_ROUTER = "not-a-router"
    ENDPOINT_DNS = "endpoint-dns"
    ENDPOINT_TLS = "endpoint-tls"
    # account
    TOKEN_INVALID = "token-invalid"  # noqa: S105 - a code, not a password
    PERMISSION_MISSING = "inference-permission-missing"
    CREDITS_GONE = "credits-gone"
    QUOTA_EXHAUSTED = "quota-exhausted"
    # provider
    RATE_LIMITED = "rate-limited"
    PROVIDER_FAULT = "provider-fault"
    MODEL_LOADING = "model-loading"
    CONNECTION_LOST = "connection-lost"
    TIMED_OUT = "timed-out"
    # model and deployment
    MODEL_NOT_FOUND = "model-not-found"
    NOT_A_CHAT_MODEL = "not-a-chat-model"
    MODEL_NOT_SUPPORTED = "model-not-supported"
    SUFFIX_INVALID = "suffix-invalid"
    DEPLOYMENT_MISSING = "deployment-missing"
    DECOMMISSIONED = "decommissioned"
    # mode
    SCHEMA_UNSUPPORTED = "schema-unsupported"
    TOOLS_UNSUPPORTED = "tools-unsupported"
    STRUCTURE_IGNORED = "structure-ignored"
    # request
    CONTEXT_TOO_LONG = "context-too-long"
    PARAMETER_INVALID = "parameter-invalid"
    CONTENT_FILTERED = "content-filtered"
    # the answer's content
    TRUNCATED = "truncated"
    EMPTY_ANSWER = "empty-answer"
    NOT_RECOGNISED = "not-recognised"


@dataclass(frozen=True, slots=True)
class Classification:
    """What an answer means, and what follows from it."""

    cause: Cause
    scope: Scope
    permanence: Permanence
    action: Action
    message: str
    """The observed fact in one sentence, redacted: the server's own words where it had some."""
    retry_after: float | None = None
    """Seconds the server asked to wait (`Retry-After`); None where it did not."""
