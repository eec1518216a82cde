"""Workers: the same summary for any number of them, whatever dies, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.probe import Probe, SkipReason
from alwrity_checks.logs.streams import open_streams
from tests.support.processes import ended
from tests.support.triage_counting import Counted, Counting, Remembering
from tests.support.triage_dying import Dying, Failing

PROBES = (Probe("error", b"ERROR", rb"ERROR +[a-z]+"), Probe("die", b"die here"))
SEGMENT = 200_000
LINES = 60_000
ROOT = Path(__file__).parents[2]


def written(path: Path, *, dying: int | None = None) -> Path:
    """Write a log of some megabytes; `dying` is the line that kills a Dying gatherer."""
    with path.open("w", encoding="ascii") as file:
        for number in range(LINES):
            file.write(
                f"{number:08d} ERROR word {'x' * (number % 90)}\n" if number % 7 == 0 else f"{number:08d} fine\n"
            )
            if number == dying:
                file.write("die here\n")
    return path


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tell Dying gatherers where they leave their traces, and that this process must live."""
    directory = tmp_path / "deaths"
    directory.mkdir()
    monkeypatch.setenv("DYING", str(directory))
    monkeypatch.setenv("DYING_PARENT", str(os.getpid()))
    return directory


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_processes_says_the_same(tmp_path: Path, workers: int) -> None:
    """Two logs read by several processes give the lines, and the lines before, that one process gives."""
    streams = open_streams([str(written(tmp_path / "a.log")), str(written(tmp_path / "b.log", dying=5))]).streams
    alone: Counted = scan(streams, PROBES, Remembering, workers=1, segment=SEGMENT)
    together: Counted = scan(streams, PROBES, Remembering, workers=workers, segment=SEGMENT)
    assert (together.counts, together.hits, together.before) == (alone.counts, alone.hits, alone.before)
    assert alone.counts[0] == 2 * len(range(0, LINES, 7))


def test_a_killed_worker_costs_nothing(tmp_path: Path, deaths: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - a fixture
    """A worker that is killed once while it reads a part: the part is read again, and every line is counted once."""
    monkeypatch.setenv("DYING_TIMES", "1")
    # The line stands in the second part, which is given to the worker before this process looks for one.
    streams = open_streams([str(written(tmp_path / "a.log", dying=LINES // 2))]).streams
    alone: Counted = scan(streams, PROBES, Counting, workers=1, segment=SEGMENT)
    for _ in range(5):
        together: Counted = scan(streams, PROBES, Dying, workers=3, segment=SEGMENT)
        assert together.counts == alone.counts
        assert together.skipped == []


def test_a_part_that_kills_twice_is_skipped_and_said(
    tmp_path: Path, deaths: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is left out, its place and length and the signal are in the summary, and all others are counted."""
    monkeypatch.setenv("DYING_TIMES", "1000")
    streams = open_streams([str(written(tmp_path / "a.log", dying=8_000))]).streams
    together: Counted = scan(streams, PROBES, Dying, workers=2, segment=SEGMENT)
    assert len(list(deaths.iterdir())) == 2
    ((_, part),) = together.skipped
    assert (part.reason, part.length) == (SkipReason.DIED, SEGMENT)
    assert "signal 9" in part.detail
    alone: Counted = scan(streams, PROBES, Remembering, workers=1, segment=SEGMENT)
    left_out = sum(part.offset <= offset < part.offset + SEGMENT for _, offset in alone.hits)
    assert together.counts[0] == alone.counts[0] - left_out + 1
    assert left_out > 0


def test_a_fault_of_the_gatherer_is_raised_where_the_run_was_started(tmp_path: Path) -> None:
    """An exception in a worker is this process's exception, and its workers are gone."""
    streams = open_streams([str(written(tmp_path / "a.log"))]).streams
    before = set(psutil.Process().children())  # other tests' servers live as long as their modules
    with pytest.raises(LookupError, match="a fault of the gatherer"):
        scan(streams, PROBES, Failing, workers=2, segment=SEGMENT)
    assert not set(psutil.Process().children()) - before


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path) -> None:
    """SIGINT to the process group, as Ctrl-C sends it, ends the run and its workers at once, with KeyboardInterrupt."""
    log, traces = written(tmp_path / "a.log"), tmp_path / "traces"
    traces.mkdir()
    script = (
        "import sys; from alwrity_checks.logs.engine import scan; from alwrity_checks.logs.probe import Probe; "
        "from alwrity_checks.logs.streams import open_streams; from tests.support.triage_dying import Slow; "
        f"scan(open_streams(sys.argv[1:]).streams, [Probe('error', b'ERROR')], Slow, workers=3, segment={SEGMENT})"
    )
    environment = os.environ | {"SLOW": str(traces), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", script, str(log)], env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        while len(list(traces.iterdir())) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        readers = [int(one.name) for one in traces.iterdir()]
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert told.decode().rstrip().endswith("KeyboardInterrupt")
    assert all(ended(reader) for reader in readers)
