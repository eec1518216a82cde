"""A scenario: what is done to a target for the sake of one rule, and what that showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.scenarios.targets import AuthTarget, Deployment, Ruling
from alwrity_checks.model import Evidence, Outcome

if TYPE_CHECKING:
    from alwrity_checks.auth.scenarios.stage import Stage
    from alwrity_checks.pictures import Lane

__all__ = ["LOCKED_OUT", "Scenario", "Seen", "accepts_genuine", "judged_by_count", "judged_by_table", "listing"]

_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a scenario showed."""

    outcome: Outcome
    message: str
    evidence: tuple[Evidence, ...] = ()
    lanes: tuple[Lane, ...] = ()
    """Who was at what meanwhile, where that was watched."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a target for the sake of one rule."""

    code: str
    """The rule's."""
    title: str
    """What is done, in a few words."""
    play: Callable[[AuthTarget, Stage], Awaitable[Seen]]
    """Does it, on a stage that is used for nothing else."""


LOCKED_OUT: Final = Seen(Outcome.UNKNOWN, "genuine tokens are refused too, so nothing follows from its refusals")
"""What is seen of a deployment that shows no fault because it shows nothing."""


async def accepts_genuine(deployment: Deployment, stage: Stage) -> bool:
    """Return whether a genuine token is accepted: the control of every experiment whose fault is an acceptance."""
    return (await deployment.judge(stage.genuine())).ruling is Ruling.ACCEPTED


async def judged_by_table(deployment: Deployment, stage: Stage, tokens: Mapping[str, str], what: str) -> Seen:
    """Return `reproduced` if any of `tokens` (name -> token), none of which is acceptable, is accepted."""
    control = await accepts_genuine(deployment, stage)
    names, answers = [], Counter[str]()
    for name, token in tokens.items():
        answer = await deployment.judge(token)
        if answer.ruling is Ruling.ACCEPTED:
            names.append(name)
        else:
            answers[answer.detail or answer.ruling.value] += 1
    if names:
        message = f"accepted {len(names)} of {len(tokens)} {what}: {listing(names)}"
        return Seen(Outcome.REPRODUCED, message, (Evidence("accepted", "; ".join(names)),))
    if not control:
        return LOCKED_OUT
    counted = ", ".join(f"{reason} {number}" for reason, number in answers.most_common())
    return Seen(Outcome.ABSENT, f"refused all {len(tokens)} {what}", (Evidence("answers", counted),))


def judged_by_count(fetches: int, allowed: int, what: str) -> Seen:
    """Return `reproduced` if there were more fetches than are allowed."""
    outcome = Outcome.REPRODUCED if fetches > allowed else Outcome.ABSENT
    return Seen(outcome, f"{what}: {fetches} fetch{'es' * (fetches != 1)}, {allowed} allowed")


def listing(names: list[str]) -> str:
    """Return the first few of `names`, and how many more there are."""
    rest = len(names) - _MOST_NAMED
    return "; ".join(names[:_MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
