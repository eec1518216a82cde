"""What the loopback router can be told to answer: the router's own words, and the ways in which models answer.

Statuses and bodies are those of public captures of the router and of its providers. Where none is known, which a
behaviour says, the form is a usual one and the words are ours.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from alwrity_checks.loopback_http import Delivery, Reply

__all__ = ["DELIVERIES", "Behaviour", "error_object", "error_reply"]


class Behaviour(StrEnum):
    """How a deployment answers."""

    FOLLOWS = "follows"
    """What was asked for: an instance of the schema that the request or its messages carry, else prose."""

    # Answered with 200, and not what was asked for.
    PROSE = "prose"
    """Prose, whatever was asked for: the structure is ignored."""
    OTHER_JSON = "other-json"
    """A JSON object that no schema asked for."""
    FENCED = "fenced"
    """The right JSON in a Markdown fence, after a sentence."""
    THINKS = "thinks"
    """The right JSON after a `<think>` block which itself holds braces."""
    REASONS = "reasons"
    """The right JSON, with the reasoning in `reasoning_content`."""
    BROKEN_JSON = "broken-json"
    """Half of the right JSON, and `finish_reason` is `stop`."""
    TRUNCATED = "truncated"
    """Half of the right JSON; `finish_reason` is `length`."""
    EMPTY = "empty"
    """No content; `finish_reason` is `length`, as of a reasoning model with too few tokens."""
    FILTERED = "filtered"
    """No content; `finish_reason` is `content_filter`."""
    ERROR_IN_200 = "error-in-200"
    """An error object with status 200; in a stream, after the first chunk."""

    # Errors.
    ROUTE_MISSING = "route-missing"
    HOST_RETIRED = "host-retired"
    PORTAL = "portal"
    """A page with status 200, as captive portals send it; the words are ours."""
    MODEL_NOT_FOUND = "model-not-found"
    MODEL_NOT_SUPPORTED = "model-not-supported"
    SUFFIX_INVALID = "suffix-invalid"
    NOT_A_CHAT_MODEL = "not-a-chat-model"
    DEPLOYMENT_MISSING = "deployment-missing"
    """The words are ours: the router's own are not known."""
    NOT_MAPPED = "not-mapped"
    """A provider's path; the error is a string."""
    DECOMMISSIONED = "decommissioned"
    GONE = "gone"
    """As DECOMMISSIONED, with status 410."""
    TOKEN_INVALID = "token-invalid"  # noqa: S105 - a behaviour, not a password
    PERMISSION_MISSING = "permission-missing"
    CREDITS_GONE = "credits-gone"
    RATE_LIMITED = "rate-limited"
    """As Groq says it, without `Retry-After`."""
    RATE_LIMITED_FOR = "rate-limited-for"
    """With `Retry-After`, of the router's `retry_after`."""
    QUOTA_EXHAUSTED = "quota-exhausted"
    """A 429 that no waiting cures, as OpenAI says it."""
    SERVER_ERROR = "server-error"
    """The words are ours."""
    BAD_GATEWAY = "bad-gateway"
    """The words are ours."""
    GATEWAY_TIMEOUT = "gateway-timeout"
    """HTML."""
    LOADING = "loading"
    SCHEMA_UNSUPPORTED = "schema-unsupported"
    """As Groq says it."""
    SCHEMA_FIELDS_UNSUPPORTED = "schema-fields-unsupported"
    """As Cerebras says it, without an `error` around it."""
    TOOLS_UNSUPPORTED = "tools-unsupported"
    """As Groq says it."""
    NOT_MANAGED = "not-managed"
    """As Groq says that its model wrote no valid JSON, with status 400."""
    CONTEXT_TOO_LONG = "context-too-long"
    """As Groq says it."""
    PARAMETER_INVALID = "parameter-invalid"
    """As FastAPI says it: a list."""
    UNKNOWN_ERROR = "unknown-error"
    """A status and a body that nobody has described."""

    # No answer, or part of one.
    RESET = "reset"
    CUT = "cut"
    STALLED = "stalled"
    SILENT = "silent"


DELIVERIES: Final = {
    Behaviour.RESET: Delivery.RESET,
    Behaviour.CUT: Delivery.CUT,
    Behaviour.STALLED: Delivery.STALLED,
    Behaviour.SILENT: Delivery.SILENT,
}
"""What these behaviours do to the right answer."""

_TEXT: Final = "text/plain; charset=utf-8"
_HTML: Final = "text/html"
_JSON: Final = "application/json"


def error_object(message: str, code: str, parameter: str = "model") -> str:
    """Return the router's envelope of an invalid request."""
    return f'{{"error":{{"message":"{message}","type":"invalid_request_error","param":"{parameter}","code":"{code}"}}}}'


_RATE_LIMIT: Final = (
    '{"error":{"message":"Rate limit reached for model `{model}` in organization `org_1` on tokens per minute '
    "(TPM): Limit 7000, Used 6800, Requested 400. Please try again in 1.7s. Need more tokens? "
    'Upgrade to Dev Tier today at https://console.groq.com/settings/billing","type":"tokens","code":"rate_limit_exceeded"}}'
)

_ERRORS: Final[dict[Behaviour, tuple[int, str, str]]] = {
    Behaviour.ROUTE_MISSING: (404, _TEXT, "Not Found"),
    Behaviour.HOST_RETIRED: (
        410,
        _JSON,
        (
            '{"error":"https://api-inference.huggingface.co is no longer supported. '
            'Please use https://router.huggingface.co instead."}'
        ),
    ),
    Behaviour.PORTAL: (200, _HTML, "<!doctype html><title>Sign in</title>"),
    Behaviour.MODEL_NOT_FOUND: (
        400,
        _JSON,
        error_object("The requested model '{model}' does not exist.", "model_not_found"),
    ),
    Behaviour.MODEL_NOT_SUPPORTED: (
        400,
        _JSON,
        error_object(
            "The requested model '{model}' is not supported by any provider you have enabled.", "model_not_supported"
        ),
    ),
    Behaviour.SUFFIX_INVALID: (
        400,
        _JSON,
        error_object(
            "the provider or policy you attempted to specify '{provider}' is not valid.", "model_not_supported"
        ),
    ),
    Behaviour.NOT_A_CHAT_MODEL: (
        400,
        _JSON,
        error_object("The requested model '{model}' is not a chat model.", "model_not_supported"),
    ),
    Behaviour.DEPLOYMENT_MISSING: (
        400,
        _JSON,
        error_object("The requested model '{model}' is not supported by provider '{provider}'.", "model_not_supported"),
    ),
    Behaviour.NOT_MAPPED: (400, _JSON, '{"error":"Model not supported by provider {provider}"}'),
    Behaviour.DECOMMISSIONED: (
        400,
        _JSON,
        (
            '{"error":{"message":"The model `{model}` has been decommissioned and is no longer supported.",'
            '"code":"model_decommissioned"}}'
        ),
    ),
    Behaviour.GONE: (
        410,
        _JSON,
        (
            '{"error":{"message":"The model `{model}` has been decommissioned and is no longer supported.",'
            '"code":"model_decommissioned"}}'
        ),
    ),
    Behaviour.TOKEN_INVALID: (401, _JSON, '{"error":"Invalid username or password."}'),
    Behaviour.PERMISSION_MISSING: (
        403,
        _JSON,
        (
            '{"error":"This authentication method does not have sufficient permissions to call Inference Providers '
            'on behalf of user {user}"}'
        ),
    ),
    Behaviour.CREDITS_GONE: (
        402,
        _JSON,
        (
            '{"error":"You have depleted your monthly included credits. Purchase pre-paid credits to continue using '
            'Inference Providers. Alternatively, subscribe to PRO to get 20x more included credits."}'
        ),
    ),
    Behaviour.RATE_LIMITED: (429, _JSON, _RATE_LIMIT),
    Behaviour.RATE_LIMITED_FOR: (429, _JSON, _RATE_LIMIT),
    Behaviour.QUOTA_EXHAUSTED: (
        429,
        _JSON,
        (
            '{"error":{"message":"You exceeded your current quota, please check your plan and billing details.",'
            '"type":"insufficient_quota","code":"insufficient_quota"}}'
        ),
    ),
    Behaviour.SERVER_ERROR: (500, _JSON, '{"error":{"message":"Internal Server Error","type":"server_error"}}'),
    Behaviour.BAD_GATEWAY: (502, _JSON, '{"message":"Bad Gateway"}'),
    Behaviour.GATEWAY_TIMEOUT: (
        504,
        _HTML,
        (
            "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n"
            "<center><h1>504 Gateway Time-out</h1></center>\r\n</body>\r\n</html>\r\n"
        ),
    ),
    Behaviour.LOADING: (503, _JSON, '{"error":"Model {model} is currently loading","estimated_time":20.0}'),
    Behaviour.SCHEMA_UNSUPPORTED: (
        400,
        _JSON,
        error_object("This model does not support response format `json_schema`.", "", "response_format").replace(
            ',"code":""', ""
        ),
    ),
    Behaviour.SCHEMA_FIELDS_UNSUPPORTED: (
        422,
        _JSON,
        (
            '{"message":"Unsupported JSON schema fields: {\'minItems\',\'items\'}","type":"invalid_request_error",'
            '"param":"response_format","code":"wrong_api_format"}'
        ),
    ),
    Behaviour.TOOLS_UNSUPPORTED: (
        400,
        _JSON,
        '{"error":{"message":"`tool calling` is not supported with this model","type":"invalid_request_error"}}',
    ),
    Behaviour.NOT_MANAGED: (
        400,
        _JSON,
        (
            '{"error":{"message":"Failed to generate JSON. Please adjust your prompt. '
            "See 'failed_generation' for more details."
            '","type":"invalid_request_error","code":"json_validate_failed","failed_generation":""}}'
        ),
    ),
    Behaviour.CONTEXT_TOO_LONG: (
        400,
        _JSON,
        error_object("Please reduce the length of the messages or completion.", "context_length_exceeded", "messages"),
    ),
    Behaviour.PARAMETER_INVALID: (
        422,
        _JSON,
        (
            '{"detail":[{"type":"less_than_equal","loc":["body","temperature"],'
            '"msg":"Input should be less than or equal to 2","input":9}]}'
        ),
    ),
    Behaviour.UNKNOWN_ERROR: (418, _TEXT, "short and stout"),
    Behaviour.ERROR_IN_200: (200, _JSON, '{"error":{"code":"1234","message":"Network error, please retry later"}}'),
}


def error_reply(
    behaviour: Behaviour, *, model: str = "", provider: str = "", user: str = "alice", retry_after: str = ""
) -> Reply | None:
    """Return the answer that `behaviour` stands for; None if it is one in which a model speaks."""
    if behaviour not in _ERRORS:
        return None
    status, content_type, body = _ERRORS[behaviour]
    for name, value in (("{model}", model), ("{provider}", provider), ("{user}", user)):
        body = body.replace(name, value)
    headers = {"retry-after": retry_after} if behaviour is Behaviour.RATE_LIMITED_FOR else {}
    return Reply(status, body.encode(), content_type, headers)
