"""Which processor this is, and what it says of itself that it can do."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Final

__all__ = ["claims_bfloat16", "claims_int8", "processor_name", "usable_threads"]

_BFLOAT16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""The names of Linux: of x86-64 the first two, of ARM the last one."""
_INT8: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""The same for sums of products of bytes: of ARM the last two."""


def processor_name(root: Path = Path("/")) -> str:
    """Return the processor's name, family, model and stepping as far as the system tells them."""
    told = _cpuinfo(root)
    fields = [
        found[1].strip()
        for name in ("model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part")
        if (found := re.search(rf"^{name}\s*:(.*)$", told, re.MULTILINE))
    ]
    return "/".join([platform.machine(), *(fields or [platform.processor()])])


def claims_bfloat16(root: Path = Path("/")) -> bool:
    """Say whether the processor's flags name instructions that multiply in bfloat16. Only Linux tells them."""
    return not _BFLOAT16.isdisjoint(_flags(root))


def claims_int8(root: Path = Path("/")) -> bool:
    """Say whether the processor's flags name instructions that sum products of bytes. Only Linux tells them."""
    return not _INT8.isdisjoint(_flags(root))


def usable_threads() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _flags(root: Path) -> list[str]:
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", _cpuinfo(root), re.MULTILINE)
    return found[1].split() if found else []


def _cpuinfo(root: Path) -> str:
    try:
        with (root / "proc/cpuinfo").open("rb") as file:
            return file.read(1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""
