"""What carries a model out in a bench."""

from __future__ import annotations

from enum import StrEnum

from alwrity_checks.models.steps import Runtime

__all__ = ["Carrier"]


class Carrier(StrEnum):
    """What carries a model out in a bench: our runtimes, and txtai as the backend uses it."""

    TRANSFORMERS = Runtime.TRANSFORMERS.value
    ONNX = Runtime.ONNX.value
    TXTAI = "txtai"
    """`txtai.LLM(path, task="language-generation")`: the checkpoint's own precision, on transformers."""
