"""A scenario: what is done to a target for the sake of one rule, and what that showed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.model import Evidence, Outcome
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.txtai.legacy.service import Item
    from alwrity_checks.txtai.recorder import Recording
    from alwrity_checks.txtai.scenarios.stage import Stage
    from alwrity_checks.txtai.scenarios.targets import Service, TxtaiTarget

__all__ = ["OVER", "RESTARTED", "USER", "Offer", "Scenario", "Seen", "batch", "found", "judged_by_loss", "texts"]

USER: Final = "user_2race0000000000000000001"
OVER: Final = "calls over"
RESTARTED: Final = "restarted"
"""How marks in a recording begin."""
_LIMIT: Final = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scenario showed, in one trial."""

    outcome: Outcome
    message: str
    evidence: tuple[Evidence, ...] = ()
    accepted: int = 0
    """Documents of calls that returned without an error."""
    found: int = 0
    """How many of those a search returned after a restart."""
    recording: Recording | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a target for the sake of one rule."""

    code: str
    """The rule's."""
    name: str
    """In one or two words, for a table."""
    title: str
    """What is done, in a few words."""
    play: Callable[[TxtaiTarget], Seen]
    """Does it, on a stage of its own; blocks for up to some seconds."""


@dataclass
class Offer:
    """What was offered to a service, and what became of it."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Id -> text."""
    refused: int = 0
    errors: list[str] = field(default_factory=list)

    async def make(self, service: Service, items: list[Item]) -> None:
        """Offer `items`; a call that raises `deferred` has accepted them all the same, as it says."""
        try:
            await service.index_content(items)
        except Exception as error:  # noqa: BLE001 - a target may be anybody's code
            self.errors.append(f"{type(error).__name__}: {scrub(str(error))[:200]}")
            if not getattr(error, "deferred", False):
                self.refused += len(items)
                return
        self.accepted.update(texts(items))


def batch(name: str, size: int = 5) -> list[Item]:
    """Return documents as the backend sends them."""
    return [(f"{name}-{n}", f"what {name} task {n} is about", {"kind": "task", "day": name}) for n in range(size)]


def texts(items: list[Item]) -> Mapping[str, str]:
    """Return the texts by their ids."""
    return {one: text for one, text, _ in items}


async def found(service: Service, documents: Mapping[str, str]) -> set[str]:
    """Return the ids that a search for their very text returns first, with that text."""
    kept = set()
    for one, text in documents.items():
        try:
            hits: Any = await service.search(text, limit=_LIMIT)
        except Exception:  # noqa: BLE001, S112 - whatever hinders a search, the document was not found by it
            continue
        if hits and hits[0]["id"] == one and hits[0]["text"] == text:
            kept.add(one)
    return kept


def judged_by_loss(offer: Offer, kept: set[str], stage: Stage, what: str) -> Seen:
    """Return `reproduced` if documents that were accepted are not found."""
    accepted, lost = len(offer.accepted), len(offer.accepted) - len(kept)
    evidence = tuple(Evidence("error", error) for error in dict.fromkeys(offer.errors))
    if not accepted:
        message = "every document was refused, so that none could be lost"
        return Seen(Outcome.UNKNOWN, message, evidence, recording=stage.recorder.recording(""))
    if not lost and offer.refused:
        return Seen(Outcome.UNKNOWN, f"{what}: {offer.refused} documents refused", evidence, accepted, len(kept))
    outcome = Outcome.REPRODUCED if lost else Outcome.ABSENT
    message = f"{what}: {f'{lost} of {accepted}' if lost else 'none of ' + str(accepted)} accepted documents lost"
    stage.recorder.mark(f"{RESTARTED}: {len(kept)} of {accepted} found", fault=bool(lost))
    return Seen(outcome, message, evidence, accepted, len(kept), stage.recorder.recording(""))
