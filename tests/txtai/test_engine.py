"""The txtai index in memory: exact, of one thread, and discarded when a write into it fails."""

from __future__ import annotations

import errno
import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.engine import Engine
from alwrity_checks.txtai.generations import Applied, Generation
from alwrity_checks.txtai.storage import DamagedIndex, StorageError, UnusableFilter
from tests.support.txtai_store import DIMENSIONS, encode, vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from alwrity_checks.txtai.documents import Item


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return an empty index."""
    (tmp_path / "work").mkdir()
    made = Engine(DIMENSIONS, tmp_path / "work")
    yield made
    made.close()


def add(engine: Engine, *items: Item) -> None:
    """Add documents with the vectors of their texts."""
    given = documents(items)
    engine.upsert(given, encode([one.text for one in given]))


def saved(engine: Engine, directory: Path) -> Generation:
    """Save the index and return it as a generation."""
    directory.mkdir(parents=True)
    return Generation(1, directory, engine.save(directory, 7, "model"))


def test_documents_come_and_go(engine: Engine, tmp_path: Path) -> None:
    """An index can be filled, emptied and filled again; ids are unique throughout, and no database is left behind."""
    for _ in range(2):
        add(engine, ("a", "alpha"), ("b", "beta"))
        add(engine, ("b", "better"), ("c", "gamma"))
        assert engine.ids() == ["a", "b", "c"]
        assert set(engine.digests(["b", "x"])) == {"b"}
        engine.delete(["a", "x"])
        engine.delete(["b", "c"])
        assert (len(engine), engine.ids(), engine.digests(["a"]), engine.search(vector("x"), 5)) == (0, [], {}, [])
    assert not list((tmp_path / "work").iterdir())


def test_digests_are_those_of_the_documents(engine: Engine) -> None:
    """What is read back is what was accepted, to the last field: so an unchanged document is known as such."""
    given = documents(
        [
            ("a", "NUL \0 and 😀 and \u2028", {"é\"'$.[]": [1, {"x": None}], "float": 0.1, "big": 2**70, "": ""}),
            ("select * from txtai", "select id from txtai where 1 = 1", {"where": "'; drop table sections --"}),
            (" 1 ", " padded ", {"nested": {"id": 1, "text": 2}}),
        ]
    )
    engine.upsert(given, encode([one.text for one in given]))
    assert engine.digests([one.id for one in given]) == {one.id: one.digest for one in given}
    for one in given:
        hit = engine.search(vector(one.text), 1)[0]
        assert (hit.id, hit.text, hit.fields) == (one.id, one.text, one.fields)


def test_hits_are_the_nearest_best_first(engine: Engine) -> None:
    """Scores are cosines, and those of documents that point away are left out."""
    texts = [f"text {number}" for number in range(50)]
    add(engine, *((text, text) for text in texts))
    query = vector("a query")
    scores = {text: float(encode([text])[0] @ query) for text in texts}
    expected = sorted((text for text in texts if scores[text] > 0), key=lambda text: -scores[text])
    hits = engine.search(query, 60)
    assert [hit.id for hit in hits] == expected
    assert [hit.score for hit in hits] == pytest.approx([scores[text] for text in expected], abs=1e-5)
    assert [hit.id for hit in engine.search(query, 3)] == expected[:3]
    assert engine.search(query, 0) == []
    assert engine.search(vector("text 1"), 1)[0].score <= 1.0


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, "abcdef"),
        ({"kind": "x"}, "ab"),
        ({"kind": "x", "n": 1}, "a"),
        ({"n": 1}, "a"),
        ({"n": 1.0}, "a"),
        ({"n": "1"}, "c"),
        ({"n": True}, "b"),
        ({"n": False}, ""),
        ({"n": None}, "def"),
        ({"absent": None}, "abcdef"),
        ({"absent": 1}, ""),
        ({"a.b": "dot"}, "d"),
        ({"q\"uote'": "v\"alue'"}, "e"),
        ({"é": "ü"}, "f"),
        ({"id": "a"}, "a"),
        ({"kind": "x' OR '1'='1"}, ""),
        ({"') OR 1=1 --": "x"}, ""),
    ],
)
def test_filters_compare_as_json_does(engine: Engine, where: dict[str, object], found: str) -> None:
    """A filter is a name and a value, both bound and neither read as SQL; 1, true and "1" are three values."""
    add(
        engine,
        ("a", "one", {"kind": "x", "n": 1}),
        ("b", "one", {"kind": "x", "n": True}),
        ("c", "one", {"kind": "y", "n": "1"}),
        ("d", "one", {"a.b": "dot", "a": {"b": "no"}, "n": None}),
        ("e", "one", {"q\"uote'": "v\"alue'"}),
        ("f", "one", {"é": "ü"}),
    )
    assert sorted(hit.id for hit in engine.search(vector("one"), 10, where)) == sorted(found)


def test_a_filter_reaches_as_far_as_it_must(engine: Engine) -> None:
    """The document that fits is found, though hundreds that do not are nearer."""
    query = vector("query")
    block = np.array([query + 0.002 * number * vector("off") for number in range(400)], dtype=np.float32)
    block /= np.linalg.norm(block, axis=1, keepdims=True)
    given = documents([(f"d{number}", f"text {number}", {"rare": number % 200 == 199}) for number in range(400)])
    engine.upsert(given, block)
    assert [hit.id for hit in engine.search(query, 2, {"rare": True})] == ["d199", "d399"]
    assert len(engine.search(query, 3, {"rare": True})) == 2


@pytest.mark.parametrize("where", [{"n": [1]}, {"n": {"x": 1}}, {"n": b"1"}])
def test_what_cannot_be_compared_is_refused(engine: Engine, where: dict[str, object]) -> None:
    """A filter by a list or a mapping would find nothing without a word."""
    with pytest.raises(UnusableFilter, match="cannot be compared"):
        engine.search(vector("x"), 1, where)


@pytest.mark.parametrize("where", [{"n": 2**63}, {"n": "\ud800"}, {"\ud800": 1}, [("n", 1)], {1: "x"}])
def test_what_no_document_can_hold_is_refused(engine: Engine, where: Any) -> None:  # noqa: ANN401 - whatever is sent
    """A filter that SQLite could not even be asked is an error of ours, and not Python's."""
    add(engine, ("a", "alpha"))
    with pytest.raises(UnusableFilter):
        engine.search(vector("x"), 1, where)


def test_a_saved_index_is_loaded_as_it_was(engine: Engine, tmp_path: Path) -> None:
    """Saving leaves the index as it is, tied to no saved copy; loading changes nothing of what it loads."""
    add(engine, ("a", "alpha", {"k": 1}), ("b", "beta"))
    generation = saved(engine, tmp_path / "one")
    before = {path.name: path.read_bytes() for path in generation.path.iterdir()}
    assert (generation.applied.documents, generation.applied.sequence) == (2, 7)
    other = Engine(DIMENSIONS, tmp_path)
    other.load(generation)
    add(other, ("c", "gamma"))
    other.delete(["a"])
    add(engine, ("d", "delta"))
    assert (other.ids(), engine.ids()) == (["b", "c"], ["a", "b", "d"])
    assert saved(other, tmp_path / "two").applied.documents == 2
    assert {path.name: path.read_bytes() for path in generation.path.iterdir()} == before
    other.close()
    assert not list(tmp_path.glob("tables-*"))


def test_an_empty_index_is_saved_without_files(engine: Engine, tmp_path: Path) -> None:
    """Txtai could not load one."""
    assert saved(engine, tmp_path / "one").applied.documents == 0
    assert not list((tmp_path / "one").iterdir())


@pytest.mark.parametrize("name", ["config.json", "embeddings", "documents"])
@pytest.mark.parametrize("keep", [None, 0, 0.4])
def test_damage_is_named(engine: Engine, tmp_path: Path, name: str, keep: float | None) -> None:
    """A file that is missing, empty or truncated is told of; the engine is empty then and nothing is overwritten."""
    add(engine, *((f"d{number}", f"text {number}") for number in range(50)))
    generation = saved(engine, tmp_path / "o ne" / "gen-000001")
    file = generation.path / name
    content = file.read_bytes()
    file.unlink()
    if keep is not None:
        file.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DamagedIndex, match="cannot be loaded") as caught:
        engine.load(generation)
    directory = str(tmp_path / "o ne")
    assert shlex.split(caught.value.remedy) == [
        "alwrity-doctor",
        "txtai",
        "repair",
        directory,
        "--into",
        "NEW_DIRECTORY",
    ]
    assert "impl/" not in caught.value.diagnosis
    assert len(engine) == 0


def test_vectors_of_another_save_are_noticed(engine: Engine, tmp_path: Path) -> None:
    """What a save that is killed in the middle leaves, vectors without rows, is not taken for an index."""
    add(engine, ("a", "alpha"))
    old = saved(engine, tmp_path / "old")
    add(engine, ("b", "beta"))
    new = saved(engine, tmp_path / "new")
    (old.path / "embeddings").write_bytes((new.path / "embeddings").read_bytes())
    with pytest.raises(DamagedIndex, match="2 vectors belong to 1 rows"):
        engine.load(old)
    claimed = Applied(7, 3, "model", DIMENSIONS, "", "")
    with pytest.raises(DamagedIndex, match="instead of"):
        engine.load(Generation(1, new.path, claimed))


def test_a_half_written_index_is_noticed(engine: Engine, tmp_path: Path) -> None:
    """Rows without their vectors are never saved."""
    add(engine, ("a", "alpha"))
    engine._connection.execute("INSERT INTO sections (indexid, id, text) VALUES (9, 'x', 'y')")
    (tmp_path / "one").mkdir()
    with pytest.raises(StorageError, match="1 vectors belong to 2 rows"):
        engine.save(tmp_path / "one", 1, "model")


def test_a_plain_txtai_can_read_what_is_saved(engine: Engine, tmp_path: Path) -> None:
    """The files are txtai's own: its loader and its SQL work on them, given a function for the vectors."""
    from txtai.embeddings import Embeddings  # type: ignore[import-untyped]

    add(engine, ("a", "alpha", {"kind": "x"}), ("b", "beta", {"kind": "y"}))
    generation = saved(engine, tmp_path / "one")
    config = json.loads((generation.path / "config.json").read_text("utf-8"))
    assert (config["backend"], config["content"], config["offset"]) == ("faiss", True, 2)
    index = Embeddings()
    index.load(str(generation.path), config={"transform": encode_function})
    rows = index.search("select id, kind from txtai where similar(:q) and kind = 'y'", parameters={"q": "beta"})
    assert [(row["id"], row["kind"]) for row in rows] == [("b", "y")]
    index.close()


def encode_function(texts: list[str]) -> object:
    """Return the vectors of texts: a plain function, as txtai wants it."""
    return encode(texts)


@pytest.mark.parametrize(("told", "number"), [("No space left on device", errno.ENOSPC), ("broken", errno.EIO)])
def test_what_faiss_says_of_a_disk_is_an_error_of_the_disk(
    engine: Engine, told: str, number: int, tmp_path: Path
) -> None:
    """A full disk is never taken for the fault of a document."""
    add(engine, ("a", "alpha"))

    def refused(_directory: str) -> None:
        raise RuntimeError(f"Error in faiss::FileIOWriter: could not open: {told}")

    engine._index.save = refused
    with pytest.raises(OSError, match="faiss") as caught:
        engine.save(tmp_path, 1, "model")
    assert caught.value.errno == number
