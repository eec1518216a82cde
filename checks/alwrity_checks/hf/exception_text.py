"""The cause behind the text of a logged exception, and how sure that is.

For logs only. A program has the status and the body and never needs this: the same answer has another text in each
release of the openai client (measured with 1.109, 2.9, 2.54 and 3.54).

    answer                      openai 1 and 2                        openai 3
    404, plain text             Not Found                             Error code: 404
    {"error": {"message": …}}   Error code: 400 - {'error': {…}}      Error code: 400 - <the message>
    {"error": "text"}           Error code: 402 - {'error': 'text'}   Error code: 402
    HTML                        the page itself                       Error code: 504
    nothing                     Error code: 404                       Error code: 404
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.causes import Cause, Classification, Permanence
from alwrity_checks.hf.classify import classify, shown
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.phrases import cause_of_phrase

__all__ = ["ExceptionReading", "classify_exception_text"]

_LONGEST: Final = 1 << 16
_ATTEMPTS: Final = 8
"""Closing brackets that are tried as the end of a printed body."""
_OLD: Final = "openai 1 or 2"
_NEW: Final = "openai 3"
_CODE: Final = re.compile(r"\bError code: ([1-5]\d\d)(?: - (.+))?", re.DOTALL)
_CLIENT: Final = re.compile(r"\b(?:Client|Server) [Ee]rror '([45]\d\d)\b|\b([45]\d\d) (?:Client|Server) Error\b")
"""httpx, or requests, below huggingface_hub."""
_ROUTE: Final = re.compile(r"(?:\A|[:|\]]\s*)Not Found\s*['\")\]]*\s*\Z")
_CLASSES: Final = MappingProxyType(
    {
        "BadRequestError": 400,
        "AuthenticationError": 401,
        "PermissionDeniedError": 403,
        "NotFoundError": 404,
        "ConflictError": 409,
        "UnprocessableEntityError": 422,
        "RateLimitError": 429,
        "InternalServerError": 500,
    }
)
_NAMED: Final = re.compile(rf"\b({'|'.join(_CLASSES)})(?:\((?=['\"])|:\s)(.*)", re.DOTALL)
_UNREACHED: Final[tuple[tuple[re.Pattern[str], TransportFault, tuple[Cause, ...]], ...]] = (
    (re.compile(r"\bAPITimeoutError\b|\bRequest timed out\b"), TransportFault.TIMEOUT, ()),
    (
        re.compile(r"\bAPIConnectionError\b|\bConnection error\."),
        TransportFault.RESET,
        (Cause.ENDPOINT_DNS, Cause.ENDPOINT_TLS),
    ),
)
_HIDDEN: Final[tuple[tuple[re.Pattern[str], str, tuple[Cause, ...]], ...]] = (
    (
        re.compile(r"\bRetryError\["),
        "tenacity wrapped the exception and its text says nothing of the reason: look for the line before it",
        (),
    ),
    (
        re.compile(r"name 'fallback_models' is not defined"),
        "the provider's fallback failed on an undefined name and hid the answer: a 404, a 422, or 'not supported'",
        (Cause.ROUTE_MISSING, Cause.MODEL_NOT_SUPPORTED, Cause.SCHEMA_UNSUPPORTED),
    ),
)
_OTHERS: Final[Mapping[int, tuple[Cause, ...]]] = MappingProxyType(
    {
        400: (Cause.DEPLOYMENT_MISSING, Cause.SCHEMA_UNSUPPORTED, Cause.CONTEXT_TOO_LONG),
        403: (Cause.PERMISSION_MISSING,),
        404: (Cause.DEPLOYMENT_MISSING,),
        410: (Cause.HOST_RETIRED, Cause.DECOMMISSIONED),
        422: (Cause.SCHEMA_UNSUPPORTED, Cause.PARAMETER_INVALID),
        429: (Cause.QUOTA_EXHAUSTED,),
        503: (Cause.MODEL_LOADING,),
    }
)
"""What else, or at all, an answer with this status and a lost body can have been."""


@dataclass(frozen=True, slots=True)
class ExceptionReading:
    """What the text of an exception says."""

    classification: Classification
    grounds: str
    """What in the text says so, in one sentence."""
    release: str = ""
    """Which releases of the openai client word it so; empty if the wording does not tell."""
    status: int | None = None
    """The answer's status, as far as the text tells it."""
    possible: tuple[Cause, ...] = ()
    """Other causes that leave the same text."""


def classify_exception_text(text: str) -> ExceptionReading:
    """Return what the text of an exception, alone or at the end of a log line, says of its cause. Never raises."""
    text = text[-_LONGEST:].strip()
    if found := _CODE.search(text):
        return _coded(int(found.group(1)), (found.group(2) or "").strip())
    if found := _CLIENT.search(text):
        return _without_body(int(found.group(1) or found.group(2)), "")
    if _ROUTE.search(text):
        return _plain(404, "Not Found")
    if found := _NAMED.search(text):
        return _plain(_CLASSES[found.group(1)], found.group(2).strip().strip("'\")"))
    for words, fault, possible in _UNREACHED:
        if words.search(text):
            return ExceptionReading(
                classify(Answer(transport=fault)),
                "the client got no answer, and its text does not say why",
                possible=possible,
            )
    for words, grounds, possible in _HIDDEN:
        if words.search(text):
            return ExceptionReading(_unknown(text), grounds, possible=possible)
    if cause := cause_of_phrase(text, None):
        found_by_words = replace(classification(cause, shown(text)), permanence=Permanence.UNKNOWN)
        return ExceptionReading(found_by_words, "there is no status in the text; its words are those of this cause")
    return ExceptionReading(_unknown(text), "neither status nor words of the text are known")


def _coded(status: int, rest: str) -> ExceptionReading:
    if not rest:
        return _without_body(status, _NEW)
    if (document := _literal(rest)) is not None:
        answer = Answer(status, json.dumps(document, default=str).encode())
        return ExceptionReading(
            classify(answer), "the text holds the whole body of the answer, printed by Python", _OLD, status
        )
    answer = Answer(status, json.dumps({"error": {"message": rest}}).encode())
    return ExceptionReading(
        classify(answer), "the text holds the message of the answer; its code is lost", _NEW, status
    )


def _without_body(status: int, release: str) -> ExceptionReading:
    # The router reports the faults of a model with 400; what remains of a 404 is a path that is not there.
    found = classify(Answer(status, b"Not Found" if status == _CLASSES["NotFoundError"] else b""))
    message = f"HTTP {status}; the body is not in the text"
    return ExceptionReading(
        replace(found, message=message, permanence=_doubted(found, status)),
        "the text holds the status alone: the body was no JSON object with a message",
        release,
        status,
        _OTHERS.get(status, ()),
    )


def _doubted(found: Classification, status: int) -> Permanence:
    return Permanence.UNKNOWN if status in _OTHERS else found.permanence


def _plain(status: int, body: str) -> ExceptionReading:
    return ExceptionReading(
        classify(Answer(status, body.encode("utf-8", "replace"))),
        "the text is the body itself, which is so only where the body is no JSON: a model's fault would be JSON",
        _OLD,
        status,
    )


def _literal(text: str) -> dict[object, object] | list[object] | None:
    """Return the Python literal at the start of `text`; what a logger appended to it is cut off, bracket by bracket."""
    if text[:1] not in {"{", "["}:
        return None
    closing = "}" if text[0] == "{" else "]"
    end = len(text)
    for _ in range(_ATTEMPTS):
        end = text.rfind(closing, 0, end)
        if end < 0:
            return None
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
                document = ast.literal_eval(text[: end + 1])
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return document if isinstance(document, (dict, list)) else None
    return None


def _unknown(text: str) -> Classification:
    return classification(Cause.NOT_RECOGNISED, shown(text) or "the text is empty")
