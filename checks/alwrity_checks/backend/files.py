"""The files of a checkout that a scan reads, from the disk or from a commit: read once, never written, never run."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.backend.checkout import Checkout

__all__ = ["LARGEST", "LeftOut", "Snapshot", "is_declaration", "is_skipped", "repository_root", "snapshot"]

LARGEST: Final = 2 << 20
"""Bytes: what is larger was made by a program. The largest module of ALwrity (ce9bf293) has 160 kB."""
_ELSEWHERE: Final = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "windsurf_venv"})
"""Nobody's own source. What begins with a dot is not either, nor a directory with a `pyvenv.cfg`."""
_DATA: Final = frozenset({"workspace", "build", "dist"})
"""Users' data and what a build made, unless it is a package."""
_DECLARATIONS: Final = re.compile(
    r"(?:requirements[\w.-]*\.(?:txt|in)|runtime\.txt|\.python-version|pyproject\.toml|Dockerfile(?:\.[\w-]+)?)"
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or directory that was not read: it may hold anything."""

    path: str
    """Relative to the backend's directory, with `/`."""
    why: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a checkout held at one moment."""

    sources: Mapping[str, bytes]
    """The Python files, by their paths relative to the backend's directory, with `/`; sorted."""
    declarations: Mapping[str, bytes]
    """Requirements and the like, of the backend and of the repository's root, by their paths relative to the root."""
    prefix: str
    """From the repository's root to the backend's directory: `backend/`, or nothing where they are the same."""
    left_out: tuple[LeftOut, ...] = ()


def repository_root(checkout: Checkout) -> Path:
    """Return the directory of the checkout's `.git`, at or above the backend; without one, the backend's parent."""
    # Not Path.exists, which raises where a directory above may not be looked into.
    places = (checkout.backend, *checkout.backend.parents)
    return next((place for place in places if os.path.exists(place / ".git")), checkout.root)  # noqa: PTH110 - see above


def is_skipped(name: str, *, package: bool, environment: bool) -> bool:
    """Say whether a directory holds nobody's own source; a `package` has an `__init__.py`, an `environment` is one."""
    return name.startswith(".") or name in _ELSEWHERE or environment or (name in _DATA and not package)


def is_declaration(name: str) -> bool:
    """Say whether a file of this name says what the backend needs to run."""
    return _DECLARATIONS.fullmatch(name) is not None


def snapshot(checkout: Checkout) -> Snapshot:
    """Read the checkout from the disk.

    Links to directories are not followed, so that none is read twice or for ever; links to files are, within the
    repository.
    """
    root = repository_root(checkout)
    left_out: list[LeftOut] = []
    found = dict(_walk(checkout.backend, root, left_out))
    declarations = {}
    for directory in dict.fromkeys((checkout.root if root != checkout.backend else root, checkout.backend)):
        for path in sorted(_listed(directory)):
            if is_declaration(path.name):
                data = _read(path, root)
                if isinstance(data, bytes):
                    declarations[path.relative_to(root).as_posix()] = data
    place = checkout.backend.relative_to(root).as_posix()
    prefix = "" if place == "." else f"{place}/"
    return Snapshot(dict(sorted(found.items())), declarations, prefix, tuple(sorted(left_out, key=lambda o: o.path)))


def _listed(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _walk(top: Path, root: Path, left_out: list[LeftOut]) -> Iterator[tuple[str, bytes]]:
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            left_out.append(LeftOut(directory.relative_to(top).as_posix(), f"cannot be listed: {error.strerror}"))
            continue
        names = {entry.name for entry in entries}
        if directory != top and is_skipped(
            directory.name, package="__init__.py" in names, environment="pyvenv.cfg" in names
        ):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif entry.name.endswith(".py"):
                path = Path(entry.path)
                data = _read(path, root)
                if isinstance(data, bytes):
                    yield path.relative_to(top).as_posix(), data
                elif data:
                    left_out.append(LeftOut(path.relative_to(top).as_posix(), data))


def _read(path: Path, root: Path) -> bytes | str:
    """Return what is in a file, or why it was not read; an empty text if there is nothing to miss."""
    try:
        if path.is_symlink():
            target = path.resolve(strict=True)
            if target.is_dir():
                return ""
            if root.resolve() not in target.parents:
                return "is a link out of the repository"
            if target.name.startswith(".env"):
                return "is a link to settings"
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return "is not a file"
        if state.st_size > LARGEST:
            return f"has {state.st_size / (1 << 20):.1f} MiB, more than a person writes ({LARGEST >> 20} MiB)"
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # a RuntimeError: a circle of links, before Python 3.13
        return f"cannot be read: {getattr(error, 'strerror', None) or 'a circle of links'}"
