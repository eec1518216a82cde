"""One event stream, many observers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.model import Event, Observer

__all__ = ["Broadcast"]


class Broadcast:
    """Passes every event on to each observer; one that raises is not notified again and harms nothing."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def notify(self, event: Event) -> None:
        """Pass `event` on."""
        for observer in tuple(self._observers):
            try:
                observer.notify(event)
            except Exception:  # noqa: BLE001 - a display must not decide what a run comes to
                self._observers.remove(observer)
