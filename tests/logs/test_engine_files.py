"""Files as they are found on real machines: each ends in a summary that says what was skipped, none in a crash."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.logs import choice, matcher_hyperscan
from alwrity_checks.logs.blocks import FileSource
from alwrity_checks.logs.engine import scan
from alwrity_checks.logs.probe import Probe, SkipReason
from alwrity_checks.logs.segments import Reading, open_again, parts_of
from alwrity_checks.logs.streams import Stream, open_streams
from tests.support.triage_counting import Counted, Counting, Remembering

PROBES = (Probe("error", b"ERROR", rb"ERROR$|ERROR [a-z]"), Probe("end", b"Reloading...", rb"Reloading\.\.\.$"))
ERROR = b"ERROR here\n"
MEBIBYTE = 1 << 20


def counted(path: Path, *, segment: int | None = None) -> Counted:
    """Return what one process makes of a file."""
    found: Counted = scan(open_streams([str(path)]).streams, PROBES, Remembering, workers=1, segment=segment)
    return found


def reasons(found: Counted) -> dict[SkipReason, int]:
    """Return the bytes that were skipped, by reason."""
    together: dict[SkipReason, int] = {}
    for _, part in found.skipped:
        together[part.reason] = together.get(part.reason, 0) + (part.length or 0)
    return together


def test_an_empty_file_and_no_file_at_all_are_summaries(tmp_path: Path) -> None:
    """Nothing to read gives a summary without anything in it."""
    (tmp_path / "empty.log").touch()
    assert counted(tmp_path / "empty.log") == Counted()
    assert scan([], PROBES, Counting) == Counted()


def test_line_ends_of_every_kind(tmp_path: Path) -> None:
    """CRLF ends a line like LF; a lone CR ends none; the last line needs no end."""
    log = tmp_path / "app.log"
    log.write_bytes(b"Reloading...\r\nReloading...\nERROR\r\nx\rERROR here\ry\n\r\n\nReloading...")
    found = counted(log)
    assert [line for line, _ in found.hits.values()] == [
        b"Reloading...", b"Reloading...", b"ERROR", b"x\rERROR here\ry", b"Reloading...",
    ]  # fmt: skip


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Invalid UTF-8 is looked at like any line; NUL bytes are counted and do not hide their neighbours."""
    log = tmp_path / "app.log"
    log.write_bytes(b"\xff\xfa ERROR here \xc3\n" + b"\0\0\0ERROR a\0b\n" + ERROR)
    found = counted(log)
    assert found.counts[0] == 3
    assert (b"ERROR a\0b", (0,)) in found.hits.values()
    assert reasons(found) == {SkipReason.BINARY: 4}


def test_a_log_truncated_under_its_writer(tmp_path: Path) -> None:
    """The hole at its beginning, here of 50 MB, is passed by, and the first line behind it is found, by any cut."""
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        file.seek(50 * MEBIBYTE)
        file.write(ERROR * 3)
    for segment in (None, 3 * MEBIBYTE):
        found = counted(log, segment=segment)
        assert found.counts[0] == 3
        assert reasons(found) == {SkipReason.BINARY: 50 * MEBIBYTE}


def test_a_line_of_100_megabytes_costs_no_memory(tmp_path: Path) -> None:
    """It is looked at as far as 64 KiB and said to be skipped behind them; its neighbours are found."""
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        file.write(ERROR + b"ERROR long ")
        for _ in range(100):
            file.write(b"x" * (MEBIBYTE - 5) + b"ERROR")
        file.write(b"\n" + ERROR)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = counted(log, segment=9 * MEBIBYTE)
    assert found.counts[0] == 3
    assert max(len(line) for line, _ in found.hits.values()) == 64 * 1024
    assert reasons(found) == {SkipReason.LONG_LINE: 100 * MEBIBYTE + len(b"ERROR long \n") - 64 * 1024}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


def test_a_line_that_is_somewhat_too_long(tmp_path: Path) -> None:
    """What lies behind 64 KiB is neither matched nor hidden: it is said that it was not looked at."""
    log = tmp_path / "app.log"
    log.write_bytes(b"y" * 70_000 + ERROR + b"ERROR a" + b"y" * 70_000 + b"\n" + ERROR)
    found = counted(log)
    assert found.counts[0] == 2
    assert reasons(found) == {SkipReason.LONG_LINE: 70_000 - 65_536 + len(ERROR) - 1 + 7 + 70_000 - 65_536}


def test_a_compressed_log_that_was_cut_off(tmp_path: Path) -> None:
    """Everything before the cut is counted, and the damage is said with its reason."""
    log = tmp_path / "app.log.gz"
    whole = gzip.compress(b"".join(b"%d ERROR line\n" % number for number in range(20_000)))
    log.write_bytes(whole[: len(whole) // 2])
    found = counted(log)
    assert 1_000 < found.counts[0] < 20_000
    ((_, part),) = found.skipped
    assert part.reason is SkipReason.DAMAGED
    assert part.length is None
    assert "cut off" in part.detail


def test_a_compressed_log_is_read_like_the_log_in_it(tmp_path: Path) -> None:
    """Through gzip, by another process too, come the same lines at the same offsets."""
    data = b"".join(b"%d ERROR line\n" % number for number in range(200_000))
    (tmp_path / "app.log").write_bytes(data)
    (tmp_path / "app.log.gz").write_bytes(gzip.compress(data, 1))
    plain = counted(tmp_path / "app.log", segment=MEBIBYTE)
    names = [str(tmp_path / "app.log"), str(tmp_path / "app.log.gz")]
    both: Counted = scan(open_streams(names).streams, PROBES, Remembering, workers=2, segment=MEBIBYTE)
    assert both.counts[0] == 2 * plain.counts[0] == 400_000
    assert {offset: hit for (name, offset), hit in both.hits.items() if name == names[1]} == {
        offset: hit for (_, offset), hit in plain.hits.items()
    }


def test_a_file_that_grows_is_read_as_it_was(tmp_path: Path) -> None:
    """What is written after it was opened is left to the next run."""
    log = tmp_path / "app.log"
    log.write_bytes(ERROR * 100 + b"ERROR un")
    streams = open_streams([str(log)]).streams
    with log.open("ab") as file:
        file.write(b"finished\n" + ERROR * 100)
    found: Counted = scan(streams, PROBES, Remembering, workers=1)
    assert found.counts[0] == 101
    assert (b"ERROR un", (0,)) in found.hits.values()


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    """What is still there is counted, and exactly the missing bytes are said, however the file was cut."""
    log = tmp_path / "app.log"
    for length in (4_000, 11, 0):
        log.write_bytes(ERROR * 1000)
        streams = open_streams([str(log)]).streams
        os.truncate(log, length)
        for segment in (None, 1_500):
            found: Counted = scan(streams, PROBES, Remembering, workers=1, segment=segment)
            assert reasons(found) == {SkipReason.SHORTER: len(ERROR) * 1000 - length}
            assert found.counts[0] == (length + 4) // len(ERROR)  # of the last line seven letters are left, which match


def test_a_file_that_is_replaced_before_it_is_read(tmp_path: Path) -> None:
    """Another file under the same name is not taken for it; one that goes away while it is read is read to its end."""
    log = tmp_path / "app.log"
    log.write_bytes(ERROR * 1000)
    (stream,) = open_streams([str(log)]).streams
    source = open_again(stream)
    log.rename(tmp_path / "app.log.1")
    log.write_bytes(b"ERROR of another file\n")
    found: Counted = scan([stream], PROBES, Remembering, workers=1)
    assert reasons(found) == {SkipReason.REPLACED: len(ERROR) * 1000}
    assert not found.counts
    part = next(parts_of(stream))
    held: Counted = Reading(choice.matcher_for("python", PROBES), Counting).summary_of(part, source)
    source.close()
    assert held.counts[0] == 1000


def test_a_file_that_cannot_be_read_any_more(tmp_path: Path) -> None:
    """An error of the file system is a part that was skipped, with the system's words."""
    log = tmp_path / "app.log"
    log.write_bytes(ERROR)
    streams = open_streams([str(log)]).streams
    log.unlink()
    found: Counted = scan(streams, PROBES, Counting)
    ((_, part),) = found.skipped
    assert (part.reason, part.detail) == (SkipReason.UNREADABLE, "No such file or directory")


def test_an_error_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """A disk that fails while a segment is read costs that segment."""

    class Failing(FileSource):
        def read_at(self, length: int, offset: int, /) -> bytes:
            del length, offset
            raise OSError(5, "Input/output error")

    log = tmp_path / "app.log"
    log.write_bytes(ERROR)
    (stream,) = open_streams([str(log)]).streams
    part = next(parts_of(stream))
    found: Counted = Reading(choice.matcher_for("python", PROBES), Counting).summary_of(part, Failing(-1))
    assert reasons(found) == {SkipReason.UNREADABLE: len(ERROR)}


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """What comes through a pipe, in pieces, beside a file that other processes read."""
    log = tmp_path / "app.log"
    log.write_bytes(ERROR * 5000)
    writer = "import sys\nfor _ in range(3000): sys.stdout.write('ERROR here\\n'); sys.stdout.flush()"
    with subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE) as process:  # noqa: S603 - our own words
        assert process.stdout is not None
        pipe = Stream("-", source=process.stdout)  # type: ignore[arg-type]  # a binary file
        found: Counted = scan([pipe, *open_streams([str(log)]).streams], PROBES, Counting, workers=2, segment=9_000)
    assert found.counts[0] == 8000


def test_progress_adds_up(tmp_path: Path) -> None:
    """Progress is told by stream, and comes to the size of each file."""
    told: dict[str, int] = {}

    def progress(name: str, count: int) -> None:
        told[name] = told.get(name, 0) + count

    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(ERROR * 5000)
    names = [str(tmp_path / "a.log"), str(tmp_path / "b.log")]
    scan(open_streams(names).streams, PROBES, Counting, workers=2, segment=9_000, progress=progress)
    assert told == dict.fromkeys(names, len(ERROR) * 5000)


def test_a_broken_hyperscan_is_said_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be loaded, or finds nothing, the standard library does the work, and a note says why."""

    class Broken:
        def __init__(self, literals: object) -> None:  # noqa: ARG002 - as the real one
            raise OSError("libhs.so: invalid ELF header")

    monkeypatch.setattr(matcher_hyperscan, "HyperscanFinder", Broken)
    chosen = choice.choose("auto")
    assert chosen.engine == "python"
    assert "invalid ELF header" in chosen.note
    with pytest.raises(ConfigurationError, match="does not work on this machine"):
        choice.choose("hyperscan")


def test_a_missing_hyperscan_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra nothing is said; asked for by name, the extra is named."""
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    assert choice.choose("auto") == choice.Choice("python")
    with pytest.raises(MissingExtra, match=r"\[fast\]"):
        choice.choose("hyperscan")


@pytest.mark.parametrize("literal", [b"", b"a\nb"])
def test_a_probe_needs_a_literal_within_a_line(tmp_path: Path, literal: bytes) -> None:
    """A probe that could not be looked for is a fault of whoever wrote it."""
    (tmp_path / "app.log").write_bytes(ERROR)
    with pytest.raises(ValueError, match="needs a literal"):
        scan(open_streams([str(tmp_path / "app.log")]).streams, [Probe("bad", literal)], Counting)
