"""Several processes on one store: one writes at a time, all accept, all find everything."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from alwrity_checks.txtai.errors import Unindexable
from alwrity_checks.txtai.lease import Lease, SharedStorage
from alwrity_checks.txtai.loading import AnotherEncoder
from alwrity_checks.txtai.storage import StorageError
from tests.support.txtai_runtime import PATIENCE, Loader, failing, running
from tests.support.txtai_store import DIMENSIONS, drain, encode, put, vector

CHILD = """
import sys
from pathlib import Path
from tests.support.txtai_runtime import running

root, name = Path(sys.argv[1]), sys.argv[2]
with running(root) as indexes:
    index = indexes.of("alice")
    print("ready", flush=True)
    for number in range(30):
        index.add_sync([(f"{name} {number}", f"text {name} {number}")])
        print(number, flush=True)
    sys.stdin.readline()
"""


def child(root: Path, name: str) -> subprocess.Popen[str]:
    """Start a process that adds 30 documents, prints a line for each, and waits."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", CHILD, str(root), name],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_one_at_a_time(tmp_path: Path) -> None:
    """A lease is had by one; taking it again does no harm; given back, another has it."""
    one, other = Lease(tmp_path / "lock"), Lease(tmp_path / "lock")
    assert one.take()
    assert one.take()
    assert not other.take()
    one.give_back()
    assert other.take()
    assert not one.held
    other.give_back()


def test_who_does_not_write_sees_what_is_written(tmp_path: Path) -> None:
    """While one store is at work, the other has nothing to do; it finds what was applied, before any snapshot."""
    storage = SharedStorage(tmp_path, "hash-8", DIMENSIONS)
    one, other = storage.user("alice"), storage.user("alice")
    one.open()
    other.open()
    put(one._store, ("a", "alpha"), ("b", "beta"))
    batch = one.pending()
    assert len(batch.upserts) == 2
    assert not other.pending()
    assert not other.settle(force=True)
    one.apply(batch, encode([document.text for document in batch.upserts]))
    assert [hit.id for hit in other.search(vector("alpha"), 1)] == ["a"]
    assert not one.pending()
    put(one._store, ("c", "gamma"))
    batch = other.pending()
    assert [document.id for document in batch.upserts] == ["c"]
    other.apply(batch, encode(["gamma"]))
    assert other.settle(force=True)
    assert not other.pending()
    assert [hit.id for hit in one.search(vector("gamma"), 1)] == ["c"]
    one.close()
    other.close()
    assert not list(tmp_path.glob("*/work-*"))


def test_closing_does_not_disturb_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that closes while another writes takes no snapshot, and keeps nothing open all the same."""
    monkeypatch.setattr("alwrity_checks.txtai.lease._CLOSING_PATIENCE", 0.05)
    storage = SharedStorage(tmp_path, "hash-8", DIMENSIONS)
    one, other = storage.user("alice"), storage.user("alice")
    put(one._store, *((f"{number}", f"text {number}") for number in range(300)))
    one.open()
    drain(one._store)
    other.open()
    put(one._store, ("last", "last"))
    batch = one.pending()
    before = one.status().generation
    other.close()
    assert other.status().generation == before
    assert len(list(tmp_path.glob("*/work-*"))) == 1
    one.apply(batch, encode(["last"]))
    assert not one.pending()
    one.close()
    assert storage.user("alice").status().documents == 301


def test_two_runtimes_share_the_work(tmp_path: Path) -> None:
    """Two runtimes add to the same users at the same time: both find everything, and little is encoded twice."""
    loaders = [Loader(), Loader()]
    with ExitStack() as stack:
        both = [stack.enter_context(running(tmp_path, loader)) for loader in loaders]

        def add(which: int) -> None:
            for number in range(40):
                index = both[which].of(f"user {number % 3}")
                index.add_sync([(f"{which} {number}", f"text {which} {number}")])
            for user in range(3):
                both[which].of(f"user {user}").delete_sync(["nothing"], critical=True)

        threads = [threading.Thread(target=add, args=(which,)) for which in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        for indexes in both:
            for which in range(2):
                for number in range(40):
                    text = f"text {which} {number}"
                    found = indexes.of(f"user {number % 3}").search_sync(text, limit=1)
                    assert [hit.text for hit in found] == [text]
    encoded = [text for loader in loaders for text in loader.encoder.encoded if " " in text.removeprefix("text ")]
    # Searches encode each text once more in either runtime.
    assert len(encoded) <= 3 * 80 + 40


def test_poison_that_another_found_is_told(tmp_path: Path) -> None:
    """A receipt hears of a dead letter even if another process was the one to bury the document."""
    slow = Loader()
    slow.gate.clear()
    with running(tmp_path, slow) as waiting:
        receipt = waiting.of("alice").add_sync([("a", "poison"), ("b", "beta")])
        with running(tmp_path) as working:
            working.of("alice").delete_sync(["nothing"], critical=True)
            slow.gate.set()
            with pytest.raises(Unindexable, match="cannot be taken"):
                receipt.wait(PATIENCE)
        assert [hit.id for hit in waiting.of("alice").search_sync("beta")] == ["b"]


def test_a_killed_writer_s_documents_are_taken_over(tmp_path: Path) -> None:
    """Two processes write; one is killed in the middle. What it had acknowledged is found by the other's user."""
    processes = [child(tmp_path, name) for name in ("first", "second")]
    acknowledged: list[list[str]] = []
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process, lines in zip(processes, (9, 30), strict=True):
            assert process.stdout is not None
            acknowledged.append([process.stdout.readline().strip() for _ in range(lines)])
            if lines == 9:
                process.kill()
        time.sleep(0.1)
        with running(tmp_path) as indexes:
            index = indexes.of("alice")
            index.delete_sync(["nothing"], critical=True)
            for name, numbers in zip(("first", "second"), acknowledged, strict=True):
                for number in numbers:
                    found = index.search_sync(f"text {name} {number}", limit=1)
                    assert [hit.id for hit in found] == [f"{name} {number}"]
        output, _ = processes[1].communicate("\n", timeout=PATIENCE)
        assert processes[1].returncode == 0, output
    finally:
        for process in processes:
            process.kill()
            process.communicate()


_FORKING = """
import os, sys
from pathlib import Path
from alwrity_checks.txtai.lease import Lease

lease, other = Lease(Path(sys.argv[1])), Lease(Path(sys.argv[1]))
assert lease.take()
child = os.fork()
if not child:
    print(lease.held, flush=True)
    sys.stdin.readline()
    os._exit(0)
if sys.argv[2] == "goes on":
    lease.give_back()
    assert other.take()
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
@pytest.mark.parametrize("parent", ["goes on", "ends"])
def test_a_forked_child_does_not_keep_the_lease(tmp_path: Path, parent: str) -> None:
    """Whether its process gives it back or ends, the lease can be had again although a forked child lives on."""
    lease = Lease(tmp_path / "lock")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _FORKING, str(tmp_path / "lock"), parent],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "False\n"
        assert process.wait(PATIENCE) == 0
        assert lease.take()
    lease.give_back()


def test_a_search_looks_after_what_others_left_behind(tmp_path: Path) -> None:
    """What a process accepted that then ended is made searchable by one that lives, and is only asked."""
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        index.add_sync([("a", "alpha")], critical=True)
        deadline = time.monotonic() + PATIENCE
        # Its last turn would take up the other's document unasked.
        while indexes._indexes["alice"][1]._busy:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        left = SharedStorage(tmp_path, "", 0).user("alice")
        put(left, ("b", "beta"))
        left.close()
        while [hit.id for hit in index.search_sync("beta", limit=1)] != ["b"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_two_encoders_do_not_take_turns(tmp_path: Path) -> None:
    """With two models on one store the newer process wins when nobody writes; the older is told and loses nothing."""
    old, new = (SharedStorage(tmp_path, name, DIMENSIONS).user("alice") for name in ("one", "other"))
    old.open()
    put(old._store, ("a", "alpha"))
    drain(old._store)
    old.settle(force=True)
    put(old._store, ("b", "beta"))
    batch = old.pending()
    with pytest.raises(AnotherEncoder):
        new.open()
    old.apply(batch, encode(["beta"]))
    assert not old.pending()
    new.open()
    put(old._store, ("c", "gamma"))
    with pytest.raises(AnotherEncoder):
        old.pending()
    while batch := new.pending():
        new.apply(batch, encode([document.text for document in batch.upserts]))
    assert [new.search(vector(text), 1)[0].text for text in ("alpha", "beta", "gamma")] == ["alpha", "beta", "gamma"]
    old.close()
    new.close()


def test_who_fails_leaves_the_work_to_others(tmp_path: Path) -> None:
    """A process that cannot apply a batch does not keep the lease."""
    one, other = (SharedStorage(tmp_path, "hash-8", DIMENSIONS).user("alice") for _ in range(2))
    one.open()
    other.open()
    put(one._store, ("a", "alpha"))
    batch = one.pending()
    assert not other.pending()
    with failing("applying", lambda: OSError("no space")), pytest.raises(StorageError):
        one.apply(batch, encode(["alpha"]))
    assert other.pending()
    other.close()
    one.close()
