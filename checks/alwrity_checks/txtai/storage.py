"""The seam between the runtime and the place where documents, vectors and the queue are kept.

A `UserStore` keeps one promise: what `put` has returned for is there after whatever happens next. The runtime drives it
in a loop: `pending` gives what is to be encoded, the runtime encodes, `apply` makes it searchable, `settle` makes the
index durable when that is due. One process at a time may do so for one user; every process may `put`, and one that
only reads calls `open` and `refresh`.

StorageError                  something could not be read or written                  (kept documents are not touched)
├── DamagedIndex              the last generation does not hold together
├── NotOpen                   an operation needs `open` to have succeeded
├── UnusableFilter            a search's `where` asks for what cannot be compared
└── StaleBatch                a batch was applied that is not what is pending now
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from alwrity_checks.errors import DoctorError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.txtai.documents import Document

__all__ = [
    "Batch",
    "DamagedIndex",
    "DeadLetter",
    "Hit",
    "NotOpen",
    "StaleBatch",
    "Storage",
    "StorageError",
    "StoreStatus",
    "UnusableFilter",
    "UserStore",
]


class StorageError(DoctorError):
    """Something could not be read or written; what was accepted before is as durable as it was."""


class DamagedIndex(StorageError):  # noqa: N818 - the condition's name
    """An index on disk does not hold together; it is left as it is."""


class NotOpen(StorageError):  # noqa: N818 - the condition's name
    """The operation needs the index in memory: `open` was not called, has failed, or a failure discarded it."""


class UnusableFilter(StorageError):  # noqa: N818 - a decision
    """A search's `where` asks for what cannot be compared: only strings, numbers, booleans and None can."""


class StaleBatch(StorageError):  # noqa: N818 - the condition's name
    """A batch was applied that is not what is pending now; ask for `pending` again."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done next, coalesced: each id occurs once, the last operation on it wins."""

    sequence: int
    """The sequence of the last queue row in it; equal to the applied sequence when nothing is pending."""
    upserts: tuple[Document, ...] = ()
    """The documents to encode, in the order of the vectors that `apply` expects."""
    deletes: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    """Ids whose document is indexed with this very content: nothing to do."""
    cleared: bool = False
    """Whether `deletes` are the documents that a `put(clear=True)` removes."""
    rows: tuple[int, ...] = field(default=(), repr=False)
    """The queue rows of `upserts`, in their order; for the store's own use."""
    dropped: tuple[int, ...] = field(default=(), repr=False)
    """The queue rows of `unchanged`; for the store's own use."""

    def __bool__(self) -> bool:
        """Say whether there is anything to apply."""
        return bool(self.upserts or self.deletes or self.unchanged or self.cleared)


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found."""

    id: str
    text: str
    score: float
    """Cosine similarity to the query, above 0 and at most 1."""
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that was accepted and cannot be indexed."""

    sequence: int
    document: Document
    reason: str
    buried_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How a user's store stands; to be had whether it is open or not."""

    documents: int
    """Searchable documents; those of the last generation where the store is not open."""
    queued: int
    """Queue rows that are accepted and not searchable yet."""
    oldest_queued_at: float | None
    """When the oldest of them was accepted, in seconds since the epoch."""
    dead_letters: int
    applied: int
    """The sequence up to which everything accepted is searchable."""
    generation: int
    """The number of the last durable snapshot; 0 before the first."""


class UserStore(Protocol):
    """The documents of one user. Calls block; every one may come from any thread."""

    def put(self, upserts: Sequence[Document] = (), deletes: Sequence[str] = (), *, clear: bool = False) -> int:
        """Accept operations in one commit, which is the acknowledgement, and return the last sequence.

        The order is `clear` (everything accepted before is removed), `deletes`, `upserts`. Works without `open` and in
        any process. Raises StorageError, and then nothing of the call was accepted.
        """

    def open(self) -> None:
        """Load the last generation and replay what was applied after it; slow.

        Without effect where the store is open. Where the generation is another encoder's its documents are queued anew,
        unless another process is writing or this store was open before: then StorageError says which encoders they are.
        Raises StorageError or DamagedIndex, and may be called again then.
        """

    def refresh(self) -> None:
        """Follow what another process has applied meanwhile; for processes that do not apply themselves."""

    def pending(self, limit: int = 256) -> Batch:
        """Return what is to be applied next: at most `limit` queue rows after the applied sequence. Raises NotOpen.

        A batch that is false means that nothing is pending at all.
        """

    def apply(self, batch: Batch, vectors: NDArray[np.float32] | None = None) -> None:
        """Make a batch searchable; `vectors` is float32 of shape (len(batch.upserts), dimensions), normalised.

        Nothing else applies between `pending` and `apply`: else StaleBatch. On any error the index in memory is
        discarded and rebuilt from what is durable, then the error is raised; where the rebuilding fails, too, the
        store is not open any more.
        """

    def bury(self, documents: Sequence[Document], reason: str) -> None:
        """Take pending documents out of the queue and keep them as dead letters.

        An earlier version that is indexed or queued stays. A dead letter goes when a later operation on its id has
        been applied.
        """

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters, oldest first. Works without `open`."""

    def search(self, vector: NDArray[np.float32], limit: int, where: Mapping[str, Any] | None = None) -> list[Hit]:
        """Return the documents nearest to a normalised vector of shape (dimensions,), best first.

        `where` keeps those whose fields have these values; None stands for null or absent. Raises NotOpen and
        UnusableFilter.
        """

    def status(self) -> StoreStatus:
        """Return how the store stands. Works without `open`."""

    def settle(self, *, force: bool = False) -> bool:
        """Take a snapshot if it is due, or whenever anything is unsnapshotted with `force`; say whether one was taken.

        A failure leaves the last generation current and everything accepted as durable as it was. Raises NotOpen.
        """

    def close(self) -> None:
        """Give up the index in memory, after a snapshot if this store has applied enough to make the next start slow.

        `put` and `status` still work; `open` may be called again.
        """


class Storage(Protocol):
    """Where the stores of all users are."""

    def user(self, user_id: str) -> UserStore:
        """Return the store of a user; any string will do, and it is not yet opened."""

    def users(self) -> Iterable[str]:
        """Return the ids of the users who have a store."""
