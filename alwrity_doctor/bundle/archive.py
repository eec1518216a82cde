"""An archive, written whole or not at all, never over something else; the same files give the same bytes.

The only time in it is the moment at which the bundle was made, which is that of every file.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.bundle.manifest import NAME, ROOT, Item, Manifest

__all__ = ["packed", "target", "write_new"]

_OTHERS: Final = frozenset({".7z", ".bz2", ".rar", ".tar", ".xz", ".zst", ".lz", ".lzma", ".br", ".jar"})
_MODE: Final = 0o644
_FIRST_DATE: Final = datetime(1980, 1, 1, tzinfo=UTC)
"""A zip knows no earlier one."""


def target(named: Path) -> tuple[Path, str]:
    """Return the file that a bundle goes to, and its form, `tar.gz` or `zip`; without one in its name it is a tar.gz.

    Raises ConfigurationError where there is something already, and for the name of an archive of another form.
    """
    lower = named.name.lower()
    if str(named) == "-":
        raise ConfigurationError("a bundle is a file, and stdout is none", "name one: alwrity-doctor bundle report.zip")
    if os.path.isdir(named):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise ConfigurationError(f"{named} is a directory", f"name a file in it: {named / 'report.zip'}")
    form = "zip" if lower.endswith(".zip") else "tar.gz"
    place = named
    if form == "tar.gz" and not lower.endswith((".tar.gz", ".tgz")):
        if named.suffix.lower() in _OTHERS:
            raise ConfigurationError(f"a bundle is no {named.suffix}", "name a .tar.gz or a .zip")
        place = named.with_name(f"{named.name}.tar.gz")
    try:
        place.lstat()
    except FileNotFoundError:
        return place, form
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{place} cannot be written: {told}", "name another file") from error
    raise _taken(place)


def _taken(place: Path) -> ConfigurationError:
    return ConfigurationError(f"{place} is there already", "name another file, or remove it yourself")


def packed(form: str, manifest: Manifest, items: Sequence[Item]) -> bytes:
    """Return the archive of `items`, the manifest first."""
    files = {f"{ROOT}/{NAME}": manifest.render()}
    files |= {f"{ROOT}/{one.path}": one.data for one in sorted(items, key=lambda one: one.path)}
    return _PACKERS[form](files, max(manifest.created.astimezone(UTC), _FIRST_DATE))


def _tar(files: Mapping[str, bytes], moment: datetime) -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(data), _MODE, int(moment.timestamp())
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _zip(files: Mapping[str, bytes], moment: datetime) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, moment.timetuple()[:6])
            entry.create_system, entry.external_attr = 3, _MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return out.getvalue()


_PACKERS: Final[Mapping[str, Callable[[Mapping[str, bytes], datetime], bytes]]] = MappingProxyType(
    {"tar.gz": _tar, "zip": _zip}
)


def write_new(place: Path, data: bytes) -> None:
    """Write a file that was not there, readable by its owner alone; it appears whole or not at all.

    Raises ConfigurationError where something is there in the meantime, and where it cannot be written.
    """
    try:
        with _beside(place, data) as beside:
            try:
                # A link is refused where something is there, however it came there; a replacement would take its place.
                os.link(beside, place)
            except FileExistsError:
                raise
            except OSError:
                _without_links(beside, place)
    except FileExistsError as error:
        raise _taken(place) from error
    except OSError as error:
        raise ConfigurationError(
            f"{place} cannot be written: {error.strerror}", "make room, or name a file in a directory that is yours"
        ) from error


@contextlib.contextmanager
def _beside(place: Path, data: bytes) -> Iterator[Path]:
    """Yield a file with `data` in the directory of `place`; it is removed behind."""
    descriptor, name = tempfile.mkstemp(prefix=".alwrity-doctor-", dir=place.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _without_links(beside: Path, place: Path) -> None:
    """Put `beside` in its place on a file system that has no links: the name is taken first, then replaced."""
    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        beside.replace(place)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
