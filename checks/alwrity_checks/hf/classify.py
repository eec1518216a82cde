"""An answer of the router -> its cause, with scope and action.

Evidence is weighed in this order, and what none of it settles stays `not-recognised`:

1. the transport, where there was no answer
2. the error's own `code`, `type` and `param`, which are made for programs
3. the words of the server's message, only at the statuses where they were seen: a 400 that mentions "404" is a 400
4. the status
5. for a success: whether it is one (an error inside a 200, a page, a cut or an empty answer)

The statuses and bodies come from public captures of Hugging Face's router and of the providers behind it. Whether the
structure that was asked for was honoured is not seen here: only validation against the schema tells that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.causes import Action, Cause, Classification, Mode, Permanence, Scope
from alwrity_checks.hf.completion import judge
from alwrity_checks.hf.consequences import CONSEQUENCES, classification
from alwrity_checks.hf.envelope import Envelope, Form, read_envelope
from alwrity_checks.hf.phrases import cause_of_phrase
from alwrity_checks.hf.retry_after import retry_after
from alwrity_checks.redaction import scrub

__all__ = ["classify", "shown"]

_EXCERPT: Final = 300
_INVISIBLE: Final = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]+")

_TRANSPORT: Final[Mapping[TransportFault, tuple[Cause, str]]] = MappingProxyType(
    {
        TransportFault.DNS: (Cause.ENDPOINT_DNS, "the host's name has no address"),
        TransportFault.TLS: (Cause.ENDPOINT_TLS, "no trusted TLS connection came about"),
        TransportFault.REFUSED: (Cause.CONNECTION_LOST, "the connection was refused: nothing listens there"),
        TransportFault.RESET: (Cause.CONNECTION_LOST, "the connection was cut before the answer was whole"),
        TransportFault.TIMEOUT: (Cause.TIMED_OUT, "no answer came in time"),
        TransportFault.OTHER: (Cause.NOT_RECOGNISED, "there was no answer"),
    }
)
_CODES: Final[Mapping[str, Cause]] = MappingProxyType(
    {
        "model_not_found": Cause.MODEL_NOT_FOUND,
        "model_decommissioned": Cause.DECOMMISSIONED,
        "unknown_url": Cause.ROUTE_MISSING,
        "invalid_api_key": Cause.TOKEN_INVALID,
        "insufficient_quota": Cause.QUOTA_EXHAUSTED,
        "rate_limit_exceeded": Cause.RATE_LIMITED,
        # Groq's words for a model that did not manage: the structure is known there, and was not kept to.
        "json_validate_failed": Cause.STRUCTURE_IGNORED,
        "tool_use_failed": Cause.STRUCTURE_IGNORED,
        "context_length_exceeded": Cause.CONTEXT_TOO_LONG,
        "content_filter": Cause.CONTENT_FILTERED,
        "content_policy_violation": Cause.CONTENT_FILTERED,
    }
)
"""Codes (or types) that mean one thing at every server that uses them, whatever the status."""
_STATUSES: Final[Mapping[int, Cause]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: Cause.TOKEN_INVALID,
        HTTPStatus.PAYMENT_REQUIRED: Cause.CREDITS_GONE,
        HTTPStatus.METHOD_NOT_ALLOWED: Cause.NOT_A_ROUTER,
        HTTPStatus.REQUEST_TIMEOUT: Cause.TIMED_OUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Cause.CONTEXT_TOO_LONG,
        HTTPStatus.TOO_MANY_REQUESTS: Cause.RATE_LIMITED,
    }
)
"""What a status means by itself; any 5xx is a fault of the provider, and a router redirects nobody."""
_REDIRECTION: Final = 3
_REJECTED: Final = frozenset({None, HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_OF_MODE: Final = (
    (re.compile(r"response_format\b|.*\bjson_schema\b"), Cause.SCHEMA_UNSUPPORTED),
    (re.compile(r"tools?\b|tool_choice\b"), Cause.TOOLS_UNSUPPORTED),
)
_OF_REQUEST: Final = ((re.compile(r"(?!model\b)."), Cause.PARAMETER_INVALID),)
"""Of a complaint about `model` only code and words say which fault it is."""


def classify(answer: Answer, *, mode: Mode | None = None) -> Classification:
    """Return what `answer` means; `mode` is how structure was asked for, where it was. Never raises.

    A cause of scope `mode` needs a mode to step down from: an answer to `Mode.PROMPT` that complains of a schema
    which was not sent stays `not-recognised`, and one to `Mode.TOOL` complains of the tool's schema.
    """
    wait = retry_after(answer.headers)
    if answer.status is None:
        return replace(_of_transport(answer), retry_after=wait)
    envelope = read_envelope(answer.body, answer.content_type)
    cause = _cause(answer.status, envelope, answer.body)
    if CONSEQUENCES[cause][0] is Scope.MODE:
        if mode is Mode.PROMPT:
            cause = Cause.NOT_RECOGNISED
        elif mode is Mode.TOOL and cause is not Cause.STRUCTURE_IGNORED:
            cause = Cause.TOOLS_UNSUPPORTED
    found = classification(cause, _sentence(answer, envelope, cause), retry_after=wait)
    # A gateway's bare 401 need not be the router's word on the token.
    bare = cause is Cause.TOKEN_INVALID and envelope.form in {Form.EMPTY, Form.HTML}
    return replace(found, permanence=Permanence.UNKNOWN) if bare else found


def shown(text: str, longest: int = _EXCERPT) -> str:
    """Return a server's text redacted, on one line, cut to `longest` characters."""
    # Secrets are looked for before the cut, which could leave half of one.
    line = _INVISIBLE.sub(" ", scrub(text)).strip()
    return line if len(line) <= longest else f"{line[:longest]}…"


def _of_transport(answer: Answer) -> Classification:
    cause, sentence = _TRANSPORT[answer.transport or TransportFault.OTHER]
    found = classification(cause, f"{sentence} ({shown(answer.detail)})" if answer.detail else sentence)
    if answer.transport is TransportFault.REFUSED:
        # Not a provider's fault: no provider was reached, and every deployment lies behind the same address.
        return replace(found, scope=Scope.ENDPOINT, permanence=Permanence.UNKNOWN, action=Action.STOP_ALL)
    return found


def _cause(status: int, envelope: Envelope, body: bytes) -> Cause:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _of_error(envelope.status, envelope) if envelope.is_error else judge(envelope, body)
    return _of_error(status, envelope)


def _of_error(status: int | None, envelope: Envelope) -> Cause:
    """Return the cause of an error; `status` is None for one inside a success that names none itself."""
    return (
        _CODES.get(envelope.code.lower())
        or _CODES.get(envelope.type.lower())
        or _of_param(status, envelope.param, _OF_MODE)
        or _of_words(status, envelope)
        or (Cause.MODEL_NOT_SUPPORTED if envelope.code == "model_not_supported" else None)
        or _of_param(status, envelope.param, _OF_REQUEST)
        or _of_status(status)
    )


def _of_param(status: int | None, param: str, table: Sequence[tuple[re.Pattern[str], Cause]]) -> Cause | None:
    if status not in _REJECTED:
        return None
    return next((cause for words, cause in table if words.match(param)), None)


def _of_words(status: int | None, envelope: Envelope) -> Cause | None:
    if envelope.form is Form.HTML:
        # A page is written by a web server, which knows of paths and not of models.
        return Cause.ROUTE_MISSING if status == HTTPStatus.NOT_FOUND else None
    named = cause_of_phrase(envelope.message, status)
    return named or (cause_of_phrase(f"{envelope.type} {envelope.code}", None) if status is None else None)


def _of_status(status: int | None) -> Cause:
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Cause.PROVIDER_FAULT
    if status is not None and status // 100 == _REDIRECTION:
        return Cause.NOT_A_ROUTER
    return Cause.NOT_RECOGNISED if status is None else _STATUSES.get(status, Cause.NOT_RECOGNISED)


def _sentence(answer: Answer, envelope: Envelope, cause: Cause) -> str:
    """Return the server's own words; of what is not recognised, everything a person needs to recognise it."""
    if cause is Cause.OK:
        return f"HTTP {answer.status}: a usable answer"
    if cause is Cause.NOT_A_ROUTER and (location := answer.headers.get("location")):
        return f"HTTP {answer.status}: it points to {shown(location)}"
    if cause is not Cause.NOT_RECOGNISED and envelope.message:
        return f"HTTP {answer.status}: {shown(envelope.message)}"
    facts = [f"HTTP {answer.status}", shown(answer.content_type) or "no content type"]
    if request := answer.headers.get("x-request-id"):
        facts.append(f"request {shown(request)}")
    body = shown(answer.body.decode("utf-8", "replace"))
    return f"{', '.join(facts)}: {body}" if body else f"{', '.join(facts)}, empty body"
