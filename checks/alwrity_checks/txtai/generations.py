"""Generations: complete snapshots of an index, each in a directory of its own, and the atomic switch between them.

A crash at any step leaves either the old generation current or the new one, both complete. The generation before the
current one is kept with the queue rows that came after it, so that one damaged by the disk can be stepped back from
without a loss.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from alwrity_checks.txtai.paths import sync_directory, sync_file, write_file
from alwrity_checks.txtai.point import point
from alwrity_checks.txtai.storage import DamagedIndex

__all__ = ["Applied", "Generation", "current", "current_name", "generation", "publish", "sound", "sweep"]

_NAME: Final = re.compile(r"gen-(\d{6,})\Z")
_APPLIED: Final = "applied.json"
_CURRENT: Final = "CURRENT"


@dataclass(frozen=True, slots=True)
class Applied:
    """What a generation holds: the content of its `applied.json`."""

    sequence: int
    """Every queue row up to this one is in it."""
    documents: int
    """0 means that there are no txtai files: txtai cannot load an index that was never filled."""
    encoder: str
    """The identity of the encoder whose vectors they are; two encoders never mix."""
    dimensions: int
    txtai: str
    faiss: str
    """The library versions that wrote it, for a later diagnosis."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A complete snapshot."""

    number: int
    path: Path
    applied: Applied


def current(directory: Path) -> Generation | None:
    """Return the generation that `CURRENT` names; None before the first. Raises DamagedIndex, OSError."""
    name = current_name(directory)
    return None if name is None else generation(directory, name)


def current_name(directory: Path) -> str | None:
    """Return what `CURRENT` says; None before the first generation. Raises OSError."""
    try:
        return (directory / _CURRENT).read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return None


def generation(directory: Path, name: str) -> Generation:
    """Return the generation of that name. Raises DamagedIndex, OSError."""
    match = _NAME.match(name)
    if match is None:
        raise _damaged(directory / _CURRENT, f"it names {name!r:.60}, which is no generation")
    path = directory / name
    try:
        applied = Applied(**json.loads((path / _APPLIED).read_bytes()))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError) as error:
        raise _damaged(path / _APPLIED, str(error)) from error
    counts = (applied.sequence, applied.documents, applied.dimensions)
    if not all(type(count) is int and count >= 0 for count in counts) or not isinstance(applied.encoder, str):
        raise _damaged(path / _APPLIED, "a value is of the wrong kind")
    return Generation(int(match[1]), path, applied)


def sound(directory: Path) -> list[Generation]:
    """Return the generations whose `applied.json` can be read, the newest first."""
    found = []
    for _, path in sorted(_numbered(directory), reverse=True):
        try:
            found.append(generation(directory, path.name))
        except DamagedIndex:
            continue
    return found


def publish(directory: Path, applied: Callable[[Path], Applied]) -> Generation:
    """Make the next generation and switch to it; `applied` fills a draft's directory and says what it holds.

    Nothing has happened where this raises before `CURRENT` is replaced, which is one atomic step.
    """
    taken = [number for number, _ in _numbered(directory)]
    number = max(taken, default=0) + 1
    draft = directory / f"tmp-{number:06}"
    for stale in directory.glob("tmp-*"):
        shutil.rmtree(stale)
    for stale in directory.glob(f"{_CURRENT}.*"):
        stale.unlink()
    draft.mkdir()
    try:
        content = applied(draft)
        (draft / _APPLIED).write_text(json.dumps(asdict(content), indent=2), "utf-8")
        point("copied", draft)
        for file in draft.iterdir():
            sync_file(file)
        sync_directory(draft)
        point("synced", draft)
        path = directory / f"gen-{number:06}"
        draft.rename(path)
        sync_directory(directory)
    except Exception:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    point("renamed", path)
    write_file(directory / _CURRENT, path.name.encode())
    point("switched", path)
    return Generation(number, path, content)


def sweep(directory: Path, *, keep: set[int], damaged: str | None) -> None:
    """Remove the generations that are not to be kept; one found damaged is put aside as `damaged-N`, never removed."""
    for number, path in _numbered(directory):
        if path.name == damaged:
            path.rename(directory / f"damaged-{number:06}")
        elif number not in keep:
            shutil.rmtree(path)


def _numbered(directory: Path) -> list[tuple[int, Path]]:
    matches = ((_NAME.match(path.name), path) for path in directory.iterdir())
    return [(int(match[1]), path) for match, path in matches if match]


def _damaged(path: Path, fact: str) -> DamagedIndex:
    return DamagedIndex(f"{path} is damaged: {fact}", f"alwrity-doctor txtai status {quote(str(path.parent))}")
