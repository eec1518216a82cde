"""Something slow that is made once: the state machine of an initialisation, without threads of its own.

    COLD ──begin──▶ LOADING ──succeed──▶ READY ──release──▶ COLD
                      │  ▲                 │
                     fail └─begin, when due─┐  lose
                      ▼                     │   │
                    FAILED(retry_at) ───────┴◀──┘            close, from everywhere ──▶ CLOSED

Whoever gets an attempt's number from `begin` carries it out, and nobody else does until it has ended: that is the whole
of single flight. Waiters wait for a change of state and look again. The future they wait for belongs to all of them, is
bound to no event loop, and cannot be cancelled: a waiter that gives up takes nothing from the others.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from alwrity_checks.errors import ConfigurationError

__all__ = ["Condition", "Initialisation", "State"]

T = TypeVar("T")


class State(StrEnum):
    """Where an initialisation stands."""

    COLD = "cold"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Condition:
    """A state, with what led to it."""

    state: State
    attempt: int = 0
    """The number of the attempt that is under way or was the last; 0 before the first."""
    failures: int = 0
    """Failed attempts in a row."""
    error: Exception | None = None
    """The last failure; kept while the next attempt is under way, gone with the first success."""
    retry_at: float | None = None
    """No attempt before this moment of the machine's clock; only in FAILED."""


class Initialisation(Generic[T]):
    """The states of one initialisation whose result is a `T`. Thread-safe; every method returns at once."""

    FIRST_PAUSE: Final = 0.5
    LONGEST_PAUSE: Final = 60.0

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(0.75, 1.25),  # noqa: S311 - spreads retries, hides nothing
    ) -> None:
        """Start COLD. `clock` gives seconds; `jitter` the factor of each pause after a failure."""
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._condition = Condition(State.COLD)
        self._result: T | None = None
        self._changed = _unalterable()

    @property
    def condition(self) -> Condition:
        """The condition now."""
        return self._condition

    def observe(self) -> tuple[Condition, Future[None]]:
        """Return the condition and a future that is done as soon as it is another; no change can slip between them."""
        with self._lock:
            return self._condition, self._changed

    def get(self) -> tuple[int, T] | None:
        """Return the result with the number of the attempt that brought it; None if it is not READY."""
        with self._lock:
            if self._condition.state is State.READY and self._result is not None:
                return self._condition.attempt, self._result
            return None

    def begin(self) -> int | None:
        """Return the number of the attempt that the caller is to carry out now; None if there is nothing to do."""
        with self._lock:
            now = self._condition
            due = now.state is State.COLD or (now.state is State.FAILED and self._clock() >= (now.retry_at or 0.0))
            if not due:
                return None
            attempt = now.attempt + 1
            changed = self._become(Condition(State.LOADING, attempt, now.failures, now.error))
        changed.set_result(None)
        return attempt

    def succeed(self, attempt: int, result: T) -> bool:
        """End an attempt with its result; False if it was closed meanwhile: then the caller discards the result."""
        with self._lock:
            if not self._is(State.LOADING, attempt):
                return False
            self._result = result
            changed = self._become(Condition(State.READY, attempt))
        changed.set_result(None)
        return True

    def fail(self, attempt: int, error: Exception) -> None:
        """End an attempt with its failure."""
        self._fail(State.LOADING, attempt, error)

    def lose(self, attempt: int, error: Exception) -> None:
        """Say that the result of `attempt` is of no use any more."""
        self._fail(State.READY, attempt, error)

    def release(self) -> T | None:
        """Give the result up, READY to COLD, and return it; None if there is none."""
        with self._lock:
            if self._condition.state is not State.READY:
                return None
            result, self._result = self._result, None
            changed = self._become(Condition(State.COLD, self._condition.attempt))
        changed.set_result(None)
        return result

    def close(self) -> T | None:
        """Begin nothing any more; return the result if there is one, for the caller to discard."""
        with self._lock:
            if self._condition.state is State.CLOSED:
                return None
            result, self._result = self._result, None
            changed = self._become(Condition(State.CLOSED, self._condition.attempt, error=self._condition.error))
        changed.set_result(None)
        return result

    def until_retry(self) -> float:
        """Seconds until the next attempt is due; 0 if it is, or if there is none to wait for."""
        return max(0.0, (self._condition.retry_at or 0.0) - self._clock())

    def _fail(self, expected: State, attempt: int, error: Exception) -> None:
        with self._lock:
            if not self._is(expected, attempt):
                return
            failures = self._condition.failures + 1
            self._result = None
            retry_at = self._clock() + self._pause(failures, error)
            changed = self._become(Condition(State.FAILED, attempt, failures, error, retry_at))
        changed.set_result(None)

    def _pause(self, failures: int, error: Exception) -> float:
        # A wrong setting does not heal by itself; somebody may yet install or create what is missing.
        if isinstance(error, ConfigurationError):
            return self.LONGEST_PAUSE * self._jitter()
        return min(self.FIRST_PAUSE * 2.0 ** min(failures - 1, 16), self.LONGEST_PAUSE) * self._jitter()

    def _is(self, state: State, attempt: int) -> bool:
        return self._condition.state is state and self._condition.attempt == attempt

    def _become(self, condition: Condition) -> Future[None]:
        """Change the state, and return the future to be done when the lock is free again: its callbacks may call us."""
        changed, self._changed = self._changed, _unalterable()
        self._condition = condition
        return changed


def _unalterable() -> Future[None]:
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # a future that runs cannot be cancelled by one of its waiters
    return future
