"""What the rooms' `source.py` read of a checkout, and what they say of it. Nothing of the checkout is run.

A room's `source.py` has

    WANTED: tuple[bytes, ...]                               a file that holds none of these is not given to this room
    def traces(file: SourceFile) -> Iterator[Trace]         what one file shows by itself
    def facts(file: SourceFile) -> object                   optional: what `across` needs of a file
    def across(facts: Sequence[object]) -> Iterator[Trace]  optional: what only the whole checkout shows

All of them are pure, and what they return can be pickled: files are read in several processes, in any order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["AcrossFiles", "RoomSource", "SourceFile", "Trace"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the checkout that parses."""

    path: str
    """Relative to the backend's directory, with `/`."""
    tree: ast.Module
    text: str
    live: bool
    """Whether it is imported, over however many others, from where the backend starts."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in the source that betrays a fault."""

    code: str
    """The rule that is broken there."""
    path: str
    """As in SourceFile."""
    line: int
    """1-based."""
    message: str
    """What stands there and what follows from it, in one sentence."""
    snippet_key: str
    """What the fingerprint is made of: the enclosing function and the normalised statement, never a line number."""
    evidence: tuple[tuple[str, str], ...] = ()
    """Further facts: a label and its value."""


class RoomSource(Protocol):
    """A room's `source` module."""

    WANTED: tuple[bytes, ...]
    """A file that holds none of these need not be parsed for this room."""

    def traces(self, file: SourceFile) -> Iterator[Trace]:
        """Yield what one file shows by itself."""


class AcrossFiles(RoomSource, Protocol):
    """A room's `source` module that compares files."""

    def facts(self, file: SourceFile) -> object:
        """Return what `across` needs of a file; None if that is nothing."""

    def across(self, facts: Sequence[object]) -> Iterator[Trace]:
        """Yield what only the whole checkout shows. The facts may come in any order."""
