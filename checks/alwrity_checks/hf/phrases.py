"""The words by which a server's message names a cause, each believed only at the statuses where it was seen.

A message can quote the request: names in quotation marks, and ids of models anywhere, are taken out before it is read.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Final

from alwrity_checks.hf.causes import Cause

__all__ = ["cause_of_phrase"]

_LONGEST: Final = 2000
"""Characters of a message that are read: what a server has to say comes first, and a search stays fast."""
_QUOTED: Final = re.compile(r"""(['"`])(?![A-Za-z_]+\1)[^'"`\s]{1,200}\1""")
_MODEL_ID: Final = re.compile(r"(?<![\w:/.-])[\w.-]+/[\w.:-]+")

_REJECTED: Final = frozenset({400, 422})

_ROUTE: Final = r"""
    (?:404\W*)? (?:(?:page|path|route|url|resource|endpoint)\ )? not\ found \W* (?:not\ found\W*)? \Z
  | cannot\ (?:get|post)\ /
  | .{0,200} \b(?:requested|request|unknown|invalid)\ url\b
  | .{0,200} \b(?:route|path)\b .{0,200} \bnot\ found\W*\Z
"""

_TABLE: Final = tuple(
    (cause, statuses, re.compile(pattern, re.VERBOSE | re.DOTALL))
    for cause, statuses, pattern in (
        (Cause.HOST_RETIRED, {410}, r"\bapi-inference\.huggingface\.co\b | \buse\ https://router\.huggingface\.co\b"),
        (Cause.NOT_A_CHAT_MODEL, {400}, r"\bis\ not\ a\ chat\ model\b"),
        (Cause.SUFFIX_INVALID, {400}, r"\bprovider\ or\ policy\b .{0,300} \bis\ not\ valid\b"),
        (Cause.DEPLOYMENT_MISSING, {400, 404}, r"\bnot\ (?:supported|served|deployed)\ (?:by|at|on)\ provider\b"),
        (Cause.MODEL_NOT_SUPPORTED, {400, 404}, r"\bnot\ supported\ by\ any\ provider\b"),
        (
            Cause.DECOMMISSIONED,
            {400, 404, 410},
            r"\bdecommissioned\b | \bmodel\b .{0,200} \b(?:is|was|been)\ (?:retired|deprecated|discontinued)\b",
        ),
        (
            Cause.MODEL_NOT_FOUND,
            {400, 404},
            r"""\bmodel\b .{0,200} \b(?:does\ not\ exist|not\ found)\b
              | \b(?:unknown|invalid)\ model\b | \bserver\ is\ pinned\ to\b""",
        ),
        (Cause.ROUTE_MISSING, {404}, rf"\A(?:{_ROUTE})"),
        (Cause.PERMISSION_MISSING, {403}, r"\bsufficient\ permissions?\b .{0,100} \binference\ providers\b"),
        (Cause.CREDITS_GONE, {402}, r"\bmonthly\ included\ credits\b"),
        # Groq names its billing page below every rate limit.
        (Cause.RATE_LIMITED, {413, 429}, r"\A\W*rate[_ ]limit\ (?:reached|exceeded)\b"),
        (
            Cause.QUOTA_EXHAUSTED,
            {429},
            r"\bquota\b | \bbalance\b | \bcredits?\b | \bbilling\b | \binsufficient_quota\b",
        ),
        (Cause.MODEL_LOADING, {503}, r"\b(?:currently|still)\ loading\b | \bis\ loading\b"),
        (
            Cause.SCHEMA_UNSUPPORTED,
            _REJECTED,
            r"\bresponse[_ ]format\b | \bjson[_ ]?(?:schema|object|mode)\b | \bstructured\ outputs?\b",
        ),
        (
            Cause.TOOLS_UNSUPPORTED,
            _REJECTED,
            r"""\b(?:tools?|tool[_ ](?:choice|calls?|calling)|function\ calling)\b .{0,100}
                    \b(?:not\ (?:be\ )?support(?:ed)?|unsupported|requires)\b
              | \b(?:not\ support|unsupported)\b .{0,60} \b(?:tools?|tool[_ ]\w+|function\ calling)\b""",
        ),
        (
            Cause.CONTEXT_TOO_LONG,
            _REJECTED,
            r"""\bcontext\ (?:length|window|size)\b | \btoo\ many\ tokens\b
              | \b(?:prompt|inputs?|messages?|request)\b .{0,60} \btoo\ (?:long|large)\b""",
        ),
        (
            Cause.CONTENT_FILTERED,
            _REJECTED | {403},
            r"\bcontent[_ ](?:filter|policy|management) | \bsafety\ (?:system|filter) | \bmoderation\b",
        ),
        (
            Cause.PARAMETER_INVALID,
            _REJECTED,
            r"""\b(?:invalid|unexpected|unknown|unsupported|unrecognized|missing|extra)\b
                    .{0,60} \b(?:parameter|argument|field|input|value)s?\b
              | \b(?:parameter|argument|field)s?\b .{0,60} \b(?:invalid|required|not\ permitted|not\ supported)\b""",
        ),
        # A fault of a server at work, where no status says so: an error inside a success.
        (Cause.RATE_LIMITED, set(), r"\brate[_ ]?limit | \btoo\ many\ requests\b"),
        (Cause.PROVIDER_FAULT, set(), r"\b(?:internal|server|network)[_ ](?:server\ )?error\b | \boverloaded\b"),
    )
)
"""Cause, the statuses at which its words count, and the words; the first row that fits is right."""


def cause_of_phrase(message: str, status: int | None) -> Cause | None:
    """Return the cause that `message` names at `status`; without a status (an error inside a 200) nearly any counts."""
    text = _MODEL_ID.sub("…", _QUOTED.sub("…", message[:_LONGEST])).lower()
    return next(
        (cause for cause, statuses, words in _TABLE if _counts(cause, statuses, status) and words.search(text)), None
    )


def _counts(cause: Cause, statuses: AbstractSet[int], status: int | None) -> bool:
    # A route that answers with a success is there, whatever it says was not found.
    return cause is not Cause.ROUTE_MISSING if status is None else status in statuses
