"""huggingface_hub's cache, written in its own layout.

    models--owner--name/blobs/<etag>                      a content
    models--owner--name/blobs/<etag>.part                 what has arrived of it so far; ours alone
    models--owner--name/snapshots/<commit>/<name>         a link to a content
    models--owner--name/refs/main                         the commit

A snapshot's links are made when every content is there, and the reference after them: whoever looks meanwhile finds
the whole model or none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from alwrity_checks.models.cache import repository

if TYPE_CHECKING:
    from alwrity_checks.models.listing import Listing, RemoteFile

__all__ = ["Blobs"]


class Blobs:
    """One model's directory in the cache. Its methods raise OSError."""

    def __init__(self, cache: Path, model: str) -> None:
        """Name it; nothing is made yet."""
        self.root = repository(model, cache)
        self.lock = cache / ".locks" / self.root.name / "alwrity-doctor.lock"

    def make(self) -> None:
        """Make the directories."""
        for directory in (self.root / "blobs", self.root / "refs", self.root / "snapshots", self.lock.parent):
            directory.mkdir(parents=True, exist_ok=True)

    def content(self, file: RemoteFile) -> Path:
        """Return where a whole content is."""
        return self.root / "blobs" / file.etag

    def part(self, file: RemoteFile) -> Path:
        """Return where a content arrives."""
        return self.root / "blobs" / f"{file.etag}.part"

    def snapshot(self, commit: str) -> Path:
        """Return the directory of a commit."""
        return self.root / "snapshots" / commit

    def has(self, file: RemoteFile, commit: str) -> bool:
        """Say whether a content is here: under its own name, or moved where links cannot be made."""
        return file.size in {_size(self.content(file)), _size(self.snapshot(commit) / file.name)}

    def arrived(self, files: Iterable[RemoteFile], commit: str) -> int:
        """Return how many bytes of `files` are here, parts included."""
        return sum(
            file.size if self.has(file, commit) else min(file.size, _size(self.part(file)) or 0) for file in files
        )

    def link(self, listing: Listing, files: Iterable[RemoteFile], revision: str) -> Path:
        """Make the snapshot of `files`, which are all here, and let `revision` mean it; return its directory."""
        snapshot = self.snapshot(listing.revision)
        for file in files:
            _link(self.content(file), snapshot / file.name, file.size)
        if revision != listing.revision:
            reference = self.root.joinpath("refs", *revision.split("/"))
            reference.parent.mkdir(parents=True, exist_ok=True)
            beside = reference.with_name(f".{reference.name}.{os.getpid()}")
            beside.write_text(listing.revision, "ascii")
            beside.replace(reference)
        return snapshot

    def tidy(self) -> None:
        """Remove what arrived of contents that nobody wants any more. Only under the lock."""
        for part in self.root.glob("blobs/*.part"):
            with contextlib.suppress(OSError):
                part.unlink()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _link(content: Path, name: Path, size: int) -> None:
    """Let `name` be `content`: by a link, or by moving it where the system makes none, as huggingface_hub does."""
    # A link to a content of another name is as good where there is none of this one: a mirror names them otherwise.
    known = not name.is_symlink() or name.resolve() == content.resolve() or _size(content) != size
    if _size(name) == size and known:
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    beside = name.with_name(f".{name.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        beside.symlink_to(os.path.relpath(content, name.parent))
    except (OSError, NotImplementedError):
        if os.name != "nt":
            raise
        content.replace(name)  # Windows without developer mode
        return
    beside.replace(name)
