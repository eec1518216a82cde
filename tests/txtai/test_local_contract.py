"""A user's store on the disk keeps the promises of every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from alwrity_checks.txtai.local_store import LocalStorage, LocalStore
from tests.support.txtai_store import DIMENSIONS, content, store
from tests.txtai.store_contract import StoreContract

if TYPE_CHECKING:
    from alwrity_checks.txtai.storage import UserStore


class LocalWorld:
    """A directory, and stores in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stores: list[LocalStore] = []

    def storage(self, encoder: str = "hash-8", dimensions: int = DIMENSIONS) -> LocalStorage:
        """Return a storage in the directory."""
        return LocalStorage(self._root, encoder, dimensions)

    def store(self, user_id: str = "alice", encoder: str = "hash-8") -> LocalStore:
        """Return a store in the directory."""
        self._stores.append(store(self._root, user_id, encoder))
        return self._stores[-1]

    def content(self, target: UserStore) -> dict[str, str]:
        """Return the texts in the index in memory."""
        return content(cast("LocalStore", target))

    def kill(self, target: UserStore) -> None:
        """Forget the store."""
        self._stores.remove(cast("LocalStore", target))

    def close(self) -> None:
        """Close every store."""
        for one in self._stores:
            one.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    """Return a world without users."""
    made = LocalWorld(tmp_path)
    yield made
    made.close()


class TestLocalStore(StoreContract):
    """The promises, one by one."""
