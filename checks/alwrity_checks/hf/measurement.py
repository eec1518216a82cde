"""What an answer to one question of a probe amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.answer import Answer
from alwrity_checks.hf.canary import Verdict
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.probe_result import Cell

if TYPE_CHECKING:
    from alwrity_checks.hf.canary import Canary
    from alwrity_checks.hf.causes import Classification
    from alwrity_checks.hf.plan import PlannedCell
    from alwrity_checks.hf.reply import Reply

__all__ = ["measured"]

_SHORTEST_STREAM: Final = 0.005
"""Seconds: what comes within less was sent in one piece, and its rate is that of a buffer."""


def measured(asked: PlannedCell, came: Reply | Answer, canary: Canary, seconds: float) -> tuple[Cell, Classification]:
    """Return the cell, and what follows from it; `seconds` counts where the answer does not say itself what it took."""
    if isinstance(came, Answer):
        found = classify(came, mode=asked.mode)
        if found.cause is Cause.OK:  # a success that nothing is wrong with, and no completion
            found = classification(Cause.NOT_RECOGNISED, found.message)
        cell = Cell(
            asked.deployment,
            asked.mode,
            found,
            status=came.status,
            seconds=seconds,
            served_by=came.headers.get("x-inference-provider"),
            request_id=came.headers.get("x-request-id"),
        )
        return cell, found
    verdict = _of_plain_text(came) if asked.mode is None else canary.verdict(came, asked.mode)
    cell = Cell(
        asked.deployment,
        asked.mode,
        verdict.classification,
        verdict.structure,
        status=200,
        seconds=came.seconds,
        time_to_first_token=came.time_to_first_token,
        tokens_per_second=_rate(came),
        served_by=came.provider,
        request_id=came.request_id,
    )
    return cell, verdict.classification


def _of_plain_text(reply: Reply) -> Verdict:
    """Judge an answer of which only life is expected: one that was cut, or is a reasoning alone, shows as much."""
    if reply.finish_reason == "content_filter" or reply.refusal:
        return Verdict(None, classification(Cause.CONTENT_FILTERED, "the answer was filtered"))
    if reply.text or reply.reasoning or reply.finish_reason == "length":
        return Verdict(None, classification(Cause.OK, "answers"))
    return Verdict(None, classification(Cause.EMPTY_ANSWER, "the answer is empty"))


def _rate(reply: Reply) -> float | None:
    if reply.time_to_first_token is None or reply.completion_tokens is None:
        return None
    streaming, tokens = reply.seconds - reply.time_to_first_token, reply.completion_tokens - 1
    return tokens / streaming if tokens > 0 and streaming >= _SHORTEST_STREAM else None
