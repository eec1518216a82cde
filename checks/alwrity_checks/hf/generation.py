"""What a generation came to: a valid value or an honest error, and in both cases every request that was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alwrity_checks.errors import DoctorError
from alwrity_checks.hf.causes import Classification, Mode, Scope

if TYPE_CHECKING:
    from alwrity_checks.hf.deployment import Deployment

__all__ = ["Attempt", "Generation", "GenerationFailed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request, and what became of it."""

    deployment: Deployment
    mode: Mode
    classification: Classification
    """`ok` for the one that was used."""
    status: int | None
    """None where there was no answer."""
    seconds: float
    provider: str | None = None
    """Who really served it, if the router said so."""
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """A value that is valid against the schema."""

    value: Any
    model: str
    provider: str | None
    """Who really served it; the pinned provider if the router did not say."""
    mode: Mode
    attempts: tuple[Attempt, ...]


class GenerationFailed(DoctorError):  # noqa: N818 - the outcome's name
    """There is no valid value; `classification` says why, `attempts` how that was found out."""

    def __init__(self, classification: Classification, attempts: tuple[Attempt, ...]) -> None:
        count = "1 request" if len(attempts) == 1 else f"{len(attempts)} requests"
        super().__init__(
            f"no valid answer after {count}: {classification.cause} ({classification.message})", _remedy(classification)
        )
        self.classification = classification
        self.attempts = attempts


def _remedy(classification: Classification) -> str:
    if classification.scope is Scope.REQUEST:
        return "change what is asked: no other model takes it either"
    return "alwrity-doctor hf probe"
