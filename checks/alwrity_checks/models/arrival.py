"""One file's arrival: on from where an earlier process stopped, checked against its checksum, then given its name."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from alwrity_checks.models.disk import SPARE, disk_errors, full, room
from alwrity_checks.models.hub_answers import HubFault
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.transfer import Stopped

if TYPE_CHECKING:
    from alwrity_checks.models.hub import Hub, Part
    from alwrity_checks.models.listing import Listing, RemoteFile

__all__ = ["Arrival"]

_BLOCK: Final = 1 << 20
_ROOM_CHECKED: Final = 32 << 20
"""Bytes between two looks at the disk's free space: others write to it too."""
_WINDOW: Final = 60.0
_LEAST: Final = 1024
"""A server that sends fewer bytes than this in a minute is as good as silent."""
_SHA1: Final = re.compile(r"[0-9a-f]{40}")


class _Checksums:
    """What a content is known by: of large files the SHA-256; of small ones git's SHA-1, or a mirror's plain one."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._by_sha1 = file.sha256 is None and _SHA1.fullmatch(file.etag) is not None
        self._expected = (file.etag if self._by_sha1 else file.sha256) or ""
        self.begin()

    def begin(self) -> None:
        git = hashlib.sha1(b"blob %d\0" % self._file.size, usedforsecurity=False)
        self._states = [git, hashlib.sha1(usedforsecurity=False)] if self._by_sha1 else [hashlib.sha256()]

    def update(self, data: bytes) -> None:
        for state in self._states:
            state.update(data)

    def agree(self) -> bool:
        """Say whether the content is the announced one; true where the hub has announced nothing to compare."""
        return not self._expected or self._expected in {state.hexdigest() for state in self._states}


class Arrival:
    """Gets one file."""

    def __init__(  # noqa: PLR0913 - what, from where, to where, and who hears of it
        self,
        hub: Hub,
        listing: Listing,
        file: RemoteFile,
        part: Path,
        *,
        told: Callable[[int], None],
        stop: threading.Event | None,
    ) -> None:
        """Let `file` arrive at `part`; `told` hears of every few bytes."""
        self._hub = hub
        self._listing = listing
        self._file = file
        self._part = part
        self._told = told
        self._stop = stop
        self._mismatches = 0

    @property
    def arrived(self) -> int:
        """Bytes that are here."""
        return self._part.stat().st_size if self._part.exists() else 0

    def attempt(self, content: Path) -> None:
        """Get what is missing and name the whole `content`.

        Raises ModelUnavailable; of a HubFault that is `transient` what has arrived stays. Raises Stopped.
        """
        with disk_errors(self._part.parent):
            if self.arrived > self._file.size:
                self._part.unlink()
            # Not buffered: what is written is kept when this process is killed.
            with self._part.open("ab", buffering=0) as out:
                checksums = _Checksums(self._file)
                self._take_up(checksums)
                try:
                    if out.tell() < self._file.size:
                        self._receive(out, checksums)
                    os.fsync(out.fileno())
                except OSError:
                    # The last bytes of a disk are worth more to others; and a part that may be torn is worth nothing.
                    out.truncate(0)
                    raise
            if not checksums.agree():
                # Parts of two contents may have met in it; from the beginning it is given one more chance.
                self._part.unlink()
                self._mismatches += 1
                raise self._broken("its checksum is not the announced one", transient=self._mismatches <= 1)
            self._part.replace(content)

    def _take_up(self, checksums: _Checksums) -> None:
        with self._part.open("rb") as file:
            while data := file.read(_BLOCK):
                checksums.update(data)
                if self._stop is not None and self._stop.is_set():
                    raise Stopped

    def _receive(self, out: BinaryIO, checksums: _Checksums) -> None:
        file, commit = self._file, self._listing.revision
        start = out.tell()
        with self._hub.stream(self._listing.model, commit, file.name, start, stop=self._stop) as part:
            self._check(part)
            if part.start != start:  # a server that knows no ranges
                out.truncate(0)
                out.seek(0)
                checksums.begin()
            self._write(out, checksums, part)
        if out.tell() < file.size:
            raise self._broken(f"it ended after {out.tell()} of {file.size} bytes")

    def _write(self, out: BinaryIO, checksums: _Checksums, part: Part) -> None:
        at, looked = out.tell(), out.tell()
        window, since = time.monotonic(), at
        for chunk in part.chunks:
            if at + len(chunk) > self._file.size:
                raise self._broken(f"more than {self._file.size} bytes came")
            _write_all(out, chunk)
            checksums.update(chunk)
            at += len(chunk)
            self._told(at)
            if at - looked >= _ROOM_CHECKED:
                looked = at
                if room(self._part.parent) < SPARE:
                    raise full(self._part.parent, "it has filled up meanwhile")
            if (now := time.monotonic()) - window >= _WINDOW:
                if at - since < _LEAST:
                    raise HubFault(
                        Reason.DOWNLOAD_STALLED,
                        f"only {at - since} bytes of {self._file.name} came in a minute",
                        "try again: what is here already is kept",
                        transient=True,
                    )
                window, since = now, at

    def _check(self, part: Part) -> None:
        """Refuse what is announced as another content than the listing's, before it is read."""
        if part.total is not None and part.total != self._file.size:
            raise self._broken(f"{part.total} bytes are announced, {self._file.size} are listed")
        # Of another form it is another kind of etag: a mirror's, or a store's own.
        if part.etag is not None and len(part.etag) == len(self._file.etag) and part.etag != self._file.etag:
            raise self._broken("its content is another than the listed one")

    def _broken(self, because: str, *, transient: bool = True) -> HubFault:
        return HubFault(
            Reason.DOWNLOAD_BROKEN,
            f"{self._file.name} of {self._listing.model} did not arrive whole: {because}",
            "try again; if it stays so, check HF_ENDPOINT and the proxy",
            transient=transient,
        )


def _write_all(out: BinaryIO, data: bytes) -> None:
    """Write all of it: an unbuffered file may take only some."""
    view = memoryview(data)
    while view:
        view = view[out.write(view) :]
