"""The words of a diagnosis: what `diagnose` returns. Everything in it is redacted, and may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = [
    "Bins",
    "Cause",
    "ClusterFound",
    "EntityCount",
    "Event",
    "FirstFailure",
    "Followed",
    "Group",
    "Nature",
    "Sureness",
    "Triage",
    "Unread",
]


class Sureness(StrEnum):
    """How sure a statement is."""

    CERTAIN = "certain"
    """The lines can mean nothing else, in any code that is known."""
    LIKELY = "likely"
    """Something else would leave the same lines, and is less common."""
    POSSIBLE = "possible"
    """The lines do not decide; what would is named."""


class Nature(StrEnum):
    """What has to change."""

    CONFIGURATION = "configuration"
    """A setting, a key, a package or a clock."""
    DEFECT = "defect"
    """The code."""
    OUTSIDE = "outside"
    """A service, a network, or the size of a machine."""
    ATTACK = "attack"
    """Somebody may be inside: look at this first."""
    NONE = "none"
    """Nothing failed."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A rate, for a sparkline."""

    width: int
    """Seconds of a bin; 0 where everything is in one."""
    counts: tuple[tuple[datetime, int], ...]
    """Beginning -> how often; bins with nothing in them are left out."""


@dataclass(frozen=True, slots=True)
class EntityCount:
    """Which things lines named."""

    kind: str
    """`endpoint`, `user`, `model`, `url` ..."""
    distinct: int
    exact: bool
    """Whether `distinct` was counted; else it is estimated, and `most` is a sample."""
    most: tuple[tuple[str, int], ...]
    """Value and count, the most frequent first; users and clients as keyed hashes."""


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one signature, or of one variant of it."""

    signature: str
    variant: str
    """Empty where the signature has none, or none of them fits."""
    issue: int
    rule: str | None
    kind: str
    """See `signatures.Kind`."""
    subsystem: str
    level: str
    """The level that most of the lines have."""
    meaning: str
    count: int
    first: datetime | None
    """None where no line before it has a time."""
    last: datetime | None
    bins: Bins
    entities: tuple[EntityCount, ...]
    sample: str
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something failed."""

    id: str
    issue: int
    rule: str
    nature: Nature
    title: str
    sure: Sureness
    why: tuple[str, ...]
    """The facts in the log that say so, each a sentence."""
    incidents: int
    """How often: verifications, requests for text, refused calls, walks down a chain, starts."""
    counted: str
    """What is counted, in the plural."""
    first: datetime | None
    last: datetime | None
    bins: Bins
    remedy: str
    commands: tuple[str, ...]
    settle: str
    """What would settle it; empty where it is certain, or where nothing in a log can."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A subsystem that failed as well."""

    subsystem: str
    first: datetime | None
    count: int
    because: str
    """How it hangs together with the first one: the edge of the graph, or that there is none."""
    depends: bool
    """Whether the graph says that it depends on the first one."""


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """The subsystem that failed first, of those that are behind what came after."""

    subsystem: str
    cause: str
    """Id of the cause that weighs most in it; empty where there is none."""
    nature: Nature
    title: str
    first: datetime | None
    sure: Sureness
    evidence: tuple[str, ...]
    """Times, order, share; each a sentence."""
    followed: tuple[Followed, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the timeline."""

    moment: datetime | None
    inferred: bool
    """Whether the date was inferred."""
    stream: str
    subsystem: str
    text: str
    sample: str


@dataclass(frozen=True, slots=True)
class ClusterFound:
    """Trouble that no signature knows."""

    level: str
    module: str
    template: str
    count: int
    first: datetime | None
    last: datetime | None
    bins: Bins
    sample: str
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """Parts of a stream that were not looked at, for one reason."""

    stream: str
    reason: str
    detail: str
    parts: int
    first: int
    """Offset of the first one."""
    length: int
    """Bytes, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Triage:
    """What a set of logs says."""

    groups: tuple[Group, ...]
    """By issue, then by count; without harmless lines and facts."""
    harmless: tuple[Group, ...]
    """No trouble, whatever their level, among them each reload with what it resets."""
    facts: tuple[Group, ...]
    """Lines that say how the backend is set up."""
    causes: tuple[Cause, ...]
    """Alarms first, then by sureness and count."""
    first_failure: FirstFailure | None
    """None where nothing failed."""
    timeline: tuple[Event, ...]
    clusters: tuple[ClusterFound, ...]
    unknown_lines: int
    """How many lines the clusters hold in all."""
    secrets: tuple[tuple[str, int], ...]
    """Kind and count."""
    skipped: tuple[Unread, ...]
    states: tuple[str, ...]
    """What the messages say about which code wrote them, each a sentence."""
    notes: tuple[str, ...]
    verbose: bool
