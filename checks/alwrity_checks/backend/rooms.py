"""The modules that look into files, imported once for a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from alwrity_checks.backend.subjects import SOURCES

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile, Trace

__all__ = ["Room", "rooms"]


@dataclass(frozen=True, slots=True)
class Room:
    """A `source` module, with what it may leave out filled in."""

    name: str
    wanted: tuple[bytes, ...]
    also: Callable[[bytes], bool] | None
    """What a file that holds one of `wanted` must be besides, where a room can tell."""
    traces: Callable[[SourceFile], Iterator[Trace]]
    facts: Callable[[SourceFile], object] | None
    across: Callable[[Sequence[object]], Iterator[Trace]] | None

    def wants(self, data: bytes) -> bool:
        """Say whether a file may hold what this room looks for."""
        return any(literal in data for literal in self.wanted) and (self.also is None or self.also(data))


@cache
def rooms() -> tuple[Room, ...]:
    """Return every room, in the order of the table."""
    found = []
    for name, path in SOURCES.items():
        module = import_module(path)
        optional = (getattr(module, part, None) for part in ("wants", "facts", "across"))
        wants, facts, across = optional
        found.append(Room(name, module.WANTED, wants, module.traces, facts, across))
    return tuple(found)
