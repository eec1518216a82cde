"""The words of an adoption: what a face would write into a checkout, what it needs, and why it will not.

Sources     the checkout's text, read once
Change      one file, before and after
Needed      a setting that production needs for it
Refusal     what does not fit, with the place and what to do about it
Proposal    all of it for one issue
Face        a module that makes a proposal of a checkout's sources
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Change", "Face", "Needed", "Proposal", "Refusal", "Sources"]


@dataclass(frozen=True, slots=True)
class Change:
    """One file, before and after."""

    path: str
    """Relative to the backend's directory, with `/`."""
    before: str | None
    """As `Sources.text` gave it, line endings included; None: the file is new."""
    after: str
    """What is to be in it; it differs from `before`."""


@dataclass(frozen=True, slots=True)
class Needed:
    """A setting that what is written needs; where its present value comes from is looked up by the engine."""

    name: str
    """The environment variable: `CLERK_ISSUER`."""
    why: str
    """One sentence: what it decides, and what happens without it."""
    required: bool
    """Whether production does not work without it."""
    instead: tuple[str, ...] = ()
    """Variables that do as well, in the order in which they count after it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What does not fit, so that nothing of its issue is applied."""

    path: str
    """The file it is about, relative to the backend's directory, with `/`."""
    line: int | None
    """1-based; None where it is about the file as a whole, or its absence."""
    reason: str
    """The observed fact, in one sentence."""
    remedy: str
    """What to do, in one or two sentences."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be written for one issue."""

    issue: int
    changes: tuple[Change, ...] = ()
    """At most one for a path. Several issues may change one file: each `before` is what the sources hold at that time,
    and the engine lets one face after the other see what the ones before it wrote."""
    extras: frozenset[str] = frozenset()
    """The extras of alwrity-doctor that the written modules need: `txtai`."""
    needed: tuple[Needed, ...] = ()
    notes: tuple[str, ...] = ()
    """What a maintainer has to know besides the diff, a sentence or two each."""
    refusals: tuple[Refusal, ...] = ()
    """Not empty: nothing of this issue is applied, and `changes` is empty."""
    done: bool = False
    """Whether everything is in place already: nothing is to be changed. A face that was edited since is not done."""


class Sources(Protocol):
    """The checkout's text, read once."""

    def text(self, path: str) -> str | None:
        """Return a file's text, line endings as they are; None where there is no such file or it is no UTF-8 text."""

    def python_files(self) -> Iterator[str]:
        """Yield the paths of all Python files, sorted, relative to the backend's directory, with `/`."""


class Face(Protocol):
    """A module of `faces/`."""

    @property
    def ISSUE(self) -> int:  # noqa: N802 - a module's constant
        """The entry of the tracker that it cures."""

    def propose(self, sources: Sources) -> Proposal:
        """Return what would be written into the checkout. Raises nothing: what does not fit is in `refusals`."""
