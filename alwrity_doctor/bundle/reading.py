"""A bundle that somebody handed over: read in bounded memory, nothing is unpacked to a disk, nothing is believed.

Only what `archive` writes is accepted: plain files below one directory, each named in the manifest with its hash.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.bundle.manifest import NAME, REPORT, ROOT, Manifest, is_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Bundle", "opened", "read_bundle"]

_LARGEST_ARCHIVE: Final = 64 << 20
_LARGEST: Final = 256 << 20
"""Bytes in all, unpacked: a bomb of a few kilobytes stops here."""
_LARGEST_FILE: Final = 64 << 20
_LARGEST_MANIFEST: Final = 1 << 20
_MOST: Final = 1000
"""Files."""
_CHUNK: Final = 64 * 1024
_STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_END: Final = struct.Struct("<4s4H2LH")
"""The end of a zip's central directory (APPNOTE 6.3.10, section 4.3.16)."""
_END_MARK: Final = b"PK\x05\x06"
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_SIZE: Final = 20
_LONGEST_COMMENT: Final = 0xFFFF
_REMEDY: Final = "name a bundle as alwrity-doctor bundle wrote it; if it was sent, have it sent again"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was in an archive, every file as its manifest names it."""

    manifest: Manifest
    files: Mapping[str, bytes]
    """Path below ROOT -> content; the manifest itself is not among them."""

    @property
    def report(self) -> bytes:
        """The gate's report, as JSON."""
        return self.files[REPORT]


def read_bundle(path: Path) -> Bundle:
    """Return what is in the bundle at `path`, `-` for standard input.

    Raises ConfigurationError as `opened` does, and if it cannot be read.
    """
    name = "standard input" if str(path) == _STDIN else path.name
    try:
        return opened(_archive(path), name)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.diagnosis}", error.remedy) from error


def opened(data: bytes, name: str) -> Bundle:
    """Return what is in the bundle `data`, a file called `name`.

    Raises ConfigurationError for what is no bundle, is damaged, was changed, holds anything but plain files that its
    manifest names, or more than a bundle can hold.
    """
    files = dict(_contents(name, data))
    if NAME not in files:
        raise _refused(f"it holds no {NAME}")
    if len(files[NAME]) > _LARGEST_MANIFEST:
        raise _refused(f"its {NAME} is larger than 1 MiB")
    manifest = Manifest.parse(files.pop(NAME))
    manifest.check(files)
    if REPORT not in files:
        raise _refused(f"it holds no {REPORT}")
    return Bundle(manifest, files)


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"this is no bundle that can be read: {why}", _REMEDY)


def _archive(path: Path) -> bytes:
    data = bytearray()
    try:
        with _stream(path) as file:
            # In steps: asked for all, Python makes room for all before it reads the first byte.
            while len(data) <= _LARGEST_ARCHIVE and (part := file.read(_CHUNK)):
                data += part
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"it cannot be read: {told}", _REMEDY) from error
    if len(data) > _LARGEST_ARCHIVE:
        raise ConfigurationError(f"it is larger than {_LARGEST_ARCHIVE >> 20} MiB: no bundle is", _REMEDY)
    return bytes(data)


def _stream(path: Path) -> AbstractContextManager[BinaryIO]:
    if str(path) != _STDIN:
        if path.is_dir():
            raise ConfigurationError("it is a directory", "name the archive itself, not where it was unpacked")
        return path.open("rb")
    if sys.stdin is None or sys.stdin.closed:
        raise ConfigurationError("standard input is closed", _REMEDY)
    if sys.stdin.isatty():
        raise ConfigurationError("standard input is a terminal, and a bundle is no text", _REMEDY)
    return nullcontext(sys.stdin.buffer)


def _contents(called: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(_GZIP):
        found = _of_tar(data)
    elif data.startswith(_ZIP):
        found = _of_zip(data)
    else:
        report = data.lstrip()[:1] == b"{"
        looks = "a report: alwrity-doctor render reads it" if report else "neither a .tar.gz nor a .zip"
        raise _refused(f"{called} is {looks}")
    seen: set[str] = set()
    try:
        for full, content in found:
            name = _below_root(full)
            if name in seen:
                raise _refused(f"it holds {name} twice")
            if len(seen) >= _MOST:
                raise _refused(f"it holds more than {_MOST} files")
            seen.add(name)
            yield name, content
    except ConfigurationError:
        raise
    # The libraries raise whatever the bytes lead them to; none of it is a fault of this program.
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError) as error:
        raise _refused(f"it is damaged or cut off ({type(error).__name__})") from error
    except (ValueError, OverflowError, LookupError, NotImplementedError, struct.error) as error:
        raise _refused(f"it is malformed ({type(error).__name__})") from error


def _below_root(full: str) -> str:
    top, _, name = full.partition("/")
    if top != ROOT or not is_path(name):
        raise _refused(f"it holds {full[:100]!r}, which is no path of a bundle")
    return name


class _Bounded(io.RawIOBase):
    """Bytes of a decompressor, up to what a bundle may hold; more is refused before it is in memory."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self._left = _LARGEST

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left + 1 if size < 0 else size
        parts: list[bytes] = []
        # In steps: a header can ask for more than there is.
        while wanted > 0 and (part := self._source.read(min(wanted, _CHUNK))):
            wanted -= len(part)
            self._left -= len(part)
            if self._left < 0:
                raise _refused(f"unpacked it has more than {_LARGEST >> 20} MiB")
            parts.append(part)
        return b"".join(parts)


def _of_tar(data: bytes) -> Iterator[tuple[str, bytes]]:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as squeezed:
        bounded = _Bounded(cast("BinaryIO", squeezed))
        # A stream: no offset that a header names can lead backwards.
        with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r|") as archive:
            for entry in archive:
                if entry.isdir():
                    continue
                if entry.type not in {tarfile.REGTYPE, tarfile.AREGTYPE} or entry.issparse():
                    raise _refused(f"{entry.name[:100]!r} is a link or a special file")
                if not 0 <= entry.size <= _LARGEST_FILE:
                    raise _refused(f"{entry.name[:100]!r} has more than {_LARGEST_FILE >> 20} MiB")
                file = archive.extractfile(entry)
                content = b"" if file is None else file.read()
                if len(content) != entry.size:
                    raise EOFError(entry.name)
                yield entry.name, content
        # To the end, so that the checksum is looked at.
        while bounded.read(_CHUNK):
            pass


def _of_zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    _bound_directory(data)
    left = _LARGEST
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG}:
                raise _refused(f"{entry.filename[:100]!r} is a link or a special file")
            if entry.flag_bits & 1:
                raise _refused(f"{entry.filename[:100]!r} is encrypted")
            if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise _refused(f"{entry.filename[:100]!r} is compressed in a way that no bundle is")
            if entry.file_size > _LARGEST_FILE:
                raise _refused(f"{entry.filename[:100]!r} has more than {_LARGEST_FILE >> 20} MiB")
            if entry.file_size > left:
                raise _refused(f"unpacked it has more than a bundle may hold ({_LARGEST >> 20} MiB)")
            with archive.open(entry) as file:
                # What the entry says is believed only as a bound.
                content = file.read(entry.file_size + 1)
            if len(content) != entry.file_size:
                raise EOFError(entry.filename)
            left -= len(content)
            # The library resolves what a name holds after a NUL, or backslashes, before anybody sees it.
            yield entry.orig_filename, content


def _bound_directory(data: bytes) -> None:
    """Refuse a central directory of more entries than a bundle has, before a library makes an object of each."""
    at = data.rfind(_END_MARK, max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if at < 0 or at + _END.size > len(data):
        raise _refused("it is damaged or cut off (its end is missing)")
    _, _, _, _, entries, size, _, _ = _END.unpack_from(data, at)
    if data[max(0, at - _ZIP64_LOCATOR_SIZE) : at].startswith(_ZIP64_LOCATOR):
        raise _refused("it is a zip64, as only larger archives are")
    if entries > _MOST or size > _MOST * 512:
        raise _refused(f"it holds more than {_MOST} files")
