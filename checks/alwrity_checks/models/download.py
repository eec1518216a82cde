"""Downloads a model into huggingface_hub's cache, where transformers and everybody else finds it.

Unlike `snapshot_download` it goes on where a killed process stopped (huggingface_hub begins each file again); it asks
first whether there is room; it fetches only what is needed, and never a pickle; one process of a host downloads a
model, the others wait for it; and it can be stopped.
"""

from __future__ import annotations

import errno
import logging
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.lease import Lease
from alwrity_checks.models.arrival import Arrival
from alwrity_checks.models.blobs import Blobs
from alwrity_checks.models.cache import cache_directory, cached_snapshot, is_complete
from alwrity_checks.models.disk import disk_errors, require_room
from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.hub_answers import HubFault
from alwrity_checks.models.needed import needed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.transfer import Stopped

if TYPE_CHECKING:
    from alwrity_checks.models.hub import Hub
    from alwrity_checks.models.listing import Listing, RemoteFile

__all__ = ["Stopped", "download"]

_MAIN: Final = "main"
_TURN: Final = 0.2
"""Seconds between two looks whether the process that is downloading has ended."""
_LONGEST_WAIT: Final = 60.0
_PROGRESS: Final = 256 << 10
"""Bytes: a server that sends a few and breaks off, again and again, is not given another chance for each of them."""
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, getattr(errno, "EOPNOTSUPP", errno.ENOSYS)})

_log: Final = logging.getLogger("alwrity_checks.models")

ProgressTold = Callable[[int, int], None]
"""Hears how many bytes are here, and of how many: at every few thousand bytes, so it must return at once."""


def download(  # noqa: PLR0913 - the keywords are the manner
    model: str,
    *,
    hub: Hub,
    cache: Path | None = None,
    progress: ProgressTold | None = None,
    stop: threading.Event | None = None,
    revision: str = _MAIN,
    attempts: int = 4,
) -> Path:
    """Return a directory that holds the whole model, downloading what is missing. Blocks, for as long as it takes.

    A model that is in the cache is not asked for again. `progress` hears of bytes here and in all; `attempts` is how
    often in a row the way may fail without a byte of progress, with growing pauses.

    Raises ModelUnavailable with the reason HUB_OFFLINE, HUB_UNREACHABLE, HUB_RATE_LIMITED, HUB_UNAUTHORISED, HUB_ERROR,
    MODEL_UNKNOWN, MODEL_GATED, REVISION_UNKNOWN, MODEL_NAME_INVALID, PICKLE_ONLY, FILE_MISSING, DOWNLOAD_STALLED,
    DOWNLOAD_BROKEN, DISK_FULL (before a byte is written, where it can be known), CACHE_READ_ONLY or FILE_CORRUPT; and
    Stopped soon after `stop` is set. What has arrived until then is kept for the next time.
    """
    cache = cache_directory() if cache is None else cache
    if Path(model).is_dir():
        return _directory(Path(model))
    if revision == _MAIN and (found := cached_snapshot(model, cache)) is not None:
        return found
    listing = hub.listing(model, revision)
    files = needed(listing)
    return _Download(hub, listing, files, Blobs(cache, model), progress, stop).carry_out(cache, revision, attempts)


def _directory(directory: Path) -> Path:
    if is_complete(directory):
        return directory
    raise ModelUnavailable(
        Reason.FILE_MISSING,
        f"{directory} holds no whole model: a configuration, a tokenizer and every file of the weights",
        "copy all of its files there, or name the model as the hub does",
    )


class _Download:
    """One model's download."""

    def __init__(  # noqa: PLR0913, PLR0917 - what, from where, to where, and who hears of it
        self,
        hub: Hub,
        listing: Listing,
        files: Sequence[RemoteFile],
        blobs: Blobs,
        progress: ProgressTold | None,
        stop: threading.Event | None,
    ) -> None:
        self._hub = hub
        self._listing = listing
        self._files = files
        self._blobs = blobs
        self._progress = progress
        self._stop = stop or threading.Event()
        self._total = sum(file.size for file in files)

    def carry_out(self, cache: Path, revision: str, attempts: int) -> Path:
        """Wait for the turn, get what is missing, and link it."""
        with disk_errors(cache):
            self._blobs.make()
            lease = Lease(self._blobs.lock)
            while not _taken(lease):
                self._tell(self._blobs.arrived(self._files, self._listing.revision))
                self._wait(_TURN)
        try:
            commit = self._listing.revision
            missing = [file for file in self._files if not self._blobs.has(file, commit)]
            here = self._blobs.arrived(self._files, commit)
            self._tell(here)
            with disk_errors(cache):
                require_room(cache, self._total - here, self._listing.model)
            for file in missing:
                self._get(file, attempts)
            with disk_errors(cache):
                directory = self._blobs.link(self._listing, self._files[::-1], revision)
                self._blobs.tidy()
        finally:
            lease.give_back()
        self._tell(self._total)
        if not is_complete(directory):
            raise ModelUnavailable(
                Reason.FILE_CORRUPT,
                f"{self._listing.model} arrived as announced, and still is no whole model: a file of it is broken",
                "choose another model or revision: this one is broken on the hub",
            )
        return directory

    def _get(self, file: RemoteFile, attempts: int) -> None:
        """Let one file arrive, however often it takes as long as there is progress."""
        before = self._blobs.arrived((one for one in self._files if one is not file), self._listing.revision)
        arrival = Arrival(
            self._hub,
            self._listing,
            file,
            self._blobs.part(file),
            told=lambda arrived: self._tell(before + arrived),
            stop=self._stop,
        )
        failures, furthest = 0, arrival.arrived
        while True:
            try:
                arrival.attempt(self._blobs.content(file))
            except HubFault as fault:
                arrived = arrival.arrived
                failures = 1 if arrived >= furthest + _PROGRESS else failures + 1
                furthest = max(furthest, arrived)
                pause = _pause(fault, failures)
                if not fault.transient or failures >= attempts or pause > _LONGEST_WAIT:
                    raise
                self._wait(pause)
            else:
                return

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _tell(self, here: int) -> None:
        if self._progress is not None:
            self._progress(here, self._total)


def _taken(lease: Lease) -> bool:
    """Say whether it is our turn; on a file system without locks it always is, and the checksums have to do."""
    try:
        return lease.take()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning("the cache's file system has no locks: two processes may download the same model (%s)", error)
        return True


def _pause(fault: HubFault, failures: int) -> float:
    """Return the seconds until the next attempt: as long as the hub asks for, else longer every time."""
    if fault.retry_after is not None:
        return fault.retry_after
    return min(0.5 * 2.0 ** (failures - 1), 15.0) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, hides nothing
