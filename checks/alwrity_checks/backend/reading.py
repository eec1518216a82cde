"""What one file of a checkout comes to: whether it compiles, and what each room sees in it. Pure, and picklable."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from alwrity_checks.backend.parsing import Flaw, FlawKind, flaw_of, newer_than, text_of, tree_of
from alwrity_checks.backend.rooms import Room, rooms
from alwrity_checks.source import SourceFile, Trace

__all__ = ["Order", "Reading", "Trouble", "examine", "read_file"]

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Order:
    """A file that is to be read."""

    path: str
    """Relative to the backend's directory, with `/`."""
    data: bytes
    live: bool
    declared: Version | None = None
    """The Python that the checkout says it runs with, where it is older than this one."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A room that could not read a file: what it looks for may be there."""

    room: str
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file came to."""

    path: str
    live: bool
    flaw: Flaw | None = None
    traces: tuple[tuple[str, Trace], ...] = ()
    """Room, and what it saw."""
    facts: tuple[tuple[str, object], ...] = ()
    """Room, and what it needs to compare files."""
    troubles: tuple[Trouble, ...] = ()
    parsed: bool = True
    """Whether the rooms could look into it: not if it does not compile with this Python."""


_LONGEST: Final = 200


def read_file(order: Order) -> Reading:
    """Read one file. Never raises for what is in it."""
    flaw = flaw_of(order.data)
    if flaw is not None:
        return Reading(order.path, order.live, flaw, parsed=False)
    if order.declared is not None and order.live:
        flaw = newer_than(order.declared, order.data)
    wanting = [room for room in rooms() if room.wants(order.data)]
    if not wanting:
        return Reading(order.path, order.live, flaw)
    try:
        tree = tree_of(order.data)
    except (RecursionError, MemoryError):
        deep = Flaw(FlawKind.UNDECIDED, 1, "is nested too deeply to be read")
        return Reading(order.path, order.live, deep, parsed=False)
    return examine(order, tree, flaw, wanting)


def examine(order: Order, tree: ast.Module, flaw: Flaw | None = None, wanting: Iterable[Room] | None = None) -> Reading:
    """Let the rooms look into a file of which the tree is there already."""
    file = SourceFile(order.path, tree, text_of(order.data), order.live)
    traces: list[tuple[str, Trace]] = []
    facts: list[tuple[str, object]] = []
    troubles: list[Trouble] = []
    for room in [room for room in rooms() if room.wants(order.data)] if wanting is None else wanting:
        try:
            traces.extend((room.name, trace) for trace in room.traces(file))
            if room.facts is not None and (fact := room.facts(file)) is not None:
                facts.append((room.name, fact))
        except RecursionError:
            troubles.append(Trouble(room.name, order.path, "is nested too deeply to be looked through"))
        except Exception as error:  # noqa: BLE001 - somebody's source may be odder than a room foresaw; the others go on
            troubles.append(Trouble(room.name, order.path, f"raised {type(error).__name__}: {error}"[:_LONGEST]))
    return Reading(order.path, order.live, flaw, tuple(traces), tuple(facts), tuple(troubles))
