"""Listing the documents of a store, whose only way to give documents is a search by vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alwrity_checks.txtai.storage import Hit, UserStore

__all__ = ["browsed"]


def browsed(store: UserStore, dimensions: int, limit: int) -> list[Hit]:
    """Return at most `limit` documents, in no order; all of them where there are not more. Raises as a search does.

    A vector of length 1 is on one side of some axis: with nearly all the first axis finds them, in two searches.
    """
    import numpy as np

    wanted = min(limit, store.status().documents)
    found: dict[str, Hit] = {}
    for axis in range(dimensions):
        for side in (1.0, -1.0):
            if len(found) >= wanted:
                return list(found.values())[:limit]
            vector = np.zeros(dimensions, np.float32)
            vector[axis] = side
            found.update((hit.id, hit) for hit in store.search(vector, limit))
    return list(found.values())[:limit]
