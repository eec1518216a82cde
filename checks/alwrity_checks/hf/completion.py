"""What a successful answer is worth: usable, cut, filtered, empty, or no completion at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.envelope import Envelope, Form, events

__all__ = ["BROKEN_OFF", "FILTERED", "judge"]

FILTERED: Final = frozenset({"content_filter", "sensitive"})
"""Finish reasons of a filter; the second is Z.ai's."""
BROKEN_OFF: Final = frozenset({"error", "network_error"})
"""Finish reasons of a provider that broke off in the middle of its answer; the second is Z.ai's."""

_OTHERS: Final[Mapping[Form, Cause]] = {
    Form.EMPTY: Cause.EMPTY_ANSWER,
    Form.HTML: Cause.NOT_A_ROUTER,
    Form.TEXT: Cause.NOT_RECOGNISED,
}


def judge(envelope: Envelope, body: bytes) -> Cause:
    """Return the cause of an answer with a status of success whose body wraps no error.

    A list, such as the catalogue of models, is usable as it is. Whether the content has the structure that was asked
    for is not looked at.
    """
    if envelope.form is Form.STREAM:
        return _of_choices(
            one
            for event in events(body.decode("utf-8-sig", "replace"))
            if isinstance(event, Mapping) and isinstance(event.get("choices"), list)
            for one in event["choices"]
        )
    if envelope.form in _OTHERS:
        return _OTHERS[envelope.form]
    document = envelope.document
    if not isinstance(document, Mapping):
        return Cause.NOT_RECOGNISED
    if isinstance(choices := document.get("choices"), list):
        return _of_choices(iter(choices))
    if document.get("object") == "response":
        return Cause.TRUNCATED if document.get("status") == "incomplete" else Cause.OK
    return Cause.OK if isinstance(document.get("data"), list) else Cause.NOT_RECOGNISED


def _of_choices(choices: Iterator[Any]) -> Cause:
    finished, said = set(), False
    for choice in choices:
        if not isinstance(choice, Mapping):
            continue
        if isinstance(reason := choice.get("finish_reason"), str):
            finished.add(reason)
        messages = (message for key in ("message", "delta") if isinstance(message := choice.get(key), Mapping))
        for message in chain([choice], messages):
            if message.get("refusal"):
                finished.add("content_filter")
            said = said or _says(message)
    if finished & FILTERED:
        return Cause.CONTENT_FILTERED
    if finished & BROKEN_OFF:
        return Cause.PROVIDER_FAULT
    if "length" in finished:
        return Cause.TRUNCATED
    return Cause.OK if said else Cause.EMPTY_ANSWER


def _says(message: Mapping[str, Any]) -> bool:
    """Say whether there is an answer in it; a reasoning alone is none."""
    words = [message.get("content"), message.get("text")]
    calls = [message.get("tool_calls"), message.get("function_call")]
    return any(word.strip() if isinstance(word, str) else word for word in words) or any(calls)
