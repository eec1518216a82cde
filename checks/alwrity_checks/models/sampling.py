"""Which of the next tokens is taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.reasons import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Sampler", "Sampling"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen: the likeliest one by default."""

    temperature: float = 0.0
    """0 takes the likeliest token; 1 draws by the model's own probabilities."""
    top_p: float = 1.0
    """Draw only from the likeliest tokens that together have this probability."""
    seed: int | None = None
    """The same seed draws the same; None draws anew each time."""

    def __post_init__(self) -> None:
        """Raise AnswerFailed, SETTING_INVALID, for numbers that mean nothing."""
        if not 0 <= self.temperature <= _HOTTEST:
            raise _invalid(f"a temperature of {self.temperature} is not between 0 and {_HOTTEST}")
        if not 0 < self.top_p <= 1:
            raise _invalid(f"a top_p of {self.top_p} is not greater than 0 and at most 1")


_HOTTEST: Final = 10.0
_NEVER: Final = 40.0
"""A token whose logit is so far below the likeliest one's, at a temperature of 1, is drawn once in 10^17 times."""


class Sampler:
    """Draws the tokens of one answer."""

    def __init__(self, sampling: Sampling) -> None:
        """Begin with the seed."""
        import numpy as np

        self._sampling = sampling
        self._chance = np.random.default_rng(sampling.seed) if sampling.temperature else None

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken."""
        return self._chance is None

    def likeliest(self, logits: NDArray[np.float32]) -> int:
        """Return the likeliest token.

        Raises AnswerFailed, ANSWER_INVALID, where there is none: the logits are not numbers, or all are -inf.
        """
        token = int(logits.argmax())
        # A NaN counts as the greatest.
        if not math.isfinite(logits[token]):
            raise AnswerFailed(
                Reason.ANSWER_INVALID,
                "the model's logits are not numbers, or allow no token",
                "fetch the model again; in float16, try bfloat16 or float32",
            )
        return token

    def choose(self, logits: NDArray[np.float32]) -> int:
        """Return a token by its logit, float32 (vocabulary,); never one of -inf. Raises as `likeliest` does."""
        import numpy as np

        likeliest = self.likeliest(logits)
        if self._chance is None:
            return likeliest
        temperature, top_p = self._sampling.temperature, self._sampling.top_p
        tokens = np.flatnonzero(logits > logits[likeliest] - _NEVER * temperature)
        weights = np.exp((logits[tokens] - logits[likeliest]) / np.float32(temperature))
        if top_p < 1:
            order = np.argsort(-weights, kind="stable")
            sums = np.cumsum(weights[order], dtype=np.float64)
            kept = order[: int(np.searchsorted(sums, top_p * sums[-1])) + 1]
            tokens, weights = tokens[kept], weights[kept]
        sums = np.cumsum(weights, dtype=np.float64)
        drawn = int(np.searchsorted(sums, self._chance.random() * sums[-1], side="right"))
        return int(tokens[min(drawn, len(tokens) - 1)])


def _invalid(what: str) -> AnswerFailed:
    return AnswerFailed(Reason.SETTING_INVALID, what, "leave it out for the likeliest token each time")
