"""When the same thing is asked again: the numbers, and the pauses between."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long; every time is in seconds."""

    per_deployment: int = 3
    """Requests to one deployment before the next one's turn."""
    turns: int = 3
    """Of one deployment in one generation, as long as it does not ask to be waited for."""
    max_requests: int = 16
    """For one generation, whatever it is that fails."""
    first_pause: float = 0.5
    longest_pause: float = 8.0
    patience: float = 5.0
    """A server that asks for a longer wait than this waits for its next turn, while others are asked."""
    request_timeout: float = 30.0
    """For one request: a stalled one must leave time for another."""

    def pause(self, failures: int, retry_after: float | None) -> float:
        """Return how long to wait after so many failures in a row: twice as long each time, never in step with others.

        What the server asked for is the least.
        """
        pause = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, 16))
        return (retry_after or 0.0) + pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
