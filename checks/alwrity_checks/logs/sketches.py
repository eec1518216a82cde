"""Which things a line named, in bounded memory and whatever the order: a bottom-k sample.

Of all values the `MOST` with the smallest hashes are kept, each with its exact count; how many distinct ones there were
is exact up to `MOST` and estimated above, from the largest hash that is kept (Beyer et al., SIGMOD 2007).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

__all__ = ["MOST", "Sample", "hashed"]

MOST: Final = 48
_SPACE: Final = float(1 << 64)


def hashed(value: bytes, key: bytes = b"") -> int:
    """Return 64 bits that are the same for the same value and key, everywhere."""
    return int.from_bytes(blake2b(value, digest_size=8, key=key).digest(), "big")


@dataclass(slots=True)
class Sample:
    """Values with exact counts, of which at most `MOST` are kept."""

    kept: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Hash -> value and count."""
    full: bool = False
    """Whether any value was dropped."""

    def add(self, number: int, value: str, times: int) -> None:
        """Count a value `times`; `number` is its hash."""
        held = self.kept.get(number)
        self.kept[number] = (value, times if held is None else held[1] + times)
        if len(self.kept) > MOST:
            self._trim()

    def _trim(self) -> None:
        while len(self.kept) > MOST:
            del self.kept[max(self.kept)]
            self.full = True

    def join(self, other: Sample) -> None:
        """Take in another sample of the same kind."""
        for number, (value, times) in other.kept.items():
            held = self.kept.get(number)
            self.kept[number] = (value, times if held is None else held[1] + times)
        self.full |= other.full
        self._trim()

    @property
    def distinct(self) -> int:
        """How many distinct values there were; an estimate if `full`."""
        if not self.full:
            return len(self.kept)
        return round((len(self.kept) - 1) * _SPACE / (max(self.kept) + 1))

    def most(self) -> list[tuple[str, int]]:
        """Return the kept values, the most frequent first."""
        return sorted(self.kept.values(), key=lambda pair: (-pair[1], pair[0]))

    def as_data(self) -> list[Any]:
        """Return it in JSON's types."""
        return [[[number, *pair] for number, pair in sorted(self.kept.items())], self.full]

    @classmethod
    def from_data(cls, data: list[Any]) -> Sample:
        """Return what `as_data` wrote."""
        return cls({number: (value, times) for number, value, times in data[0]}, data[1])
