"""A cleaned copy of a log, for handing on: as many lines as the log has, whole or not there at all."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.logs.cleaning import Cleaner
from alwrity_checks.logs.inflating import ZSTD_MODULES, StreamDamaged

if TYPE_CHECKING:
    from typing import BinaryIO

    from alwrity_checks.logs.streams import Stream

__all__ = ["Copy", "copy_stream", "places", "tapped"]

_BLOCK: Final = 256 * 1024


def places(out: str, streams: Sequence[Stream]) -> Mapping[str, Path]:
    """Return for each stream, by its id, the file that its copy goes to: `out`, or in the directory `out` one each.

    Raises ConfigurationError where a copy would take the place of a log that is read or of another copy, and where no
    file can be written.
    """
    if out in {"", "-"}:
        raise ConfigurationError("--redact needs a file: standard output is the report's", "--redact clean.log")
    target = Path(out)
    directory = target.is_dir() or out.endswith(("/", os.sep))
    if not directory and len(streams) > 1:
        raise ConfigurationError(
            f"{len(streams)} logs are read, and --redact names one file",
            "name a directory that exists: each log's copy goes there under its own name",
        )
    if directory and not target.is_dir():
        raise ConfigurationError(f"there is no directory {out}", f"mkdir {out}")
    chosen = {one.id: target / _name(one.id) if directory else target for one in streams}
    for path in chosen.values():
        _refuse_inputs(path, streams)
        if list(chosen.values()).count(path) > 1:
            raise ConfigurationError(
                f"two logs are called {path.name}, and their copies would be one", "redact one after the other"
            )
    return chosen


def _name(stream_id: str) -> str:
    return "standard-input.log" if stream_id == "-" else Path(stream_id).name


def _refuse_inputs(path: Path, streams: Iterable[Stream]) -> None:
    with contextlib.suppress(OSError):
        status = path.stat()
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode) and any(one.identity == identity for one in streams):
            raise ConfigurationError(
                f"{path} is one of the logs that are read; a cleaned copy does not take its place",
                "name another file, and remove the log yourself when you have looked at the copy",
            )


class Copy:
    """Takes a log's bytes and writes them clean; as a context, it is there when the context ends, or not at all."""

    def __init__(self, path: Path) -> None:
        """Open a file beside `path`. Raises ConfigurationError where none can be written, or for a missing extra."""
        self.path = path
        self.cleaner = Cleaner()
        self.finished = False
        # What is replaced is the file, not a link to it.
        real = path.resolve() if path.is_symlink() else path
        self._stream = path.exists() and not path.is_file()
        self._target = path if self._stream else real
        self._beside = self._target if self._stream else real.with_name(f".{real.name}.{os.getpid()}")
        try:
            self._raw = self._beside.open("wb")
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be written: {error.strerror}", "name a file in a directory that exists and is yours"
            ) from error
        try:
            self._out = _compressing(self._raw, path.suffix.lower())
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def feed(self, block: bytes) -> None:
        """Write `block`, clean."""
        try:
            self._out.write(self.cleaner.feed(block))
        except OSError as error:
            raise self._full(error) from error

    def finish(self) -> None:
        """Write the rest: the log has been read to its end."""
        try:
            self._out.write(self.cleaner.finish())
            if self._out is not self._raw:
                self._out.close()
            self._raw.flush()
            if not self._stream:
                os.fsync(self._raw.fileno())
            self._raw.close()
            if not self._stream:
                self._beside.replace(self._target)
        except OSError as error:
            raise self._full(error) from error
        self.finished = True

    def _full(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"{self.path} cannot be written: {error.strerror}", "make room, or name another file")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.finished:
            self._abandon()

    def _abandon(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._raw.close()
        if not self._stream:
            self._beside.unlink(missing_ok=True)


def _compressing(raw: Any, suffix: str) -> Any:  # noqa: ANN401 - files of four libraries
    if suffix in {".gz", ".gzip"}:
        # No name and no time in it: the same log gives the same bytes.
        return gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
    if suffix in {".zst", ".zstd"}:
        for name in ZSTD_MODULES:
            with contextlib.suppress(ImportError):
                return import_module(name).ZstdFile(raw, "w")
        raise MissingExtra("zstd", "writing a log that is compressed with zstd")
    if suffix == ".bz2":
        import bz2

        return bz2.BZ2File(raw, "w")
    if suffix == ".xz":
        import lzma

        return lzma.LZMAFile(raw, "w")
    return raw


def copy_stream(stream: Stream, copy: Copy) -> StreamDamaged | None:
    """Read `stream` to its end into `copy`, and return what it was damaged by, if it was. Raises OSError."""
    damage: StreamDamaged | None = None
    with contextlib.closing(stream.open()) as reader:
        while True:
            try:
                block = reader.read(_BLOCK)
            except StreamDamaged as error:
                damage = error
                break
            if not block:
                break
            copy.feed(block)
    copy.finish()
    return damage


def tapped(stream: Stream, copy: Copy) -> Stream:
    """Return a stream that can be read only once, which writes its copy as it is read."""
    return replace(stream, source=cast("BinaryIO", _Tap(stream, copy)))


class _Tap:
    """Bytes on their way to the engine, seen by a copy."""

    def __init__(self, stream: Stream, copy: Copy) -> None:
        self._stream = stream
        self._copy = copy
        self._reader: BinaryIO | None = None

    def read(self, size: int) -> bytes:
        if self._reader is None:
            # Only now: opening looks at the first bytes, and a pipe may not have any yet.
            self._reader = self._stream.open()
        if self._copy.finished:
            return b""
        try:
            block = self._reader.read(size)
        except StreamDamaged:
            self._copy.finish()
            raise
        if block:
            self._copy.feed(block)
        else:
            self._copy.finish()
        return block
