"""Where a verifier's keys come from, and the discipline with which they are fetched.

`RemoteKeys` promises, whatever arrives and from however many tasks, threads and event loops:

* one fetch serves every caller that waits for keys;
* a token with a known key never waits and never causes more than the periodic refresh;
* unknown kids cause at most one fetch per cooldown;
* a failed fetch changes nothing that is known: known keys are served stale through an outage, and the next attempt
  waits for a backoff;
* the event loop is never blocked: fetching runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.fetch import FetchedKeys, FetchFailed, FetchLimits, fetch_keys
from alwrity_checks.auth.forking import after_fork
from alwrity_checks.auth.hosts import key_server_url
from alwrity_checks.auth.jwk import KeySet, VerificationKey
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.events import emit

__all__ = ["KeySource", "RemoteKeys", "StaticKeys", "published"]

_log: Final = logging.getLogger("alwrity_checks.auth")

Keys: TypeAlias = tuple[VerificationKey, ...]


class KeySource(Protocol):
    """Finds the keys a kid names."""

    def lookup(self, kid: str | None) -> Keys | Future[None]:
        """Return the keys, or a future to wait for before `settle`. Raises TokenRejected or KeysUnavailable."""

    def settle(self, kid: str | None) -> Keys:
        """Return the keys after a wait. Raises TokenRejected or KeysUnavailable."""


def published(keys: KeySet, kid: str | None) -> Keys:
    """Return the keys of a key set that `kid` names; none is ever tried at random. Raises TokenRejected."""
    if not kid:
        raise TokenRejected(Reason.KID_MISSING, "the header names no key (kid)")
    found = keys.by_kid.get(kid)
    if not found:
        raise TokenRejected(Reason.JWK_KID_MISMATCH, f"no published key has the kid {kid!r:.80}")
    return found


class StaticKeys:
    """Keys that are at hand: one PEM (which has no kid, so that any kid fits) or a key set read from a file."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._alone = keys.by_kid.get(None, ()) if len(keys.keys) == 1 else ()

    def lookup(self, kid: str | None) -> Keys:
        """Return the keys that `kid` names."""
        return self._alone or published(self._keys, kid)

    settle = lookup


@dataclass(frozen=True, slots=True)
class _Snapshot:
    keys: KeySet
    at: float
    """When the fetch was begun, by the monotonic clock."""


class RemoteKeys:
    """The keys published at one URL. Thread-safe, usable from any number of event loops, and after a fork."""

    FIRST_BACKOFF: Final = 1.0
    LONGEST_BACKOFF: Final = 30.0

    def __init__(  # noqa: PLR0913 - each is a knob that somebody must be able to turn
        self,
        url: str,
        *,
        fresh: float = 300.0,
        stale: float = 86400.0,
        cooldown: float = 30.0,
        limits: FetchLimits | None = None,
        fetch: Callable[..., Coroutine[Any, Any, FetchedKeys]] = fetch_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Name the URL; nothing is fetched yet. All times are in seconds.

        A set younger than `fresh` is used as it is; an older one is used while it is fetched anew, and up to `stale`
        through an outage. Within `cooldown` after a fetch an unknown kid is refused without another.
        """
        import httpx  # noqa: F401 - imported here and not in the fetching thread, where it would hold up the event loop

        self.url = key_server_url(url)
        self._fresh, self._stale, self._cooldown = fresh, stale, cooldown
        self._limits = limits or FetchLimits()
        self._fetch = fetch
        self._clock = clock
        self._snapshot: _Snapshot | None = None
        self._failure: FetchFailed | None = None
        self._failures = 0
        self._failed_at = float("-inf")
        self._forget_flight()
        after_fork(self._forget_flight)

    def _forget_flight(self) -> None:
        """Start without a fetch under way: in a forked child the thread of the parent's does not exist."""
        self._lock = threading.Lock()
        self._in_flight: Future[None] | None = None
        self._retry_at = float("-inf")
        """After a failure no fetch before this moment."""
        self._cooldown_until = float("-inf")
        """No fetch for an unknown kid before this moment."""

    @property
    def wait_limit(self) -> float:
        """Seconds after which a waiter gives up; a fetch itself ends sooner."""
        return self._limits.total + 1.0

    @property
    def known(self) -> KeySet | None:
        """The set as last fetched; None before the first success."""
        return self._snapshot.keys if self._snapshot else None

    @property
    def age(self) -> float | None:
        """Seconds since the fetch that brought the known set was begun; None before the first success."""
        snapshot = self._snapshot
        return None if snapshot is None else self._clock() - snapshot.at

    @property
    def failure(self) -> FetchFailed | None:
        """Why the last fetch failed; None after a success, and before the first fetch."""
        return self._failure if self._failures else None

    def lookup(self, kid: str | None) -> Keys | Future[None]:
        """Return the keys at once where that is right, else a future to wait for before `settle`."""
        if not kid:
            raise TokenRejected(Reason.KID_MISSING, "the header names no key (kid)")
        snapshot = self._snapshot
        if snapshot is not None:
            keys = snapshot.keys.by_kid.get(kid)
            if keys is not None and self._clock() - snapshot.at < self._fresh:
                return keys
        with self._lock:
            return self._decide(kid)

    def _decide(self, kid: str) -> Keys | Future[None]:
        snapshot, now = self._snapshot, self._clock()
        age = now - snapshot.at if snapshot else float("inf")
        keys = snapshot.keys.by_kid.get(kid) if snapshot and age < self._stale else None
        if keys is not None:
            if age < self._fresh:
                return keys
            if self._in_flight is None and now >= self._retry_at:
                self._start()
            # Idle for long, and no outage known: a key withdrawn meanwhile must not pass, so wait for the answer.
            outage = self._failures > 0 and now - self._failed_at < self._fresh
            if age >= 2 * self._fresh and not outage and self._in_flight is not None:
                return self._in_flight
            return keys
        earliest = self._retry_at if snapshot is None else max(self._retry_at, self._cooldown_until)
        if self._in_flight is None and now >= earliest:
            self._start()
        return self._in_flight if self._in_flight is not None else self.settle(kid)

    def settle(self, kid: str | None) -> Keys:
        """Return what is known of `kid` now, without a fetch."""
        if not kid:
            raise TokenRejected(Reason.KID_MISSING, "the header names no key (kid)")
        snapshot, now = self._snapshot, self._clock()
        if snapshot is not None and now - snapshot.at < self._stale:
            keys = snapshot.keys.by_kid.get(kid)
            if keys is not None:
                return keys
            # A fetch that is still under way, or failed, leaves it open whether the kid is a new key's.
            if not self._failures and self._in_flight is None:
                raise TokenRejected(Reason.JWK_KID_MISMATCH, f"no published key has the kid {kid!r:.80}")
        failure = self._failure
        raise KeysUnavailable(
            failure.reason if failure else Reason.JWKS_TIMEOUT,
            failure.detail if failure else "the key server has not answered yet",
            retry_after=max(1.0, self._retry_at - now),
        )

    def refresh(self) -> Future[None]:
        """Fetch now, or join the fetch that is under way; `settle` sees the outcome. For the start of a server."""
        with self._lock:
            if self._in_flight is None:
                self._start()
            # A thread that cannot be started has failed already: then there is nothing to wait for.
            return self._in_flight if self._in_flight is not None else _done()

    def _start(self) -> None:
        flight: Future[None] = Future()
        flight.set_running_or_notify_cancel()  # so that one waiter's cancellation is not everybody's
        self._in_flight = flight
        begun = self._clock()
        self._cooldown_until = begun + self._cooldown
        try:
            threading.Thread(target=self._run, args=(flight, begun), name="jwks-fetch", daemon=True).start()
        except RuntimeError as error:
            self._in_flight = None
            self._note_failure(FetchFailed(Reason.JWKS_CONNECT, f"no thread to fetch in: {error}"))

    def _run(self, flight: Future[None], begun: float) -> None:
        async def fetch() -> None:
            # Landed inside the loop: leaving it can wait for a look-up that hangs, and no caller shall.
            try:
                self._land(flight, begun, await self._fetch(self.url, limits=self._limits))
            except FetchFailed as failure:
                self._land(flight, begun, failure)

        try:
            asyncio.run(fetch())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the waiters must be answered
            if not flight.done():
                unforeseen = FetchFailed(Reason.UNEXPECTED_ERROR, f"unexpected {type(error).__name__}")
                self._land(flight, begun, unforeseen)

    def _land(self, flight: Future[None], begun: float, outcome: FetchedKeys | FetchFailed) -> None:
        with self._lock:
            if isinstance(outcome, FetchFailed):
                self._note_failure(outcome)
            else:
                self._snapshot = _Snapshot(outcome.keys.keeping(self.known), begun)
                self._failure, self._failures = None, 0
            if self._in_flight is flight:
                self._in_flight = None
            failures, retry_at = self._failures, self._retry_at
        flight.set_result(None)
        # Behind the answer and outside of the lock: a handler may take its time.
        if isinstance(outcome, FetchFailed):
            emit(
                _log,
                logging.WARNING,
                "auth.keys-fetch-failed",
                "the key set could not be fetched",
                reason=outcome.reason,
                url=self.url,
                failures=failures,
                retry_in=max(0.0, retry_at - self._clock()),
                keys_kept=self.known is not None,
                error=outcome.detail,
            )

    def _note_failure(self, failure: FetchFailed) -> None:
        self._failure = failure
        self._failures += 1
        self._failed_at = self._clock()
        backoff = min(self.FIRST_BACKOFF * 2 ** min(self._failures - 1, 10), self.LONGEST_BACKOFF)
        backoff *= random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        self._retry_at = self._failed_at + max(backoff, failure.retry_after or 0.0)


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future
