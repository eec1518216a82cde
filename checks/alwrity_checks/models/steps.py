"""The words of a chain: a step is a model in a runtime and a precision.

The runtime matters more than the model: Qwen2.5-1.5B in int4 answers sooner, and in hardly more memory, than
Qwen2.5-0.5B as transformers loads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Precision", "Runtime", "Step"]


class Runtime(StrEnum):
    """What carries a model out. The value is what a command line and a setting call it."""

    TRANSFORMERS = "transformers"
    """torch; reads the published checkpoint."""
    ONNX = "onnxruntime-genai"
    """Reads what the checkpoint was converted to."""


class Precision(StrEnum):
    """How a weight is kept in memory."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    INT4 = "int4"

    @property
    def bits(self) -> int:
        """Bits of one weight, without what a block of quantised weights keeps beside them."""
        return {"float32": 32, "bfloat16": 16, "float16": 16, "int4": 4}[self.value]


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A model in a runtime and a precision."""

    model: str
    """A name on the hub, `Qwen/Qwen2.5-0.5B-Instruct`, or a directory."""
    runtime: Runtime
    precision: Precision

    def __str__(self) -> str:
        return f"{self.model} in {self.runtime} {self.precision}"
