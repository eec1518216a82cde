"""A local store with vectors made from hashes, and the loop that a runtime drives it with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.local_store import LocalStorage, LocalStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alwrity_checks.txtai.storage import UserStore

DIMENSIONS = 8


def vector(text: str) -> NDArray[np.float32]:
    """Return the normalised vector of a text: the same for the same text, another for any other."""
    bits = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.int8)[:DIMENSIONS].astype(np.float32) + 0.5
    return np.asarray(bits / np.linalg.norm(bits), dtype=np.float32)


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of texts, shape (len(texts), DIMENSIONS)."""
    return np.array([vector(text) for text in texts], dtype=np.float32).reshape(-1, DIMENSIONS)


def store(root: Path, user_id: str = "alice", encoder: str = "hash-8") -> LocalStore:
    """Return a store below `root`, not yet opened."""
    return LocalStorage(root, encoder, DIMENSIONS).user(user_id)


def texts(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the texts by id; an id that occurs twice is an error."""
    found: dict[str, str] = {}
    for one, text in pairs:
        assert one not in found, f"{one} is there twice"
        found[one] = text
    return found


def put(target: UserStore, *items: tuple[str, str] | Mapping[str, object], deletes: Sequence[str] = ()) -> int:
    """Accept documents as a runtime does."""
    return target.put(documents(items), deletes)


def step(target: UserStore, limit: int = 256) -> bool:
    """Apply one batch; say whether there was one."""
    batch = target.pending(limit)
    target.apply(batch, encode([one.text for one in batch.upserts]))
    return bool(batch)


def drain(target: UserStore, limit: int = 256) -> None:
    """Apply all that is pending."""
    while step(target, limit):
        continue


def content(target: LocalStore) -> dict[str, str]:
    """Return the texts in an open index by id, after a comparison of its vectors with its rows."""
    loaded = target._loaded
    assert loaded is not None
    engine = loaded.engine
    engine.check()
    if not len(engine):
        return {}
    rows = engine._connection.execute("SELECT id, text FROM sections ORDER BY indexid").fetchall()
    found = texts(rows)
    for one, text in found.items():
        nearest = {hit.id: hit for hit in target.search(vector(text), len(found))}
        assert nearest[one].text == text
        assert nearest[one].score > 0.999
    return found
