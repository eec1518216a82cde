"""A chat completion, reduced to what decides about it: whole, or put together from the pieces of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from alwrity_checks.hf.envelope import read_envelope

__all__ = ["Reply", "StreamedReply", "reply_of"]

_PROVIDER_HEADER: Final = "x-inference-provider"
_REQUEST_ID_HEADER: Final = "x-request-id"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered."""

    text: str
    """The content; empty if there was none."""
    reasoning: str = ""
    """`reasoning_content` or `reasoning`, where the server separates it."""
    tool_arguments: str | None = None
    """The arguments of the first tool call, as sent; None if no tool was called."""
    refusal: str | None = None
    finish_reason: str | None = None
    model: str = ""
    """As the server names it."""
    provider: str | None = None
    """Who really served it (`x-inference-provider`); None if the server does not say."""
    request_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    """From sending to the last byte."""
    time_to_first_token: float | None = None
    """Seconds; None without a stream."""


def reply_of(document: object, headers: Mapping[str, str], seconds: float) -> Reply | None:
    """Return the reply that a chat completion's JSON document holds; None if it is none, or an error with a 200."""
    if not isinstance(document, dict) or document.get("error"):
        return None
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    message = choices[0].get("message")
    if not isinstance(message, dict):
        return None
    return _reply({**document, "message": message, "finish_reason": choices[0].get("finish_reason")}, headers, seconds)


def _reply(
    completion: Mapping[str, Any], headers: Mapping[str, str], seconds: float, first: float | None = None
) -> Reply:
    message, usage, reason = completion["message"], completion.get("usage"), completion.get("finish_reason")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=_text(message.get("content")),
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        tool_arguments=_arguments(message.get("tool_calls")),
        refusal=_text(message.get("refusal")) or None,
        finish_reason=reason if isinstance(reason, str) else None,
        model=_text(completion.get("model")),
        provider=headers.get(_PROVIDER_HEADER),
        request_id=headers.get(_REQUEST_ID_HEADER),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        seconds=seconds,
        time_to_first_token=first,
    )


def _text(value: object) -> str:
    """Return a content: a string, or the text parts of a list."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _arguments(calls: object) -> str | None:
    if not isinstance(calls, list) or not calls or not isinstance(calls[0], dict):
        return None
    function = calls[0].get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    # Some servers send the object itself instead of its text.
    return json.dumps(arguments) if isinstance(arguments, dict) else arguments if isinstance(arguments, str) else None


@dataclass(slots=True)
class StreamedReply:
    """Puts the events of a stream together."""

    started: float
    """On the clock that `take` is called with."""
    finish_reason: str | None = None
    done: bool = False
    """`[DONE]` has been seen. Not every server sends it."""
    _parts: dict[str, list[str]] = field(default_factory=dict)
    _document: dict[str, Any] = field(default_factory=dict)
    _called: bool = False
    _first: float | None = None

    def take(self, data: bytes, now: float) -> bool:
        """Add the data of one event; return False if it holds an error, or is no JSON object.

        An event without choices and without an error (a ping, a figure of the provider's own) adds nothing.
        """
        if data == b"[DONE]":
            self.done = True
            return True
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(event, dict) or event.get("error"):
            return False
        if not isinstance(event.get("choices"), list):
            return not read_envelope(data).is_error
        self._document |= {name: event[name] for name in ("model", "usage") if event.get(name)}
        for choice in event["choices"][:1]:
            if isinstance(choice, dict):
                self._add(choice, now)
        return True

    def _add(self, choice: Mapping[str, Any], now: float) -> None:
        delta = choice.get("delta")
        for name, value in (delta if isinstance(delta, dict) else {}).items():
            piece = _arguments(value) if name == "tool_calls" else _text(value)
            self._called |= name == "tool_calls" and bool(value)
            if piece and name != "role":
                self._first = now if self._first is None else self._first
                self._parts.setdefault(name, []).append(piece)
        reason = choice.get("finish_reason")
        self.finish_reason = reason if isinstance(reason, str) else self.finish_reason

    def reply(self, headers: Mapping[str, str], now: float) -> Reply:
        """Return what has come."""
        message: dict[str, Any] = {name: "".join(pieces) for name, pieces in self._parts.items()}
        if self._called:
            message["tool_calls"] = [{"function": {"arguments": message.get("tool_calls", "")}}]
        first = None if self._first is None else self._first - self.started
        completion = {**self._document, "message": message, "finish_reason": self.finish_reason}
        return _reply(completion, headers, now - self.started, first)
