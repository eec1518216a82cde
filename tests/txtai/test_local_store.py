"""A user's store on the disk: the promises of `UserStore`, one by one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from alwrity_checks.txtai import generations, local_store
from alwrity_checks.txtai.documents import Document, documents
from alwrity_checks.txtai.engine import Engine
from alwrity_checks.txtai.journal import Journal
from alwrity_checks.txtai.loading import AnotherEncoder
from alwrity_checks.txtai.local_store import LocalStorage, LocalStore
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.storage import (
    Batch,
    DamagedIndex,
    NotOpen,
    StaleBatch,
    Storage,
    StorageError,
    StoreStatus,
    UserStore,
)
from tests.support.txtai_store import DIMENSIONS, content, drain, encode, put, step, store, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def alice(tmp_path: Path) -> Iterator[LocalStore]:
    """Return an open store without documents."""
    made = store(tmp_path)
    made.open()
    yield made
    made.close()


def generation(target: LocalStore) -> generations.Generation:
    """Return the current generation."""
    found = generations.current(target.directory)
    assert found is not None
    return found


def test_it_is_a_store(alice: LocalStore, tmp_path: Path) -> None:
    """The types are those of the seam."""
    seam: Storage = LocalStorage(tmp_path, "hash-8", DIMENSIONS)
    one: UserStore = alice
    assert list(seam.users()) == ["alice"]
    assert one.status() == seam.user("alice").status()


def test_a_user_without_a_store_has_none(tmp_path: Path) -> None:
    """Asking how things stand makes no directory."""
    bob = store(tmp_path, "bob")
    assert bob.status() == StoreStatus(0, 0, None, 0, 0, 0)
    assert bob.dead_letters() == []
    assert not list(tmp_path.iterdir())


def test_accepting_needs_neither_an_open_index_nor_txtai(tmp_path: Path) -> None:
    """What one object has accepted another one applies, and the status tells how far that is."""
    before = time.time()
    door = store(tmp_path)
    assert put(door, ("a", "alpha"), ("b", "beta")) == 2
    status = door.status()
    assert (status.documents, status.queued, status.applied) == (0, 2, 0)
    assert status.oldest_queued_at is not None
    assert before <= status.oldest_queued_at <= time.time()
    with pytest.raises(NotOpen):
        door.pending()
    with pytest.raises(NotOpen):
        door.search(vector("alpha"), 1)
    writer = store(tmp_path)
    writer.open()
    drain(writer)
    assert content(writer) == {"a": "alpha", "b": "beta"}
    assert writer.status() == StoreStatus(2, 0, None, 0, 2, 0)
    assert (door.status().queued, door.status().applied) == (0, 2)
    writer.close()
    door.close()


_WITHOUT: Final = """
import pathlib, sys
sys.modules[sys.argv[2]] = None
from alwrity_checks.errors import MissingExtra
from alwrity_checks.txtai.documents import Document, documents
from alwrity_checks.txtai.local_store import LocalStorage
store = LocalStorage(pathlib.Path(sys.argv[1]), "m", 8).user("alice")
print(store.put(documents([("a", "alpha")])))
try:
    store.open()
    batch = store.pending()
    store.apply(batch, __import__("numpy").eye(1, 8, dtype="float32"))
except MissingExtra as error:
    print(error.extra)
print(store.status().queued)
store.close()
"""


@pytest.mark.parametrize("library", ["numpy", "txtai"])
def test_without_the_extra_documents_are_kept(tmp_path: Path, library: str) -> None:
    """Where txtai is not installed the error names the extra, and what was accepted waits for it."""
    command = [sys.executable, "-c", _WITHOUT, str(tmp_path), library]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own interpreter
    assert done.stdout.split() == ["1", "txtai", "1"]


def test_a_batch_is_what_is_to_be_done(alice: LocalStore) -> None:
    """Upserts to encode, deletes, and what is unchanged and costs nothing; several users' loops read it so."""
    put(alice, ("a", "alpha"), ("b", "beta"))
    drain(alice)
    put(alice, ("a", "alpha"), ("b", "better"), ("c", "gamma"), deletes=["d"])
    batch = alice.pending()
    assert [one.id for one in batch.upserts] == ["b", "c"]
    assert (batch.deletes, batch.unchanged, batch.cleared, batch.sequence) == (("d",), ("a",), False, 6)
    alice.apply(batch, encode(["better", "gamma"]))
    assert content(alice) == {"a": "alpha", "b": "better", "c": "gamma"}
    assert not alice.pending()
    alice.apply(alice.pending())


def test_fields_count_as_content(alice: LocalStore) -> None:
    """A changed field is a change, though the vector stays the same."""
    put(alice, {"id": "a", "text": "alpha", "kind": "x"})
    drain(alice)
    put(alice, {"id": "a", "text": "alpha", "kind": "y"})
    assert alice.pending().upserts
    drain(alice)
    assert alice.search(vector("alpha"), 1, {"kind": "y"})[0].fields == {"kind": "y"}


def test_reindexing_keeps_what_is_unchanged_and_never_empties_the_index(alice: LocalStore) -> None:
    """A clear removes what is not accepted anew; the rest stays searchable, and is not encoded again."""
    put(alice, *((f"d{number}", f"text {number}") for number in range(5)))
    drain(alice)
    alice.put(documents([("d1", "text 1"), ("d2", "changed"), ("new", "new")]), clear=True)
    batch = alice.pending()
    assert (batch.cleared, set(batch.deletes)) == (True, {"d0", "d3", "d4"})
    alice.apply(batch)
    assert content(alice) == {"d1": "text 1", "d2": "text 2"}
    batch = alice.pending()
    assert ([one.id for one in batch.upserts], batch.unchanged) == (["d2", "new"], ("d1",))
    drain(alice)
    assert content(alice) == {"d1": "text 1", "d2": "changed", "new": "new"}


def test_a_stale_batch_is_refused(alice: LocalStore) -> None:
    """Only the batch given out last can be applied, and only once; a burial takes it back."""
    put(alice, ("a", "alpha"))
    first, second = alice.pending(), alice.pending()
    with pytest.raises(StaleBatch):
        alice.apply(first, encode(["alpha"]))
    with pytest.raises(StaleBatch):
        alice.apply(Batch(2))
    alice.bury(documents([("x", "y")]), "not there")
    with pytest.raises(StaleBatch):
        alice.apply(second, encode(["alpha"]))
    third = alice.pending()
    alice.apply(third, encode(["alpha"]))
    with pytest.raises(StaleBatch):
        alice.apply(third, encode(["alpha"]))


@pytest.mark.parametrize(
    "vectors",
    [
        None,
        np.zeros((1, DIMENSIONS)),
        np.full((2, DIMENSIONS), np.nan),
        np.zeros((2, DIMENSIONS)),
        np.ones((2, DIMENSIONS)),
        np.ones((2, DIMENSIONS + 1)),
        np.ones(2 * DIMENSIONS),
    ],
)
def test_unusable_vectors_change_nothing(alice: LocalStore, vectors: Any) -> None:  # noqa: ANN401 - any array
    """Vectors that are missing, too many, not finite or not normalised are refused before anything is written."""
    put(alice, ("a", "alpha"), ("b", "beta"))
    batch = alice.pending()
    with pytest.raises(StorageError, match="vector"):
        alice.apply(batch, vectors)
    alice.apply(batch, encode(["alpha", "beta"]))
    assert content(alice) == {"a": "alpha", "b": "beta"}


def test_a_buried_document_blocks_nothing(alice: LocalStore) -> None:
    """The version before stays searchable, the others go on, and a later good version takes the dead letter away."""
    put(alice, ("a", "good"))
    drain(alice)
    poison = documents([("a", "poison")])
    alice.put(poison)
    put(alice, ("b", "beta"))
    alice.bury(poison, "the encoder fails")
    drain(alice)
    assert content(alice) == {"a": "good", "b": "beta"}
    assert [(one.document, one.reason) for one in alice.dead_letters()] == [(poison[0], "the encoder fails")]
    assert (alice.status().dead_letters, alice.status().queued) == (1, 0)
    put(alice, ("a", "good"))
    drain(alice)
    assert alice.status().dead_letters == 0


def test_burying_the_last_document_ends_the_waiting(alice: LocalStore, tmp_path: Path) -> None:
    """The applied sequence moves past it, here and for whoever looks from outside."""
    poison = documents([("a", "poison")])
    sequence = alice.put(poison)
    alice.bury(poison, "no")
    assert not alice.pending()
    assert alice.status().applied == store(tmp_path).status().applied == sequence


def test_a_failed_write_discards_what_is_in_memory(alice: LocalStore) -> None:
    """Txtai fails in the middle of an upsert: the caller is told, the index is rebuilt, and the batch still queued."""
    put(alice, ("a", "alpha"), ("b", "beta"))
    drain(alice)
    loaded = alice._loaded
    assert loaded is not None
    loaded.engine._connection.execute(
        "CREATE TEMP TRIGGER broken BEFORE INSERT ON sections WHEN new.id = 'c' BEGIN SELECT raise(FAIL, 'no'); END"
    )
    put(alice, ("b", "better"), ("c", "gamma"))
    batch = alice.pending()
    with pytest.raises(StorageError, match="could not take a batch"):
        alice.apply(batch, encode([one.text for one in batch.upserts]))
    assert content(alice) == {"a": "alpha", "b": "beta"}
    drain(alice)
    assert content(alice) == {"a": "alpha", "b": "better", "c": "gamma"}


def test_a_rebuilding_that_fails_leaves_a_store_to_be_opened(alice: LocalStore) -> None:
    """Where the disk gives nothing at all, searching says so; opening again later works."""
    put(alice, ("a", "alpha"))
    drain(alice)
    alice.settle(force=True)
    put(alice, ("b", "beta"))
    batch = alice.pending()

    def hook(name: str, _: object) -> None:
        if name in {"applied", "loading"}:
            raise OSError(name)

    with hooked(hook), pytest.raises(StorageError):
        alice.apply(batch, encode(["beta"]))
    with pytest.raises(NotOpen):
        alice.search(vector("alpha"), 1)
    with pytest.raises(NotOpen):
        alice.pending()
    assert alice.status().queued == 1
    alice.open()
    drain(alice)
    assert content(alice) == {"a": "alpha", "b": "beta"}


def test_a_replay_encodes_nothing(tmp_path: Path) -> None:
    """After a crash without any snapshot everything applied is searchable at once: the queue has its vectors."""
    one = store(tmp_path)
    one.open()
    put(one, *((f"d{number}", f"text {number}") for number in range(20)), deletes=["x"])
    step(one, 10)
    two = store(tmp_path)
    two.open()
    assert len(content(two)) == 9
    assert [row.seq for row in two._journal.window(two.status().applied, 99).rows.values()] == list(range(11, 22))
    one.close()
    two.close()


def test_snapshots_are_amortised(alice: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writing grows with what is added, not with the index times the number of batches."""
    monkeypatch.setattr(local_store, "_LEAST_SNAPSHOT", 16)
    written = []
    for number in range(100):
        put(alice, *((f"d{number}.{one}", f"text {number}.{one}") for one in range(10)))
        drain(alice)
        if alice.settle():
            written.append(alice.status().documents)
    assert written[0] == 20
    assert len(written) < 35
    assert sum(written) < 11 * 1000
    assert all(later >= earlier * 9 // 8 for earlier, later in pairwise(written) if earlier > 200)


def test_the_queue_is_trimmed_to_one_generation_back(alice: LocalStore) -> None:
    """Two generations stay, with the rows between them, and nothing older."""
    for number in range(4):
        put(alice, (f"d{number}", f"text {number}"))
        drain(alice)
        assert alice.settle(force=True)
        assert not alice.settle(force=True)
    assert sorted(path.name for path in alice.directory.glob("gen-*")) == ["gen-000003", "gen-000004"]
    assert [row.seq for row in alice._journal.operations(0)] == [4]
    assert alice.status().generation == 4


def test_closing_saves_what_is_worth_it(tmp_path: Path) -> None:
    """A few rows are left to the queue, many become a snapshot, and no work directory stays behind."""
    alice = store(tmp_path)
    for many, snapshots in ((5, 0), (50, 1)):
        alice.open()
        put(alice, *((f"d{many}.{number}", f"text {number}") for number in range(many)))
        drain(alice)
        alice.close()
        assert alice.status() == StoreStatus(*((0, 0, None, 0, 5, 0) if not snapshots else (55, 0, None, 0, 55, 1)))
        alice.close()
    assert sorted(path.name for path in alice.directory.iterdir()) == [
        "CURRENT",
        "gen-000001",
        "queue.sqlite3",
        "user.json",
    ]


@pytest.mark.parametrize("name", ["documents", "embeddings", "config.json", "applied.json", "../CURRENT"])
def test_a_damaged_generation_is_stepped_back_from(alice: LocalStore, tmp_path: Path, name: str) -> None:
    """Nothing is lost, and the damaged generation is put aside with the next snapshot."""
    expected: dict[str, str] = {}
    for number in range(3):
        put(alice, (f"d{number}", f"text {number}"), ("hot", f"hot {number}"))
        expected |= {f"d{number}": f"text {number}", "hot": f"hot {number}"}
        drain(alice)
        alice.settle(force=True)
    alice.close()
    (generation(alice).path / name).write_bytes(b"")
    other = store(tmp_path)
    other.open()
    assert content(other) == expected
    assert other.settle()
    assert generation(other).number == 4
    assert [path.name for path in other.directory.glob("damaged-*")] == (
        [] if "CURRENT" in name else ["damaged-000003"]
    )
    other.close()


def test_damage_beyond_repair_is_told_and_left(tmp_path: Path) -> None:
    """Where both generations are damaged nothing is overwritten, accepting still works, and opening says what to do."""
    alice = store(tmp_path)
    alice.open()
    for number in range(3):
        put(alice, (f"d{number}", f"text {number}"))
        drain(alice)
        alice.settle(force=True)
    alice.close()
    for path in alice.directory.glob("gen-*/embeddings"):
        path.write_bytes(b"")
    before = sorted(alice.directory.rglob("*"))
    with pytest.raises(DamagedIndex) as caught:
        alice.open()
    assert "repair" in caught.value.remedy
    alice._journal.close()
    assert [path for path in sorted(alice.directory.rglob("*")) if "queue" not in path.name] == [
        path for path in before if "queue" not in path.name
    ]
    assert put(alice, ("later", "text")) == 4
    alice.close()


def test_encoders_never_mix(alice: LocalStore, tmp_path: Path) -> None:
    """A store opened with another model has everything encoded anew, including what was applied without a snapshot."""
    put(alice, ("a", "alpha"), ("b", "beta"))
    drain(alice)
    alice.settle(force=True)
    put(alice, ("b", "better"), ("c", "gamma"))
    drain(alice)
    put(alice, ("d", "delta"), deletes=["a"])
    alice.close()
    other = LocalStorage(tmp_path, "wide", 2 * DIMENSIONS).user("alice")
    other.open()
    assert other.status().documents == 0
    while batch := other.pending():
        block = encode([one.text for one in batch.upserts])
        other.apply(batch, wide(block))
    for text in ("better", "gamma", "delta"):
        assert other.search(wide(encode([text]))[0], 1)[0].text == text
    assert other.status().documents == 3
    other.settle(force=True)
    assert generation(other).applied.encoder == "wide"
    other.close()


def test_an_adopted_index_is_rebuilt_without_the_damaged_generation(tmp_path: Path) -> None:
    """With another model and a damaged generation the queue holds all: a failed write later finds it there again."""
    alice = store(tmp_path)
    alice.open()
    put(alice, ("a", "alpha"))
    drain(alice)
    alice.settle(force=True)
    alice.close()
    path = generation(alice).path / "documents"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    other = store(tmp_path, encoder="other")
    other.open()

    def fail(name: str, _: object) -> None:
        if name == "applying":
            raise OSError("the disk fails once")

    batch = other.pending()
    with hooked(fail), pytest.raises(StorageError):
        other.apply(batch, encode([one.text for one in batch.upserts]))
    drain(other)
    assert content(other) == {"a": "alpha"}
    other.settle(force=True)
    assert generation(other).applied.encoder == "other"
    other.close()


def wide(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return normalised vectors of twice the dimensions."""
    return np.asarray(np.concatenate([block, block], axis=1) / np.sqrt(2), dtype=np.float32)


def test_a_reader_follows(alice: LocalStore, tmp_path: Path) -> None:
    """A second process sees what is applied, across snapshots and trimming, without taking part."""
    reader = store(tmp_path)
    reader.open()
    for number in range(6):
        put(alice, (f"d{number}", f"text {number}"), deletes=[f"d{number - 3}"])
        drain(alice)
        if number in {1, 2, 4}:
            alice.settle(force=True)
        if number != 2:
            reader.refresh()
            assert content(reader) == content(alice)
    assert reader.status().applied == alice.status().applied
    before = generation(alice)
    put(alice, *((f"many {number}", "text") for number in range(300)))
    drain(alice)
    reader.refresh()
    reader.close()
    assert generation(alice) == before


_ACCEPTING: Final = """
import pathlib, sys
from alwrity_checks.txtai.documents import Document, documents
from alwrity_checks.txtai.local_store import LocalStorage
store = LocalStorage(pathlib.Path(sys.argv[1]), "", 0).user("alice")
for number in range(150):
    store.put(documents([(f"{sys.argv[2]}.{number}", f"text {number}"), ("hot", f"{sys.argv[2]} {number}")]))
store.close()
"""


def test_processes_accept_while_one_applies(alice: LocalStore, tmp_path: Path) -> None:
    """Several processes accept at once, without an encoder of their own; one applies, takes snapshots and trims."""
    command = [sys.executable, "-c", _ACCEPTING, str(tmp_path)]
    others = [subprocess.Popen([*command, name]) for name in ("one", "two")]  # noqa: S603 - our own interpreter
    while any(other.poll() is None for other in others):
        step(alice, 16)
        alice.settle(force=True)
    drain(alice)
    found = content(alice)
    assert found.pop("hot") in {"one 149", "two 149"}
    assert found == {f"{name}.{number}": f"text {number}" for name in ("one", "two") for number in range(150)}
    assert [other.returncode for other in others] == [0, 0]


class Guard:
    """Lets one thread at a time into an engine, and tells when a second one comes."""

    def __init__(self) -> None:
        self.calls: set[str] = set()
        self._busy = threading.Lock()
        self._inside = threading.local()

    def around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method with the guard at its door; calls of one method by another pass."""

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            self.calls.add(name)
            if getattr(self._inside, "here", False):
                return method(*arguments, **named)
            assert self._busy.acquire(blocking=False), f"{name} while another thread was inside"
            self._inside.here = True
            try:
                return method(*arguments, **named)
            finally:
                self._inside.here = False
                self._busy.release()

        return call


def write_much(target: LocalStore) -> None:
    """Accept, apply, clear and settle."""
    for number in range(40):
        put(target, (f"d{number % 9}", f"text {number}"), deletes=[f"d{(number + 4) % 9}"])
        drain(target)
        if number % 10 == 9:
            target.put(clear=True)
            target.settle(force=True)


def read_much(target: LocalStore) -> None:
    """Search, and look at the status."""
    for number in range(200):
        assert all(hit.text.startswith("text ") for hit in target.search(vector(f"text {number % 40}"), 3))
        target.status()


def test_nobody_searches_while_somebody_writes(alice: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call into txtai, from any thread, is made under one lock."""
    guard = Guard()
    names = ("upsert", "delete", "search", "digests", "ids", "save", "check")
    for name in names:
        monkeypatch.setattr(Engine, name, guard.around(name, getattr(Engine, name)))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(6) as pool:
            work = [pool.submit(write_much, alice), *(pool.submit(read_much, alice) for _ in range(5))]
            for one in work:
                one.result()
    finally:
        sys.setswitchinterval(interval)
    assert guard.calls == set(names)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of another kind")
def test_a_disk_that_is_full_loses_nothing(alice: LocalStore) -> None:
    """No file may grow any more: a snapshot fails with a word, and what was accepted is searchable and durable."""
    put(alice, *((f"d{number}", "x" * 2000 + str(number)) for number in range(200)))
    drain(alice)
    import resource
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StorageError):
            alice.settle(force=True)
        with pytest.raises(StorageError):
            put(alice, ("refused", "y" * 2_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not list(alice.directory.glob("tmp-*"))
    assert len(content(alice)) == 200
    put(alice, ("after", "text"))
    drain(alice)
    assert alice.settle(force=True)
    assert generation(alice).applied.documents == 201


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="rights bind no superuser")
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The error names the directory and the remedy."""
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot be written"):
        put(store(tmp_path), ("a", "alpha"))
    tmp_path.chmod(0o700)


def test_a_snapshot_follows_those_of_others(tmp_path: Path) -> None:
    """Who snapshots after others did not bring trimmed rows back to life: a reader that lags behind begins anew."""
    one, two, late = store(tmp_path), store(tmp_path), store(tmp_path)
    for target in (one, two, late):
        target.open()
    for number in range(3):
        put(one, (f"d{number}", f"text {number}"))
        drain(one)
        two.refresh()
        if number:
            one.settle(force=True)
    put(two, ("d3", "text 3"))
    drain(two)
    assert two.settle(force=True)
    assert [path.name for path in sorted(two.directory.glob("gen-*"))] == ["gen-000002", "gen-000003"]
    late.refresh()
    assert content(late) == {f"d{number}": f"text {number}" for number in range(4)}
    for target in (one, two, late):
        target.close()


def test_an_encoder_is_changed_only_by_who_may_write(tmp_path: Path) -> None:
    """While another process writes, nobody begins its index anew: neither side loses what the other has queued."""
    old, new = store(tmp_path), store(tmp_path, encoder="other")
    old.open()
    put(old, ("a", "alpha"))
    drain(old)
    old.settle(force=True)
    new.may_write = lambda: False
    with pytest.raises(AnotherEncoder, match="vectors of hash-8, and this process encodes with other"):
        new.open()
    put(old, ("b", "beta"))
    drain(old)
    assert content(old) == {"a": "alpha", "b": "beta"}
    old.close()
    new.may_write = lambda: True
    new.open()
    drain(new)
    assert content(new) == {"a": "alpha", "b": "beta"}
    new.close()


def test_a_superseded_encoder_touches_nothing(tmp_path: Path) -> None:
    """Who is still at work with the old encoder hears of the new one, accepts on, and does not change it back."""
    old, new = store(tmp_path), store(tmp_path, encoder="other")
    old.open()
    put(old, ("a", "alpha"))
    drain(old)
    old.settle(force=True)
    new.open()
    put(old, ("b", "beta"))
    with pytest.raises(AnotherEncoder):
        old.refresh()
    for _ in range(2):
        with pytest.raises(AnotherEncoder):
            old.open()
    drain(new)
    assert content(new) == {"a": "alpha", "b": "beta"}
    old.close()
    new.close()


def test_a_directory_that_is_removed_is_noticed(alice: LocalStore) -> None:
    """What is accepted after a removal goes into files that are there, and what is in memory does not hide it."""
    put(alice, *((f"d{number}", f"text {number}") for number in range(5)))
    drain(alice)
    shutil.rmtree(alice.directory)
    assert put(alice, ("a", "alpha")) == 1
    with pytest.raises(NotOpen, match="removed or replaced while it was in use"):
        alice.pending()
    alice.open()
    drain(alice)
    assert content(alice) == {"a": "alpha"}
    assert alice.status().queued == 0


def test_an_index_that_is_put_back_is_loaded(alice: LocalStore, tmp_path: Path) -> None:
    """A directory that is replaced by a copy, as by a restored backup, is read anew."""
    put(alice, ("a", "alpha"))
    drain(alice)
    alice.settle(force=True)
    shutil.copytree(alice.directory, tmp_path / "backup", ignore=shutil.ignore_patterns("work-*"))
    put(alice, ("a", "newer"))
    drain(alice)
    shutil.rmtree(alice.directory)
    (tmp_path / "backup").rename(alice.directory)
    with pytest.raises(NotOpen):
        alice.refresh()
    alice.open()
    assert content(alice) == {"a": "alpha"}


def test_closing_without_a_snapshot_loses_nothing(alice: LocalStore) -> None:
    """A process that must not write gives its index up all the same, and the queue has what it had applied."""
    put(alice, *((f"d{number}", f"text {number}") for number in range(60)))
    drain(alice)
    alice.close(snapshot=False)
    assert not [path.name for path in alice.directory.iterdir() if path.name.startswith(("gen-", "work-"))]
    alice.open()
    assert alice.status().documents == 60
    assert not alice.pending()


@pytest.mark.parametrize("in_use", [False, True])
@pytest.mark.parametrize("left", ["nothing", "an older copy", "an empty file"])
def test_a_queue_that_was_lost_takes_no_document_for_done(
    tmp_path: Path, left: str, *, in_use: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What is accepted into another file than the snapshot came from is searchable later, whatever its numbers were."""
    alice = store(tmp_path)
    alice.open()
    queue, older = alice.directory / "queue.sqlite3", tmp_path / "older"
    put(alice, ("d0", "text 0"))
    drain(alice)
    alice.close()
    shutil.copyfile(queue, older)
    alice.open()
    put(alice, *((f"d{number}", f"text {number}") for number in range(1, 10)))
    drain(alice)
    alice.settle(force=True)
    if not in_use:
        alice.close()
    for path in alice.directory.glob("queue.sqlite3*"):
        path.unlink()
    if left == "an older copy":
        shutil.copyfile(older, queue)
    elif left == "an empty file":
        queue.touch()
    again = alice if in_use else store(tmp_path)
    assert put(again, ("new", "new text")) == 11
    if in_use:
        with pytest.raises(NotOpen):
            again.pending()
    again.open()
    drain(again)
    expected = {f"d{number}": f"text {number}" for number in range(10)} | {"new": "new text"}
    assert content(again) == expected
    assert "what was accepted after the snapshot is gone with it" in caplog.text
    # Nor is an older generation loaded as if the queue had what lies between.
    assert again._journal.state().trimmed == 10
    again.close()
    after = store(tmp_path)
    after.open()
    assert content(after) == expected
    after.close()


def test_documents_are_kept_for_good_before_their_old_vectors_are_given_up(
    alice: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure after a change of the encoder must not leave the new, empty generation and an older queue."""
    put(alice, ("a", "alpha"))
    drain(alice)
    alice.settle(force=True)
    alice.close()
    waits: list[tuple[int, int]] = []
    restart = Journal.restart

    def watched(journal: Journal, encoder: str, found: Iterable[Document], after: int) -> None:
        restart(journal, encoder, found, after)
        assert journal._connection is not None
        waits.append((after, journal._connection.execute("PRAGMA synchronous").fetchone()[0]))

    monkeypatch.setattr(Journal, "restart", watched)
    new = store(tmp_path, encoder="other")
    new.open()
    full = 2
    assert waits == [(1, full)]
    drain(new)
    assert content(new) == {"a": "alpha"}
    new.close()
