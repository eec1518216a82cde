"""The forms in which routers, providers and proxies wrap an error, brought into one.

{"error": "text"}                                  Hugging Face
{"error": {"message", "type", "param", "code"}}    OpenAI, and the router for the faults of a model
{"message", "type", "param", "code"}               Cerebras, some gateways
{"detail": "text"}, {"detail": [{"loc", "msg"}]}   FastAPI
{"errors": [{"message"}]}                          gateways
{"status": 404, "title", "detail"}                 RFC 9457
plain text, HTML, nothing
data: {"error": …}                                 any of them inside a stream of server-sent events
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

__all__ = ["Envelope", "Form", "events", "read_envelope"]

_LISTED: Final = 4
"""Texts of a list that are read; a longer list is no message."""
_LAST_STATUS: Final = 599
_MARKUP: Final = re.compile(r"<!doctype html|<html\b|<head\b|<body\b", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]{0,100}>(.{0,500}?)</title>", re.IGNORECASE | re.DOTALL)
_HEAD: Final = 4096
"""Characters of a page in which its title is looked for."""
_FIELD: Final = re.compile(r"^(?:event|data|id|retry)?:")


class Form(StrEnum):
    """How a body is wrapped."""

    ERROR_TEXT = "error text"
    ERROR_OBJECT = "error object"
    MESSAGE = "message"
    DETAIL = "detail"
    ERRORS = "errors"
    PROBLEM = "problem"
    TEXT = "text"
    HTML = "html"
    EMPTY = "empty"
    JSON = "json"
    """JSON that wraps no error."""
    STREAM = "stream"
    """Server-sent events without an error among them."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a body says of an error, whatever the form; the words are the server's, not redacted."""

    form: Form
    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    """The parameter that is complained about; of a FastAPI list the first `loc` without its leading `body`."""
    status: int | None = None
    """The HTTP status that the body itself names."""
    document: Any = None
    """The decoded JSON document, of an error or not; None if the body is no JSON."""

    @property
    def is_error(self) -> bool:
        """Whether the body wraps an error, whatever the answer's status is."""
        return self.form in _ERRORS


_ERRORS: Final = frozenset({Form.ERROR_TEXT, Form.ERROR_OBJECT, Form.MESSAGE, Form.DETAIL, Form.ERRORS, Form.PROBLEM})


def read_envelope(body: bytes, content_type: str = "") -> Envelope:
    """Return what `body` says. Never raises; the content type is only a hint, since proxies get it wrong."""
    text = body.decode("utf-8-sig", "replace").strip()
    if not text:
        return Envelope(Form.EMPTY)
    if text[0] in '{["':
        with contextlib.suppress(ValueError, RecursionError):
            return _of_document(json.loads(text))
    if content_type == "text/event-stream" or _FIELD.match(text):
        return next((one for event in events(text) if (one := _of_document(event)).is_error), Envelope(Form.STREAM))
    if content_type == "text/html" or _MARKUP.match(text):
        title = _TITLE.search(text, 0, _HEAD)
        return Envelope(Form.HTML, html.unescape(title.group(1)).strip() if title else "")
    return Envelope(Form.TEXT, text)


def events(text: str) -> Iterator[Any]:
    """Yield the JSON documents of a stream of server-sent events; what is no JSON is passed over."""
    for event in re.split(r"\r?\n\r?\n|\r\r", text):
        lines = (line.removeprefix("data:").lstrip(" ") for line in event.splitlines() if line.startswith("data:"))
        data = "\n".join(lines)
        if data and data != "[DONE]":
            try:
                yield json.loads(data)
            except (ValueError, RecursionError):
                continue


def _of_document(document: object) -> Envelope:
    if isinstance(document, str):
        return Envelope(Form.TEXT, document.strip(), document=document)
    # Google's gateways answer with a list of one.
    subject = document[0] if isinstance(document, list) and document else document
    if not isinstance(subject, Mapping):
        return Envelope(Form.JSON, document=document)
    return replace(_of_object(subject), document=document)


def _of_object(subject: Mapping[str, Any]) -> Envelope:
    error = subject.get("error")
    if isinstance(error, Mapping):
        return _of_error(error, outer=subject)
    message = _said(subject.get("message"))
    if error:
        # {"error": "Not Found", "message": "…", "statusCode": 404} says half of it in each.
        words = [] if error is True else [_text(error)]
        words += [message] if message and message not in words else []
        return Envelope(Form.ERROR_TEXT, ": ".join(words), *_fields(subject), status=_status(subject))
    if isinstance(errors := subject.get("errors"), list) and errors:
        first = errors[0]
        if isinstance(first, Mapping):
            return replace(_of_error(first, outer=subject), form=Form.ERRORS)
        return Envelope(Form.ERRORS, _text(first), *_fields(subject), status=_status(subject))
    if (detail := subject.get("detail")) and "choices" not in subject:
        return _of_detail(detail, subject)
    if message and "choices" not in subject:
        return Envelope(Form.MESSAGE, message, *_fields(subject), status=_status(subject))
    if isinstance(subject.get("title"), str) and _status(subject):
        return Envelope(Form.PROBLEM, subject["title"], *_fields(subject), status=_status(subject))
    return Envelope(Form.JSON)


def _of_error(error: Mapping[str, Any], outer: Mapping[str, Any]) -> Envelope:
    own, around = _fields(error), _fields(outer)
    code, kind, param = (mine or theirs for mine, theirs in zip(own, around, strict=True))
    message = next((said for key in ("message", "msg", "detail", "error") if (said := _said(error.get(key)))), "")
    status = _status(error) or _status(outer)
    return Envelope(Form.ERROR_OBJECT, message or _said(outer.get("message")), code, kind, param, status)


def _of_detail(detail: object, subject: Mapping[str, Any]) -> Envelope:
    code, kind, param = _fields(subject)
    status = _status(subject)
    if isinstance(title := subject.get("title"), str):
        return Envelope(Form.PROBLEM, f"{title}: {_text(detail)}", code, kind, param, status)
    if isinstance(detail, Mapping):
        return replace(_of_error(detail, outer=subject), form=Form.DETAIL)
    if isinstance(detail, list) and (found := [one for one in detail if isinstance(one, Mapping)]):
        # `input` repeats what the caller sent: it is not the server's word, and may be private.
        message = "; ".join(filter(None, (_said(one.get("msg")) for one in found)))
        loc = found[0].get("loc")
        if isinstance(loc, list):
            param = ".".join(str(part) for part in loc if part != "body")
        return Envelope(Form.DETAIL, message, code, _said(found[0].get("type")) or kind, param, status)
    return Envelope(Form.DETAIL, _text(detail), code, kind, param, status)


def _fields(subject: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return code, type and param, empty where they are absent."""
    kind = _said(subject.get("type")) or _said(subject.get("error_type"))
    return _said(subject.get("code")), kind, _said(subject.get("param"))


def _said(value: object) -> str:
    """Return a text or a number as text; anything else says nothing."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _text(value: object) -> str:
    if isinstance(value, list) and len(value) <= _LISTED and all(isinstance(one, str) for one in value):
        return "; ".join(value)
    return _said(value) or json.dumps(value, ensure_ascii=False)


def _status(subject: Mapping[str, Any]) -> int | None:
    """Return the HTTP error status that the body names, under any of the keys in use."""
    for key in ("status", "statusCode", "status_code", "code"):
        said = _said(subject.get(key))
        if len(said) == len("404") and said.isascii() and said.isdigit():
            number = int(said)
            if HTTPStatus.BAD_REQUEST <= number <= _LAST_STATUS:
                return number
    return None
