"""A face that takes the place of a whole module: what is proposed, refused or done is decided alike for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from alwrity_checks.adoption.proposal import Change, Needed, Proposal, Refusal
from alwrity_checks.adoption.syntax import SourceMisfit, refused, replace_module

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Sources

__all__ = ["propose_module"]


def propose_module(  # noqa: PLR0913 - what a face consists of
    sources: Sources,
    issue: int,
    path: str,
    face: str,
    *,
    name: str,
    extra: str,
    needed: tuple[Needed, ...],
    refusals: Callable[[Sources, str], Iterable[Refusal]],
    notes: Callable[[str], Iterable[str]],
) -> Proposal:
    """Return the proposal to put `face` in the place of the module at `path`, called `name` where it is not there.

    `refusals` says of the module's text why it does not fit, `notes` what a maintainer has to know of the change.
    Raises MissingExtra without libcst.
    """
    text = sources.text(path)
    if text is None:
        gone = Refusal(path, None, f"{name} is not there", "look where this revision has it")
        return Proposal(issue, refusals=(gone,))
    after = replace_module(text, face)
    try:
        against = tuple(refusals(sources, text))
    except SourceMisfit as misfit:
        against = (refused(path, misfit),)
    if against:
        return Proposal(issue, refusals=against)
    extras = frozenset({extra})
    if after == text:
        return Proposal(issue, done=True, extras=extras, needed=needed)
    return Proposal(issue, changes=(Change(path, text, after),), extras=extras, needed=needed, notes=tuple(notes(text)))
