"""Whether our classes fit in the place of a checkout's: what its callers import, call and reach for has to be there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption.proposal import Refusal
from alwrity_checks.adoption.syntax import Kind, Signature, callers, public_names, unaccepted

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Sources

__all__ = [
    "conflict",
    "gone",
    "names_of",
    "our_class",
    "uncallable",
    "unfit_calls",
    "unfit_imports",
    "unfit_reaches",
]

_BY_HAND: Final = "have the caller do without it, or leave this issue to be done by hand"
_REACHED: Final = re.compile(r"\bself\.(\w+)")
_CONFLICT: Final = re.compile(r"^<{7} ", re.MULTILINE)


def our_class(package: str, module: str, name: str) -> Signature:
    """Return the signature of a class of ours, read and not imported."""
    return public_names((files(package) / f"{module}.py").read_text("utf-8"))[name]


def conflict(path: str, text: str) -> Refusal | None:
    """Return why a file with the marks of a merge that nobody has finished is left alone; None for any other."""
    found = _CONFLICT.search(text)
    if found is None:
        return None
    line = text.count("\n", 0, found.start()) + 1
    told = "the marks of an unfinished merge are in it, so that nobody knows what it is to be"
    return Refusal(path, line, told, "finish the merge, then run adopt again")


def unfit_imports(sources: Sources, module: str, offered: Collection[str]) -> Iterator[Refusal]:
    """Yield who imports a name of `module` that is not among those `offered`, or everything that it has."""
    for caller in callers(sources, module, offered):
        told = "everything" if caller.name == "*" else caller.name
        yield Refusal(caller.path, caller.line, f"it uses {told} of {module}, which would not be there", _BY_HAND)


def unfit_calls(path: str, name: str, theirs: Signature, ours: Signature) -> Iterator[Refusal]:
    """Yield the calls that a checkout's class at `path` takes and ours does not: its constructor's and its methods'."""
    if theirs.kind is not Kind.CLASS:
        yield Refusal(path, theirs.line, f"{name} is no class there, but a {theirs.kind}", "apply the change by hand")
        return
    # Without one it is made as `__new__` or a base class wants it, of which nothing is known.
    if "__init__" in theirs.members and (refused := unaccepted(theirs, ours)):
        yield uncallable(path, theirs.line, name, refused)
    for method, signature in theirs.members.items():
        mine = ours.members.get(method)
        if method.startswith("_") or mine is None or Kind.VALUE in {signature.kind, mine.kind}:
            continue
        if refused := unaccepted(signature, mine):
            yield uncallable(path, signature.line, f"{name}.{method}", refused)


def gone(theirs: Mapping[str, Signature], offered: Collection[str]) -> Iterator[str]:
    """Yield a note on what a module defines besides, and nobody is seen to import."""
    kinds = {Kind.CLASS, Kind.FUNCTION, Kind.COROUTINE}
    if names := [name for name, one in theirs.items() if name not in offered and one.kind in kinds]:
        yield f"{', '.join(names)} of the old module {'goes' if len(names) == 1 else 'go'}: nothing imports it by name."


def uncallable(path: str, line: int, name: str, refused: str) -> Refusal:
    """Return why a checkout's `name` cannot be replaced: a call that it takes and ours does not."""
    told = f"{name} can be called as ours cannot: {refused}"
    return Refusal(path, line, told, "see whether anybody calls it so, and apply the change by hand")


def names_of(text: str, signature: Signature) -> frozenset[str]:
    """Return every attribute that a class has: its members, and what the module's methods call `self.` something."""
    return frozenset({*signature.members, *_REACHED.findall(text)})


def unfit_reaches(
    sources: Sources, receivers: str, lacking: Collection[str], besides: Collection[str]
) -> Iterator[Refusal]:
    """Yield who reaches for a name that ours lacks, by an object that is called one of `receivers` (a regex).

    `besides` are the files in which that says nothing: the module itself.
    """
    names = [one for one in lacking if not one.startswith("__")]
    if not names:
        return
    reach = re.compile(rf"\b(?:{receivers})\.({'|'.join(map(re.escape, sorted(names)))})\b")
    for path in sources.python_files():
        text = "" if path in besides else sources.text(path) or ""
        for found in reach.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            told = f"it reaches for {found[1]}, which would not be there"
            yield Refusal(path, line, told, _BY_HAND)
