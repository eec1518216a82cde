"""The cleaned copy: whole or not there, never in the place of its log, compressed as its name says."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.logs.redacting import Copy, copy_stream, places, tapped
from alwrity_checks.logs.streams import Stream, open_streams
from tests.support.seeded_log import seeded_lines

if TYPE_CHECKING:
    from collections.abc import Callable

zstd = pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")

LINES = seeded_lines()
LOG = b"".join(line.encode() + b"\n" for line, _ in LINES)
OPENERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.decompress,
    ".zst": zstd.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}


def stream_of(path: Path) -> Stream:
    """Return the stream of one file."""
    (stream,) = open_streams([str(path)]).streams
    return stream


@pytest.mark.parametrize("suffix", OPENERS)
def test_the_copy_is_as_its_name_says(tmp_path: Path, suffix: str) -> None:
    """A compressed log gives a plain copy, or one that is compressed as well, with as many lines and no secret."""
    log = tmp_path / "app.log.gz"
    log.write_bytes(gzip.compress(LOG))
    out = tmp_path / f"clean.log{suffix}"
    with Copy(out) as copy:
        assert copy_stream(stream_of(log), copy) is None
    got = OPENERS[suffix](out.read_bytes())
    assert got.count(b"\n") == LOG.count(b"\n") == copy.cleaner.lines
    for line, (_, forbidden) in zip(got.decode().split("\n"), LINES, strict=False):
        assert not [one for one in forbidden if one in line]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(("app.log.gz", out.name))


@pytest.mark.parametrize("link", ["same", "symbolic", "hard"])
def test_a_log_is_never_replaced(tmp_path: Path, link: str) -> None:
    """Under whatever name: the log is what the doubtful will want to look at again."""
    log = tmp_path / "app.log"
    log.write_bytes(LOG)
    out = tmp_path / "out.log"
    match link:
        case "same":
            out = log
        case "symbolic":
            out.symlink_to(log)
        case "hard":
            out.hardlink_to(log)
    with pytest.raises(ConfigurationError, match="one of the logs that are read"):
        places(str(out), [stream_of(log)])
    assert log.read_bytes() == LOG


def test_places(tmp_path: Path) -> None:
    """One log gives one file; several need a directory; standard output is the report's."""
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    for path in (first, second):
        path.write_bytes(LOG)
    (tmp_path / "clean").mkdir()
    streams = [stream_of(first), stream_of(second)]
    assert places(str(tmp_path / "c.log"), streams[:1]) == {str(first): tmp_path / "c.log"}
    assert places(str(tmp_path / "clean"), streams) == {
        str(first): tmp_path / "clean" / "a.log",
        str(second): tmp_path / "clean" / "b.log",
    }
    assert places(str(tmp_path / "clean"), [Stream("-")]) == {"-": tmp_path / "clean" / "standard-input.log"}
    for out, many, why in (
        ("-", streams[:1], "needs a file"),
        (str(tmp_path / "c.log"), streams, "names one file"),
        (f"{tmp_path}/none/", streams, "there is no directory"),
        (str(tmp_path), streams, "one of the logs"),
        (str(tmp_path / "clean"), [streams[0], Stream("elsewhere/a.log")], "two logs are called"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            places(out, many)


def test_what_was_not_finished_is_not_there(tmp_path: Path) -> None:
    """An interruption leaves what was there before, and nothing half."""
    out = tmp_path / "clean.log"
    out.write_bytes(b"from before\n")

    def interrupted() -> None:
        with Copy(out) as copy:
            copy.feed(LOG)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.read_bytes() == b"from before\n"
    assert [path.name for path in tmp_path.iterdir()] == ["clean.log"]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A missing directory and a full device are errors of ours."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Copy(tmp_path / "none" / "clean.log")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")

    def write() -> None:
        with Copy(full) as copy:
            copy.feed(LOG * 20)
            copy.finish()

    with pytest.raises(ConfigurationError, match="cannot be written") as caught:
        write()
    assert "make room" in caught.value.remedy


def test_a_device_is_written_to_and_not_replaced() -> None:
    """`--redact /dev/null` counts, and the device is still one."""
    with Copy(Path(os.devnull)) as copy:
        copy.feed(LOG)
        copy.finish()
    assert copy.cleaner.counts["token"]
    assert not Path(os.devnull).is_file()


def test_a_link_is_followed(tmp_path: Path) -> None:
    """What is replaced is the file behind a link."""
    real, link = tmp_path / "real.log", tmp_path / "link.log"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with Copy(link) as copy:
        copy.feed(b"new\n")
        copy.finish()
    assert link.is_symlink()
    assert real.read_bytes() == b"new\n"


def test_a_damaged_log_gives_what_could_be_read(tmp_path: Path) -> None:
    """The copy holds the lines before the damage, and what it was is returned."""
    log = tmp_path / "app.log.gz"
    noisy = LOG + b"".join(os.urandom(20).hex().encode() + b"\n" for _ in range(20_000))
    log.write_bytes(gzip.compress(noisy)[:200_000])
    with Copy(tmp_path / "clean.log") as copy:
        damage = copy_stream(stream_of(log), copy)
    assert damage is not None
    assert (tmp_path / "clean.log").read_bytes().count(b"\n") > len(LINES)


def test_a_pipe_is_copied_while_it_is_read(tmp_path: Path) -> None:
    """Standard input can be read once: whoever reads it to its end has the copy written as well."""
    with Copy(tmp_path / "clean.log") as copy:
        stream = tapped(Stream("-", source=cast("BinaryIO", io.BytesIO(gzip.compress(LOG)))), copy)
        with stream.open() as reader:
            assert b"".join(iter(lambda: reader.read(1000), b"")) == LOG
        assert copy.finished
    got = (tmp_path / "clean.log").read_bytes()
    assert got.count(b"\n") == LOG.count(b"\n")
    assert b"hunter77" not in got


def test_the_same_log_gives_the_same_bytes(tmp_path: Path) -> None:
    """A compressed copy has no time and no name in it."""
    for name in ("a.gz", "b.gz"):
        with Copy(tmp_path / name) as copy:
            copy.feed(LOG)
            copy.finish()
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_memory_is_bounded_on_a_very_long_line(tmp_path: Path) -> None:
    """A line of 40 MB with secrets in it is cleaned within a few megabytes."""
    log, out = tmp_path / "long.log", tmp_path / "clean.log"
    with log.open("wb") as file:
        for number in range(40):
            file.write(b"a plain word " * 80_000)
            file.write(b"token=Opaque77secret%d " % number)
        file.write(b"\nlast\n")
    program = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from alwrity_checks.logs.redacting import Copy, copy_stream\n"
        "from alwrity_checks.logs.streams import open_streams\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with Copy(Path(sys.argv[2])) as copy: copy_stream(open_streams([sys.argv[1]]).streams[0], copy)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, dict(copy.cleaner.counts))"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program, str(log), str(out)], capture_output=True, text=True, check=True, timeout=120
    )
    grown, _, counts = done.stdout.partition(" ")
    assert counts.strip() == "{'named secret': 40}"
    assert int(grown) < 24 * 1024, "kilobytes"
    got = out.read_bytes()
    assert got.count(b"\n") == 2
    assert b"Opaque" not in got
