"""Pauses of foreign code, counted and not waited for: minutes take seconds, and every run counts the same."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Waits"]

_LONGEST: Final = 3600.0
"""Seconds: who has waited for so long is told nothing any more."""
_SEED: Final = 2


class _TooLong(BaseException):
    """Raised out of a pause; no `except Exception` of a retry catches it."""


class Waits:
    """Takes the place of this process's sleep and clocks. There is one, and no way back.

    The clocks of a thread that has paused are ahead by what it has not slept, so that a deadline comes when it would.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        """Counted since the last `restart`, over all threads."""
        self._lock = threading.Lock()
        self._ahead = threading.local()
        self._yield = time.sleep

    def install(self) -> None:
        """Begin, before the modules are imported that keep a clock or a sleep of their own by another name.

        A random pause lasts for the mean of its limits, as in the rebuilt provider.
        """
        for name in ("monotonic", "perf_counter", "time"):
            setattr(time, name, self._shifted(getattr(time, name)))
        really = asyncio.sleep

        async def sleep(delay: float, result: Any = None) -> Any:  # noqa: ANN401 - as asyncio's
            self.pause(max(delay, 0.0))
            return await really(0, result)

        def uniform(a: float, b: float) -> float:
            return (a + b) / 2

        # By name: their types say less than their callers may pass.
        vars(time)["sleep"] = self.pause
        vars(asyncio)["sleep"] = sleep
        random.uniform = uniform

    def restart(self) -> None:
        """Count from zero, and let what is left to chance come out as it did."""
        with self._lock:
            self.seconds = 0.0
        random.seed(_SEED)

    def pause(self, seconds: float) -> None:
        """Count `seconds`, and let other threads have a turn. Raises ValueError below zero, as the real one does."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        with self._lock:
            self.seconds += seconds
            total = self.seconds
        self._ahead.seconds = getattr(self._ahead, "seconds", 0.0) + seconds
        if total > _LONGEST:
            raise _TooLong(f"it would have waited for more than {_LONGEST:.0f} s")
        self._yield(0)

    def _shifted(self, clock: Callable[[], float]) -> Callable[[], float]:
        ahead = self._ahead

        def shifted() -> float:
            return clock() + float(getattr(ahead, "seconds", 0.0))

        return shifted
