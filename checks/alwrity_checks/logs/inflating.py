"""From the bytes of a file to the bytes of a log: gzip, zstd, bzip2, xz and UTF-16 are told by how they begin.

A name says nothing: a rotated `app.log.1` may be compressed, and an `app.log.gz` may have been unpacked in place.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from alwrity_checks.errors import DoctorError, MissingExtra

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["MAGIC_LENGTH", "ZSTD_MODULES", "StreamDamaged", "compression_of", "decompressor", "inflated"]

MAGIC_LENGTH: Final = 6
"""So many bytes decide."""
_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd", "pyzstd")
"""The standard library has it from 3.14 on; the other two have the same decompressor."""
_CHUNK: Final = 64 * 1024
"""Bytes that are read of what is compressed."""


class StreamDamaged(DoctorError):  # noqa: N818 - what is the matter with the file, not with this program
    """A compressed stream ends too early or holds what its format does not allow; everything before was given."""


def compression_of(beginning: bytes) -> str:
    """Return what the first MAGIC_LENGTH bytes say: `gzip`, `zstd`, `bzip2`, `xz`, `utf-16-le`, `utf-16-be` or ``."""
    return next((name for magic, name in _MAGIC if beginning.startswith(magic)), "")


class _Decompressor(Protocol):
    """What bz2, lzma and zstd share."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return up to `max_length` bytes more."""


class _Gzip:
    """zlib behind the interface that the other decompressors have."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))


class _Utf16:
    """Windows PowerShell writes what it redirects as UTF-16; the log in it is text like any other."""

    eof = False
    needs_input = True
    unused_data = b""

    def __init__(self, name: str) -> None:
        self._decoder = codecs.getincrementaldecoder(name)("replace")
        self._begun = False

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        del max_length  # one chunk grows by half at most
        text = self._decoder.decode(data)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        return text.encode("utf-8", "replace")


def _bzip2() -> Any:  # noqa: ANN401 - a _Decompressor; the stub's attributes are read-only
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Any:  # noqa: ANN401 - as in _bzip2
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ)


def _zstd() -> Any:  # noqa: ANN401 - as in _bzip2
    for name in ZSTD_MODULES:
        try:
            return import_module(name).ZstdDecompressor()
        except ImportError:
            continue
    raise MissingExtra("zstd", "reading a log that is compressed with zstd")


_MAKERS: Final[Mapping[str, Callable[[], Any]]] = MappingProxyType(
    {
        "gzip": _Gzip,
        "zstd": _zstd,
        "bzip2": _bzip2,
        "xz": _xz,
        "utf-16-le": lambda: _Utf16("utf-16-le"),
        "utf-16-be": lambda: _Utf16("utf-16-be"),
    }
)


def decompressor(compression: str) -> Any:  # noqa: ANN401 - as in _bzip2
    """Return a new decompressor. Raises MissingExtra for zstd where nothing that reads it is installed."""
    return _MAKERS[compression]()


def inflated(raw: BinaryIO, compression: str) -> BinaryIO:
    """Return `raw` without its compression; closing it closes `raw`, and reads may be short.

    Raises MissingExtra as `decompressor` does.
    """
    if not compression:
        return raw
    return _Inflating(raw, compression, decompressor(compression))  # type: ignore[return-value]  # RawIOBase is one


class _Inflating(io.RawIOBase):
    """The decompressed bytes; of a damaged stream all that lie before the damage, then StreamDamaged."""

    def __init__(self, raw: BinaryIO, compression: str, first: _Decompressor) -> None:
        super().__init__()
        self._raw = raw
        self._compression = compression
        self._inner = first
        self._begun = False
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - what a buffer is, typeshed names differently by version
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, nothing at the end. Raises StreamDamaged where the stream is."""
        if size < 0:
            return self.readall()
        while size and not self._ended:
            data = self._more(size)
            if data:
                return data
        return b""

    def _more(self, size: int) -> bytes:
        inner = self._inner
        if inner.eof:
            return self._next_member(inner.unused_data)
        chunk = self._raw.read(_CHUNK) if inner.needs_input else b""
        if not chunk and inner.needs_input:
            self._ended = True
            if self._begun and not self._compression.startswith("utf-16"):
                raise StreamDamaged(f"the {self._compression} data ends in the middle: the file was cut off")
            return b""
        self._begun = True
        return self._decompressed(inner, chunk, size)

    def _next_member(self, rest: bytes) -> bytes:
        """Go on with what follows a complete member, as `cat a.gz b.gz` leaves it; zeros are padding."""
        while not rest.strip(b"\0"):
            rest = self._raw.read(_CHUNK)
            if not rest:
                self._ended = True
                return b""
        rest = rest.lstrip(b"\0")
        if len(rest) < MAGIC_LENGTH:
            rest += self._raw.read(_CHUNK)
        if compression_of(rest) != self._compression:
            self._ended = True
            raise StreamDamaged(f"behind the {self._compression} data stands something else")
        self._inner = decompressor(self._compression)
        return self._decompressed(self._inner, rest, _CHUNK)

    def _decompressed(self, inner: _Decompressor, chunk: bytes, size: int) -> bytes:
        try:
            return inner.decompress(chunk, size)
        except (DoctorError, MemoryError):
            raise
        except Exception as error:
            # zlib.error, OSError, lzma.LZMAError and ZstdError have nothing else in common.
            self._ended = True
            raise StreamDamaged(f"the {self._compression} data is damaged ({type(error).__name__})") from error

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
