"""What makes a user's accepted documents searchable, in the background and in their order.

Everything that changes a store happens in turns, one at a time for each user: open it, take the next batch, have it
encoded, apply it, take a snapshot, give the index up. A turn that fails leaves the queue as it was and is taken again
later, so nothing that was accepted gets lost on the way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Final

from alwrity_checks.events import emit
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.encoding import EncoderThread, Urgency
from alwrity_checks.txtai.errors import Closed
from alwrity_checks.txtai.initialisation import Initialisation, State
from alwrity_checks.txtai.poison import Sieve, is_environmental
from alwrity_checks.txtai.receipts import Outstanding
from alwrity_checks.txtai.storage import Batch, NotOpen, StaleBatch, UserStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.workers import Workers

__all__ = ["LARGEST_BATCH", "Writer"]

LARGEST_BATCH: Final = 256
"""Queue rows in one turn."""

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 30.0
_ANOTHER_IS_AT_IT: Final = 0.2
"""Seconds until it is looked again for what another process is doing."""
_TRIES: Final = 3
"""Failures of one and the same document, alone in its batch, after which it is the document that is at fault."""

_MOST_IN_A_ROW: Final = 3
"""Documents found at fault one after the other; a library that takes none at all must not empty the queue."""

_log: Final = logging.getLogger("alwrity_checks.txtai")


class Writer:
    """The turns of one user's store."""

    def __init__(
        self,
        door: UserStore,
        make_store: Callable[[], UserStore],
        encoder: EncoderThread,
        workers: Workers,
        opened: Callable[[Writer], None],
    ) -> None:
        """Take the store that accepts, what makes the one to open when the encoder is known, and what is told then."""
        self._door = door
        self._make_store = make_store
        self._encoder = encoder
        self._workers = workers
        self._opened = opened
        self.opening: Initialisation[UserStore] = Initialisation()
        """The store, once it is open for searches."""
        self.outstanding = Outstanding()
        self.last_error: Exception | None = None
        """What the last turn failed with; None after one that did not."""
        self.retry_at: float | None = None
        """When a failed turn is taken again, in seconds since the epoch."""
        self.closed: Future[None] = Future()
        self._store: UserStore | None = None
        self._sieve = Sieve(encoder)
        self._lock = threading.Lock()
        self._busy = False
        self._again = False
        self._closing = False
        self._awaiting_encoder = False
        self._limit = LARGEST_BATCH
        self._failures = 0
        self._buried_in_a_row = 0

    def wake(self) -> None:
        """Take a turn as soon as possible: something was accepted, or somebody waits."""
        with self._lock:
            if self._busy:
                self._again = True
                return
            closed = self.closed.done()
            self._busy = not closed
        if closed:
            self.outstanding.abandon(Closed())
        else:
            self._workers.submit(self._turn)

    def try_to_give_up(self) -> bool:
        """Give the index in memory up if nothing is being done with it; say whether that will happen."""
        with self._lock:
            if self._busy or self._closing or len(self.outstanding):
                return False
            self._busy = True
        self._workers.submit(self._give_up)
        return True

    def close(self) -> None:
        """End with the turn that is under way; `closed` is done when the store is closed."""
        with self._lock:
            self._closing = True
        self.opening.close()
        self.wake()

    # Turns. Each begins with `_busy` set, and ends in `_end`, or hands on to the next part of it.

    def _turn(self) -> None:
        try:
            self._take_turn()
        except NotOpen as error:
            self._lost(error)
        except Exception as error:  # noqa: BLE001 - kept and shown; the turn is taken again
            self._failed(error)

    def _take_turn(self) -> None:
        if self._closing:
            self._finish()
            return
        store = self._open()
        if store is None:
            self._end()
            return
        batch = store.pending(self._limit)
        if not batch:
            self._idle(store, batch.sequence)
            return
        wanted = self._sieve.wanted(batch.upserts)
        if not wanted:
            self._apply(store, batch)
            return
        vectors = self._encoder.encode([document.text for document in wanted], Urgency.DOCUMENTS)
        vectors.add_done_callback(lambda _: self._workers.submit(partial(self._encoded, store, batch, vectors)))

    def _idle(self, store: UserStore, applied: int) -> None:
        """End a turn in which there was nothing to do, at least not for this process."""
        self._succeeded()
        if len(self.outstanding):
            # Another process may have done it, and found documents that cannot be indexed.
            letters = {(one.document.id, one.document.digest): one.reason for one in store.dead_letters()}
            self.outstanding.bury(letters)
            self.outstanding.reach(applied)
        if len(self.outstanding):
            self._wake_later(_ANOTHER_IS_AT_IT)
        self._end()

    def _open(self) -> UserStore | None:
        """Return the open store; None if it cannot be had yet, and then somebody will take another turn."""
        condition, changed = self._encoder.observe()
        if condition.state is not State.READY:
            with self._lock:
                awaiting, self._awaiting_encoder = self._awaiting_encoder, condition.state is not State.CLOSED
            if not awaiting and self._awaiting_encoder:
                changed.add_done_callback(lambda _: self._encoder_changed())
            return None
        opened = self.opening.get()
        if opened is not None:
            return opened[1]
        attempt = self.opening.begin()
        if attempt is None:
            self._wake_later(self.opening.until_retry())
            return None
        try:
            if self._store is None:
                self._store = self._make_store()
            self._store.open()
        except Exception as error:  # noqa: BLE001 - whatever the disk or a library has to say
            emit(_log, logging.WARNING, "txtai.index-unopened", "an index could not be opened", error=error)
            self.opening.fail(attempt, error)
            self._wake_later(self.opening.until_retry())
            return None
        if not self.opening.succeed(attempt, self._store):
            return None
        self._opened(self)
        return self._store

    def _encoder_changed(self) -> None:
        with self._lock:
            self._awaiting_encoder = False
        self.wake()

    def _encoded(self, store: UserStore, batch: Batch, vectors: Future[NDArray[np.float32]]) -> None:
        """Go on with a turn whose documents have been encoded, or could not be."""
        try:
            if self._closing:
                self._finish()
                return
            self._sieve.take(batch.upserts, vectors)
            buried = self._sieve.unusable
            if buried:
                for document, reason in buried:
                    store.bury([document], reason)
                    _told_aside(reason)
                self.outstanding.bury({(document.id, document.digest): reason for document, reason in buried})
                self._turn()
                return
            self._apply(store, batch)
        except Closed:
            self._end()
        except NotOpen as error:
            self._lost(error)
        except Exception as error:  # noqa: BLE001 - kept and shown; the turn is taken again
            self._failed(error)

    def _apply(self, store: UserStore, batch: Batch) -> None:
        try:
            store.apply(batch, self._sieve.vectors(batch.upserts))
        except StaleBatch:
            self._again = True
            self._end()
            return
        except NotOpen as error:
            self._lost(error)
            return
        except Exception as error:  # noqa: BLE001 - kept and shown; the turn is taken again, with less in it
            self._suspect(store, batch, error)
            self._failed(error)
            return
        self._succeeded()
        self._buried_in_a_row = 0
        self._limit = min(self._limit * 2, LARGEST_BATCH)
        self.outstanding.reach(batch.sequence)
        self._settle(store)
        self._again = True
        self._end()

    def _settle(self, store: UserStore) -> None:
        try:
            store.settle()
        except Exception as error:  # noqa: BLE001 - the queue still holds everything; the next snapshot may succeed
            emit(_log, logging.WARNING, "txtai.snapshot-failed", "a snapshot could not be taken", error=error)
            self.last_error = error

    def _failed(self, error: Exception) -> None:
        """Take the turn again later."""
        self._failures += 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 16), _LONGEST_PAUSE)
        emit(
            _log,
            logging.WARNING,
            "txtai.indexing-retried",
            "documents could not be indexed yet",
            failures=self._failures,
            retry_in=pause,
            error=error,
        )
        self.last_error = error
        self.retry_at = time.time() + pause
        self._wake_later(pause)
        self._end()

    def _suspect(self, store: UserStore, batch: Batch, error: Exception) -> None:
        """See to it that a document that is at fault comes to stand alone, and put it aside if it does."""
        if self._limit > 1:
            self._limit = max(1, min(self._limit, len(batch.upserts) + len(batch.deletes)) // 2)
            self._failures = 0
        elif self._is_at_fault(batch, error):
            self._bury_alone(store, batch, scrub(f"it cannot be indexed: {error}"))

    def _is_at_fault(self, batch: Batch, error: Exception) -> bool:
        """Say whether a document, alone in its batch, is to blame; not where one after the other seems to be."""
        tried = self._failures + 1 >= _TRIES and self._buried_in_a_row < _MOST_IN_A_ROW
        return tried and bool(batch.upserts) and not is_environmental(error)

    def _bury_alone(self, store: UserStore, batch: Batch, reason: str) -> None:
        try:
            store.bury(batch.upserts, reason)
        except Exception as fault:  # noqa: BLE001 - it stays queued and is met again
            emit(
                _log, logging.WARNING, "txtai.document-not-put-aside", "a document could not be put aside", error=fault
            )
            return
        self.outstanding.bury({(document.id, document.digest): reason for document in batch.upserts})
        _told_aside(reason)
        self._buried_in_a_row += 1
        self._failures = 0

    def _lost(self, error: Exception) -> None:
        opened = self.opening.get()
        if opened is not None:
            self.opening.lose(opened[0], error)
        self._again = True
        self._end()

    def _succeeded(self) -> None:
        self._failures = 0
        self.last_error = self.retry_at = None

    def _wake_later(self, pause: float) -> None:
        self._workers.submit(self.wake, pause)

    def _end(self) -> None:
        with self._lock:
            again, self._again = self._again or self._closing, False
            self._busy = again and not self.closed.done()
            if not self._busy:
                return
        self._workers.submit(self._turn)

    def _give_up(self) -> None:
        self.opening.release()
        self._close_stores()
        self._end()

    def _finish(self) -> None:
        self._close_stores()
        if not self.closed.done():
            self.closed.set_result(None)
        # Not before: what was accepted meanwhile wakes the writer, which then finds it either open or closed.
        self.outstanding.abandon(Closed())
        self._end()

    def _close_stores(self) -> None:
        for store in (self._store, self._door):
            try:
                if store is not None:
                    store.close()
            except Exception as error:  # noqa: BLE001 - the queue still holds everything
                emit(
                    _log,
                    logging.WARNING,
                    "txtai.snapshot-failed",
                    "an index was closed without a snapshot",
                    error=error,
                )
                self.last_error = error


def _told_aside(reason: str) -> None:
    emit(_log, logging.WARNING, "txtai.document-put-aside", "a document cannot be indexed: put aside", error=reason)
