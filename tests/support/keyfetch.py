"""A clock and a fetch that do what the test says, for the discipline of `RemoteKeys`; sockets are tested elsewhere."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from alwrity_checks.auth.fetch import FetchedKeys, Timings
from alwrity_checks.auth.jwk import key_set

if TYPE_CHECKING:
    from alwrity_checks.auth.fetch import FetchLimits
    from alwrity_checks.auth.key_source import RemoteKeys
    from alwrity_checks.auth.mint import Instance

URL = "https://foo-bar-13.clerk.accounts.dev/.well-known/jwks.json"
PATIENCE = 30.0
"""Seconds after which a test that hangs gives up."""


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Fetch:
    """Publishes the keys of instances, fails, or waits for its gate; counts."""

    def __init__(self, *published: Instance) -> None:
        self.published = published
        self.failure: BaseException | None = None
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    async def __call__(self, _url: str, *, limits: FetchLimits) -> FetchedKeys:
        """Answer as a server would."""
        del limits
        self.calls += 1
        await asyncio.get_running_loop().run_in_executor(None, self.gate.wait, PATIENCE)
        if self.failure is not None:
            raise self.failure
        return FetchedKeys(key_set({"keys": [instance.jwk() for instance in self.published]}), Timings(), None)


def settled(keys: RemoteKeys) -> None:
    """Wait until no fetch is under way."""
    flight = keys._in_flight
    if flight is not None:
        flight.result(PATIENCE)
