"""A breaker per deployment: what has just failed is not asked again at once, by anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alwrity_checks.hf.causes import Classification, Permanence

__all__ = ["Breaker"]

PERMANENT_HOLD: Final = 3600.0
"""Seconds. The router tests a failed mapping again every hour."""
_TOLERATED: Final = 5
"""Passing failures in a row before the breaker opens."""
_FIRST_HOLD: Final = 5.0
_LONGEST_HOLD: Final = 300.0


@dataclass(slots=True)
class Breaker:
    """Closed until a deployment fails for good, or fails often; every time given is that of one monotonic clock."""

    because: Classification | None = None
    """The last failure; None after a success."""
    failures: int = 0
    """Passing failures in a row."""
    _open_until: float = 0.0
    _asked_to_wait_until: float = 0.0

    def closed(self, now: float) -> bool:
        """Say whether nothing keeps anybody off the deployment."""
        return now >= max(self._open_until, self._asked_to_wait_until)

    def admits(self, now: float) -> bool:
        """Say whether the caller may ask; of those who come after a hold one goes ahead, and the others stay away."""
        if not self.closed(now):
            return False
        if self._open_until:
            self._open_until = now + _FIRST_HOLD
        return True

    def passing(self) -> bool:
        """Say whether what opened the breaker may have passed: then a last resort may ask all the same."""
        return self.because is None or self.because.permanence is not Permanence.PERMANENT

    def asked_to_wait(self, now: float) -> float:
        """Return the seconds that the server wants us to stay away (`Retry-After`); this is always obeyed."""
        return max(0.0, self._asked_to_wait_until - now)

    def succeeded(self) -> None:
        """Close: the deployment has answered."""
        self.because, self.failures, self._open_until, self._asked_to_wait_until = None, 0, 0.0, 0.0

    def failed(self, because: Classification, now: float) -> None:
        """Count a failure of the deployment or its provider, and open if that is due."""
        self.because = because
        if because.permanence is Permanence.PERMANENT:
            self._open_until = now + PERMANENT_HOLD
            return
        self.failures += 1
        self._asked_to_wait_until = now + (because.retry_after or 0.0)
        if self.failures >= _TOLERATED:
            excess = min(self.failures - _TOLERATED, 10)
            self._open_until = now + min(_LONGEST_HOLD, _FIRST_HOLD * 2**excess)
