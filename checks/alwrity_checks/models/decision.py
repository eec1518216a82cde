"""Whether to load a model: decided from what it will need, what there is, and what happened before. Loads nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.errors import ModelError, OutOfMemory
from alwrity_checks.models.loading import MEMORY_REASONS
from alwrity_checks.models.reasons import Reason

if TYPE_CHECKING:
    from alwrity_checks.models.steps import Step

__all__ = ["CLOSE", "FAMILIAR", "Course", "Verdict", "decide", "in_bytes", "may_follow", "not_lighter"]

CLOSE: Final = 0.85
"""A load that needs more than this part of what there is may not fit: predictions were off by 5 % at most, and other
processes take and give memory meanwhile."""
FAMILIAR: Final = 0.5
"""Below this part even the first load on a machine is trusted: it would fit if the prediction were wrong by half."""
_SAME: Final = 1.1
"""What died with so much memory has to find a tenth more before it is tried again."""


class Course(StrEnum):
    """What to do about a step."""

    LOAD = "load"
    REHEARSE = "rehearse"
    """In a child process first, whose death is an answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a load came to on this machine, with the same files and libraries."""

    loaded: bool
    peak: int
    """Bytes of peak resident memory of the process that loaded it; 0 where it died."""
    available: int
    """Bytes that were there for it."""


def decide(step: Step, predicted: int | None, available: int, verdict: Verdict | None) -> Course:
    """Return what to do about `step`, which is predicted to need `predicted` bytes; None: nobody knows.

    Raises OutOfMemory: DOES_NOT_FIT for what cannot fit, REHEARSAL_DIED for what died before with as much memory.
    """
    # What was seen here is nearer to the truth than what was predicted.
    needed = verdict.peak if verdict is not None and verdict.loaded else predicted
    if needed is not None and needed > available:
        raise OutOfMemory(
            Reason.DOES_NOT_FIT,
            f"{step} needs {in_bytes(needed)}, and {in_bytes(available)} are left: it was not tried",
            "free memory, raise the limit, or choose a lighter model: alwrity-doctor models plan",
        )
    if verdict is not None and not verdict.loaded:
        if available < verdict.available * _SAME:
            raise OutOfMemory(
                Reason.REHEARSAL_DIED,
                f"{step} was killed in a rehearsal with {in_bytes(verdict.available)} of memory, "
                f"and {in_bytes(available)} are left: it was not tried",
                "free memory, raise the limit, or choose a lighter model: alwrity-doctor models plan",
            )
        return Course.REHEARSE
    if needed is None or needed > CLOSE * available:
        return Course.REHEARSE
    if verdict is None and needed > FAMILIAR * available:
        return Course.REHEARSE
    return Course.LOAD


def may_follow(step: Step, failures: Mapping[Step, ModelError], needs: Mapping[Step, int]) -> bool:
    """Say whether `step` may be tried after the `failures`; `needs` are predicted peaks in bytes.

    After a lack of memory, and within one runtime, only what is strictly lighter may follow. A runtime that cannot be
    used for another cause (it is not installed, it cannot convert the model) says nothing about another one. What
    nobody can predict is not lighter; but a model that does not exist, of which nothing is known, hinders no other.
    """
    mine = needs.get(step)
    for failed, error in failures.items():
        its = needs.get(failed)
        if error.reason in MEMORY_REASONS:
            if mine is None or its is None or mine >= its:
                return False
        elif failed.runtime is step.runtime and mine is not None and its is not None and mine >= its:
            return False
    return True


def not_lighter(step: Step, failures: Collection[Step]) -> OutOfMemory:
    """Return why `step` was left out."""
    told = f"{step} is not lighter than what failed before it ({', '.join(map(str, failures))}): it was not tried"
    return OutOfMemory(Reason.DOES_NOT_FIT, told, "order the chain from heavy to light: alwrity-doctor models plan")


def in_bytes(number: float) -> str:
    """Return a number of bytes in words: `1.6 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if abs(number) < 1024:  # noqa: PLR2004 - the step between two units
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
