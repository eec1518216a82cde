"""What is named on the command line becomes streams: files, patterns, pipes, whatever is in them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO

import pytest

from alwrity_checks.logs import inflating
from alwrity_checks.logs.inflating import StreamDamaged
from alwrity_checks.logs.streams import Stream, open_streams, waits_for_a_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

zstd = pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")

TEXT = b"".join(b"06:36:48 | ERROR    | a:b:%d - line\n\n" % number for number in range(5000))
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def content(stream: Stream, size: int = 5000) -> bytes:
    """Return all bytes of a stream, read in pieces."""
    with stream.open() as reader:
        return b"".join(iter(lambda: reader.read(size), b""))


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("size", [1 << 20, 5000, 7])
def test_compression_is_told_by_content(tmp_path: Path, compression: str, size: int) -> None:
    """A rotated part is read whatever its name says, and so are several members behind each other."""
    path = tmp_path / "app.log.1"
    half = len(TEXT) // 2 if size > 7 else 200
    path.write_bytes(PACKED[compression](TEXT[:half]) + PACKED[compression](TEXT[half : 2 * half]))
    (stream,) = open_streams([str(path)]).streams
    assert (stream.compression, stream.size, stream.divisible) == (compression, None, False)
    assert content(stream, size) == TEXT[: 2 * half]


def test_a_name_that_says_gzip_is_not_believed(tmp_path: Path) -> None:
    """A file that was unpacked in place is read as it is."""
    path = tmp_path / "app.log.gz"
    path.write_bytes(TEXT)
    (stream,) = open_streams([str(path)]).streams
    assert (stream.compression, stream.size, stream.divisible) == ("", len(TEXT), True)
    assert content(stream) == TEXT
    with stream.open() as reader:
        reader.seek(len(TEXT) - 6)
        assert reader.read(100) == TEXT[-6:]


@pytest.mark.parametrize("compression", PACKED)
def test_a_cut_file_gives_what_is_there(tmp_path: Path, compression: str) -> None:
    """What lies before the end of a truncated file is read, and then it is said."""
    noisy = b"".join(os.urandom(24).hex().encode() + b"\n" for _ in range(20_000))
    whole = PACKED[compression](noisy)
    path = tmp_path / "app.log"
    path.write_bytes(whole[: len(whole) // 2])
    (stream,) = open_streams([str(path)]).streams
    parts: list[bytes] = []

    def read_on() -> None:
        with stream.open() as reader:
            parts.extend(iter(lambda: reader.read(1 << 16), b""))

    with pytest.raises(StreamDamaged, match="cut off"):
        read_on()
    got = b"".join(parts)
    assert noisy.startswith(got)
    assert compression == "bzip2" or len(got) > len(noisy) // 4, "bzip2 keeps blocks of 900 kB"


@pytest.mark.parametrize("compression", PACKED)
def test_a_damaged_file_is_told(tmp_path: Path, compression: str) -> None:
    """No exception of a compression library gets out."""
    whole = bytearray(PACKED[compression](TEXT))
    whole[len(whole) // 2 :] = b"\xa5" * (len(whole) - len(whole) // 2)
    path = tmp_path / "app.log"
    path.write_bytes(whole)
    (stream,) = open_streams([str(path)]).streams
    with pytest.raises(StreamDamaged):
        content(stream)


def test_what_follows_a_member_is_told_or_padding(tmp_path: Path) -> None:
    """Zeros behind gzip data are padding; anything else is not silently dropped."""
    padded, spoilt = tmp_path / "padded", tmp_path / "spoilt"
    padded.write_bytes(gzip.compress(TEXT) + bytes(100_000))
    spoilt.write_bytes(gzip.compress(TEXT) + b"something else")
    first, second = open_streams([str(padded), str(spoilt)]).streams
    assert content(first) == TEXT
    with pytest.raises(StreamDamaged, match="something else"):
        content(second)


@pytest.mark.parametrize(("name", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_what_powershell_redirects_is_read(tmp_path: Path, name: str, mark: bytes) -> None:
    """A log in UTF-16 has the same lines, whichever way the reads fall, and characters that need two units."""
    text = "06:36:48 | ERROR    | a:b:1 - \U0001f512 AUTHENTICATION ERROR: é\r\n" * 3000
    path = tmp_path / "start.log"
    path.write_bytes(mark + text.encode(name))
    (stream,) = open_streams([str(path)]).streams
    assert stream.compression == name
    assert content(stream, 4001) == text.encode()


def test_zstd_without_a_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is told with what to install, and the others go on."""
    monkeypatch.setattr(inflating, "ZSTD_MODULES", ("no_such_module",))
    packed, plain = tmp_path / "a.log", tmp_path / "b.log"
    packed.write_bytes(zstd.compress(TEXT))
    plain.write_bytes(TEXT)
    opened = open_streams([str(packed), str(plain)])
    assert [one.id for one in opened.streams] == [str(plain)]
    (unread,) = opened.unread
    assert "[zstd]" in unread.reason
    assert 'pip install "alwrity-doctor[zstd]"' in unread.remedy


def test_patterns_directories_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted patterns find what a shell would; a directory stands for its logs; a file may look like a pattern."""
    monkeypatch.chdir(tmp_path)
    deep = tmp_path / "logs" / "deep"
    deep.mkdir(parents=True)
    for name in (
        "logs/a.log",
        "logs/b.LOG",
        "logs/a.log.1",
        "logs/c.log-20260310.gz",
        "logs/notes.md",
        "logs/deep/d.log",
    ):
        (tmp_path / name).write_bytes(b"x\n")
    (tmp_path / "odd[1].log").write_bytes(b"x\n")

    def names(*arguments: str) -> set[str]:
        return {one.id for one in open_streams(arguments).streams}

    assert names("logs/*.log") == {"logs/a.log"}
    assert names("**/*.log") == {"logs/a.log", "logs/deep/d.log", "odd[1].log"}
    assert names("logs") == {"logs/a.log", "logs/b.LOG", "logs/a.log.1", "logs/c.log-20260310.gz"}
    assert names("odd[1].log") == {"odd[1].log"}


def test_what_cannot_be_read_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """Each name that comes to nothing has a reason and a remedy."""
    good = tmp_path / "good.log"
    good.write_bytes(TEXT)
    (tmp_path / "empty").mkdir()
    archive = tmp_path / "logs.zip"
    archive.write_bytes(b"PK\x03\x04....")
    named = [
        str(good),
        str(tmp_path / "none.log"),
        str(tmp_path / "*.gone"),
        str(tmp_path / "empty"),
        str(archive),
        "a\0b",
    ]
    opened = open_streams(named)
    assert [one.id for one in opened.streams] == [str(good)]
    told = {one.name: (one.reason, one.missing) for one in opened.unread}
    assert told[str(tmp_path / "none.log")] == ("does not exist", True)
    assert told[str(tmp_path / "*.gone")] == ("no file matches this pattern", True)
    assert told[str(tmp_path / "empty")] == ("is a directory without a log in it", False)
    assert told[str(archive)] == ("is a zip archive", False)
    assert told["a\0b"] == ("is not a file name", True)
    (pasted,) = open_streams(["06:36:48 | ERROR    | a:b:1 - " + "somebody pasted the log itself " * 20]).unread
    assert (pasted.reason, pasted.missing) == ("is not a file name", True)
    assert all(one.remedy for one in opened.unread)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the super-user may read everything")
def test_a_forbidden_file_is_told(tmp_path: Path) -> None:
    """The reason is the system's, and the remedy shows how another user's log is passed in."""
    path = tmp_path / "app.log"
    path.write_bytes(TEXT)
    path.chmod(0)
    (unread,) = open_streams([str(path)]).unread
    assert "Permission denied" in unread.reason
    assert "sudo cat" in unread.remedy


def test_one_file_under_many_names_is_read_once(tmp_path: Path) -> None:
    """Twice by name, by a link, by a hard link and by standard input: one stream, and a note for each."""
    path = tmp_path / "app.log"
    path.write_bytes(TEXT)
    (tmp_path / "link.log").symlink_to(path)
    (tmp_path / "hard.log").hardlink_to(path)
    opened = open_streams([str(path), str(path), str(tmp_path / "link.log"), str(tmp_path / "hard.log")])
    assert [one.id for one in opened.streams] == [str(path)]
    assert [note.endswith("read once") for note in opened.notes] == [True, True, True]


def test_rotated_parts_are_in_order_and_linked(tmp_path: Path) -> None:
    """The oldest comes first, and each knows which it goes on from; a log of another name stands alone."""
    names = ["app.log", "app.log.1", "app.log.2.gz", "app.log.10", "err.log", "app.log-20260301"]
    for name in names:
        (tmp_path / name).write_bytes(b"x\n")
    streams = open_streams([str(tmp_path / name) for name in names]).streams
    links = {os.path.basename(one.id): one.follows and os.path.basename(one.follows) for one in streams}  # noqa: PTH119 - ids are names
    assert links == {
        "app.log-20260301": None,
        "app.log.10": "app.log-20260301",
        "app.log.2.gz": "app.log.10",
        "app.log.1": "app.log.2.gz",
        "app.log": "app.log.1",
        "err.log": None,
    }
    assert list(links)[:5] == ["app.log-20260301", "app.log.10", "app.log.2.gz", "app.log.1", "app.log"]


def test_loguru_names_its_parts_in_its_own_way(tmp_path: Path) -> None:
    """`app.2026-03-10_07-32-57_123456.log` is an older part of `app.log`."""
    old, new = tmp_path / "app.2026-03-10_07-32-57_123456.log", tmp_path / "app.log"
    for path in (new, old):
        path.write_bytes(b"x\n")
    first, second = open_streams([str(new), str(old)]).streams
    assert (first.id, second.follows) == (str(old), str(old))


def test_siblings_that_were_not_named_are_mentioned(tmp_path: Path) -> None:
    """Whoever names the log alone is told that older parts lie beside it; whoever names all is not."""
    for name in ("app.log", "app.log.1", "app.log.2.gz", "app.txt"):
        (tmp_path / name).write_bytes(b"x\n")
    (note,) = open_streams([str(tmp_path / "app.log")]).notes
    assert "app.log.2.gz, app.log.1" in note
    assert open_streams([str(tmp_path / "app.log*")]).notes == ()


class _Standard:
    """A standard input over a descriptor."""

    def __init__(self, buffer: BinaryIO) -> None:
        self.buffer = buffer
        self.closed = False


def test_standard_input_may_be_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cat app.log.gz | triage -`: the first bytes decide when they come."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", _Standard(pipe))
        (stream,) = open_streams(["-"]).streams
        assert (stream.path, stream.size, stream.divisible) == (None, None, False)

        def write() -> None:
            with os.fdopen(writing, "wb") as log:
                log.write(gzip.compress(TEXT))

        thread = threading.Thread(target=write)
        thread.start()
        assert content(stream) == TEXT
        thread.join()


def test_what_a_pipe_holds_is_to_be_had_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read does not wait for a full block: what follows a log sees each line as it comes."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as log:
        monkeypatch.setattr(sys, "stdin", _Standard(pipe))
        (stream,) = open_streams(["-"]).streams
        log.write(b"first line\n")
        with stream.open() as reader:
            got = reader.read(1 << 20)
            while not got.endswith(b"\n"):
                got += reader.read(1 << 20)
            assert got == b"first line\n"
            log.write(b"second\n")
            assert reader.read(1 << 20) == b"second\n"
        assert not pipe.closed


def test_a_redirected_file_is_read_like_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`triage - < app.log app.log` reads the file once."""
    path = tmp_path / "app.log"
    path.write_bytes(TEXT)
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", _Standard(file))
        opened = open_streams(["-", str(path)])
        assert [one.id for one in opened.streams] == ["-"]
        assert content(opened.streams[0]) == TEXT
    assert "read once" in opened.notes[0]


def test_standard_input_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedding program's standard input is read as well; a closed one is told."""
    monkeypatch.setattr(sys, "stdin", _Standard(io.BytesIO(TEXT)))
    (stream,) = open_streams(["-"]).streams
    assert content(stream) == TEXT
    assert not waits_for_a_terminal([stream])
    monkeypatch.setattr(sys, "stdin", None)
    (unread,) = open_streams(["-"]).unread
    assert unread.reason == "standard input is closed"


def test_a_terminal_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who has to paste a log is told so."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "rb", buffering=0) as terminal:
        monkeypatch.setattr(sys, "stdin", _Standard(terminal))
        assert waits_for_a_terminal(open_streams(["-"]).streams)


def test_fifos_and_devices(tmp_path: Path) -> None:
    """A FIFO is read, an empty device is an empty log, and a device that never ends is refused."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened = open_streams([str(fifo), "/dev/null", "/dev/zero"])
    first, second = opened.streams
    thread = threading.Thread(target=fifo.write_bytes, args=(TEXT,))
    thread.start()
    assert content(first) == TEXT
    thread.join()
    assert content(second) == b""
    assert [one.reason for one in opened.unread] == ["is a device, not a log"]


def test_own_descriptors_are_resolved(tmp_path: Path) -> None:
    """`/dev/fd/N` means another file in another process: a file behind it has its own path."""
    path = tmp_path / "app.log"
    path.write_bytes(TEXT)
    with path.open("rb") as file:
        (stream,) = open_streams([f"/dev/fd/{file.fileno()}"]).streams
    assert stream.path == str(path)
    assert content(stream) == TEXT


def test_a_stream_of_a_file_can_be_handed_to_another_process(tmp_path: Path) -> None:
    """What workers get is a name and a size."""
    path = tmp_path / "app.log"
    path.write_bytes(TEXT)
    (stream,) = open_streams([str(path)]).streams
    assert pickle.loads(pickle.dumps(stream)) == stream  # noqa: S301 - our own
    with pytest.raises(ValueError, match="neither"):
        Stream("x").open()
