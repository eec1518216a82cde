"""Issue 2: why no text came from the router.

Which answer leaves which lines was measured on ALwrity's own
services/llm_providers/huggingface_provider.py at 26131232, 4230385e, 8c2d88ef and ce9bf293, with openai 1.109 to 3.54.

A request is `("request", provider, failure, the first pass's failure, "alone" if the lines before it are missing)`, an
attempt `("attempt", path, failure, the first pass's failure, lines in the first pass, in the second, literal)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.logs.causes import Found, counting, often
from alwrity_checks.logs.readings import RETRY_ERROR, UNDEFINED_NAME
from alwrity_checks.logs.times import NOWHERE, Shift, Times
from alwrity_checks.logs.triage import Sureness

if TYPE_CHECKING:
    from alwrity_checks.logs.machines import Incident
    from alwrity_checks.logs.seen import Seen

__all__ = ["found", "states"]

_SAME: Final = Shift(NOWHERE, 0, absolute=True)
_CAUSES: Final = {
    "route-missing": "hf-wrong-base",
    "not-a-router": "hf-wrong-base",
    "host-retired": "hf-wrong-base",
    "model-not-found": "hf-model",
    "model-not-supported": "hf-model",
    "not-a-chat-model": "hf-model",
    "suffix-invalid": "hf-model",
    "deployment-missing": "hf-model",
    "decommissioned": "hf-model",
    "credits-gone": "hf-credits",
    "quota-exhausted": "hf-rate",
    "rate-limited": "hf-rate",
    "token-invalid": "hf-token",
    "inference-permission-missing": "hf-token",
    "token-missing": "hf-token-unset",
    "token-foreign": "hf-token-unset",
    "schema-unsupported": "hf-schema",
    "tools-unsupported": "hf-schema",
    "structure-ignored": "hf-schema",
    "context-too-long": "hf-request",
    "parameter-invalid": "hf-request",
    "content-filtered": "hf-request",
    "provider-fault": "hf-outside",
    "model-loading": "hf-outside",
    "connection-lost": "hf-outside",
    "timed-out": "hf-outside",
    "endpoint-dns": "hf-outside",
    "endpoint-tls": "hf-outside",
    "not-recognised": "hf-other",
    UNDEFINED_NAME: "hf-undefined-name",
}
"""What a text was read as -> cause; whatever is not here is unexplained."""
_RULES: Final = {
    "not-a-router": "HF021",
    "quota-exhausted": "HF033",
    "inference-permission-missing": "HF031",
    "token-foreign": "HF011",
}
_FAILURES: Final = ("hf.api-call-failed", "hf.text-failed", "hf.structured-failed", "hf.provider-failed")
"""Signatures whose entity `text` is the text of an exception; numbers are masked in it."""
_LISTS: Final = (
    ("8", "8c2d88ef", "the candidates of 8c2d88ef are eight"),
    ("9", "8c2d88ef", "with a first model of another list the candidates of 8c2d88ef are nine"),
    ("2", "ce9bf293", "the candidates of ce9bf293 are one id, with and without its suffix"),
)


def found(seen: Seen) -> Iterator[Found]:
    """Yield what the log says about requests for text."""
    by_cause: dict[str, Times] = {}
    words: dict[str, set[str]] = {}
    counted = "requests"
    units = [(one, one[2], one[3]) for one in seen.incidents if one[0] == "request" and one[1] == "huggingface"]
    informative = [unit for unit in units if _cause_of(unit[1]) != "hf-unexplained"]
    attempts = [(one, one[2], one[3]) for one in seen.incidents if one[0] == "attempt"]
    if not informative and attempts:
        units, counted = attempts, "attempts"
    for incident, failure, first in units:
        for word in _words(failure, first):
            cause = _cause_of(word)
            by_cause.setdefault(cause, Times()).join(seen.incidents[incident], _SAME)
            words.setdefault(cause, set()).add(word)
    if counted == "requests":
        # A request is over when its last attempt is; it began with the first one.
        for incident, failure, first in attempts:
            for word in _words(failure, first):
                if (held := by_cause.get(_cause_of(word))) is not None:
                    held.reach(seen.incidents[incident])
    for cause, times in by_cause.items():
        yield _judged(seen, cause, times, words[cause], counted)
    yield from _settings(seen)
    if (times := seen.times("hf.not-json")).count:
        yield Found("hf-not-json", Sureness.CERTAIN, times, "answers", (f"{often(times.count)} `JSON parsing failed`",))


def _words(failure: str, first: str) -> tuple[str, ...]:
    """Return what failed: the undefined name hides the first pass's failure, which counts as well."""
    if failure.rstrip("?") == UNDEFINED_NAME and first:
        return failure, first
    return (failure,)


def _cause_of(word: str) -> str:
    return _CAUSES.get(word.rstrip("?"), "hf-unexplained")


def _judged(seen: Seen, cause: str, times: Times, words: set[str], counted: str) -> Found:
    count = times.count
    plain = {word.rstrip("?") for word in words}
    why = [f"{counting(count, counted[:-1])} failed with: {', '.join(sorted(plain))}"]
    attempts, _ = seen.told("attempt")
    if counted == "requests" and attempts > count:
        why.append(f"{attempts} attempts in the log for {counting(count, 'request')}: each is repeated up to six times")
    sure = Sureness.LIKELY if any(word.endswith("?") for word in words) else Sureness.CERTAIN
    rule = next((_RULES[word] for word in sorted(plain) if word in _RULES), None)
    if cause == "hf-wrong-base":
        sure, more = _base(seen, words)
        why += more
    elif cause == "hf-undefined-name":
        others = {
            _cause_of(one[3])
            for one in seen.incidents
            if one[0] in {"request", "attempt"} and one[2] == UNDEFINED_NAME and one[3]
        }
        if "hf-wrong-base" in others:
            why.append("it comes behind `Not Found`: both faults are there, the wrong base URL and the undefined name")
        elif others:
            why.append("it comes behind an answer of the router's own: the base URL is right")
    elif cause in {"hf-other", "hf-unexplained"}:
        sure = Sureness.POSSIBLE
        why += _unclear(seen, plain)
    elif cause in {"hf-model", "hf-schema"}:
        why.append("an answer of this form comes from the route itself: the base URL is right")
    return Found(cause, sure, times, counted, tuple(why), rule)


def _unclear(seen: Seen, plain: set[str]) -> Iterator[str]:
    if RETRY_ERROR in plain:
        yield "RetryError says nothing of the cause"
    if any("404 - {" in held.tally.sample for (line, _), held in seen.tallies.items() if line in _FAILURES):
        yield "a 404 whose body is JSON comes from the route itself: the base URL is right"


def _base(seen: Seen, words: set[str]) -> tuple[Sureness, list[str]]:
    why: list[str] = []
    sure = Sureness.CERTAIN if "route-missing" in words else Sureness.LIKELY
    texts = [text for line in _FAILURES for text in seen.entities(line, "text") if "Not Found" in text]
    if sure is Sureness.CERTAIN and texts and all(" - {" in text for text in texts):
        sure = Sureness.LIKELY
        why.append("the 404's body is JSON and says `Not Found`: so do servers that are not the router")
    elif sure is Sureness.CERTAIN:
        why.append("the exception's text is `Not Found`: the 404's body is no JSON, which no model's 404 is")
    else:
        why.append("`Error code: 404` without a body (openai 3): weaker than `Not Found`, which openai 1 and 2 print")
    models = set(seen.entities("hf.structured-not-found", "model")) | set(seen.entities("hf.text-not-found", "model"))
    if len(models) > 1:
        why.append(f"{len(models)} models fail in the same way, which rules out a bad model id")
        sure = Sureness.CERTAIN
    for url in sorted(seen.entities("hf.request", "url")):
        if not urlsplit(url).path.startswith("/v1/"):
            why.append(f"the address that was called: {url}")
            sure = Sureness.CERTAIN
    return sure, why


def _settings(seen: Seen) -> Iterator[Found]:
    unset = Times()
    for signature in ("hf.token-missing", "hf.token-malformed", "hf.no-keys"):
        unset.join(seen.times(signature), _SAME)
    if unset.count and not any(one[0] == "request" and _cause_of(one[2]) == "hf-token-unset" for one in seen.incidents):
        yield Found("hf-token-unset", Sureness.CERTAIN, unset, "lines", ("the provider says so before each call",))
    if (times := seen.times("hf.provider-unavailable")).count:
        names = ", ".join(sorted(seen.entities("hf.provider-unavailable", "provider")))
        yield Found("hf-provider-unavailable", Sureness.CERTAIN, times, "requests", (f"no key for: {names}",))


def states(seen: Seen) -> Iterator[str]:
    """Yield what the lists of candidates say about which code wrote the log."""
    told = [one for one in seen.incidents if one[0] == "attempt"]
    routes = [one for one in told if "route-missing" in (one[2].rstrip("?"), one[3].rstrip("?"))]
    if any(one[6] for one in routes):
        yield "4230385e: the models' names are printed as a literal %s"
    for number, state, text in _LISTS:
        if any(one[4] == number and not one[6] for one in routes):
            yield f"{state}: {number} models are tried in one pass; {text}"
    if any(_none_before(one) for one in routes):
        yield "26131232: the call failed with `Not Found` and no other model was tried"


def _none_before(incident: Incident) -> bool:
    return incident[4] == incident[5] == "0"
