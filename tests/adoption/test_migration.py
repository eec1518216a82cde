"""Old indexes taken over: everything or nothing, compared before it counts, and the old one untouched."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from alwrity_checks.adoption import migration, old_indexes
from alwrity_checks.adoption.migration import Migrated, MigrationFailed, NewPlace, fingerprint, migrate
from alwrity_checks.adoption.old_indexes import OldIndex
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.lease import SharedStorage
from alwrity_checks.txtai.local_store import LocalStorage
from alwrity_checks.txtai.model_source import MINILM
from alwrity_checks.txtai.paths import user_directory, users_in
from alwrity_checks.txtai.repair import recover
from alwrity_checks.txtai.workspace import DIRECTORY_SETTING
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai
from tests.support.txtai_runtime import Loader

USER = "user_2Alice"
ITEMS = [
    as_alwrity("today_task:1", "Write about cats", {"type": "task", "id": 1, "full_report": {"pages": [1, None]}}),
    as_alwrity("https://example.com/a?b=1", "Interest rates", {}),
    {"id": "vector-1", "text": "Otters. Soon.", "tags": "task_memory rejected", "status": "rejected"},
    ("plain", "Green tea", None),
]
FIELDS = {
    "today_task:1": {"type": "task", "id_": 1, "full_report": {"pages": [1, None]}},
    "https://example.com/a?b=1": {},
    "vector-1": {"status": "rejected", "tags_": "task_memory rejected"},
    "plain": {},
}


def hashing(environment: Mapping[str, str]) -> SemanticIndexes:
    """Make the component on vectors made from hashes, where the settings say."""
    storage = partial(SharedStorage, Path(environment[DIRECTORY_SETTING]))
    return SemanticIndexes(storage, load=Loader(), encoders=EncoderRegistry())


def new_place(directory: Path) -> NewPlace:
    """Return the component's directory, with vectors made from hashes."""
    environment = {DIRECTORY_SETTING: str(directory)}
    return NewPlace(directory, environment, LocalStorage(directory, "", 0).user, hashing)


def written(workspace: Path, items: Sequence[object] | None = None, **more: object) -> OldIndex:
    """Have txtai write the index of a user below a workspace, as ALwrity's module does."""
    path = workspace / f"workspace_{USER}" / "indices" / "txtai"
    path.parent.mkdir(parents=True)
    saved_by_txtai(path, ITEMS if items is None else items, **more)
    return OldIndex(path, USER)


def taken(old: OldIndex, new: Path, told: Callable[[str], None] = lambda _: None) -> Migrated:
    """Take an index over."""
    return asyncio.run(migrate(old, new_place(new), told))


def found(new: Path, text: str) -> list[tuple[str, str, Mapping[str, object]]]:
    """Start a component on the new place and search; return what has this very text."""
    indexes = hashing({DIRECTORY_SETTING: str(new)})
    try:
        hits = indexes.of(USER).search_sync(text, limit=9)
        return [(hit.id, hit.text, dict(hit.fields)) for hit in hits if hit.text == text]
    finally:
        assert indexes.close_sync(30.0)


def test_indexes_are_found_where_alwrity_puts_them(tmp_path: Path) -> None:
    """Below a backend, below its root, below a workspace, and by itself; the component's own are none."""
    backend = tmp_path / "backend"
    old = written(backend / "workspace")
    LocalStorage(backend / "workspace" / "semantic-index", "", 0).user("other").put()
    for directory in (backend, tmp_path, backend / "workspace", old.path):
        assert [(one.path.resolve(), one.user) for one in old_indexes.old_indexes(directory)] == [(old.path, USER)]
    assert not list(old_indexes.old_indexes(tmp_path / "backend" / "workspace" / "semantic-index"))


def test_documents_fields_and_searches_are_the_same(tmp_path: Path) -> None:
    """Every id, text and field arrives; searches are compared with the old vectors; the old index is untouched."""
    old = written(tmp_path / "workspace", path=MINILM)
    before = fingerprint(old.path)
    done = taken(old, tmp_path / "new")
    assert (done.rows, done.documents, done.kept, done.left_out, done.besides) == (4, 4, 0, (), ())
    assert (done.compared, done.uncompared) == (4, "")
    assert done.fingerprint == before == fingerprint(old.path)
    documents = {one.id: dict(one.fields) for one in recover(user_directory(tmp_path / "new", USER)).documents}
    assert documents == FIELDS
    assert found(tmp_path / "new", "Otters. Soon.") == [("vector-1", "Otters. Soon.", FIELDS["vector-1"])]
    assert [one.name for one in (tmp_path / "new").iterdir()] == [user_directory(Path(), USER).name]


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    """What is there already is not encoded again."""
    old = written(tmp_path / "workspace")
    taken(old, tmp_path / "new")
    before = fingerprint(tmp_path / "new")
    done = taken(old, tmp_path / "new", pytest.fail)
    assert (done.documents, done.kept, done.compared) == (4, 4, 0)
    assert fingerprint(tmp_path / "new") == before


def test_what_the_backend_wrote_since_is_newer(tmp_path: Path) -> None:
    """A document that the new place has stays, also one that is queued only; what it lacks is added."""
    old = written(tmp_path / "workspace")
    new = tmp_path / "new"
    indexes = hashing({DIRECTORY_SETTING: str(new)})
    indexes.of(USER).add_sync([("today_task:1", "Write about dogs", {}), ("later", "Jazz", {})])
    assert indexes.close_sync(30.0)
    done = taken(old, new)
    assert (done.documents, done.kept) == (4, 1)
    texts = {one.id: one.text for one in recover(user_directory(new, USER)).documents}
    assert texts["today_task:1"] == "Write about dogs"
    assert set(texts) == {"later", *FIELDS}
    assert found(new, "Green tea") == [("plain", "Green tea", {})]


def test_a_copy_that_finds_something_else_does_not_count(tmp_path: Path) -> None:
    """Vectors that are not those of the texts are seen: nothing is put into the new place, nor left beside it."""
    old = written(tmp_path / "workspace", path=MINILM)
    other = saved_by_txtai(tmp_path / "other", [(f"x{number}", f"text {number}") for number in range(4)])
    shutil.copyfile(other / "embeddings", old.path / "embeddings")
    with pytest.raises(MigrationFailed, match="in the old index"):
        taken(old, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_copy_that_lacks_something_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A component that loses a document is seen before its index takes the place."""
    real = SemanticIndexes.of

    def losing(indexes: SemanticIndexes, user: object) -> object:
        index = real(indexes, user)
        hits = index.browse_sync
        monkeypatch.setattr(type(index), "browse_sync", lambda _, **options: hits(**options)[1:])
        return index

    old = written(tmp_path / "workspace")
    monkeypatch.setattr(SemanticIndexes, "of", losing)
    with pytest.raises(MigrationFailed, match="of 4 documents of user_2Alice 1 are not in the copy"):
        taken(old, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_index_that_changes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """A backend that writes while it is copied is told of; nothing is put into the new place."""
    old = written(tmp_path / "workspace")

    def write(_: str) -> None:
        (old.path / "config.json").write_text("{}")

    with pytest.raises(MigrationFailed, match="changed while it was read"):
        taken(old, tmp_path / "new", write)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("without", "told"), [("documents", "no text is stored"), ("both", "nothing was put into it")])
def test_without_texts_there_is_nothing_to_take(without: str, told: str, tmp_path: Path) -> None:
    """Vectors alone are no documents, and a configuration alone is no index."""
    old = written(tmp_path / "workspace")
    for name in ("documents",) if without == "documents" else ("documents", "embeddings"):
        (old.path / name).unlink()
    before = fingerprint(old.path)
    with pytest.raises(ConfigurationError, match=told):
        taken(old, tmp_path / "new")
    assert fingerprint(old.path) == before


def test_what_cannot_be_taken_is_told(tmp_path: Path) -> None:
    """An empty text, a row that another replaces, a text that cannot be encoded, and files of no document."""
    items = [*ITEMS, ("empty", " "), ("twice", "first"), ("twice", "second"), ("bad", "a poison")]
    old = written(tmp_path / "workspace", items)
    (old.path / "graph").write_bytes(b"x")
    (old.path / "scoring.terms").write_bytes(b"x")
    done = taken(old, tmp_path / "new")
    assert (done.rows, done.documents) == (8, 5)
    assert [one.split(":")[0] for one in done.left_out] == ["row 4", "document 'bad' cannot be indexed"]
    assert done.besides == ("the graph between documents", "the keyword index", "1 rows with the id of a later one")
    assert "unknown model" in done.uncompared
    assert found(tmp_path / "new", "second") == [("twice", "second", {})]


def test_another_models_vectors_are_not_compared(tmp_path: Path) -> None:
    """Their nearest documents would say nothing: the report says why they were left."""
    old = written(tmp_path / "workspace", path="BAAI/bge-small-en")
    done = taken(old, tmp_path / "new")
    assert done.compared == 0
    assert "BAAI/bge-small-en" in done.uncompared


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from alwrity_checks.adoption import migration
from tests.adoption.test_migration import OldIndex, USER, new_place

async def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

migration._install = killed
asyncio.run(migration.migrate(OldIndex(Path(sys.argv[1]), USER), new_place(Path(sys.argv[2]))))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_a_kill_leaves_nothing_half_there(tmp_path: Path) -> None:
    """Killed when the draft is complete: the new place has no user; the next run removes the draft and succeeds."""
    old = written(tmp_path / "workspace")
    new = tmp_path / "new"
    script = [sys.executable, "-c", _KILLED, str(old.path), str(new)]
    ended = subprocess.run(script, cwd=Path(__file__).parents[2], check=False, capture_output=True, timeout=120)  # noqa: S603 - our own program
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-500:]
    assert [one.name.startswith(".migrating-") for one in new.iterdir()] == [True]
    assert not list(users_in(new))
    assert taken(old, new).documents == 4
    assert list(users_in(new)) == [USER]
    assert len(list(new.iterdir())) == 1


def test_a_draft_of_a_process_that_runs_is_left(tmp_path: Path) -> None:
    """Two migrations at once do not remove each other's drafts."""
    old = written(tmp_path / "workspace")
    theirs = tmp_path / "new" / f".migrating-{os.getpid()}-x"
    theirs.mkdir(parents=True)
    taken(old, tmp_path / "new")
    assert theirs.is_dir()


def test_the_fingerprint_sees_names_and_contents(tmp_path: Path) -> None:
    """A renamed file, a moved byte and an empty directory change it; a time does not."""
    (tmp_path / "a").write_text("one")
    first = migration.fingerprint(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    assert migration.fingerprint(tmp_path) == first
    seen = {first}
    (tmp_path / "a").rename(tmp_path / "b")
    seen.add(migration.fingerprint(tmp_path))
    (tmp_path / "b").write_text("ono")
    seen.add(migration.fingerprint(tmp_path))
    (tmp_path / "c").mkdir()
    seen.add(migration.fingerprint(tmp_path))
    assert len(seen) == 4
