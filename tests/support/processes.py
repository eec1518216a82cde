"""Whether a process has ended: gone, or a zombie that waits for whoever has inherited it."""

from __future__ import annotations

import time

import psutil

__all__ = ["ended"]


def ended(pid: int, within: float = 30.0) -> bool:
    """Wait until a process has ended, for so many seconds at most; return whether it has."""
    deadline = time.monotonic() + within
    while _runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
