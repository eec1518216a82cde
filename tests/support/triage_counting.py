"""A gatherer that counts, and remembers what it was given: what the engine's own tests and the benchmark use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Hit, Skipped, Window

__all__ = ["Counted", "Counting", "Remembering"]


@dataclass
class Counted:
    """A summary: everything in it adds up."""

    counts: Counter[int] = field(default_factory=Counter)
    """Probe -> lines."""
    lines: int = 0
    """Lines that were hit."""
    hits: dict[tuple[str, int], tuple[bytes, tuple[int, ...]]] = field(default_factory=dict)
    """Stream and offset -> the line and its probes."""
    before: dict[tuple[str, int], tuple[bytes, ...]] = field(default_factory=dict)
    """Stream and offset -> the lines before."""
    beyond: dict[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    """Stream and the segment's offset -> the offsets of the hits behind it."""
    skipped: list[tuple[str, Skipped]] = field(default_factory=list)

    def merge(self, other: Counted) -> Counted:
        """Return the sum."""
        return Counted(
            self.counts + other.counts,
            self.lines + other.lines,
            self.hits | other.hits,
            self.before | other.before,
            self.beyond | other.beyond,
            self.skipped + other.skipped,
        )


class Counting:
    """Counts."""

    def __init__(self, stream: str, start: int) -> None:
        self.stream, self.start = stream, start
        self.counted = Counted()

    def take(self, hits: Sequence[Hit], window: Window) -> None:
        """Take the next hits."""
        del window
        self.counted.lines += len(hits)
        self.counted.counts.update([probe for hit in hits for probe in hit.probes])

    def beyond(self, hits: Sequence[Hit], window: Window) -> None:
        """Take hits from behind the segment."""
        del hits, window

    def skip(self, part: Skipped) -> None:
        """Take note of what was skipped."""
        self.counted.skipped.append((self.stream, part))

    def ends(self, offset: int) -> None:
        """Hear where the segment ends."""
        self.end = offset

    def result(self) -> Counted:
        """Return the sum."""
        return self.counted


class Remembering(Counting):
    """Counts, and keeps every hit with the three lines before it."""

    def take(self, hits: Sequence[Hit], window: Window) -> None:
        """Take the next hits."""
        super().take(hits, window)
        for hit in hits:
            key = self.stream, hit.offset
            assert key not in self.counted.hits, "a line was given twice"
            self.counted.hits[key] = hit.line, hit.probes
            self.counted.before[key] = tuple(window.before(hit.offset, 3))

    def beyond(self, hits: Sequence[Hit], window: Window) -> None:
        """Take hits from behind the segment."""
        del window
        key = self.stream, self.start
        self.counted.beyond[key] = self.counted.beyond.get(key, ()) + tuple(hit.offset for hit in hits)
