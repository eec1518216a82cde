"""What runs at the moment, on stderr, if that is a terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.status import Status

    from alwrity_checks.model import Event, Observer

__all__ = ["progress"]


@contextlib.contextmanager
def progress() -> Iterator[Sequence[Observer]]:
    """Yield the observers that show a run's progress: none where nobody watches."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield ()
        return
    from rich.console import Console

    spinner = _Spinner(Console(stderr=True))
    try:
        yield (spinner,)
    finally:
        spinner.stop()


class _Spinner:
    """Names what is under way; it is gone whenever nothing is, so that other lines can be written in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: list[str] = []
        self._status: Status | None = None

    def notify(self, event: Event) -> None:
        """Take note of `event`."""
        if event.kind == "started":
            self._running.append(event.name)
        elif event.kind == "finished" and event.name in self._running:
            self._running.remove(event.name)
        if self._running:
            self._show(", ".join(self._running) + (f": {event.message}" if event.kind == "progress" else ""))
        else:
            self.stop()

    def _show(self, text: str) -> None:
        from rich.text import Text

        # A Text, because a third party's name may hold what rich takes for markup.
        line = Text(text, no_wrap=True, overflow="ellipsis")
        if self._status is None:
            self._status = self._console.status(line)
            self._status.start()
        else:
            self._status.update(line)

    def stop(self) -> None:
        """Take it off the screen."""
        if self._status is not None:
            self._status.stop()
            self._status = None
