"""Documents got back from an index, whatever has happened to it."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.repair import recover, repair
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai
from tests.support.txtai_store import content, drain, put, store, vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alwrity_checks.txtai.local_store import LocalStore


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[LocalStore]:
    """Return the new place."""
    made = store(tmp_path / "new", "alice")
    yield made
    made.close()


def test_a_backend_index_moves_in_with_its_fields(tmp_path: Path, fresh: LocalStore) -> None:
    """Fields that were stored as tags can be filtered by in the new store; names that txtai reserves get another."""
    items = [
        as_alwrity("a", "alpha", {"kind": "x", "score": 3}),
        as_alwrity("b", "beta", {"kind": "y"}),
        {"id": "c", "text": "gamma", "kind": "x"},
        ("d", "delta", "a tag"),
        ("e", "epsilon", None),
    ]
    source = saved_by_txtai(tmp_path / "old", items)
    recovered = repair(source, fresh)
    assert (len(recovered.documents), recovered.unusable, recovered.doubts) == (5, (), ())
    fresh.open()
    drain(fresh)
    assert {hit.id: hit.fields for hit in fresh.search(vector("alpha"), 9, {"kind": "x"})}["a"] == {
        "kind": "x",
        "score_": 3,
    }
    assert {one.id: one.fields for one in recovered.documents} == {
        "a": {"kind": "x", "score_": 3},
        "b": {"kind": "y"},
        "c": {"kind": "x"},
        "d": {"tags_": "a tag"},
        "e": {},
    }


def test_rows_that_cannot_be_documents_are_told(tmp_path: Path) -> None:
    """An empty text is left out with its reason, and of one id that occurs twice the later row is taken."""
    source = saved_by_txtai(tmp_path / "old", [("a", "first"), ("b", " "), ("a", "second")])
    recovered = recover(source)
    assert {one.id: one.text for one in recovered.documents} == {"a": "second"}
    assert len(recovered.unusable) == 1
    assert "row 1" in recovered.unusable[0]


def test_what_alwrity_stores_for_no_fields_is_none(tmp_path: Path) -> None:
    """It writes `{}` as tags where it was given no metadata; a mapping's own tags are a field beside its others."""
    items = [("a", "alpha", "{}"), {"id": "b", "text": "beta", "tags": "task_memory rejected", "status": "rejected"}]
    found = {one.id: one.fields for one in recover(saved_by_txtai(tmp_path / "old", items)).documents}
    assert found == {"a": {}, "b": {"status": "rejected", "tags_": "task_memory rejected"}}


def test_vectors_are_not_needed(tmp_path: Path) -> None:
    """An index whose vectors and configuration are gone has all its documents."""
    source = saved_by_txtai(tmp_path / "old", [("a", "alpha"), ("b", "beta")])
    (source / "embeddings").unlink()
    (source / "config.json").write_bytes(b"")
    assert [one.id for one in recover(source).documents] == ["a", "b"]


def test_around_a_damaged_page(tmp_path: Path) -> None:
    """Rows before and behind it are read, and it is said that there may have been more."""
    chance = random.Random(3)  # noqa: S311 - texts
    items = [(f"d{number:04}", " ".join(str(chance.random()) for _ in range(20))) for number in range(500)]
    source = saved_by_txtai(tmp_path / "old", items)
    file = source / "documents"
    damaged = bytearray(file.read_bytes())
    place = damaged.index(items[250][1].encode()) // 4096 * 4096
    damaged[place : place + 4096] = b"\xff" * 4096
    file.write_bytes(damaged)
    recovered = recover(source)
    found = {one.id: one.text for one in recovered.documents}
    assert len(recovered.doubts) == 1
    assert 480 < len(found) < 500
    assert found.items() <= dict(items).items()
    assert {items[0][0], items[499][0]} <= found.keys()


@pytest.mark.parametrize("damage", ["", "CURRENT", "gen-000003/applied.json", "gen-000003/documents"])
def test_a_store_of_ours(tmp_path: Path, fresh: LocalStore, damage: str) -> None:
    """Generation and queue together have everything, and so has the generation before with a longer queue."""
    old = store(tmp_path)
    old.open()
    for number in range(3):
        put(old, (f"d{number}", f"text {number}"), ("hot", f"hot {number}"))
        drain(old)
        old.settle(force=True)
    put(old, ("applied", "alone"), deletes=["d1"])
    drain(old)
    put(old, ("hot", "queued"))
    old.close()
    if damage:
        (old.directory / damage).write_bytes(b"")
    recovered = repair(old.directory, fresh)
    assert recovered.doubts == ()
    fresh.open()
    drain(fresh)
    assert content(fresh) == {"d0": "text 0", "d2": "text 2", "applied": "alone", "hot": "queued"}


def test_a_clear_in_the_queue_counts(tmp_path: Path) -> None:
    """What was cleared does not come back."""
    old = store(tmp_path)
    old.open()
    put(old, ("a", "alpha"))
    drain(old)
    old.settle(force=True)
    old.put(clear=True)
    put(old, ("b", "beta"))
    old.close()
    assert [one.id for one in recover(old.directory).documents] == ["b"]


def test_doubts_of_a_store_are_told(tmp_path: Path) -> None:
    """Where every generation is damaged, or the queue is gone, the rest is recovered with a word about the gap."""
    old = store(tmp_path)
    old.open()
    for number in range(3):
        put(old, (f"d{number}", f"text {number}"))
        drain(old)
        old.settle(force=True)
    old.close()
    copy = tmp_path / "copy"
    shutil.copytree(old.directory, copy)
    (copy / "queue.sqlite3").unlink()
    recovered = recover(copy)
    assert len(recovered.documents) == 3
    assert recovered.doubts == (f"{copy / 'queue.sqlite3'} is missing",)
    for path in old.directory.glob("gen-*/documents"):
        path.write_bytes(b"no database")
    recovered = recover(old.directory)
    assert [one.id for one in recovered.documents] == ["d2"]
    assert any("could be read" in doubt for doubt in recovered.doubts)


def test_only_into_a_new_place(tmp_path: Path, fresh: LocalStore) -> None:
    """A store that has documents, or is to have some, is not mixed with what is recovered."""
    source = saved_by_txtai(tmp_path / "old", [("a", "alpha")])
    put(fresh, ("b", "beta"))
    with pytest.raises(ConfigurationError, match="1 operations queued"):
        repair(source, fresh)
    fresh.open()
    drain(fresh)
    with pytest.raises(ConfigurationError, match="1 documents"):
        repair(source, fresh)
    fresh.close()
    assert (fresh.status().documents, fresh.status().queued) == (0, 0)
    with pytest.raises(ConfigurationError, match="1 operations that were applied"):
        repair(source, fresh)


def test_nothing_to_recover(tmp_path: Path) -> None:
    """A directory without documents is a wrong argument."""
    with pytest.raises(ConfigurationError, match="no documents to recover"):
        recover(saved_by_txtai(tmp_path / "old", []))
    with pytest.raises(ConfigurationError, match="no documents to recover"):
        recover(tmp_path / "absent")
