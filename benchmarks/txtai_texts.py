"""Texts and vectors to measure with: the same in every run, and no two alike."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DIMENSIONS", "RandomEncoder", "passages", "titles", "vectors"]

DIMENSIONS: Final = 384
"""As MiniLM's."""
_BITS: Final = 64
_ROOT: Final = Path(__file__).parents[1]


@cache
def _words() -> list[str]:
    return [word for path in sorted(_ROOT.glob("*.md")) for word in path.read_text("utf-8").split()]


def passages(count: int, seed: int = 1) -> list[str]:
    """Return passages from this project's documents of 5 to 200 words, half of them shorter than 40."""
    chance = random.Random(seed)  # noqa: S311 - the same texts in every run
    lengths = [min(200, max(5, int(chance.lognormvariate(3.7, 0.7)))) for _ in range(count)]
    starts = [chance.randrange(len(_words()) - length) for length in lengths]
    return [" ".join(_words()[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


def titles(count: int, seed: int = 1) -> list[str]:
    """Return texts of a dozen words, as a task of a day has them."""
    chance = random.Random(seed)  # noqa: S311 - the same texts in every run
    starts = [chance.randrange(len(_words()) - 12) for _ in range(count)]
    return [f"{' '.join(_words()[start : start + 12])} {number}" for number, start in enumerate(starts)]


@cache
def _directions() -> NDArray[np.float32]:
    import numpy as np

    return np.random.default_rng(1).standard_normal((_BITS, DIMENSIONS), np.float32)


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return a random direction for each text, always the same for the same one: float32 (len(texts), DIMENSIONS).

    A few microseconds each, so that they can be made where time is measured.
    """
    import numpy as np

    digests = b"".join(blake2b(text.encode(), digest_size=_BITS // 8).digest() for text in texts)
    signs = np.unpackbits(np.frombuffer(digests, np.uint8)).reshape(-1, _BITS).astype(np.float32) * 2 - 1
    block = signs @ _directions()
    return np.asarray(block / np.linalg.norm(block, axis=1, keepdims=True), np.float32)


class RandomEncoder:
    """An encoder that costs nothing: so that what is measured is the rest."""

    identity = f"random-{DIMENSIONS}"
    dimensions = DIMENSIONS

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the texts' random directions."""
        return vectors(texts)
