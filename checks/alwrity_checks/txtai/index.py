"""One user's semantic index, as the application sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.arguments import check_limit, check_query, ids_of
from alwrity_checks.txtai.documents import Item, documents
from alwrity_checks.txtai.encoding import EncoderThread, Urgency
from alwrity_checks.txtai.errors import Closed, NotReady
from alwrity_checks.txtai.initialisation import Condition, State
from alwrity_checks.txtai.receipts import Receipt
from alwrity_checks.txtai.steps import Overdue, Steps, deadline_of, in_loop, in_thread, remaining
from alwrity_checks.txtai.storage import DeadLetter, Hit, NotOpen, StoreStatus, UserStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.process import Owner
    from alwrity_checks.txtai.writer import Writer

__all__ = ["IndexStatus", "Pools", "SearchResult", "SemanticIndex"]

R = TypeVar("R")

_PATIENCE: Final = 30.0
"""Seconds that a critical operation waits unless it is told otherwise; importing txtai can take ten of them."""


@dataclass(frozen=True, slots=True)
class SearchResult(Sequence[Hit]):
    """The documents found, best first, and what the search could not see."""

    hits: tuple[Hit, ...] = ()
    ready: bool = True
    """False where a background search met an index that was not ready: then nothing was searched."""
    reason: str = ""
    """Why it was not ready."""
    behind: int = 0
    """Queue rows (a document or a removal each) that were accepted and that the search could not see yet."""

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How a user's index stands."""

    state: State
    store: StoreStatus
    error: str | None
    """What went wrong last and has not gone right since."""
    retry_at: float | None
    """When the next attempt is made, in seconds since the epoch; None if none is waited for."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads for what blocks; a search that waits for an index must not keep documents from being accepted."""

    accepting: Executor
    searching: Executor


class SemanticIndex:
    """The documents of one user. Thread-safe; usable from any number of event loops, none of which it blocks.

    Each operation exists twice: as a coroutine, and with `_sync` for threads. A critical operation waits for what it
    needs and raises NotReady when its time is over; what a critical `add` brought is kept all the same. A background
    operation does not wait: documents are accepted and become searchable later, and a search says that it saw nothing.
    """

    def __init__(  # noqa: PLR0913 - the parts that SemanticIndexes has made, by name
        self,
        user_id: str,
        *,
        door: UserStore,
        writer: Writer,
        encoder: EncoderThread,
        pools: Pools,
        fail_fast: bool,
        begin: Callable[[], None],
        owner: Owner,
    ) -> None:
        self.user_id = user_id
        self._door = door
        self._writer = writer
        self._encoder = encoder
        self._pools = pools
        self._fail_fast = fail_fast
        self._begin = begin
        self._owner = owner

    async def add(
        self,
        items: Iterable[Item],
        *,
        critical: bool = False,
        timeout: float | None = _PATIENCE,  # noqa: ASYNC109 - raises NotReady, no TimeoutError
    ) -> Receipt:
        """Accept documents, each instead of the one that had its id; they are durable when this returns.

        An item is a Document, a mapping with `id`, `text` and further fields, or `(id, text, fields)`. With `critical`
        it returns when they are searchable. Raises UnusableDocument or StorageError, and then nothing was accepted;
        if critical, NotReady after `timeout` seconds, Unindexable or Closed, and then everything was.
        """
        return await self._accepted(lambda: self._put(items), critical=critical, timeout=timeout)

    def add_sync(self, items: Iterable[Item], *, critical: bool = False, timeout: float | None = _PATIENCE) -> Receipt:
        """Do as `add` does, in a thread."""
        return self._accepted_sync(lambda: self._put(items), critical=critical, timeout=timeout)

    async def delete(
        self,
        ids: Iterable[str],
        *,
        critical: bool = False,
        timeout: float | None = _PATIENCE,  # noqa: ASYNC109 - as in `add`
    ) -> Receipt:
        """Accept the removal of documents; an id that is not there does no harm. Waits and raises as `add` does."""
        return await self._accepted(lambda: self._put(deletes=ids), critical=critical, timeout=timeout)

    def delete_sync(self, ids: Iterable[str], *, critical: bool = False, timeout: float | None = _PATIENCE) -> Receipt:
        """Do as `delete` does, in a thread."""
        return self._accepted_sync(lambda: self._put(deletes=ids), critical=critical, timeout=timeout)

    async def reindex(
        self,
        items: Iterable[Item],
        *,
        critical: bool = False,
        timeout: float | None = _PATIENCE,  # noqa: ASYNC109 - as in `add`
    ) -> Receipt:
        """Accept documents instead of all that were there, as one operation. Waits and raises as `add` does."""
        return await self._accepted(lambda: self._put(items, clear=True), critical=critical, timeout=timeout)

    def reindex_sync(
        self, items: Iterable[Item], *, critical: bool = False, timeout: float | None = _PATIENCE
    ) -> Receipt:
        """Do as `reindex` does, in a thread."""
        return self._accepted_sync(lambda: self._put(items, clear=True), critical=critical, timeout=timeout)

    async def search(
        self,
        query: str,
        *,
        limit: int = 10,
        where: Mapping[str, Any] | None = None,
        critical: bool | None = None,
        timeout: float | None = _PATIENCE,  # noqa: ASYNC109 - as in `add`
    ) -> SearchResult:
        """Return the documents nearest in meaning to `query`, those with the field values of `where`.

        With `critical` (where nothing is said: as `SIF_FAIL_FAST` says, and it says yes) it waits for the index and
        raises NotReady after `timeout` seconds, or at once if the next attempt to get it ready is later than that.
        Without, the result of an index that is not ready is empty and says so. Raises ConfigurationError for an
        unusable query, UnusableFilter, StorageError and Closed.
        """
        return await in_loop(self._search(query, limit, where, deadline_of(timeout), critical=critical), timeout)

    def search_sync(
        self,
        query: str,
        *,
        limit: int = 10,
        where: Mapping[str, Any] | None = None,
        critical: bool | None = None,
        timeout: float | None = _PATIENCE,
    ) -> SearchResult:
        """Do as `search` does, in a thread."""
        return in_thread(self._search(query, limit, where, deadline_of(timeout), critical=critical), timeout)

    def browse_sync(self, *, limit: int, timeout: float | None = _PATIENCE) -> list[Hit]:
        """Return at most `limit` documents in no order, in a thread; all of them where there are not more.

        Waits for the index as a critical search does, and raises the same; their scores mean nothing.
        """
        check_limit(limit)
        return in_thread(self._browse(limit, deadline_of(timeout)), timeout)

    async def ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as in `add`
        """Wait until searches find the index ready. Raises NotReady after `timeout` seconds."""
        await in_loop(self._until_ready(deadline_of(timeout)), timeout)

    def ready_sync(self, timeout: float | None = None) -> None:
        """Do as `ready` does, in a thread."""
        in_thread(self._until_ready(deadline_of(timeout)), timeout)

    def prepare(self) -> State:
        """Get the index ready in the background, and return how far that is."""
        self._start()
        state = self._condition()[0].state
        if state is not State.READY:
            self._writer.wake()
        return state

    def status(self) -> IndexStatus:
        """Return how the index stands; reads the queue, so it blocks for a millisecond or more."""
        self._owner.check()
        opened = self._writer.opening.get()
        store = (opened[1] if opened else self._door).status()
        condition, retry_at = self._condition()
        error = condition.error or self._writer.last_error
        return IndexStatus(
            condition.state, store, scrub(str(error)) if error else None, retry_at or self._writer.retry_at
        )

    def dead_letters(self) -> list[DeadLetter]:
        """Return the documents that were accepted and cannot be indexed, oldest first; blocks as `status` does."""
        self._owner.check()
        return self._door.dead_letters()

    # Accepting

    async def _accepted(
        self,
        put: Callable[[], Receipt],
        *,
        critical: bool,
        timeout: float | None,  # noqa: ASYNC109 - as in `add`
    ) -> Receipt:
        deadline = deadline_of(timeout)
        receipt = await in_loop(self._accept(put), None)
        if critical:
            await in_loop(receipt.steps(), remaining(deadline))
        return receipt

    def _accepted_sync(self, put: Callable[[], Receipt], *, critical: bool, timeout: float | None) -> Receipt:
        deadline = deadline_of(timeout)
        receipt = in_thread(self._accept(put), None)
        if critical:
            in_thread(receipt.steps(), remaining(deadline))
        return receipt

    def _accept(self, put: Callable[[], Receipt]) -> Steps[Receipt]:
        self._start()
        try:
            receipt: Receipt = yield _submitted(self._pools.accepting, put)
        except Overdue:
            # There is no deadline: it was cancelled before it began, because everything is being closed.
            raise Closed from None
        return receipt

    def _put(self, items: Iterable[Item] = (), deletes: Iterable[str] = (), *, clear: bool = False) -> Receipt:
        upserts = documents(items)
        removed = ids_of(deletes)
        receipt = Receipt({document.id: document.digest for document in upserts}, self._why_not)
        with self._writer.outstanding.expecting(receipt):
            receipt.sequence = self._door.put(upserts, removed, clear=clear)
        self._writer.wake()
        return receipt

    def _why_not(self, receipt: Receipt) -> NotReady:
        return self._not_ready(deferred=True, receipt=receipt)

    # Searching

    def _search(
        self, query: str, limit: int, where: Mapping[str, Any] | None, deadline: float | None, *, critical: bool | None
    ) -> Steps[SearchResult]:
        check_query(query, limit)
        self._start()
        state = self._condition()[0].state
        if state is not State.READY and not (self._fail_fast if critical is None else critical):
            if state is State.CLOSED:
                raise Closed
            self._writer.wake()
            try:
                behind = yield _submitted(self._pools.searching, lambda: self._door.status().queued)
            except Overdue:
                raise self._not_ready() from None
            return SearchResult(ready=False, reason=self._not_ready().reason, behind=behind)
        yield from self._until_ready(deadline)
        vector = yield from self._vector(query)
        found: SearchResult = yield from self._asked(partial(_found, vector=vector, limit=limit, where=where), deadline)
        if found.behind:
            # Whoever accepted it may have died; asking is reason enough to look after it.
            self._writer.wake()
        return found

    def _browse(self, limit: int, deadline: float | None) -> Steps[list[Hit]]:
        from alwrity_checks.txtai.browsing import browsed

        yield from self._until_ready(deadline)
        dimensions = self._encoder.encoder.dimensions if self._encoder.encoder is not None else 0
        return (yield from self._asked(partial(browsed, dimensions=dimensions, limit=limit), deadline))

    def _asked(self, ask: Callable[[UserStore], R], deadline: float | None) -> Steps[R]:
        """Ask the store, which is opened for it as often as that takes."""
        while True:
            opened = self._writer.opening.get()
            if opened is None:
                yield from self._until_ready(deadline)
                continue
            attempt, store = opened
            try:
                answer: R = yield _submitted(self._pools.searching, partial(ask, store))
            except Overdue:
                raise self._not_ready() from None
            except NotOpen as error:
                # Given up to make room, or discarded by a failure: it is opened again.
                self._writer.opening.lose(attempt, error)
            else:
                return answer

    def _vector(self, query: str) -> Steps[Any]:
        try:
            vectors = yield self._encoder.encode([query], Urgency.QUERY)
        except Overdue:
            raise self._not_ready() from None
        except Closed:
            raise
        except Exception as error:
            raise NotReady(f"the query could not be encoded: {scrub(str(error))}", "ask something else") from error
        return vectors[0]

    # Readiness

    def _start(self) -> None:
        self._owner.check()
        self._begin()

    def _until_ready(self, deadline: float | None) -> Steps[None]:
        self._start()
        stages = (self._encoder, self._writer.opening)
        while True:
            waiting = [stage for stage in stages if stage.observe()[0].state is not State.READY]
            if not waiting:
                return
            condition, changed = waiting[0].observe()
            if condition.state is State.CLOSED:
                raise Closed
            left = remaining(deadline)
            if condition.state is State.FAILED and left is not None and waiting[0].until_retry() > left:
                raise self._not_ready()
            self._writer.wake()
            try:
                yield changed
            except Overdue:
                raise self._not_ready() from None

    def _condition(self) -> tuple[Condition, float | None]:
        """Return the condition of the first thing that is not ready, and when that is tried again."""
        for stage in (self._encoder, self._writer.opening):
            condition = stage.observe()[0]
            if condition.state is not State.READY:
                failed = condition.state is State.FAILED
                return condition, time.time() + stage.until_retry() if failed else None
        return self._writer.opening.condition, None

    def _not_ready(self, *, deferred: bool = False, receipt: Receipt | None = None) -> NotReady:
        condition, retry_at = self._condition()
        error = condition.error or self._writer.last_error
        if error is not None:
            reason = f"{scrub(str(error))} (attempt {max(1, condition.failures)})"
        elif condition.state is State.READY:
            reason = "it is busy, or another process is and has not ended"
        else:
            reason = "it is still being loaded"
        remedy = getattr(error, "remedy", "") or "wait longer, or do it in the background: critical=False"
        return NotReady(reason, remedy, deferred=deferred, retry_at=retry_at or self._writer.retry_at, receipt=receipt)


def _found(store: UserStore, vector: NDArray[np.float32], limit: int, where: Mapping[str, Any] | None) -> SearchResult:
    behind = store.status().queued
    return SearchResult(tuple(store.search(vector, limit, where)), behind=behind)


def _submitted(pool: Executor, task: Callable[[], R]) -> Future[R]:
    try:
        return pool.submit(task)
    except RuntimeError:
        raise Closed from None
