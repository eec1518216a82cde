"""How a fault shows itself in a log line: the signatures of every room, read from their `signatures.toml`.

[[signature]]
id = "auth.rejected"                  # room and name
rule = "AUTH004"                      # the rule of which the line speaks; left out where it speaks of none
kind = "symptom"
subsystem = "auth"
level = "ERROR"                       # as the code that is known writes it; not matched
literal = "Unverified token rejected"
pattern = "…"                         # left out where the literal alone suffices
states = ["8c2d88ef"]                 # the historical code that writes this line and no other does
meaning = "…"
samples = ["…"]                       # whole lines, which the tests replay

[signature.entities]                  # kind -> expression with one group; looked for in hit lines only
endpoint = "endpoint: ([A-Z]+ [^ ]+)"

[[signature.variant]]                 # what the same line can say; the first that is found counts
name = "unknown-key"
pattern = "Unable to find a signing key"
rule = "AUTH080"

A pattern is one for GNU `grep -E` in the C locale, Python's `re` on bytes, and hyperscan: see `probe.Probe`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.catalogue import ROOMS

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Probe

__all__ = ["SUBSYSTEMS", "Kind", "Signature", "Variant", "by_id", "probes", "read_signatures", "signatures"]

SUBSYSTEMS: Final = ("configuration", "startup", "auth", "provider", "model", "index", "reload")
"""The parts of a backend of which a signature can speak."""


class Kind(StrEnum):
    """What a line is in the course of a fault."""

    CAUSE = "cause"
    """It names why something failed."""
    SYMPTOM = "symptom"
    """Something failed; why, other lines say."""
    CONFIGURATION = "configuration"
    """A setting, a key or a package is missing or wrong: no code has to be changed."""
    ALARM = "alarm"
    """Somebody may be inside who should not be."""
    HARMLESS = "harmless"
    """No trouble, whatever its level."""
    DOWNSTREAM = "downstream"
    """It follows from another line, and adds nothing to the count of what failed."""
    EVIDENCE = "evidence"
    """A fact that helps to decide: an address, a switch, a start."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the things that the same line can say."""

    name: str
    pattern: str
    """Looked for in the message of a line that was hit."""
    rule: str | None = None
    """The rule of which such a line speaks; None for the signature's own."""
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """How a fault shows itself in a log line."""

    id: str
    issue: int
    """The entry of the catalogue, 1 to 6."""
    rule: str | None
    """The rule of which the line speaks; None where it speaks of none."""
    subsystem: str
    literal: bytes
    """Every matching line contains it."""
    pattern: bytes
    """Empty where the literal alone suffices."""
    level: str
    kind: Kind
    meaning: str
    samples: tuple[str, ...]
    entities: Mapping[str, str] = field(default_factory=dict)
    """Kind of thing (endpoint, user, model ...) -> expression with one group."""
    variants: tuple[Variant, ...] = ()
    reader: str | None = None
    """Names the function of `readings.py` that tells the variant, where expressions cannot."""
    states: tuple[str, ...] = ()
    """Commits whose code writes this line; empty where many do."""
    overlaps: tuple[str, ...] = ()
    """Signatures that a sample of this one may match besides."""

    @property
    def room(self) -> str:
        """The room, or `logs`, that keeps it."""
        return self.id.partition(".")[0]


def read_signatures(text: str, issue: int) -> tuple[Signature, ...]:
    """Read the text of a `signatures.toml`; `issue` holds for those that name no other.

    Raises KeyError, ValueError or TypeError where the text is not one: these files are part of the program.
    """
    return tuple(_signature(dict(entry), issue) for entry in tomllib.loads(text)["signature"])


def _signature(entry: dict[str, Any], issue: int) -> Signature:
    texts = {name: str(entry.pop(name, "")).encode() for name in ("literal", "pattern")}
    return Signature(
        issue=entry.pop("issue", issue),
        rule=entry.pop("rule", None),
        literal=texts["literal"],
        pattern=texts["pattern"],
        kind=Kind(entry.pop("kind")),
        variants=tuple(Variant(**variant) for variant in entry.pop("variant", ())),
        entities=MappingProxyType(entry.pop("entities", {})),
        samples=tuple(entry.pop("samples")),
        states=tuple(entry.pop("states", ())),
        overlaps=tuple(entry.pop("overlaps", ())),
        **entry,
    )


_ISSUES: Final = MappingProxyType({"auth": 1, "hf": 2, "txtai": 3, "models": 5, "startup": 6, "logs": 4})


@cache
def signatures() -> tuple[Signature, ...]:
    """Return every signature, room by room, in the order of the files."""
    found: list[Signature] = []
    for room in dict.fromkeys((*ROOMS, "logs")):
        file = files(f"alwrity_checks.{room}").joinpath("signatures.toml")
        if file.is_file():
            found += read_signatures(file.read_text("utf-8"), _ISSUES[room])
    return tuple(found)


@cache
def by_id() -> Mapping[str, Signature]:
    """Return the signatures by their id."""
    return MappingProxyType({signature.id: signature for signature in signatures()})


def probes() -> tuple[Probe, ...]:
    """Return a probe for each signature, in the order of `signatures()`."""
    from alwrity_checks.logs.probe import Probe

    return tuple(Probe(one.id, one.literal, one.pattern) for one in signatures())
