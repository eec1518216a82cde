"""Memory that was freed, and that the C library keeps for the next need."""

from __future__ import annotations

import contextlib
import gc

__all__ = ["give_back"]


def give_back() -> None:
    """Give freed memory back to the system: of a float32 model that was unloaded glibc keeps half."""
    gc.collect()
    with contextlib.suppress(AttributeError, ImportError, NotImplementedError):
        import psutil

        psutil.heap_trim()
