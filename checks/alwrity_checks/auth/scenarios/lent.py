"""What the code of a checkout is lent: a network in which the stage is, and a clock that can be put forward."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.scenarios.targets import FRESH, LIMITS

if TYPE_CHECKING:
    from alwrity_checks.auth.scenarios.stage import Stage

__all__ = ["Lent"]

_AGE: Final = 301.0
"""Seconds, after which PyJWT's key sets are old (`PyJWKClient(lifespan=300)`), and ours too."""


class Lent:
    """Takes effect when it is installed, once for a process; there is no end.

    Names are resolved as by the stage, for whoever fetches by urllib (as PyJWT does) or by our own component: the
    instance's host is its key server, no other host exists.
    """

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._ahead = 0.0
        self._started = time.monotonic()
        self._stood = 0.0

    def enter(self, stage: Stage) -> None:
        """Let the network be that of this stage from now on."""
        self._stage = stage

    def let_time_pass(self) -> None:
        """Put the clock of caches forward, by more than any key set is fresh for."""
        self._ahead += _AGE
        self._stood += FRESH + 1.0

    def install(self) -> None:
        """Put this in the place of the real network and the real clock."""
        self._lend_urllib()
        self._lend_clock(time.monotonic)
        self._lend_component(RemoteKeys.__init__)

    def _resolved(self, url: str) -> str:
        if self._stage is None:
            raise OSError("no stage is set")
        return self._stage.resolve(url)

    def _lend_urllib(self) -> None:
        real = urllib.request.OpenerDirector.open

        def open_resolved(
            director: urllib.request.OpenerDirector,
            address: str | urllib.request.Request,
            *arguments: Any,  # noqa: ANN401 - as urllib's
            **options: Any,  # noqa: ANN401 - the same
        ) -> object:
            if isinstance(address, str):
                address = self._resolved(address)
            else:
                address.full_url = self._resolved(address.full_url)
            return real(director, address, *arguments, **options)

        urllib.request.OpenerDirector.open = open_resolved  # type: ignore[method-assign, assignment]

    def _lend_clock(self, real: Callable[[], float]) -> None:
        def monotonic() -> float:
            return real() + self._ahead

        time.monotonic = monotonic

    def _lend_component(self, real: Callable[..., None]) -> None:
        def make(keys: RemoteKeys, url: str, **_: object) -> None:
            # As `ComponentTarget` makes it: no cooldown or backoff ends by itself, however slow the machine is.
            real(keys, self._resolved(url), fresh=FRESH, limits=LIMITS, clock=lambda: self._started + self._stood)

        RemoteKeys.__init__ = make  # type: ignore[method-assign, assignment]
