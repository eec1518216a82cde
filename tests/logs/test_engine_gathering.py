"""The engine with triage's own gatherer: cuts, processes and engines change nothing of what is said of a log."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.logs.choice import matcher_for
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.gathering import gatherer, probes
from alwrity_checks.logs.segments import Folding, Reading, parts_of
from alwrity_checks.logs.streams import Stream, open_streams
from benchmarks.triage_log import write_log

if TYPE_CHECKING:
    from alwrity_checks.logs.summary import Summary

SALT = b"the same for all"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a log of three megabytes, full of trouble."""
    path = tmp_path_factory.mktemp("gathering") / "app.log"
    write_log(path, 3_000_000, trouble=20)
    return path


def told(summary: Summary) -> list[dict[str, object]]:
    """Return what is said of each stream, without its name."""
    return [piece | {"start": 0, "end": 0} for _, piece in json.loads(summary.to_json())["pieces"]]


@pytest.fixture(scope="module")
def whole(log: Path) -> dict[str, object]:
    """Return what one pass says."""
    size = log.stat().st_size
    reading = Reading(matcher_for("python", probes()), gatherer(SALT))
    (said,) = told(reading.summary_of(next(parts_of(Stream("app.log", str(log), size), size))))
    return said


@pytest.mark.parametrize("length", [100_000, 333_333, 1_000_000])
def test_cuts_and_orders(log: Path, whole: dict[str, object], length: int) -> None:
    """Segments of any length, folded in any order, come to one piece that says what one pass says."""
    reading = Reading(matcher_for("python", probes()), gatherer(SALT))
    pieces = [reading.summary_of(part) for part in parts_of(Stream("app.log", str(log), log.stat().st_size), length)]
    random.Random(length).shuffle(pieces)  # noqa: S311 - an order that is nobody's
    folding = Folding()
    for piece in pieces:
        folding.add(piece)
    assert told(folding.summary()) == [whole]


@pytest.mark.parametrize("engine", ["python", "hyperscan"])
def test_processes_and_engines(log: Path, whole: dict[str, object], engine: str) -> None:
    """Two processes, with either engine, say what one pass of one process says."""
    if engine == "hyperscan":
        pytest.importorskip("hyperscan")
    streams = open_streams([str(log)]).streams
    summary = scan(streams, probes(), gatherer(SALT), workers=2, engine=engine, segment=400_000)  # type: ignore[arg-type]
    assert told(summary) == [whole]


def test_a_compressed_log(log: Path, whole: dict[str, object], tmp_path: Path) -> None:
    """The same log through gzip, cut into segments as it comes, says the same."""
    (tmp_path / "app.log.gz").write_bytes(gzip.compress(log.read_bytes(), 1))
    summary = scan(open_streams([str(tmp_path / "app.log.gz")]).streams, probes(), gatherer(SALT), segment=400_000)
    assert told(summary) == [whole]
