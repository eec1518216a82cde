"""What a bundle holds: every file with its size and hash, and when it was made.

The hashes tell damage and a change by accident. Who changes a file on purpose can change the manifest as well: a bundle
is not signed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.report.phrases import utc

__all__ = ["LEDGER", "NAME", "REPORT", "ROOT", "SCHEMA", "Item", "Listed", "Manifest", "is_path"]

SCHEMA: Final = "alwrity-doctor/bundle/1"
ROOT: Final = "alwrity-doctor-bundle"
"""The one directory of an archive, so that it does not spill where it is unpacked."""
NAME: Final = "manifest.json"
REPORT: Final = "report.json"
"""What `gate --from` judges."""
LEDGER: Final = "ledger.json"
_PATH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_LONGEST_PATH: Final = 75
"""With ROOT it fits into the 100 bytes that the plainest header of a tar has for a name."""
_REMEDY: Final = "have the bundle made anew, or name the one that alwrity-doctor wrote"


@dataclass(frozen=True, slots=True)
class Item:
    """A file on its way into a bundle."""

    path: str
    """Below ROOT, with `/`."""
    what: str
    """What it is, for whoever opens the archive."""
    data: bytes

    def __post_init__(self) -> None:
        if not is_path(self.path):
            raise ValueError(f"{self.path!r} is no path of a bundle")


def is_path(text: str) -> bool:
    """Say whether `text` can be the path of a bundle's file: relative, without anything that any system takes apart."""
    return len(text) <= _LONGEST_PATH and _PATH.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of a bundle, as its manifest names it."""

    path: str
    what: str
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself."""

    version: str
    """Of the alwrity-doctor that made it."""
    created: datetime
    files: tuple[Listed, ...]
    """Sorted by path."""

    @classmethod
    def of(cls, version: str, created: datetime, items: Iterable[Item]) -> Manifest:
        """Return the manifest of `items`."""
        listed = (Listed(one.path, one.what, len(one.data), hashlib.sha256(one.data).hexdigest()) for one in items)
        return cls(version, created.replace(microsecond=0), tuple(sorted(listed, key=lambda one: one.path)))

    def render(self) -> bytes:
        """Return it as JSON."""
        files = [{"path": one.path, "what": one.what, "size": one.size, "sha256": one.sha256} for one in self.files]
        document = {"schema": SCHEMA, "version": self.version, "created": utc(self.created), "files": files}
        return (json.dumps(document, indent=2) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read what `render` wrote. Raises ConfigurationError for anything else."""
        try:
            document = json.loads(data)
            if document["schema"] != SCHEMA:
                raise ConfigurationError(
                    f"the bundle's schema is {document['schema']!r}, not {SCHEMA!r}",
                    "read it with the version of alwrity-doctor that wrote it",
                )
            created = datetime.fromisoformat(document["created"])
            if created.tzinfo is None:
                raise ValueError("the moment has no zone")  # noqa: TRY301 - told like every other fault below
            return cls(_text(document["version"]), created, tuple(map(_listed, document["files"])))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"the bundle's {NAME} cannot be read: {type(error).__name__}", _REMEDY) from error

    def check(self, files: dict[str, bytes]) -> None:
        """Raise ConfigurationError unless `files` are exactly those that are named here, byte for byte."""
        named = {one.path: one for one in self.files}
        if missing := sorted(named.keys() - files.keys()):
            raise ConfigurationError(f"the bundle lacks {missing[0]}, which its manifest names", _REMEDY)
        if added := sorted(files.keys() - named.keys()):
            raise ConfigurationError(f"the bundle holds {added[0]}, which its manifest does not name", _REMEDY)
        for path, data in files.items():
            if hashlib.sha256(data).hexdigest() != named[path].sha256 or len(data) != named[path].size:
                raise ConfigurationError(f"{path} was changed since the bundle was made", _REMEDY)


def _listed(entry: dict[str, object]) -> Listed:
    path, size = _text(entry["path"]), entry["size"]
    if not is_path(path) or not isinstance(size, int) or path == NAME:
        raise ValueError(path)
    return Listed(path, _text(entry["what"]), size, _text(entry["sha256"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
