"""What a caller can know of a name: its kind, parameters and members; and which of its calls another does not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["Kind", "Parameter", "Passing", "Signature", "unaccepted"]

_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")


class Kind(StrEnum):
    """What a name is bound to."""

    CLASS = "class"
    FUNCTION = "function"
    COROUTINE = "async function"
    VALUE = "value"
    IMPORT = "import"


class Passing(StrEnum):
    """How an argument reaches a parameter."""

    POSITION = "by position alone"
    EITHER = "by position or name"
    NAME = "by name alone"
    REST = "every further position"
    NAMES = "every further name"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function."""

    name: str
    passing: Passing = Passing.EITHER
    default: str | None = None
    """Its source; None where an argument is required."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a caller can know of a name."""

    kind: Kind
    line: int
    """1-based: of the `def`, `class`, assignment or import."""
    parameters: tuple[Parameter, ...] = ()
    """Of a function; of a class those of its `__init__`, without `self`."""
    members: Mapping[str, Signature] = field(default_factory=lambda: MappingProxyType({}))
    """Of a class: its methods (their parameters without `self` and `cls`) and the values in its body."""

    def __str__(self) -> str:
        """Return the parameters as they are written, without annotations."""
        shown: list[str] = []
        starred = False
        for index, one in enumerate(self.parameters):
            if one.passing is Passing.NAME and not starred:
                shown.append("*")
            starred = starred or one.passing in {Passing.NAME, Passing.REST}
            mark = {Passing.REST: "*", Passing.NAMES: "**"}.get(one.passing, "")
            shown.append(f"{mark}{one.name}" + ("" if one.default is None else f"={one.default}"))
            following = self.parameters[index + 1 : index + 2]
            if one.passing is Passing.POSITION and all(after.passing is not Passing.POSITION for after in following):
                shown.append("/")
        return f"({', '.join(shown)})"


def unaccepted(theirs: Signature, ours: Signature) -> str:
    """Return a call that `theirs` takes and `ours` does not, in words; an empty text if there is none.

    What matters are the calls that can be written, not annotations or the values of defaults.
    """
    if Kind.COROUTINE in {theirs.kind, ours.kind} and theirs.kind is not ours.kind:
        return f"{_a(theirs.kind)} is replaced by {_a(ours.kind)}"
    complaints = (
        one for look in (_by_position, _by_name, _required) for one in look(theirs.parameters, ours.parameters)
    )
    return next(complaints, "")


def _a(kind: Kind) -> str:
    return f"{'an' if kind[0] in 'ai' else 'a'} {kind}"


def _having(parameters: Sequence[Parameter], *passing: Passing) -> list[Parameter]:
    return [one for one in parameters if one.passing in passing]


def _by_position(theirs: Sequence[Parameter], ours: Sequence[Parameter]) -> Iterator[str]:
    rest = bool(_having(ours, Passing.REST))
    taken = _having(ours, Passing.POSITION, Passing.EITHER)
    for place, one in enumerate(_having(theirs, Passing.POSITION, Passing.EITHER)):
        if place >= len(taken):
            if not rest:
                yield f"{one.name} can be given by position"
            continue
        if one.passing is Passing.EITHER and taken[place].name != one.name:
            yield f"{one.name} is the {_ordinal(place)} parameter, not {taken[place].name}"
        if one.default is not None and taken[place].default is None:
            yield f"{one.name} can be left out"
    if not rest:
        yield from (f"*{one.name} takes any number of arguments" for one in _having(theirs, Passing.REST))


def _by_name(theirs: Sequence[Parameter], ours: Sequence[Parameter]) -> Iterator[str]:
    if _having(ours, Passing.NAMES):
        return
    taken = {one.name: one for one in _having(ours, Passing.EITHER, Passing.NAME)}
    for one in _having(theirs, Passing.EITHER, Passing.NAME):
        if one.name not in taken:
            yield f"{one.name} can be given by name"
        elif one.default is not None and taken[one.name].default is None:
            yield f"{one.name} can be left out"
    yield from (f"**{one.name} takes arguments of any name" for one in _having(theirs, Passing.NAMES))


def _required(theirs: Sequence[Parameter], ours: Sequence[Parameter]) -> Iterator[str]:
    known = {one.name for one in theirs}
    filled = len(_having(theirs, Passing.POSITION, Passing.EITHER))
    for place, one in enumerate(_having(ours, Passing.POSITION, Passing.EITHER)):
        by_position = one.passing is Passing.POSITION and place < filled
        if one.default is None and one.name not in known and not by_position:
            yield f"{one.name} is not needed there"
    for one in _having(ours, Passing.NAME):
        if one.default is None and one.name not in known:
            yield f"{one.name} is not needed there"


def _ordinal(place: int) -> str:
    return _ORDINALS[place] if place < len(_ORDINALS) else f"{place + 1}th"
