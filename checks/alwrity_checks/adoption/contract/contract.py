"""The words of a contract: what callers of a module rely on, and what came of trying it.

Standard library only: they are spoken in the interpreter of a checkout as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from alwrity_checks.model import Evidence

__all__ = ["Attempt", "Broken", "Contract", "Keeping", "Tried", "Untried", "expect"]

Attempt: TypeAlias = Callable[[Any], Any]
"""Tries a contract with what its room's bench gives; returns what was seen in a few words, or an awaitable of that.

Raises Broken where the module does something else, Untried where nothing follows; anything else counts as Broken."""


class Keeping(StrEnum):
    """Whether a contract is kept."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """It could not be tried: never shown as kept, never as broken."""


class Broken(Exception):  # noqa: N818 - what happened
    """The module does something else than its callers rely on; the text says what."""


class Untried(Exception):  # noqa: N818 - what happened
    """Nothing follows from this attempt; the text says why."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One thing that callers rely on."""

    issue: int
    """The entry of the tracker whose cure must not break it."""
    name: str
    """`auth.user-dictionary`; unique."""
    title: str
    """What is relied on, as a statement."""
    callers: tuple[str, ...]
    """Who relies on it: `ALwrity ce9bf293, api/podcast/handlers/video.py:303`."""
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying a contract on one checkout."""

    contract: Contract
    keeping: Keeping
    seen: str
    """What was seen, in a sentence, redacted; for `unknown`, why it could not be tried."""
    evidence: tuple[Evidence, ...] = ()


def expect(condition: object, seen: str) -> None:
    """Raise Broken, with what was seen, unless the condition holds."""
    if not condition:
        raise Broken(seen)
