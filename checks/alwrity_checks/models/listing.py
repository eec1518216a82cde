"""What a hub says that a model consists of, read strictly: names and etags become paths on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

from alwrity_checks.models.hub_answers import HubFault, Question
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

__all__ = ["Listing", "RemoteFile", "file_of_head", "is_model_name", "read_listing"]

_MODEL: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_ETAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MOST_FILES: Final = 20_000
_MOST_HEADS: Final = 200
"""More files without sizes are not asked for one by one."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a hub."""

    name: str
    """Its path in the repository, with `/`; never one that leads out of it."""
    size: int
    """Bytes."""
    etag: str
    """What its content is known by, and its name in the cache; fit for a file's name."""
    sha256: str | None
    """Of its content, where the hub says it: of every large file."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A model at one commit."""

    model: str
    revision: str
    """The commit, 40 hexadecimal digits: what a branch meant when it was asked for."""
    files: tuple[RemoteFile, ...]

    def file(self, name: str) -> RemoteFile | None:
        """Return the file of that name, if there is one."""
        return next((file for file in self.files if file.name == name), None)


def is_model_name(text: str) -> bool:
    """Say whether `text` can be the name of a model on a hub; huggingface_hub refuses the same."""
    return _MODEL.fullmatch(text) is not None and "--" not in text and ".." not in text and not text.endswith(".git")


def read_listing(question: Question, document: object) -> tuple[Listing, tuple[str, ...]]:
    """Return the listing in a hub's answer, and the names of the files whose sizes or etags it does not tell.

    Raises HubFault(HUB_ERROR) for an answer that is no such thing.
    """
    if not isinstance(document, dict) or not isinstance(document.get("siblings"), list):
        raise _strange(question, "it lists no files")
    commit = document.get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise _strange(question, "it names no commit")
    if len(document["siblings"]) > _MOST_FILES:
        raise _strange(question, f"it lists {len(document['siblings'])} files")
    files, bare = [], []
    for entry in document["siblings"]:
        name = entry.get("rfilename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _stays_inside(name):
            raise _strange(question, f"it lists a file named {scrub(str(name))[:80]!r}")
        found = _file(name, entry)
        if found is None:
            bare.append(name)
        else:
            files.append(found)
    if len(bare) > _MOST_HEADS:
        raise _strange(question, f"it tells no sizes, of {len(bare)} files")
    return Listing(question.model, commit, tuple(files)), tuple(bare)


def _file(name: str, entry: Mapping[str, Any]) -> RemoteFile | None:
    pointer = entry.get("lfs")
    lfs: Mapping[str, Any] = pointer if isinstance(pointer, dict) else {}
    sha256 = lfs.get("sha256") or lfs.get("oid")
    sha256 = sha256.removeprefix("sha256:") if isinstance(sha256, str) else None
    size = lfs.get("size") if isinstance(lfs.get("size"), int) else entry.get("size")
    etag = sha256 or entry.get("blobId") or entry.get("oid")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return None
    if not isinstance(etag, str) or not _ETAG.fullmatch(etag):
        return None
    return RemoteFile(name, size, etag, sha256 if sha256 and _SHA256.fullmatch(sha256) else None)


def file_of_head(question: Question, headers: Mapping[str, str]) -> RemoteFile:
    """Return what a file's own head says. Raises HubFault(HUB_ERROR) where that is not enough."""
    etag = (headers.get("x-linked-etag") or headers.get("etag") or "").removeprefix("W/").strip('"')
    size = headers.get("x-linked-size") or headers.get("content-length") or ""
    if not _ETAG.fullmatch(etag) or not re.fullmatch(r"\d{1,18}", size):
        raise _strange(question, "it tells neither size nor etag")
    return RemoteFile(question.name, int(size), etag, etag if _SHA256.fullmatch(etag) else None)


def _stays_inside(name: str) -> bool:
    """Say whether `name` is a relative path that stays below where it is put, on every system."""
    if not name or "\\" in name or "\0" in name or len(name) > 1024:  # noqa: PLR2004 - longer than any path on a hub
        return False
    windows = PureWindowsPath(name)
    return not (
        PurePosixPath(name).is_absolute() or windows.drive or windows.root or {"..", ".", ""} & set(name.split("/"))
    )


def _strange(question: Question, what: str) -> HubFault:
    return HubFault(
        Reason.HUB_ERROR,
        f"{question.endpoint} answered for {question} as no hub does: {what}",
        "check HF_ENDPOINT: it must be a hub, or a mirror of one",
    )
