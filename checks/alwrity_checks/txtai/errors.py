"""The ways in which the semantic index says no.

NotReady              the deadline passed, or nothing can succeed before it does; `deferred` documents are kept
Unindexable           documents that were accepted turned out to be impossible to index; they are kept as dead letters
Closed                the index was closed
ForkedProcess         an index was used in another process than the one that began to use it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alwrity_checks.errors import DoctorError

if TYPE_CHECKING:
    from alwrity_checks.txtai.receipts import Receipt

__all__ = ["Closed", "ForkedProcess", "NotReady", "Unindexable"]


class NotReady(DoctorError):  # noqa: N818 - the condition's name
    """An operation could not be carried out before its deadline."""

    def __init__(
        self,
        reason: str,
        remedy: str = "",
        *,
        deferred: bool = False,
        retry_at: float | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        kept = "; the documents are kept and become searchable later" if deferred else ""
        super().__init__(f"the semantic index is not ready: {reason}{kept}", remedy)
        self.reason = reason
        self.deferred = deferred
        """Whether what the operation brought is kept all the same, and will be done later."""
        self.retry_at = retry_at
        """When the next attempt is made, in seconds since the epoch; None while one is under way."""
        self.receipt = receipt
        """With `deferred`: what to wait for."""


class Unindexable(DoctorError):  # noqa: N818 - the condition's name
    """Documents that were accepted cannot be indexed; the others of the call are searchable."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        """Take the reason for each document's id."""
        first, reason = next(iter(reasons.items()))
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        super().__init__(
            f"document {first!r:.80} cannot be indexed: {reason}{more}",
            "correct the documents and add them again; the dead letters hold them until then",
        )
        self.reasons = dict(reasons)


class Closed(DoctorError):  # noqa: N818 - the condition's name
    """The index was closed; what it had accepted is kept and becomes searchable when it is opened again."""

    def __init__(self) -> None:
        super().__init__("the semantic index is closed", "make another: SemanticIndexes.from_environment()")


class ForkedProcess(DoctorError):  # noqa: N818 - the condition's name
    """An index was used in a forked child: its threads, its lock on the files and its connections are the parent's."""

    def __init__(self, owner: int) -> None:
        super().__init__(
            f"this semantic index is in use by process {owner}, from which this process was forked",
            "make the SemanticIndexes in each worker, after the fork; an index that was never used may be inherited",
        )
        self.owner = owner
