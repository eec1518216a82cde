"""Forced schedules: the order in which a fault shows, brought about by holding threads and by nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from alwrity_checks.txtai.legacy.service import BACKGROUND, INITIALISE

if TYPE_CHECKING:
    from alwrity_checks.txtai.recorder import Recorder
    from alwrity_checks.txtai.watching import Call

__all__ = ["AsItComes", "InitialisationDuringSave", "LoadAfterCall", "Schedule"]

_PATIENCE: Final = 10.0
"""Seconds: no hold lasts longer, whatever a target does."""
_NOBODY: Final = 0.05
"""Seconds after which an initialisation that has not begun in the background is taken not to exist."""
_WRITES: Final = frozenset({"index", "upsert"})


class Schedule:
    """Hears of calls, of the loading of models and of accepted documents; a subclass holds some of them."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @property
    def forced(self) -> bool:
        """Whether the order was brought about."""
        return False

    def entered(self, call: Call) -> None:
        """Hear that a call begins."""

    def left(self, call: Call, error: BaseException | None) -> None:
        """Hear that a call has ended."""

    def loading(self) -> None:
        """Hear that the component is about to load its model."""

    def loading_in_background(self) -> None:
        """Hear that the legacy service is about to load a model that no call waits for."""

    def accepted(self) -> None:
        """Hear that documents were accepted, or refused: their caller does not wait for them any longer."""

    def _hold(self, until: threading.Event, reason: str, timeout: float = _PATIENCE) -> bool:
        """Hold the calling thread; say whether what it waited for has come."""
        if until.is_set():
            return True
        with self._recorder.holding(f"held until {reason}"):
            return until.wait(timeout)


class AsItComes(Schedule):
    """Forces nothing."""


class LoadAfterCall(Schedule):
    """The model takes longer to load than the first call takes: whoever does not wait for it meets an empty index."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._over = threading.Event()

    def loading(self) -> None:
        """Hold it until documents are accepted."""
        self._hold(self._over, "documents are accepted")

    def loading_in_background(self) -> None:
        """Hold it until the call is over."""
        self._hold(self._over, "the call is over")

    def accepted(self) -> None:
        """Let the loading go on."""
        self._over.set()


class InitialisationDuringSave(Schedule):
    """A second initialisation ends between the indexing and the saving.

    The one in the background waits until documents are being indexed; the indexing does not return until it is done.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._begun = threading.Event()
        self._indexing = threading.Event()
        self._done = threading.Event()
        self._waited = False
        self._written = ""

    @property
    def forced(self) -> bool:
        """Whether the initialisation in the background has ended where it should."""
        return self._done.is_set()

    def loading_in_background(self) -> None:
        """Hold it until documents are being indexed, or the call is over without that."""
        self._begun.set()
        self._hold(self._indexing, "documents are indexed")

    def accepted(self) -> None:
        """Let the loading go on."""
        self._indexing.set()

    def entered(self, call: Call) -> None:
        """Let the initialisation in the background go on as soon as documents are being indexed.

        A save of another txtai index than the one that was last written to is marked as the fault.
        """
        if call.name in _WRITES:
            self._indexing.set()
        if "Embeddings" not in call.subject:
            return
        if call.name in _WRITES:
            self._written = call.subject
        elif call.name == "save" and self._written not in {"", call.subject}:
            self._recorder.mark(f"saves {call.subject}, not {self._written}", fault=True)

    def left(self, call: Call, error: BaseException | None) -> None:
        """Hold the indexing until the initialisation in the background is done."""
        del error
        if call.name == INITIALISE and call.thread == BACKGROUND:
            self._done.set()
        elif call.name in _WRITES and not self._waited:
            self._waited = True
            if self._hold(self._begun, "another initialisation has begun", _NOBODY):
                self._hold(self._done, "the other initialisation is done")
