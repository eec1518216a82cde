"""A reply -> the valid value in it, or why there is none.

Reasoning is taken off, the JSON is found in whatever surrounds it, and nothing counts until it is valid. An answer
that was cut is told apart from one that is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NoReturn

from alwrity_checks.hf.causes import Cause, Classification
from alwrity_checks.hf.completion import BROKEN_OFF, FILTERED
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.contract import Complaint
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.contract import Contract
    from alwrity_checks.hf.reply import Reply

__all__ = ["Invalid", "Valid", "candidates", "read", "read_text", "without_reasoning"]

_REASONING_TAG: Final = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCED: Final = re.compile(r"```[A-Za-z]*[^\S\n]*\n(.*?)```", re.DOTALL)
_STARTS: Final = 32
"""So many opening brackets are tried, at most: what comes after that many is no answer."""


@dataclass(frozen=True, slots=True)
class Valid:
    """An answer that satisfies the schema."""

    value: Any


@dataclass(frozen=True, slots=True)
class Invalid:
    """An answer that does not."""

    classification: Classification
    complaint: str = ""
    """What the model can be told about it; empty where telling helps nothing."""
    of_shape: bool = True
    """Whether a server that saw to the structure could not have sent it."""


def read(reply: Reply, contract: Contract) -> Valid | Invalid:
    """Return the value of `reply` that satisfies `contract`, or why there is none."""
    if (unfinished := _unfinished(reply)) is not None:
        return unfinished
    if reply.finish_reason == "length":
        return _cut(reply)
    # Some servers put everything into the reasoning when the template has no end of it.
    answered = next((text for text in (reply.tool_arguments, reply.text, reply.reasoning) if text and text.strip()), "")
    if not answered:
        return _invalid(Cause.EMPTY_ANSWER, "the answer is empty")
    complaint = Complaint("there is no JSON in the answer")
    for position, value in enumerate(candidates(answered)):
        found = contract.complaint(value)
        if found is None:
            return Valid(value)
        complaint = found if position == 0 else complaint
    found_wrong = classification(Cause.STRUCTURE_IGNORED, f"the answer is not valid: {scrub(complaint.text)}")
    return Invalid(found_wrong, complaint.text, complaint.of_shape)


def read_text(reply: Reply) -> Valid | Invalid:
    """Return the text of `reply` without its reasoning, or why there is none. What was cut at its limit is a text."""
    if (unfinished := _unfinished(reply)) is not None:
        return unfinished
    if text := without_reasoning(reply.text):
        return Valid(text)
    return _cut(reply) if reply.finish_reason == "length" else _invalid(Cause.EMPTY_ANSWER, "the answer is empty")


def _unfinished(reply: Reply) -> Invalid | None:
    if reply.refusal or reply.finish_reason in FILTERED:
        return _invalid(Cause.CONTENT_FILTERED, scrub(reply.refusal or "the answer was filtered")[:300])
    if reply.finish_reason in BROKEN_OFF:
        return _invalid(Cause.PROVIDER_FAULT, f"the provider broke off its answer: {reply.finish_reason}")
    return None


def _cut(reply: Reply) -> Invalid:
    spent = "" if reply.text or reply.tool_arguments else ", all of them on reasoning"
    return _invalid(Cause.TRUNCATED, f"the answer was cut after {reply.completion_tokens or 'the'} tokens{spent}")


def candidates(text: str) -> Iterator[Any]:
    """Yield the JSON values that `text` may have been meant to be, the likeliest first."""
    text = text.strip()
    bare = without_reasoning(text)
    for whole in dict.fromkeys((text, bare, *(match.group(1) for match in _FENCED.finditer(bare)))):
        try:
            yield _DECODER.decode(whole)
        except (ValueError, RecursionError):
            continue
        return
    starts = (match.start() for match in islice(re.finditer(r"[{\[]", bare), _STARTS))
    end = 0
    for start in starts:
        if start < end:
            continue  # inside what has been read already
        try:
            value, end = _DECODER.raw_decode(bare, start)
        except (ValueError, RecursionError):
            continue
        yield value


def without_reasoning(text: str) -> str:
    """Return `text` without its reasoning blocks: closed ones, one whose beginning is the prompt's, one left open.

    Takes time in proportion to the text's length: a model that repeats itself must not make an event loop stand still.
    """
    kept: list[str] = []
    reasoning, end = False, 0
    for tag in _REASONING_TAG.finditer(text):
        closes = bool(tag.group(1))
        if closes and not reasoning:
            kept.clear()
        elif not closes and not reasoning:
            kept.append(text[end : tag.start()])
        reasoning, end = not closes, tag.end()
    if not reasoning:
        kept.append(text[end:])
    return "".join(kept).strip()


def _invalid(cause: Cause, message: str) -> Invalid:
    return Invalid(classification(cause, message))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if isfinite(number) else _refuse(digits)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
