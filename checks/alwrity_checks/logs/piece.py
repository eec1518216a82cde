"""What a piece of a stream comes to. Two neighbours can be joined, and it does not matter in which order many are.

Tally   how often a signature was seen, when, with which things, and one sample
Piece   tallies, incidents, clusters, the clock, secrets and parts that could not be read
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from alwrity_checks.logs.clusters import Clusters
from alwrity_checks.logs.incidents import Story
from alwrity_checks.logs.machines import MACHINES
from alwrity_checks.logs.sketches import Sample
from alwrity_checks.logs.times import Clock, Shift, Times

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Skipped

__all__ = ["Piece", "Tally", "Unseen"]


class Unseen(NamedTuple):
    """Parts that were not looked at for one reason, added up."""

    parts: int
    first: int
    """Offset of the first one."""
    length: int
    """Bytes, as far as they are known."""
    unknown: bool
    """Whether of some part nobody knows how long it would have been."""

    def joined(self, other: Unseen) -> Unseen:
        """Return both, added up."""
        first = min(self.first, other.first)
        return Unseen(self.parts + other.parts, first, self.length + other.length, self.unknown or other.unknown)


@dataclass(slots=True)
class Tally:
    """A signature, or one variant of it."""

    times: Times = field(default_factory=Times)
    entities: dict[str, Sample] = field(default_factory=dict)
    """Kind -> values."""
    levels: Counter[str] = field(default_factory=Counter)
    sample: str = ""
    """The first line, without secrets."""
    at: int = -1
    """Where that stands in the stream."""

    def join(self, after: Tally, shift: Shift) -> None:
        """Take in the tally of the piece behind this one."""
        self.times.join(after.times, shift)
        for kind, sample in after.entities.items():
            self.entities.setdefault(kind, Sample()).join(sample)
        self.levels += after.levels
        if self.at < 0 or 0 <= after.at < self.at:
            self.sample, self.at = after.sample, after.at

    def as_data(self) -> list[Any]:
        """Return it in JSON's types."""
        entities = {kind: sample.as_data() for kind, sample in sorted(self.entities.items())}
        return [self.times.as_data(), entities, dict(sorted(self.levels.items())), self.sample, self.at]

    @classmethod
    def from_data(cls, data: list[Any]) -> Tally:
        """Return what `as_data` wrote."""
        entities = {kind: Sample.from_data(sample) for kind, sample in data[1].items()}
        return cls(Times.from_data(data[0]), entities, Counter(data[2]), data[3], data[4])


@dataclass(slots=True)
class Piece:
    """A stretch of one stream, from `start` to `end`."""

    start: int
    end: int | None = None
    """The first byte behind it; None where that is not known, and then it is joined to nothing before the end."""
    clock: Clock = field(default_factory=Clock)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """Signature and variant (empty for none) -> its tally."""
    stories: dict[str, Story] = field(default_factory=lambda: {name: Story(name) for name in MACHINES})
    clusters: Clusters = field(default_factory=Clusters)
    levels: Counter[str] = field(default_factory=Counter)
    """Format and level -> hit lines. Lines at INFO and below that are no hit are not among them."""
    secrets: Counter[str] = field(default_factory=Counter)
    """Kind -> how many were seen."""
    skipped: dict[tuple[str, str], Unseen] = field(default_factory=dict)
    """Name of the reason and what was met -> the parts that were not looked at."""
    verbose: bool = False
    """Whether the application's own records at INFO or DEBUG were seen: only then does it mean something if there is
    none."""

    def skip(self, part: Skipped) -> None:
        """Note a part that was not looked at."""
        unseen = Unseen(1, part.offset, part.length or 0, part.length is None)
        self._skip((part.reason.name, part.detail), unseen)

    def _skip(self, key: tuple[str, str], unseen: Unseen) -> None:
        held = self.skipped.get(key)
        self.skipped[key] = unseen if held is None else held.joined(unseen)

    def join(self, after: Piece) -> None:
        """Take in the piece that begins where this one ends."""
        self.clock, shift = self.clock.joined(after.clock)
        for key, tally in after.tallies.items():
            self.tallies.setdefault(key, Tally()).join(tally, shift)
        for name, story in after.stories.items():
            self.stories[name].join(story, shift)
        self.clusters.join(after.clusters, shift)
        self.levels += after.levels
        self.secrets += after.secrets
        for reason, unseen in after.skipped.items():
            self._skip(reason, unseen)
        self.verbose |= after.verbose
        self.end = after.end

    def as_data(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {
            "start": self.start,
            "end": self.end,
            "clock": self.clock.as_data(),
            "tallies": [[*key, tally.as_data()] for key, tally in sorted(self.tallies.items())],
            "stories": {name: story.as_data() for name, story in sorted(self.stories.items())},
            "clusters": self.clusters.as_data(),
            "levels": dict(sorted(self.levels.items())),
            "secrets": dict(sorted(self.secrets.items())),
            "skipped": [[*key, list(unseen)] for key, unseen in sorted(self.skipped.items())],
            "verbose": self.verbose,
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Piece:
        """Return what `as_data` wrote."""
        return cls(
            data["start"],
            data["end"],
            Clock.from_data(data["clock"]),
            {(one, variant): Tally.from_data(tally) for one, variant, tally in data["tallies"]},
            {name: Story.from_data(name, story) for name, story in data["stories"].items()},
            Clusters.from_data(data["clusters"]),
            Counter(data["levels"]),
            Counter(data["secrets"]),
            {(reason, detail): Unseen(*unseen) for reason, detail, unseen in data["skipped"]},
            data["verbose"],
        )
