"""The seam: what a runtime must do, so that generation and JSON are the same on all of them.

A runtime turns tokens into the logits of the next one. Templates, sampling, stopping, masks and validation are ours and
stand above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.models.steps import Precision, Runtime

__all__ = ["LoadedModel", "RuntimeLoader", "Session"]


class Session(Protocol):
    """One answer in the making: a context that grows token by token. Used by one thread at a time."""

    def advance(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Take `tokens` into the context and return the logits of the next token, float32 (vocabulary,).

        The first call takes the whole prompt (prefill), later ones a token each (decode). Raises OutOfMemory.
        """

    def close(self) -> None:
        """Give the context's memory back; nothing may be called after it."""


class LoadedModel(Protocol):
    """A model in memory. One session at a time: who holds it locks it."""

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - transformers and tokenizers are not typed
        """The model's fast tokenizer, as transformers loads it: with its chat template."""

    @property
    def vocabulary(self) -> int:
        """The length of the logits; may be greater than the tokenizer's vocabulary."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together."""

    def session(self, tokens: int | None = None) -> Session:
        """Begin an answer of at most `tokens` tokens, prompt included; of the whole context without it.

        A runtime may reserve the memory of so many tokens now. Raises OutOfMemory.
        """

    def close(self) -> None:
        """Give the model's memory back."""


class RuntimeLoader(Protocol):
    """Loads models in one runtime."""

    @property
    def runtime(self) -> Runtime:
        """Its name."""

    def installed(self) -> bool:
        """Say whether its libraries are installed; imports none of them."""

    def load(self, directory: Path, precision: Precision, *, context: int, threads: int | None = None) -> LoadedModel:
        """Load the model in `directory`. Blocks.

        Raises MissingExtra, or LoadFailed with the reason: CONFIG_UNUSABLE, ARCHITECTURE_UNSUPPORTED, FILE_MISSING,
        FILE_TRUNCATED, FILE_CORRUPT, LOAD_FAILED; OutOfMemory where memory ran out.
        """
