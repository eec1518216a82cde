"""A scenario: what is done to a target for the sake of one rule, and what that showed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alwrity_checks.model import Evidence, Outcome
    from alwrity_checks.models.scenarios.targets import ModelsTarget

__all__ = ["Scenario", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scenario showed."""

    outcome: Outcome
    message: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a target for the sake of one rule."""

    code: str
    """The rule's."""
    title: str
    """What is done, in a few words."""
    play: Callable[[ModelsTarget], Seen]
    """Does it; blocks for up to some seconds."""
