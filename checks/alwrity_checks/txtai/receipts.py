"""What a caller gets for documents that were accepted."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from alwrity_checks.txtai.errors import Unindexable
from alwrity_checks.txtai.steps import Overdue, Steps, in_loop, in_thread

if TYPE_CHECKING:
    from alwrity_checks.txtai.errors import NotReady

__all__ = ["Outstanding", "Progress", "Receipt"]


class Progress(StrEnum):
    """How far an accepted operation is."""

    DEFERRED = "deferred"
    """It is kept, and will be searchable later."""
    SEARCHABLE = "searchable"
    UNINDEXABLE = "unindexable"
    """Some of its documents cannot be indexed and are kept as dead letters; the others are searchable."""


class Receipt:
    """The proof that an operation was accepted: what it brought is durable. Thread-safe; fits any event loop."""

    sequence: int
    """The number of the operation's last queue row: operations of one user become searchable in this order."""

    def __init__(self, documents: Mapping[str, str], why_not: Callable[[Receipt], NotReady]) -> None:
        """Take the digests of the documents by id, and what makes the error of a wait that was in vain."""
        self.sequence = 0
        self._documents = documents
        self._why_not = why_not
        self._faults: dict[str, str] = {}
        self._done: Future[None] = Future()
        self._done.set_running_or_notify_cancel()  # so that one waiter's cancellation is not everybody's

    def __repr__(self) -> str:
        return f"Receipt(sequence={self.sequence}, state={self.state.value!r})"

    @property
    def state(self) -> Progress:
        """How far it is."""
        if not self._done.done():
            return Progress.DEFERRED
        return Progress.SEARCHABLE if self._done.exception() is None else Progress.UNINDEXABLE

    async def searchable(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - raises NotReady, no TimeoutError
        """Wait until the documents are searchable, at most `timeout` seconds.

        Raises NotReady when the time is over, Unindexable if documents turned out to be impossible to index, Closed
        if the index was closed before: in all three cases the documents are kept.
        """
        await in_loop(self.steps(), timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Do as `searchable` does, in a thread."""
        in_thread(self.steps(), timeout)

    def steps(self) -> Steps[None]:
        """Return the steps of a wait, for an operation that waits as a part of what it does."""
        try:
            yield self._done
        except Overdue:
            raise self._why_not(self) from None

    def bury(self, reasons: Mapping[tuple[str, str], str]) -> None:
        """Note which of the documents, given by id and digest, cannot be indexed."""
        for (document_id, digest), reason in reasons.items():
            if self._documents.get(document_id) == digest:
                self._faults[document_id] = reason

    def finish(self, error: Exception | None = None) -> None:
        """Say that everything up to the sequence has been done, or that nobody will do it any more."""
        error = error or (Unindexable(self._faults) if self._faults else None)
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)


class Outstanding:
    """The receipts of one user that somebody may be waiting for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: set[Receipt] = set()
        self._accepted: list[tuple[int, int, Receipt]] = []

    def __len__(self) -> int:
        return len(self._expected) + len(self._accepted)

    @contextmanager
    def expecting(self, receipt: Receipt) -> Iterator[None]:
        """Know the receipt while its operation is being accepted, in which the block sets its sequence.

        Its documents may be found to be unindexable before whoever accepted them comes to say so.
        """
        with self._lock:
            self._expected.add(receipt)
        try:
            yield
        except BaseException:
            with self._lock:
                self._expected.discard(receipt)
            raise
        with self._lock:
            self._expected.discard(receipt)
            heapq.heappush(self._accepted, (receipt.sequence, id(receipt), receipt))

    def reach(self, sequence: int) -> None:
        """Finish every receipt up to `sequence`."""
        finished = []
        with self._lock:
            while self._accepted and self._accepted[0][0] <= sequence:
                finished.append(heapq.heappop(self._accepted)[2])
        for receipt in finished:
            receipt.finish()

    def bury(self, reasons: Mapping[tuple[str, str], str]) -> None:
        """Note documents, given by id and digest, that cannot be indexed."""
        with self._lock:
            receipts = [*self._expected, *(receipt for _, _, receipt in self._accepted)]
        for receipt in receipts:
            receipt.bury(reasons)

    def abandon(self, error: Exception) -> None:
        """Finish every receipt with an error."""
        with self._lock:
            receipts, self._accepted = self._accepted, []
        for _, _, receipt in receipts:
            receipt.finish(error)
