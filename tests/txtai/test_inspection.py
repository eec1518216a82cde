"""What an index directory betrays about how it was written, without being changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.inspection import Fault, Inspection, Kind, fitting, inspect_index
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai
from tests.support.txtai_store import DIMENSIONS, drain, put, store

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = [{"id": f"d{number}", "text": f"text {number}", "kind": "task"} for number in range(30)]


def faults(inspection: Inspection) -> list[Fault]:
    """Return the faults in the order of their finding."""
    return [problem.fault for problem in inspection.problems]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index in which nothing is wrong."""
    return saved_by_txtai(tmp_path_factory.mktemp("sound") / "index", ITEMS)


@pytest.fixture
def index(sound: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    shutil.copytree(sound, tmp_path / "index")
    return tmp_path / "index"


def test_a_sound_index(sound: Path) -> None:
    """Its numbers are told, and no problem; nothing is changed or left in it."""
    before = {path.name: path.read_bytes() for path in sound.iterdir()}
    found = inspect_index(sound)
    assert found.healthy, found.problems
    assert (found.kind, found.rows, found.vectors, found.dimensions) == (Kind.TXTAI, 30, 30, DIMENSIONS)
    assert found.written_by == "9.14.0"
    assert {path.name: path.read_bytes() for path in sound.iterdir()} == before


def test_a_configuration_alone(tmp_path: Path) -> None:
    """What two initialisations at once leave: an index that had just been created was saved."""
    assert faults(inspect_index(saved_by_txtai(tmp_path / "index", []))) == [Fault.NEVER_FILLED]


def test_fields_that_were_sent_as_tags(tmp_path: Path) -> None:
    """ALwrity's fields are in a column where no filter finds them; ordinary tags are no fault."""
    items = [as_alwrity("a", "alpha", {"kind": "x"}), ("b", "beta", "a tag"), ("c", "gamma", "[1]")]
    found = inspect_index(saved_by_txtai(tmp_path / "index", items))
    assert faults(found) == [Fault.FIELDS_LOST]
    assert "1 of 3 documents" in found.problems[0].detail


@pytest.mark.parametrize("name", ["config.json", "embeddings", "documents"])
@pytest.mark.parametrize("keep", [None, 0, 0.3])
def test_files_that_cannot_be_read(index: Path, name: str, keep: float | None) -> None:
    """A file that is missing, empty or truncated is named."""
    file = index / name
    content = file.read_bytes()
    file.unlink()
    if keep is not None:
        file.write_bytes(content[: int(len(content) * keep)])
    found = inspect_index(index)
    assert (Fault.UNREADABLE, file) in [(problem.fault, problem.path) for problem in found.problems]
    assert found.rows == (None if name == "documents" else 30)
    assert found.vectors == (None if name == "embeddings" else 30)


def test_vectors_without_rows(index: Path, tmp_path: Path) -> None:
    """What a kill in the middle of a save leaves."""
    more = saved_by_txtai(tmp_path / "more", [*ITEMS, {"id": "new", "text": "new"}])
    shutil.copyfile(more / "embeddings", index / "embeddings")
    found = inspect_index(index)
    assert faults(found) == [Fault.MISMATCH]
    assert found.problems[0].detail == "there are 31 vectors for 30 documents"


def test_an_offset_that_points_at_a_row(index: Path) -> None:
    """What a failed upsert leaves: every later one fails, too."""
    config = json.loads((index / "config.json").read_text("utf-8"))
    (index / "config.json").write_text(json.dumps(config | {"offset": 29}), "utf-8")
    found = inspect_index(index)
    assert faults(found) == [Fault.MISMATCH]
    assert "every upsert will fail" in found.problems[0].detail


def test_ids_that_occur_twice(index: Path) -> None:
    """Two rows of one id answer for each other."""
    with sqlite3.connect(index / "documents") as connection:
        connection.execute("UPDATE sections SET id = 'd1' WHERE id IN ('d2', 'd3')")
    connection.close()
    found = inspect_index(index)
    assert faults(found) == [Fault.DUPLICATE]
    assert found.problems[0].detail.startswith("2 rows")


def test_a_journal_of_a_killed_process(index: Path) -> None:
    """A write was not finished; it is read as SQLite would recover it."""
    (index / "documents-journal").write_bytes(b"")
    assert faults(inspect_index(index)) == [Fault.ORPHAN]


def test_a_pickle_is_not_opened(index: Path) -> None:
    """Old configurations are pickles, which could run anything."""
    (index / "config.json").rename(index / "config")
    assert faults(inspect_index(index)) == [Fault.UNREADABLE]


@pytest.mark.parametrize("content", ["[]", "null", '{"build": 1, "offset": "x"}'])
def test_strange_configurations(index: Path, content: str) -> None:
    """Foreign JSON of any shape is a finding at most, never a traceback."""
    (index / "config.json").write_text(content, "utf-8")
    assert faults(inspect_index(index)) in ([Fault.UNREADABLE], [])


def test_nothing(tmp_path: Path) -> None:
    """A directory without an index, or none at all, is told of."""
    assert faults(inspect_index(tmp_path)) == [Fault.ABSENT]
    assert inspect_index(tmp_path / "absent").kind is Kind.NOTHING


@pytest.mark.parametrize(
    ("txtai", "faiss", "fits"),
    [
        ("9.1.0", "1.13.0", False),
        ("7.5.1", "1.15.1", False),
        ("9.1.0", "1.12.0", True),
        ("9.2.0", "1.15.1", True),
        ("9.14.0", "1.15.1", True),
        ("unknown", "1.15.1", True),
    ],
)
def test_versions_that_do_not_fit(sound: Path, txtai: str, faiss: str, fits: bool) -> None:  # noqa: FBT001
    """The pair that fails with 'nprobe' is named, and no other."""
    assert fitting(txtai, faiss) is fits
    assert faults(inspect_index(sound, (txtai, faiss))) == ([] if fits else [Fault.VERSIONS])


def test_a_store_of_ours(tmp_path: Path) -> None:
    """Its generation, its queue and what a kill has left are told; an open one is left alone."""
    alice = store(tmp_path)
    put(alice, ("a", "alpha"))
    found = inspect_index(alice.directory)
    assert (found.kind, found.healthy, found.rows, found.queued, found.generation) == (Kind.STORE, True, 0, 1, None)
    alice.open()
    put(alice, *((f"d{number}", f"text {number}") for number in range(10)))
    drain(alice)
    alice.settle(force=True)
    put(alice, ("later", "text"))
    found = inspect_index(alice.directory)
    assert found.healthy, found.problems
    assert (found.rows, found.vectors, found.queued, found.generation, found.path) == (11, 11, 1, 1, alice.directory)
    (alice.directory / "tmp-000009").mkdir()
    shutil.copytree(alice.directory / "gen-000001", alice.directory / "gen-000002")
    assert faults(inspect_index(alice.directory)) == [Fault.ORPHAN, Fault.ORPHAN]
    alice.close()


def test_damage_in_a_store_of_ours(tmp_path: Path) -> None:
    """Pointer, watermark, files and queue: each is named where it is damaged."""
    alice = store(tmp_path)
    alice.open()
    put(alice, ("a", "alpha"))
    drain(alice)
    alice.settle(force=True)
    alice.close()
    generation = alice.directory / "gen-000001"
    applied = (generation / "applied.json").read_text("utf-8")
    (generation / "applied.json").write_text(applied.replace('"documents": 1', '"documents": 2'), "utf-8")
    assert faults(inspect_index(alice.directory)) == [Fault.MISMATCH]
    (generation / "embeddings").unlink()
    (generation / "applied.json").write_text(applied, "utf-8")
    (alice.directory / "queue.sqlite3").write_bytes(b"x" * 5000)
    assert faults(inspect_index(alice.directory)) == [Fault.UNREADABLE] * 2
    (alice.directory / "queue.sqlite3").unlink()
    (alice.directory / "CURRENT").write_text("gen-000005", "utf-8")
    generation.rename(alice.directory / "damaged-000001")
    assert faults(inspect_index(alice.directory)) == [Fault.UNREADABLE] * 3
    assert not (alice.directory / "queue.sqlite3").exists()
