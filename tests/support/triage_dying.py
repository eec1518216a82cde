"""Gatherers that misbehave in a worker: they die, or take long. What they do is told by the environment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.triage_counting import Counting

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Hit, Window

__all__ = ["Dying", "Failing", "Slow"]


class Dying(Counting):
    """Is killed at the line `die here`, in a worker: DYING names a directory that counts it, DYING_TIMES the most."""

    def take(self, hits: Sequence[Hit], window: Window) -> None:
        """Take the next hits."""
        if os.getpid() != int(os.environ["DYING_PARENT"]) and any(b"die here" in hit.line for hit in hits):
            deaths = Path(os.environ["DYING"])
            count = len(list(deaths.iterdir()))
            if count < int(os.environ["DYING_TIMES"]):
                (deaths / str(count)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        super().take(hits, window)


class Failing(Counting):
    """Has a fault of its own."""

    def take(self, hits: Sequence[Hit], window: Window) -> None:  # noqa: ARG002 - the seam's arguments
        """Take the next hits."""
        raise LookupError("a fault of the gatherer")


class Slow(Counting):
    """Takes half a minute for every block, wherever it runs."""

    def take(self, hits: Sequence[Hit], window: Window) -> None:
        """Take the next hits."""
        super().take(hits, window)
        Path(os.environ["SLOW"], str(os.getpid())).touch()
        time.sleep(30)
