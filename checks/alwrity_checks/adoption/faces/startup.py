"""The face of issue 6: the start script asks the registry to fetch the local models, and goes on at once.

What decides whether it does, stays: the features that are enabled, and the clouds in which it never did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption import fit
from alwrity_checks.adoption.proposal import Change, Needed, Proposal, Refusal
from alwrity_checks.adoption.syntax import Kind, Passing, SourceMisfit, public_names, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.adoption.proposal import Sources

__all__ = ["FUNCTION", "ISSUE", "PATH", "propose"]

ISSUE: Final = 6
PATH: Final = "start_alwrity_backend.py"
FUNCTION: Final = "bootstrap_local_llm_models"
_NEEDED: Final = (
    Needed(
        "SIF_AGENT_MODEL",
        "The model that is fetched for the agents, and used by them; without it the one that the registry names.",
        required=False,
    ),
    Needed(
        "HF_HUB_OFFLINE",
        "1 where no hub can be reached: nothing is fetched then, and models come from the cache alone.",
        required=False,
    ),
)
_NOTE: Final = (
    "The start no longer waits for a model: that its bootstrap succeeded means that the download was begun. What came "
    "of it is in the log, and in alwrity_checks.health."
)
_UNUSED: Final = "Qwen/Qwen2.5-3B-Instruct"
_UNUSED_NOTE: Final = (
    f"{_UNUSED} is fetched no longer: 6.2 GB that no agent has used since 4230385e, under a licence without commercial "
    "use. Where a cache has it, it may be deleted."
)


def propose(sources: Sources) -> Proposal:
    """Return what would be written into the checkout for issue 6. Raises MissingExtra without libcst."""
    text = sources.text(PATH)
    if text is None:
        gone = Refusal(PATH, None, "the start script is not there", "look where this revision has it")
        return Proposal(ISSUE, refusals=(gone,))
    after = text
    try:
        refusals = tuple(_refusals(text))
        if not refusals:
            from alwrity_checks.adoption.bootstrap import in_background

            after = in_background(text, FUNCTION)
    except SourceMisfit as misfit:
        refusals = (refused(PATH, misfit),)
    if refusals:
        return Proposal(ISSUE, refusals=refusals)
    extras = frozenset({"models"})
    if after == text:
        return Proposal(ISSUE, extras=extras, needed=_NEEDED, done=True)
    notes = (_NOTE, _UNUSED_NOTE) if _UNUSED in text and _UNUSED not in after else (_NOTE,)
    return Proposal(ISSUE, (Change(PATH, text, after),), extras, _NEEDED, notes)


def _refusals(text: str) -> Iterator[Refusal]:
    if (unfinished := fit.conflict(PATH, text)) is not None:
        yield unfinished
        return
    theirs = public_names(text).get(FUNCTION)
    if theirs is None:
        yield Refusal(PATH, None, f"it does not define {FUNCTION}", "look where this revision downloads its models")
    elif theirs.kind is not Kind.FUNCTION:
        told = f"{FUNCTION} is no function there, but a {theirs.kind}"
        yield Refusal(PATH, theirs.line, told, "apply the change by hand")
    elif any(one.default is None and one.passing in {Passing.POSITION, Passing.EITHER} for one in theirs.parameters):
        told = f"{FUNCTION}{theirs} takes arguments, whose meaning is unknown"
        yield Refusal(PATH, theirs.line, told, "apply the change by hand")
