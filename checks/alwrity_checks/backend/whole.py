"""A scan from the directory that a user names to its findings, with what a change introduced set apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alwrity_checks.backend.checkout import find_checkout
from alwrity_checks.backend.files import repository_root, snapshot
from alwrity_checks.backend.found import Found, found, introduced
from alwrity_checks.backend.scan import Scan, orders_of, scan
from alwrity_checks.backend.since import merge_base, snapshot_at
from alwrity_checks.errors import ConfigurationError

__all__ = ["Outcome", "scan_checkout"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a checkout came to."""

    scan: Scan
    found: Sequence[Found]
    """Everything, or what the change introduced."""
    base: str = ""
    """The commit that it was compared with; empty without --since."""
    standing: int = 0
    """So many were there before the change and still are."""


def scan_checkout(directory: Path, since: str | None = None, workers: int | None = None) -> Outcome:
    """Scan the checkout of which `directory` is the root or the backend.

    `since`: a revision; only what was introduced since the history parted from it is in the outcome. Raises
    ConfigurationError if the directory is no checkout, holds no Python file that can be read, or has no such revision.
    """
    checkout = find_checkout(directory)
    root = repository_root(checkout)
    # Asked first: a revision that is not there is told before the work, not after it.
    base = None if since is None else merge_base(root, since)
    present = snapshot(checkout)
    if not present.sources:
        raise ConfigurationError(
            f"{directory} holds no Python file that can be read", "give yourself the right to read it"
        )
    scanned = scan(present, workers=workers)
    everything = found(scanned)
    if base is None:
        return Outcome(scanned, everything)
    before = scan(snapshot_at(root, base, present.prefix), workers=workers, known=orders_of(scanned))
    gone = frozenset(present.prefix + path for path in before.readings.keys() - scanned.readings.keys())
    new = introduced(everything, found(before), gone)
    return Outcome(scanned, new, base, len(everything) - len(new))
