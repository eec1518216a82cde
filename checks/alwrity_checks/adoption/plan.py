"""What an adoption would write into a checkout: one proposal after the other, each on top of those before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption.dependency import DISTRIBUTION, checked_origin, dependencies
from alwrity_checks.adoption.faces import FACES, face
from alwrity_checks.adoption.proposal import Change, Proposal, Refusal
from alwrity_checks.adoption.sources import MARK, CheckoutSources, Overlay, Unmarked
from alwrity_checks.adoption.syntax import SourceMisfit, parsed, refused
from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout

__all__ = ["Adoption", "ordered_issues", "plan"]

_NO_DEFECT: Final = 4


@dataclass(frozen=True, slots=True)
class Adoption:
    """The proposals for a checkout, in the order in which they build on each other."""

    checkout: Checkout
    sources: CheckoutSources
    proposals: tuple[Proposal, ...]
    """Each with the change of the requirements that it needs; one with refusals has no changes."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What all of them together come to: one change for a path, from what is there to what will be."""
        before: dict[str, str | None] = {}
        after: dict[str, str] = {}
        for change in (change for proposal in self.proposals for change in proposal.changes):
            before.setdefault(change.path, change.before)
            after[change.path] = change.after
        found = (Change(path, before[path], text) for path, text in sorted(after.items()))
        return tuple(change for change in found if change.before != change.after)

    @property
    def issues(self) -> tuple[int, ...]:
        """The issues of which something would be written."""
        return tuple(proposal.issue for proposal in self.proposals if proposal.changes)


def ordered_issues(named: Sequence[int]) -> tuple[int, ...]:
    """Return the issues to adopt, sorted, all if none is named. Raises ConfigurationError for one without a face."""
    if unknown := sorted(set(named) - set(FACES)):
        known = ", ".join(map(str, FACES))
        why = "issue 4 is no defect, so there is nothing to adopt" if unknown[0] == _NO_DEFECT else ""
        raise ConfigurationError(why or f"nothing can be adopted for issue {unknown[0]}", f"name one of {known}")
    return tuple(sorted(set(named) or set(FACES)))


def plan(
    checkout: Checkout, issues: Iterable[int], requirements: Sequence[str] = (), origin: str | None = None
) -> Adoption:
    """Return what would be written into a checkout for these issues; nothing is written, and nothing of it is run.

    `requirements` are the files that install the backend, relative to its directory or to the repository's root; found
    where none is named. `origin` is the URL that alwrity-doctor is installed from; None leaves it to pip's index. Takes
    seconds: every file that mentions a module is looked at. Raises MissingExtra where libcst is missing, and
    ConfigurationError for an origin that cannot be written down.
    """
    parsed("")  # says at once that the extra is missing, before a face meets it
    url = "" if origin is None else checked_origin(origin)
    sources = CheckoutSources(checkout)
    seen: CheckoutSources | Overlay = sources
    files = [_seen_from_backend(sources, one) for one in requirements]
    proposals = []
    for issue in issues:
        shown = Unmarked(seen)
        proposal = _marked(_complete(_proposed(issue, shown), shown, files, url), seen)
        proposals.append(proposal)
        if proposal.changes:
            seen = Overlay(seen, proposal.changes)
    return Adoption(checkout, sources, tuple(proposals))


def _seen_from_backend(sources: CheckoutSources, named: str) -> str:
    path = PurePosixPath(named.replace("\\", "/")).as_posix()
    return path if sources.text(path) is not None else path.removeprefix(sources.prefix)


def _marked(proposal: Proposal, seen: CheckoutSources | Overlay) -> Proposal:
    """Return a proposal whose changes keep the byte order marks that the files have."""
    marked = tuple(
        replace(one, before=MARK + one.before, after=MARK + one.after)
        if one.before is not None and (seen.text(one.path) or "").startswith(MARK)
        else one
        for one in proposal.changes
    )
    return replace(proposal, changes=marked)


def _proposed(issue: int, seen: Unmarked) -> Proposal:
    try:
        return face(issue).propose(seen)
    except SourceMisfit as misfit:
        return Proposal(issue, refusals=(refused("", misfit),))


def _complete(proposal: Proposal, seen: Unmarked, requirements: Sequence[str], origin: str) -> Proposal:
    """Return a proposal with the line that installs what its modules import, and without changes if it is refused."""
    refusals = [*(_precise(one, seen) for one in proposal.refusals), *_unfit(proposal.changes, seen)]
    if refusals:
        return replace(proposal, changes=(), refusals=tuple(refusals), done=False)
    wanted = dependencies(Overlay(seen, proposal.changes), proposal.extras, requirements, origin)
    if wanted.refusals:
        precise = tuple(_precise(one, seen) for one in wanted.refusals)
        return replace(proposal, changes=(), refusals=precise, done=False)
    changes = (*proposal.changes, *wanted.changes)
    return replace(proposal, changes=changes, notes=(*proposal.notes, *wanted.notes), done=not changes)


def _precise(refusal: Refusal, seen: Unmarked) -> Refusal:
    """Return why a file that lies there is taken for missing; any other refusal as it is."""
    if not refusal.path or seen.text(refusal.path) is not None or not seen.is_there(refusal.path):
        return refusal
    reason = "it is there, but is no UTF-8 text that can be read: another encoding, a link, or made by a program"
    return replace(refusal, reason=reason, remedy="save it as UTF-8, or apply the change by hand")


def _unfit(changes: Sequence[Change], seen: Unmarked) -> Iterable[Refusal]:
    """Yield what is wrong with changes that are not made from what is there, or do not parse: a face erred."""
    for change in changes:
        if seen.text(change.path) != change.before:
            yield Refusal(
                change.path, None, "it is not what was read a moment ago, or no UTF-8 text", "run adopt again"
            )
        if change.path.endswith(".py"):
            try:
                parsed(change.after)
            except SourceMisfit as misfit:
                yield Refusal(
                    change.path,
                    misfit.line,
                    f"what would be written does not parse: {misfit.diagnosis}",
                    f"report it as a fault of {DISTRIBUTION}",
                )
