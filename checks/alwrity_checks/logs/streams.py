"""What was named on the command line -> the streams that are read.

Stream        one log: a file, or a pipe that can be read once
Unread        something that was named and cannot be read, and why
Opened        both, and what is to be said about them
open_streams  files, globs (quoted ones too), directories, `-`
"""

from __future__ import annotations

import errno
import glob
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from alwrity_checks.errors import DoctorError
from alwrity_checks.logs.inflating import MAGIC_LENGTH, compression_of, decompressor, inflated
from alwrity_checks.logs.rotation import LOG_NAME, chained, rotated_beside

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["Opened", "Stream", "Unread", "open_streams", "waits_for_a_terminal"]

_STANDARD_INPUT: Final = "-"
_OWN_DESCRIPTOR: Final = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
_ARCHIVES: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """One log. Offsets count its decompressed bytes."""

    id: str
    """As it was named, and as the report names it; unique within a run."""
    path: str | None = None
    """Absolute; None for a pipe, which has `source` instead and can only be read by this process, and once."""
    size: int | None = None
    """Bytes when it was opened, of an uncompressed file, which may be read in pieces; else None. What is written later
    is not read, so that every process sees the same file."""
    compression: str = ""
    """`gzip`, `zstd`, `bzip2`, `xz`, `utf-16-le` or `utf-16-be`; empty for none, and for a pipe, whose first bytes are
    looked at when it is read."""
    follows: str | None = None
    """The id of the rotated sibling that this one goes on from, if that is read as well."""
    identity: tuple[int, int] | None = None
    """Device and inode."""
    source: BinaryIO | None = field(default=None, compare=False)

    @property
    def divisible(self) -> bool:
        """Whether any process can begin to read it anywhere."""
        return self.path is not None and self.size is not None

    def open(self) -> BinaryIO:
        """Return its decompressed bytes from the beginning, unbuffered; closing it is the caller's.

        A read may be short; only an empty one is the end. A divisible stream can be sought in. Raises OSError, and when
        read StreamDamaged behind what could still be decompressed.
        """
        if self.path is not None:
            raw = cast("BinaryIO", open(self.path, "rb", buffering=0))  # noqa: PTH123, SIM115 - the caller closes it
            return _opened(raw, self.compression)
        if self.source is None:
            raise ValueError(f"the stream {self.id} has neither a path nor a source")
        piped = _Piped(self.source)
        compression = compression_of(piped.peeked())
        return _opened(cast("BinaryIO", piped), compression)


def _opened(raw: BinaryIO, compression: str) -> BinaryIO:
    try:
        return inflated(raw, compression)
    except DoctorError:
        raw.close()
        raise


class _Piped(io.RawIOBase):
    """A pipe whose first bytes have been looked at; closing it leaves the pipe, which is not ours, open."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        # A buffered reader waits until its buffer is full; what a pipe holds is to be had at once.
        self._read = getattr(source, "read1", source.read)
        self._release = getattr(source, "release", None)
        self._kept = b""

    def close(self) -> None:
        if self._release is not None:
            self._release()
        super().close()

    def peeked(self) -> bytes:
        """Return the first MAGIC_LENGTH bytes, fewer only at the end."""
        while len(self._kept) < MAGIC_LENGTH and (more := self._read(MAGIC_LENGTH - len(self._kept))):
            self._kept += more
        return self._kept

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a buffer is what RawIOBase hands over
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        if self._kept:
            data, self._kept = self._kept[:size], self._kept[size:]
            return data
        return bytes(self._read(size) or b"")


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that was named and is not read."""

    name: str
    reason: str
    remedy: str = ""
    missing: bool = False
    """Whether there is nothing of that name."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the arguments came to."""

    streams: tuple[Stream, ...]
    """Rotated siblings next to each other, the oldest first."""
    unread: tuple[Unread, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences for the report: what was named twice, which siblings were not named, what is waited for."""


def open_streams(arguments: Sequence[str]) -> Opened:
    """Return the streams that `arguments` name; what cannot be read is told and the others go on.

    Nothing is read of a pipe or a terminal yet. The same file under two names is one stream.
    """
    streams: list[Stream] = []
    unread: list[Unread] = []
    notes: list[str] = []
    seen: dict[tuple[int, int], str] = {}
    for name in (name for argument in arguments for name in _named(argument, unread)):
        one = _stream(name)
        if isinstance(one, Unread):
            unread.append(one)
        elif one.identity is not None and one.identity in seen:
            notes.append(_twice(one.id, seen[one.identity]))
        elif any(one.id == other.id for other in streams):
            notes.append(_twice(one.id, one.id))
        else:
            if one.identity is not None:
                seen[one.identity] = one.id
            streams.append(one)
    named = {one.identity for one in streams}
    notes += _siblings(streams, named)
    links = chained([one.id for one in streams])
    by_id = {one.id: replace(one, follows=links[one.id]) for one in streams}
    return Opened(tuple(by_id[name] for name in links), tuple(unread), tuple(notes))


def _twice(name: str, first: str) -> str:
    if name == first:
        return f"{name} was named twice and is read once"
    return f"{name} is the same file as {first} and is read once"


def _named(argument: str, unread: list[Unread]) -> Iterator[str]:
    """Yield the files that an argument stands for, by name; what there is none of goes to `unread`."""
    if argument == _STANDARD_INPUT:
        yield argument
        return
    path = os.path.expanduser(argument) if argument.startswith("~") else argument  # noqa: PTH111 - a pattern is no path
    if os.path.isdir(path):  # noqa: PTH112 - it may hold a NUL, which Path.is_dir refuses in 3.11
        yield from _of_directory(path, unread)
    elif os.path.lexists(path) or not glob.has_magic(path):
        # A file may well be called `app[1].log`.
        yield path
    else:
        found = [one for one in sorted(glob.glob(path, recursive=True)) if not os.path.isdir(one)]  # noqa: PTH112, PTH207 - quoted patterns are absolute or relative, with ** anywhere
        if not found:
            unread.append(Unread(argument, "no file matches this pattern", "name files that exist", missing=True))
        yield from found


def _of_directory(path: str, unread: list[Unread]) -> Iterator[str]:
    """Yield the logs that lie in a directory, not what lies deeper."""
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names are what is looked at
    except OSError as error:
        unread.append(Unread(path, f"the directory cannot be read: {error.strerror}", "name the log files themselves"))
        return
    found = [one for name in names if LOG_NAME.search(name) and Path(one := os.path.join(path, name)).is_file()]  # noqa: PTH118 - as it was named
    if not found:
        remedy = f"name the files, or a quoted pattern: '{os.path.join(path, '**', '*.log')}'"  # noqa: PTH118 - as named
        unread.append(Unread(path, "is a directory without a log in it", remedy))
    yield from found


def _stream(name: str) -> Stream | Unread:
    if name == _STANDARD_INPUT:
        return _standard_input(name)
    try:
        status = os.stat(name)  # noqa: PTH116 - a name with a NUL raises ValueError here and is told as what it is
    except FileNotFoundError:
        return Unread(name, "does not exist", "name a file that exists", missing=True)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return Unread(
                f"{name[:40]}…", "is not a file name", "pipe the text in: … | alwrity-doctor triage -", missing=True
            )
        return Unread(name, f"cannot be read: {error.strerror}", "give the file to a user who may read it")
    except ValueError:
        return Unread(name, "is not a file name", "name a file that exists", missing=True)
    if not stat.S_ISREG(status.st_mode):
        return _special(name, status)
    if name.startswith(_OWN_DESCRIPTOR):
        # In another process this name is another file.
        real = os.path.realpath(name)
        if not Path(real).is_file():
            return _held(name)
        return _regular(name, real, status)
    return _regular(name, os.path.abspath(name), status)  # noqa: PTH100 - links are kept as they are


def _regular(name: str, path: str, status: os.stat_result) -> Stream | Unread:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered: a few bytes decide
            beginning = file.read(MAGIC_LENGTH)
    except OSError as error:
        remedy = "read it as a user who may, or pass it through: sudo cat FILE | alwrity-doctor triage -"
        return Unread(name, f"cannot be read: {error.strerror}", remedy)
    for magic, what in _ARCHIVES:
        if beginning.startswith(magic):
            return Unread(name, f"is {what}", "unpack it, and name the log files in it")
    compression = compression_of(beginning)
    if compression:
        try:
            decompressor(compression)
        except DoctorError as error:
            return Unread(name, error.diagnosis, error.remedy)
    size = None if compression else status.st_size
    return Stream(name, path, size, compression, identity=(status.st_dev, status.st_ino))


def _special(name: str, status: os.stat_result) -> Stream | Unread:
    mode = status.st_mode
    if stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and _is_text_device(name)):
        return _held(name)
    what = "a socket" if stat.S_ISSOCK(mode) else "a device" if not stat.S_ISDIR(mode) else "a directory"
    return Unread(name, f"is {what}, not a log", "name a file, or pipe the log in: COMMAND | alwrity-doctor triage -")


def _is_text_device(name: str) -> bool:
    """Say whether it ends: a terminal may be pasted into, and /dev/null is an empty log."""
    if os.path.realpath(name) == os.devnull:
        return True
    try:
        with open(name, "rb", buffering=0) as file:  # noqa: PTH123 - a device
            return file.isatty()
    except OSError:
        return False


def _held(name: str) -> Stream | Unread:
    """Return a pipe that this process reads, since its name may mean nothing in another one."""
    try:
        source = cast("BinaryIO", _Late(name))
    except OSError as error:
        return Unread(name, f"cannot be read: {error.strerror}", "name a file that you may read")
    return Stream(name, source=source)


class _Late:
    """Opened when it is read: opening a FIFO waits for whoever writes into it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._file: io.FileIO | None = None

    def read(self, size: int) -> bytes:
        if self._file is None:
            self._file = open(self._name, "rb", buffering=0)  # noqa: PTH123, SIM115 - read to its end, with the process
        return self._file.read(size) or b""

    def release(self) -> None:
        """Close what was opened for this."""
        if self._file is not None:
            self._file.close()


def _standard_input(name: str) -> Stream | Unread:
    if sys.stdin is None or sys.stdin.closed:
        return Unread(name, "standard input is closed", "name a file, or pipe the log in")
    source = sys.stdin.buffer
    try:
        descriptor = source.fileno()
        status = os.fstat(descriptor)
    except (OSError, ValueError, AttributeError):
        return Stream(name, source=source)
    if not stat.S_ISREG(status.st_mode):
        # Unbuffered: a thread that waits in a buffered read holds a lock without which Python cannot end.
        return Stream(name, source=cast("BinaryIO", getattr(source, "raw", source)))
    # A file that was redirected is read like one, in pieces, where the system tells its name.
    real = os.path.realpath("/dev/stdin")
    if os.lseek(descriptor, 0, os.SEEK_CUR) == 0 and _identity(real) == (status.st_dev, status.st_ino):
        return _regular(name, real, status)
    return Stream(name, identity=(status.st_dev, status.st_ino), source=source)


def waits_for_a_terminal(streams: Iterable[Stream]) -> bool:
    """Say whether somebody has to type or paste a log."""
    return any(one.id == _STANDARD_INPUT and one.source is not None and one.source.isatty() for one in streams)


def _siblings(streams: Sequence[Stream], named: set[tuple[int, int] | None]) -> Iterator[str]:
    for one in streams:
        if one.path is None:
            continue
        beside = [other for other in rotated_beside(one.path) if _identity(other) not in named]
        if beside:
            names = ", ".join(os.path.basename(other) for other in beside[:3]) + (", …" if len(beside) > 3 else "")  # noqa: PLR2004, PTH119 - three are enough to be recognised by
            yield f"beside {one.id} lie older parts that were not named: {names}; to read them as well: {one.id}*"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
