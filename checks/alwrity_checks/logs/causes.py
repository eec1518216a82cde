"""From what was seen to why it happened: the texts of `causes.toml`, and who finds which cause."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.logs.seen import bins_of, ends_of
from alwrity_checks.logs.triage import Cause, Nature, Sureness

if TYPE_CHECKING:
    from alwrity_checks.logs.seen import Seen
    from alwrity_checks.logs.times import Times

__all__ = ["CauseText", "Found", "Named", "causes", "counting", "often", "texts"]


@dataclass(frozen=True, slots=True)
class CauseText:
    """What is known of a cause before any log is read."""

    issue: int
    rule: str
    nature: str
    title: str
    remedy: str
    commands: tuple[str, ...]
    settle: str


@dataclass(frozen=True, slots=True)
class Found:
    """A cause, found in a log."""

    id: str
    sure: Sureness
    times: Times
    counted: str
    """What is counted, in the plural."""
    why: tuple[str, ...]
    rule: str | None = None
    """A rule that fits better than the text's own."""


@dataclass(frozen=True, slots=True)
class Named:
    """A cause that the log names, so that nothing has to be concluded."""

    id: str
    issue: int
    rule: str
    nature: Nature
    title: str
    times: Times
    why: tuple[str, ...]
    remedy: str
    commands: tuple[str, ...]


@cache
def texts() -> Mapping[str, CauseText]:
    """Return the texts of `causes.toml` by the causes' ids."""
    document = tomllib.loads(files("alwrity_checks.logs").joinpath("causes.toml").read_text("utf-8"))
    return MappingProxyType(
        {name: CauseText(**{**entry, "commands": tuple(entry["commands"])}) for name, entry in document.items()}
    )


def counting(count: int, thing: str) -> str:
    """Return a number with its noun: "1 call", "3 calls"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def often(count: int) -> str:
    """Return how often: "once", "3 times"."""
    return "once" if count == 1 else f"{count} times"


_ORDER: Final = (Sureness.CERTAIN, Sureness.LIKELY, Sureness.POSSIBLE)


def causes(seen: Seen) -> tuple[Cause, ...]:
    """Return the causes that were found: alarms first, what did not fail last, else by sureness and count."""
    from alwrity_checks.logs import causes_events

    found = [*map(_cause, _found(seen)), *map(_named, causes_events.found(seen))]
    weight = {Nature.ATTACK: 0, Nature.NONE: 2}
    return tuple(
        sorted(found, key=lambda one: (weight.get(one.nature, 1), _ORDER.index(one.sure), -one.incidents, one.id))
    )


def _found(seen: Seen) -> Iterator[Found]:
    from alwrity_checks.logs import causes_auth, causes_generation, causes_index, causes_models

    for module in (causes_auth, causes_generation, causes_index, causes_models):
        yield from module.found(seen)


def _cause(found: Found) -> Cause:
    text = texts()[found.id]
    first, last = ends_of(found.times)
    return Cause(
        found.id,
        text.issue,
        found.rule or text.rule,
        Nature(text.nature),
        text.title,
        found.sure,
        found.why,
        found.times.count,
        found.counted,
        first,
        last,
        bins_of(found.times),
        text.remedy,
        text.commands,
        "" if found.sure is Sureness.CERTAIN else text.settle,
    )


def _named(named: Named) -> Cause:
    first, last = ends_of(named.times)
    return Cause(
        named.id,
        named.issue,
        named.rule,
        named.nature,
        named.title,
        Sureness.CERTAIN,
        named.why,
        named.times.count,
        "events",
        first,
        last,
        bins_of(named.times),
        named.remedy,
        named.commands,
        "",
    )
