"""What the text in a line says, where an expression alone cannot tell: the readers that signatures name.

A reader takes the text (the entity `text`) and returns a word for it and the rule that it breaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.model import Rule

__all__ = ["READERS", "RETRY_ERROR", "UNDEFINED_NAME", "exception", "loading"]

UNDEFINED_NAME: Final = "undefined-name"
RETRY_ERROR: Final = "retry-error"
_DOUBTED: Final = "?"
"""Behind a word: the text fits other answers as well."""

_LOADING: Final = (
    (
        "memory",
        re.compile(
            r"paging file|os error 1455|out of memory|not enough memory|cannot allocate memory|\bOOM\b", re.IGNORECASE
        ),
        "MDL051",
    ),
    ("disk-full", re.compile(r"no space left|disk quota", re.IGNORECASE), "MDL040"),
    ("gated", re.compile(r"gated repo|\b401\b|\b403\b|access to model .* is restricted", re.IGNORECASE), "MDL036"),
    (
        "offline",
        re.compile(
            r"couldn't connect to|offline mode|local ?cache|cached files|LocalEntryNotFound"
            r"|outgoing traffic has been disabled"
            r"|Max retries exceeded|Name or service not known|Temporary failure in name resolution"
            r"|Network is unreachable"
            r"|Connection (?:refused|reset|error|aborted)|timed out",
            re.IGNORECASE,
        ),
        "MDL030",
    ),
    (
        "package-missing",
        re.compile(r"No module named|requires the .* library|ImportError|is not installed", re.IGNORECASE),
        "MDL025",
    ),
    (
        "files-missing",
        re.compile(
            r"does not appear to have|no file named|is not a local folder|No such file|not a valid model identifier",
            re.IGNORECASE,
        ),
        "MDL042",
    ),
    ("no-permission", re.compile(r"Permission denied|Read-only file system", re.IGNORECASE), "MDL041"),
)


def exception(text: str) -> tuple[str, str | None]:
    """Return the cause behind the text of an exception of the router's client, and its rule; never raises."""
    from alwrity_checks.hf.exception_text import classify_exception_text

    if "fallback_models" in text:
        return UNDEFINED_NAME, "HF091"
    if "RetryError[" in text:
        return RETRY_ERROR, None
    if "HF_TOKEN" in text:
        return ("token-foreign", "HF011") if "invalid" in text else ("token-missing", "HF010")
    reading = classify_exception_text(text)
    cause = reading.classification.cause.value
    return cause + (_DOUBTED if reading.possible else ""), _rule_of(cause)


def loading(text: str) -> tuple[str, str | None]:
    """Return why a model could not be loaded, and the rule; never raises."""
    for name, words, rule in _LOADING:
        if words.search(text):
            return name, rule
    return "other", None


@cache
def _rule_of(reason: str) -> str | None:
    from alwrity_checks.hf.rules import BY_REASON

    rule = BY_REASON.get(reason)
    return None if rule is None else rule.code


def auth_reason(text: str) -> tuple[str, str | None]:
    """Return the reason that a component's event names, and its rule."""
    from alwrity_checks.auth.rules import BY_REASON

    return _named(text, BY_REASON)


def hf_cause(text: str) -> tuple[str, str | None]:
    """Return the cause that a component's event names, and its rule."""
    from alwrity_checks.hf.rules import BY_REASON

    return _named(text, BY_REASON)


def model_reason(text: str) -> tuple[str, str | None]:
    """Return the reason that a component's event names, and its rule."""
    from alwrity_checks.models.rules import BY_REASON

    return _named(text, BY_REASON)


def _named(reason: str, by_reason: Mapping[str, Rule]) -> tuple[str, str | None]:
    rule = by_reason.get(reason)
    return (reason, rule.code) if rule is not None else ("other", None)


READERS: Final[Mapping[str, Callable[[str], tuple[str, str | None]]]] = MappingProxyType(
    {
        "exception": exception,
        "loading": loading,
        "auth-reason": auth_reason,
        "hf-cause": hf_cause,
        "model-reason": model_reason,
    }
)
"""Name in a `signatures.toml` -> the reader."""
