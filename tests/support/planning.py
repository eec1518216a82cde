"""A machine that is the same everywhere, for tests that predict and plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from alwrity_checks.models.available import Available, Part
from alwrity_checks.models.machine import Floor, Machine
from alwrity_checks.models.steps import Precision, Runtime, Step

__all__ = [
    "BFLOAT16",
    "GIB",
    "INT4",
    "MACHINE",
    "MEBI",
    "MINILM",
    "QWEN",
    "QWEN_3B",
    "QWEN_LARGER",
    "TINYLLAMA",
    "machine",
]

MEBI: Final = 1 << 20
GIB: Final = 1 << 30

QWEN: Final = "Qwen/Qwen2.5-0.5B-Instruct"
QWEN_LARGER: Final = "Qwen/Qwen2.5-1.5B-Instruct"
QWEN_3B: Final = "Qwen/Qwen2.5-3B-Instruct"
TINYLLAMA: Final = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
MINILM: Final = "sentence-transformers/all-MiniLM-L6-v2"

INT4: Final = Step(QWEN, Runtime.ONNX, Precision.INT4)
BFLOAT16: Final = Step(QWEN, Runtime.TRANSFORMERS, Precision.BFLOAT16)

_FLOORS: Final = {
    Runtime.TRANSFORMERS: Floor(393 * MEBI, 277 * MEBI, 1105 * MEBI),
    Runtime.ONNX: Floor(100 * MEBI, 51 * MEBI, 252 * MEBI),
}
"""As measured on Linux with torch 2.13, transformers 5.23 and onnxruntime 1.32."""

MACHINE: Final = Machine(
    available=Available.of((Part("memory", 16 * GIB, ""),)),
    processor="test",
    threads=2,
    bandwidth=30e9,
    flops={Precision.FLOAT32: 180e9, Precision.BFLOAT16: 20e9, Precision.FLOAT16: 20e9},
    native_bfloat16=False,
    floors={runtime: one.peak for runtime, one in _FLOORS.items()},
    details=_FLOORS,
    installed=frozenset(Runtime),
    disk_free=1 << 40,
)


def machine(**changes: Any) -> Machine:  # noqa: ANN401 - any field of a machine
    """Return the machine with some things changed."""
    return replace(MACHINE, **changes)
