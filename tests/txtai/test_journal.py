"""The queue: order, coalescing, the acknowledgement, and what is left of rows that came to nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.journal import Applied, Journal
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.storage import DamagedIndex, StorageError
from tests.support.txtai_store import put, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a queue in a new file."""
    made = Journal(tmp_path / "queue.sqlite3", durable=True)
    yield made
    made.close()


def accept(journal: Journal, *pairs: tuple[str, str], deletes: tuple[str, ...] = (), clear: bool = False) -> int:
    """Put documents and deletes."""
    return journal.put(documents(pairs), deletes, clear=clear)


def described(journal: Journal, after: int = 0, limit: int = 256) -> tuple[int, dict[str, str]]:
    """Return a window as its sequence and what becomes of each id."""
    window = journal.window(after, limit)
    return window.sequence, {one: row.text if row.op == "upsert" else row.op for one, row in window.rows.items()}


def test_the_last_operation_on_an_id_wins(journal: Journal) -> None:
    """A window has each id once, and a delete is an operation like an upsert."""
    accept(journal, ("a", "1"), ("b", "1"), ("c", "1"))
    accept(journal, ("a", "2"), deletes=("b",))
    accept(journal, ("b", "3"), deletes=("a",))
    assert described(journal) == (7, {"c": "1", "a": "delete", "b": "3"})
    assert described(journal, limit=4) == (4, {"a": "1", "c": "1", "b": "delete"})
    assert described(journal, after=4) == (7, {"a": "delete", "b": "3"})


def test_deletes_of_a_call_come_before_its_upserts(journal: Journal) -> None:
    """Deleting and adding an id in one call replaces it."""
    accept(journal, ("a", "new"), deletes=("a",))
    assert described(journal) == (2, {"a": "new"})


def test_a_clear_makes_void_what_came_before_and_spares_what_comes_after(journal: Journal) -> None:
    """The last clear is a window of its own, with the ids on which a later row decides."""
    accept(journal, ("a", "1"), ("b", "1"))
    accept(journal, ("c", "1"), clear=True)
    clear = accept(journal, ("a", "2"), deletes=("d",), clear=True)
    window = journal.window(0, 256)
    assert (window.sequence, dict(window.rows), window.spared) == (clear - 2, {}, frozenset("ad"))
    assert described(journal, after=window.sequence) == (clear, {"d": "delete", "a": "2"})


def test_large_documents_come_in_small_windows(journal: Journal) -> None:
    """A window is bounded by the size of its texts, and one document always fits."""
    for number in range(4):
        accept(journal, (f"d{number}", "x" * 9_000_000))
    assert [described(journal, after)[0] for after in range(4)] == [1, 2, 3, 4]


def test_sequences_are_never_reused(journal: Journal) -> None:
    """A number that lay under a watermark is not given to a new row, even when the queue was emptied."""
    accept(journal, ("a", "1"), ("b", "1"))
    journal.trim(2)
    assert journal.count(0) == (0, None)
    assert described(journal) == (2, {})
    assert accept(journal, ("c", "1")) == 3
    assert journal.put((), (), clear=False) == 3


def test_what_came_to_nothing_leaves_no_row(journal: Journal) -> None:
    """Overtaken and unchanged rows go when their window is applied, whichever of them was overtaken by which."""
    accept(journal, ("a", "other"), ("b", "1"))
    accept(journal, ("a", "as it is"), ("b", "2"), ("c", "1"))
    journal.note(Applied(0, 5, {4: b"b2..", 5: b"c1.."}, dropped=(3,), ids=("a", "b", "c")), "model")
    state, rows = journal.replay(0, 256)
    assert [(row.seq, row.id, row.vector) for row in rows] == [(4, "b", b"b2.."), (5, "c", b"c1..")]
    assert (state.last, state.applied, state.trimmed, state.encoder) == (5, 5, 0, "model")


def test_an_applied_clear_is_replayed_as_what_it_removed(journal: Journal) -> None:
    """A replay over an older snapshot removes the same documents, though rows that spared others are gone by then."""
    accept(journal, ("a", "1"), clear=True)
    journal.note(Applied(0, 1, {}, (), ("x", "y"), removed=("x", "y")), "model")
    journal.note(Applied(1, 2, {}, dropped=(2,), ids=("a",)), "model")
    _, rows = journal.replay(0, 256)
    assert [(row.op, row.fields) for row in rows] == [("removed", '["x", "y"]')]
    assert [(row.op, row.id) for row in journal.operations(0)] == [("delete", "x"), ("delete", "y")]


def test_another_encoder_starts_over(journal: Journal) -> None:
    """Vectors are forgotten, and documents of the old index are queued behind what says nothing of them."""
    accept(journal, ("a", "1"), ("b", "1"))
    journal.note(Applied(0, 2, {1: b"1", 2: b"2"}, (), ("a", "b")), "old")
    accept(journal, ("c", "new"), deletes=("d",))
    journal.restart("new", documents([("c", "old"), ("d", "old"), ("e", "old")]), after=2)
    assert journal.state().applied == 0
    assert described(journal, after=2)[1] == {"d": "delete", "c": "new", "e": "old"}
    journal.restart("new", documents([("e", "old")]), after=2)
    assert len(journal.operations(2)) == 3


def test_dead_letters(journal: Journal) -> None:
    """Just the version that is named is buried, with its reason, until a later operation on its id is applied."""
    poison, other = documents([("a", "poison"), ("b", "fine")])
    accept(journal, ("a", "fine"))
    journal.put([poison, other], (), clear=False)
    journal.bury(0, [poison, other][:1], "the encoder fails")
    journal.bury(0, [poison], "not there any more")
    assert described(journal)[1] == {"a": "fine", "b": "fine"}
    (letter,) = journal.dead_letters()
    assert (letter.sequence, letter.document, letter.reason) == (2, poison, "the encoder fails")
    assert abs(letter.buried_at - time.time()) < 60
    journal.note(Applied(0, 3, {1: b"1", 3: b"3"}, (), ("b",)), "model")
    assert journal.count_dead_letters() == 1
    accept(journal, ("a", "better"))
    journal.note(Applied(3, 4, {4: b"4"}, (), ("a",)), "model")
    assert journal.count_dead_letters() == 0


def test_a_full_disk_is_told_of_and_nothing_is_accepted(journal: Journal) -> None:
    """SQLite itself runs out of pages: the call fails as a whole, and the next one that fits is accepted."""
    accept(journal, ("a", "1"))
    connection = journal._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StorageError, match="no space is left") as caught:
        accept(journal, ("b", "fits"), ("c", "x" * 100_000))
    assert caught.value.remedy
    assert described(journal)[1] == {"a": "1"}
    accept(journal, ("d", "1"))
    assert described(journal)[1] == {"a": "1", "d": "1"}


def test_a_damaged_queue_is_named(tmp_path: Path) -> None:
    """What is no database is left as it is and told of."""
    path = tmp_path / "queue.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DamagedIndex, match=r"queue\.sqlite3 is damaged"):
        Journal(path, durable=True).state()
    assert path.read_bytes() == b"no database at all" * 100


def test_a_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Where no directory can be made the error says so, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="making the directory failed"):
        put(store(tmp_path / "file"), ("a", "1"))


def test_a_writer_waits_for_another(tmp_path: Path, journal: Journal) -> None:
    """A second process that holds the database for a moment delays an acknowledgement, and does not break it."""
    accept(journal, ("a", "1"))
    holder = sqlite3.connect(tmp_path / "queue.sqlite3", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=accept, args=(journal, ("b", "1")))
    thread.start()
    assert described(Journal(tmp_path / "queue.sqlite3", durable=False))[1] == {"a": "1"}
    holder.execute("COMMIT")
    thread.join()
    holder.close()
    assert described(journal)[1] == {"a": "1", "b": "1"}


def test_many_threads_accept_at_once(tmp_path: Path) -> None:
    """Batches of different threads are not mixed, and their sequences are those of their last rows."""
    alice = store(tmp_path)
    last: dict[int, int] = {}

    def work(thread: int) -> None:
        for number in range(20):
            last[100 * thread + number] = put(alice, (f"{thread}", f"{number}"), (f"also {thread}", f"{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(last.values()) == list(range(2, 161, 2))
    rows = {row.seq: row for row in alice._journal.operations(0)}
    assert {key: (int(rows[seq].id[5:]), int(rows[seq].text)) for key, seq in last.items()} == {
        key: (key // 100, key % 100) for key in last
    }
    alice.close()


_FORKING: Final = """
import os, pathlib, sys
from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]), durable=True)
journal.put(documents([("parent", "before")]), (), clear=False)
child = os.fork()
if child == 0:
    journal.put(documents([("child", "text")]), (), clear=False)
    journal.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
journal.put(documents([("parent", "after")]), (), clear=False)
print([(row.id, row.text) for row in journal.operations(0)])
journal.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    """A connection is never used by two processes: parent and child both accept, and neither disturbs the other."""
    command = [sys.executable, "-c", _FORKING, str(tmp_path / "queue.sqlite3")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == str([("parent", "before"), ("child", "text"), ("parent", "after")])


def test_an_interrupted_acceptance_holds_nobody_up(tmp_path: Path) -> None:
    """What is raised in the middle of a call leaves the queue free for the next."""
    alice = store(tmp_path)

    def hook(name: str, _: object) -> None:
        raise KeyboardInterrupt(name)

    with hooked(hook), pytest.raises(KeyboardInterrupt):
        put(alice, ("a", "1"))
    assert put(alice, ("a", "2")) == 1
    alice.close()


def test_a_queue_is_made_once_by_many(tmp_path: Path) -> None:
    """Many processes may be the first: none is refused because another is making the file."""
    for attempt in range(40):
        path = tmp_path / f"{attempt}.sqlite3"
        together = threading.Barrier(6)

        def accept(number: int, path: Path = path, together: threading.Barrier = together) -> None:
            journal = Journal(path, durable=True)
            together.wait()
            journal.put(documents([(f"{number}", "text")]), (), clear=False)
            journal.close()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(accept, range(6)))
