"""The store of one user in a PostgreSQL database.

Nothing is held in memory: what `apply` has committed is searchable by every process at once, and nothing is to be
rebuilt after a failure. Of all processes one at a time applies for a user; to the others `pending` says that nothing
is to be done, with the sequence that is applied by now.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alwrity_checks.errors import DoctorError
from alwrity_checks.redaction import scrub
from alwrity_checks.txtai.point import point
from alwrity_checks.txtai.postgres import contents, queue
from alwrity_checks.txtai.postgres.values import key_of
from alwrity_checks.txtai.storage import Batch, DeadLetter, Hit, NotOpen, StaleBatch, StorageError, StoreStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.documents import Document
    from alwrity_checks.txtai.postgres.database import Database

__all__ = ["PostgresStorage", "PostgresStore"]


class PostgresStore:
    """A `UserStore` in a database."""

    def __init__(self, database: Database, user_id: str, encoder: str, dimensions: int) -> None:
        """Name the user and the encoder whose vectors will come; nothing is connected yet."""
        self.user_id = user_id
        self._database = database
        self._encoder, self._dimensions = encoder, dimensions
        self._key = key_of(user_id)
        self._working = threading.RLock()
        self._user: int | None = None
        """The user's number, while the store is open."""
        self._was_open = False
        self._issued: tuple[queue.Head, Batch] | None = None

    def put(self, upserts: Sequence[Document] = (), deletes: Sequence[str] = (), *, clear: bool = False) -> int:
        """Accept operations; see UserStore.

        Where the server is lost during the commit and does not come back at once, nobody knows whether it took place;
        that is the one StorageError after which the operations may have been accepted. Accepting them again is right.
        """
        self._database.join(self)
        accepted = queue.operations(upserts, deletes, clear=clear)
        point("enqueueing", self)
        sequence = self._database.run(
            "accepting documents", lambda connection: queue.accept(connection, self.user_id, accepted)
        )
        point("enqueued", self)
        return sequence

    # Opening

    def open(self) -> None:
        """See whether the documents have vectors of this encoder, and queue them anew if not; see UserStore."""
        with self._working:
            if self._user is not None:
                return
            self._database.join(self)
            point("loading", self)
            head = self._begun()
            if (head.encoder, head.dimensions) != (self._encoder, self._dimensions):
                self._adopt(head)
            self._user, self._was_open, self._issued = head.user, True, None
            point("loaded", self)

    def _begun(self) -> queue.Head:
        head = self._head()
        if head is None or head.encoder is None:
            name = json.dumps(self.user_id)
            self._database.run(
                "opening the index",
                lambda connection: contents.begin(connection, self.user_id, name, self._encoder, self._dimensions),
            )
            head = self._head()
        if head is None:
            raise StorageError("the user was removed while the index was being opened", "open it again")
        return head

    def _head(self) -> queue.Head | None:
        return self._database.run("reading the queue", lambda connection: queue.head(connection, self.user_id))

    def _adopt(self, head: queue.Head) -> None:
        if self._was_open:
            # Two hosts with two encoders would otherwise undo each other's work for ever.
            raise contents.superseded(self._encoder, head.encoder)
        if not self._database.take_right(self._key, self):
            raise StorageError(
                f"the index cannot be changed from the encoder {head.encoder} to {self._encoder}: it is being written",
                "it is tried again; give every host the same ALWRITY_TXTAI_MODEL",
            )
        try:
            self._database.run(
                "changing the encoder",
                lambda connection: contents.adopt(connection, head.user, self._encoder, self._dimensions),
            )
        finally:
            self._database.give_right_back(self._key, self)

    def refresh(self) -> None:
        """Do nothing: every search sees what was applied anywhere."""
        self._opened()

    def _opened(self) -> int:
        if self._user is None:
            raise NotOpen(
                f"the index of a user in the database at {self._database.place} is not open",
                "open it; an earlier error says why it is not",
            )
        return self._user

    # Applying

    def pending(self, limit: int = 256) -> Batch:
        """Return what is to be applied next, or nothing where another process is at it; see UserStore."""
        with self._working:
            self._opened()
            head = self._current()
            batch = Batch(head.applied)
            if head.last == head.applied:
                self._database.give_right_back(self._key, self)
            elif self._database.take_right(self._key, self):
                # Another process may have been at it until just now.
                head = self._current()
                batch = self._window(head, limit)
            self._issued = head, batch
            return batch

    def _window(self, head: queue.Head, limit: int) -> Batch:
        batch = self._database.run("reading the queue", lambda connection: queue.window(connection, head, limit))
        if not batch:
            # Operations that were buried leave nothing to apply behind.
            self._database.run(
                "noting what is applied", lambda connection: contents.note(connection, head, batch.sequence)
            )
        return batch

    def _current(self) -> queue.Head:
        head = self._head()
        if head is None:
            self._user = None
            raise NotOpen("the user was removed from the database", "open the index again")
        if (head.encoder, head.dimensions) != (self._encoder, self._dimensions):
            self._database.give_right_back(self._key, self)
            raise contents.superseded(self._encoder, head.encoder)
        return head

    def apply(self, batch: Batch, vectors: NDArray[np.float32] | None = None) -> None:
        """Make a batch searchable; see UserStore."""
        with self._working:
            self._opened()
            if self._issued is None or batch is not self._issued[1]:
                raise StaleBatch("the batch is not the one that was given out last", "ask for pending() again")
            if not batch:
                return
            head, block = self._issued[0], self._checked(batch, vectors)
            try:
                self._database.run(
                    "applying documents", lambda connection: contents.apply(connection, head, batch, block)
                )
                point("applied", self)
                point("noted", self)
            except Exception as error:
                # Another host may fare better.
                self._database.give_right_back(self._key, self)
                if isinstance(error, DoctorError):
                    raise
                told = f"{type(error).__name__}: {scrub(str(error))}"
                raise StorageError(
                    f"the database at {self._database.place} could not take a batch: {told}",
                    "nothing is lost: the batch is still queued",
                ) from error
            finally:
                self._issued = None

    def _checked(self, batch: Batch, vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
        import numpy as np

        expected = (len(batch.upserts), self._dimensions)
        block = np.asarray(vectors if batch.upserts else np.empty(expected), np.float32)
        if block.shape != expected:
            raise StorageError(f"vectors of shape {block.shape} came for a batch of shape {expected}")
        if not np.allclose(np.linalg.norm(block, axis=1), 1.0, atol=1e-3):
            raise StorageError("a vector is not normalised, or not finite", "look at what the encoder returns")
        return block

    def bury(self, documents: Sequence[Document], reason: str) -> None:
        """Make dead letters of pending documents; see UserStore."""
        with self._working:
            user = self._opened()
            self._issued = None
            self._database.run("burying documents", lambda connection: queue.bury(connection, user, documents, reason))

    # Reading

    def search(self, vector: NDArray[np.float32], limit: int, where: Mapping[str, Any] | None = None) -> list[Hit]:
        """Return the nearest documents; see UserStore."""
        user, encoder = self._opened(), (self._encoder, self._dimensions)
        point("searching", self)
        hits = self._database.run(
            "searching",
            lambda connection: contents.search(
                connection, user, encoder, vector=vector, limit=limit, where=where or {}
            ),
        )
        point("searched", self)
        return hits

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters; see UserStore."""
        return self._database.run(
            "reading the dead letters", lambda connection: queue.dead_letters(connection, self.user_id)
        )

    def status(self) -> StoreStatus:
        """Return how the store stands; its generation counts the batches that were applied. See UserStore."""
        return self._database.run("reading the queue", lambda connection: contents.status(connection, self.user_id))

    # Settling

    def settle(self, *, force: bool = False) -> bool:  # noqa: ARG002 - the seam's; there is nothing to force
        """Take no snapshot: what is applied is durable."""
        self._opened()
        return False

    def close(self) -> None:
        """Give up the right to apply, and the connections with the last store; see UserStore."""
        with self._working:
            point("closing", self)
            self._user = self._issued = None
            self._database.give_right_back(self._key, self)
            self._database.leave(self)
            point("closed", self)


class PostgresStorage:
    """A `Storage` in a database, whose tables are made when they are first needed."""

    def __init__(self, database: Database, encoder: str, dimensions: int) -> None:
        """Name the database, and the identity and dimensions of the encoder whose vectors the stores will get."""
        self._database = database
        self._encoder, self._dimensions = encoder, dimensions

    def user(self, user_id: str) -> PostgresStore:
        """Return a store for the user: a new object at every call, of which one at a time may apply."""
        return PostgresStore(self._database, user_id, self._encoder, self._dimensions)

    def users(self) -> Iterator[str]:
        """Yield the ids of the users who have a store; connections are kept until the last was taken."""
        self._database.join(self)
        try:
            names = self._database.run("reading the users", lambda connection: list(contents.names(connection)))
            yield from (json.loads(name) for name in names)
        finally:
            self._database.leave(self)
