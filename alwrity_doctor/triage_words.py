"""The words in which a triage is told: times, counts, rates, and what lines named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Evidence
from alwrity_doctor.sparkline import sparkline

if TYPE_CHECKING:
    from alwrity_checks.logs.triage import Bins, EntityCount, Group

__all__ = [
    "FEW",
    "NATURES",
    "forms",
    "lines",
    "logs",
    "moment",
    "name",
    "period",
    "rate",
    "said",
    "size",
    "span",
    "subsystem",
    "things",
    "times",
]

SUBSYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "configuration": "the configuration",
        "startup": "the start",
        "auth": "sign-in (auth)",
        "provider": "text generation (provider)",
        "model": "the local models",
        "index": "the semantic index",
        "reload": "the reloader",
    }
)
NATURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attack": "who is let in",
        "configuration": "the configuration",
        "defect": "the code",
        "outside": "a service, a network or the machine",
    }
)
"""Nature of a cause -> what has to change; the order in which a person looks."""
FEW: Final = 3
"""So many of a kind are named."""


def things(entities: Sequence[EntityCount]) -> list[Evidence]:
    """Return what the lines named, as evidence: how many of a kind, and the most frequent."""
    made = []
    for one in entities:
        if one.kind == "text":
            continue
        about = "" if one.exact else "about "
        named = ", ".join(f"{value} ({count:,})" for value, count in one.most[:FEW])
        more = ", …" if one.distinct > FEW else ""
        kinds = one.kind if one.kind.endswith("s") else f"{one.kind}s"
        made.append(Evidence(kinds, f"{about}{one.distinct:,}: {named}{more}"))
    return made


def period(first: datetime | None, last: datetime | None, bins: Bins) -> list[Evidence]:
    """Return when, and how it went over time, as evidence; nothing for lines without a time."""
    if first is None or last is None:
        return []
    picture = rate(first, last, bins)
    return [Evidence("when", f"{span(first, last)}{f'  {picture}' if picture else ''}")]


def rate(first: datetime | None, last: datetime | None, bins: Bins) -> str:
    """Return a sparkline; nothing for a single moment."""
    if first is None or last is None or first == last or not bins.counts:
        return ""
    return sparkline(bins.counts, first, last)


def span(first: datetime | None, last: datetime | None) -> str:
    """Return from when to when."""
    if first is None or last is None:
        return "at no known time"
    if first == last:
        return moment(first)
    return f"{moment(first)} to {f'{last:%H:%M:%S}' if first.date() == last.date() else moment(last)}"


def moment(at: datetime | None) -> str:
    """Return a moment as the log tells it; of a log without dates the clock, and how many days after its beginning."""
    if at is None:
        return ""
    if at.year == 1:
        return f"{at:%H:%M:%S}" + (f" (day {at.timetuple().tm_yday})" if at.timetuple().tm_yday > 1 else "")
    return f"{at:%Y-%m-%d %H:%M:%S}"


def times(count: int) -> str:
    """Return how often."""
    return "once" if count == 1 else f"{count:,} times"


def lines(count: int) -> str:
    """Return a count of lines."""
    return "1 line" if count == 1 else f"{count:,} lines"


def forms(count: int) -> str:
    """Return a count of forms."""
    return "1 form" if count == 1 else f"{count:,} forms"


def logs(streams: Sequence[str]) -> str:
    """Return what was read, in few words."""
    if len(streams) == 1:
        return "standard input" if streams[0] == "-" else streams[0]
    return f"{len(streams)} logs"


def size(count: int) -> str:
    """Return a count of bytes."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def subsystem(name: str) -> str:
    """Return a subsystem as a person calls it."""
    return SUBSYSTEMS.get(name, name)


def said(one: Evidence) -> str:
    """Return a fact in one line."""
    return f"{one.label}: {one.value}"


def name(group: Group) -> str:
    """Return a signature with its variant."""
    return f"{group.signature} ({group.variant})" if group.variant else group.signature
