"""Bytes of a log through the real engine, cut where a test wants it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from alwrity_checks.logs.diagnosis import diagnose
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.streams import open_streams

if TYPE_CHECKING:
    from alwrity_checks.logs.summary import Summary
    from alwrity_checks.logs.triage import Cause, Triage

FRAGMENTS = Path(__file__).parent.parent / "logs" / "fragments"
SALT = b"the tests' own salt"
END = datetime(2026, 3, 10, 12, 0)  # noqa: DTZ001 - a log has its host's time


def summary_of(*paths: Path, segment: int | None = None) -> Summary:
    """Return the summary of files, read in this process by the plain engine."""
    streams = open_streams([str(path) for path in paths]).streams
    return cast("Summary", scan(streams, probes(), gatherer(SALT), workers=1, engine="python", segment=segment))


def triage_of(*paths: Path, segment: int | None = None) -> Triage:
    """Return the diagnosis of files that were last written to at END."""
    summary = summary_of(*paths, segment=segment)
    return diagnose(summary, {stream: END for stream, _ in summary.pieces})


def fragment(name: str) -> Path:
    """Return the path of one of the fragments."""
    return FRAGMENTS / f"{name}.log"


def cause_of(triage: Triage, name: str) -> Cause:
    """Return the cause with the id; an assertion fails where it was not found."""
    found = [one for one in triage.causes if one.id == name]
    assert found, f"{name} is not among {[one.id for one in triage.causes]}"
    return found[0]
