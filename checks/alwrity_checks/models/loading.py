"""One load of a step at a time, whoever asks: the state machine of a step, without threads of its own.

    COLD ──begin──▶ LOADING ──succeed──▶ READY(users) ──expire, without users──▶ COLD
                      │  ▲
                     fail └─begin, when due
                      ▼      │
                    FAILED(retry_at)                     close, from everywhere ──▶ CLOSED

Whoever gets an attempt's number from `begin` carries it out, and nobody else does until it has ended: that is the whole
of single flight. A failure is kept until `retry_at`: until then everybody gets it without a new attempt. Waiters wait
for a change of state and look again; the future they wait for belongs to all of them, is bound to no event loop, and
cannot be cancelled: a waiter that gives up takes nothing from the others.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Generic, TypeVar

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.reasons import Reason

__all__ = ["MEMORY_REASONS", "PASSING_REASONS", "Condition", "Loading", "State", "pause"]

M = TypeVar("M")

MEMORY_REASONS: Final = frozenset({Reason.DOES_NOT_FIT, Reason.OUT_OF_MEMORY, Reason.REHEARSAL_DIED})
"""A lack of memory: only something lighter can do better."""
PASSING_REASONS: Final = frozenset(
    {Reason.HUB_UNREACHABLE, Reason.HUB_ERROR, Reason.DOWNLOAD_STALLED, Reason.DOWNLOAD_BROKEN, Reason.LOAD_FAILED}
)
"""What may have passed a moment later, without anybody's doing."""

_FIRST: Final = 5.0
_LONGEST: Final = 300.0
_MEMORY: Final = 60.0
_LASTING: Final = 600.0
"""Seconds: somebody has to do something first, and may well have."""
_GRACE: Final = 60.0
"""Seconds that a new model is not idle, although nobody uses it yet."""


class State(StrEnum):
    """Where a step stands."""

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
    users: int = 0
    """How many use the model now; only in READY."""
    idle_since: float | None = None
    """Since when nobody has used it; only in READY without users."""


def pause(error: Exception, failures: int) -> float:
    """Return the seconds in which a failed step is not tried again, after so many failures in a row."""
    if isinstance(error, ModelError) and error.reason in MEMORY_REASONS:
        return min(_MEMORY * 2.0 ** min(failures - 1, 4), _LASTING)
    passing = not isinstance(error, ConfigurationError | ModelError) or (
        isinstance(error, ModelError) and error.reason in PASSING_REASONS
    )
    return min(_FIRST * 2.0 ** min(failures - 1, 16), _LONGEST) if passing else _LASTING


class Loading(Generic[M]):
    """The states of one step whose model is an `M`. Thread-safe; every method returns at once."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),  # noqa: S311 - spreads retries, hides nothing
    ) -> None:
        """Start COLD. `clock` gives seconds; `jitter` the factor of each pause after a failure."""
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._condition = Condition(State.COLD)
        self._model: M | None = None
        self._users: dict[int, tuple[M, int]] = {}
        """Attempt -> the model it brought and its users, as long as there are any: closing takes it from nobody."""
        self._changed = _unalterable()

    @property
    def condition(self) -> Condition:
        """The condition now."""
        return self._condition

    def observe(self) -> tuple[Condition, Future[None]]:
        """Return the condition and a future that is done as soon as it is another; no change can slip between them."""
        with self._lock:
            return self._condition, self._changed

    @property
    def due(self) -> bool:
        """Whether an attempt may begin now."""
        now = self._condition
        return now.state is State.COLD or (now.state is State.FAILED and self._clock() >= (now.retry_at or 0.0))

    def begin(self) -> int | None:
        """Return the number of the attempt that the caller is to carry out now; None if there is nothing to do."""
        with self._lock:
            if not self.due:
                return None
            now = self._condition
            attempt = now.attempt + 1
            changed = self._become(Condition(State.LOADING, attempt, now.failures, now.error))
        changed.set_result(None)
        return attempt

    def succeed(self, attempt: int, model: M) -> bool:
        """End an attempt with its model; False if it was closed meanwhile: then the caller discards the model."""
        with self._lock:
            if self._condition.state is not State.LOADING or self._condition.attempt != attempt:
                return False
            self._model = model
            # Those who waited come a moment later: it must not be gone by then.
            changed = self._become(Condition(State.READY, attempt, idle_since=self._clock() + _GRACE))
        changed.set_result(None)
        return True

    def fail(self, attempt: int, error: Exception) -> None:
        """End an attempt with its failure."""
        with self._lock:
            now = self._condition
            if now.state is not State.LOADING or now.attempt != attempt:
                return
            failures = now.failures + 1
            retry_at = self._clock() + pause(error, failures) * self._jitter()
            changed = self._become(Condition(State.FAILED, attempt, failures, error, retry_at))
        changed.set_result(None)

    def enter(self) -> tuple[int, M] | None:
        """Count one more user and return the attempt that brought the model, and the model; None if it is not READY."""
        with self._lock:
            now = self._condition
            if now.state is not State.READY or self._model is None:
                return None
            self._users[now.attempt] = (self._model, now.users + 1)
            # A change of the count is no change of state: it wakes nobody.
            self._condition = replace(now, users=now.users + 1, idle_since=None)
            return now.attempt, self._model

    def leave(self, attempt: int) -> M | None:
        """Count one user less; return the model if it is to be discarded: after `close`, by the last to leave."""
        with self._lock:
            model, users = self._users.pop(attempt)
            if users > 1:
                self._users[attempt] = model, users - 1
            now = self._condition
            if now.state is State.READY and now.attempt == attempt:
                self._condition = replace(now, users=users - 1, idle_since=None if users > 1 else self._clock())
                return None
            return model if users == 1 else None

    def expire(self, idle: float) -> M | None:
        """Give up and return a model that nobody has used for `idle` seconds; None if there is none."""
        with self._lock:
            now = self._condition
            if now.state is not State.READY or now.idle_since is None or self._clock() - now.idle_since < idle:
                return None
            model, self._model = self._model, None
            changed = self._become(Condition(State.COLD, now.attempt))
        changed.set_result(None)
        return model

    def close(self) -> M | None:
        """Begin nothing any more; return the model if nobody uses it, for the caller to discard."""
        with self._lock:
            now = self._condition
            if now.state is State.CLOSED:
                return None
            model, self._model = self._model, None
            changed = self._become(Condition(State.CLOSED, now.attempt, error=now.error))
        changed.set_result(None)
        return model if not now.users else None

    def until_retry(self) -> float:
        """Seconds until the next attempt is due; 0 if it is, or if there is none to wait for."""
        return max(0.0, (self._condition.retry_at or 0.0) - self._clock())

    def until_idle(self, idle: float) -> float | None:
        """Seconds until `expire(idle)` gives the model up, if nobody comes; None if it is in use or not there."""
        since = self._condition.idle_since
        return None if since is None else max(0.0, since + idle - self._clock())

    def _become(self, condition: Condition) -> Future[None]:
        """Change the state, and return the future to be done when the lock is free again: its callbacks may call us."""
        changed, self._changed = self._changed, _unalterable()
        self._condition = condition
        return changed


def _unalterable() -> Future[None]:
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # a future that runs cannot be cancelled by one of its waiters
    return future
