"""A user's index: accepted is searchable later, whatever happens in between. On the real store and the real txtai."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.documents import UnusableDocument
from alwrity_checks.txtai.errors import NotReady
from alwrity_checks.txtai.initialisation import State
from alwrity_checks.txtai.paths import user_directory
from alwrity_checks.txtai.receipts import Progress
from alwrity_checks.txtai.storage import UnusableFilter
from tests.support.txtai_runtime import PATIENCE, THREE, HashEncoder, Loader, held, ids, running


def test_accepted_is_searchable(tmp_path: Path) -> None:
    """The whole life of documents, by a loop's and by a thread's calls: add, find, filter, replace, delete, reindex."""

    async def scenario() -> None:
        with running(tmp_path) as indexes:
            index = indexes.of("alice")
            receipt = await index.add(THREE)
            await receipt.searchable(PATIENCE)
            assert receipt.state is Progress.SEARCHABLE
            found = await index.search("alpha")
            assert (found[0].id, found[0].text, dict(found[0].fields)) == ("a", "alpha", {"kind": "x"})
            assert [hit.id for hit in await index.search("alpha", where={"kind": "y"})] in ([], ["b"])
            await index.add([{"id": "a", "text": "delta"}], critical=True)
            assert [hit.text for hit in await index.search("alpha") if hit.id == "a"] in ([], ["delta"])
            await index.delete(["b", "never there"], critical=True)
            assert "b" not in [hit.id for hit in await index.search("beta")]
            await index.reindex([("z", "omega")], critical=True)
            assert [hit.id for hit in await index.search("omega")] == ["z"]
            assert index.status().store.documents == 1

    asyncio.run(scenario())
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        assert ids(index, "omega") == ["z"]
        index.add_sync(THREE).wait(PATIENCE)
        index.delete_sync(["z"], critical=True)
        assert ids(index, "alpha") == ["a"]
        index.reindex_sync([], critical=True)
        assert index.status().store.documents == 0


def test_every_document_can_be_listed(tmp_path: Path) -> None:
    """Browsing gives all documents, or as many as asked for, each once; on an empty index none."""
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        assert index.browse_sync(limit=5) == []
        index.add_sync([(f"{number}", f"text {number}", {"n": number}) for number in range(40)], critical=True)
        listed = index.browse_sync(limit=40)
        assert {hit.id: (hit.text, hit.fields["n"]) for hit in listed} == {f"{n}": (f"text {n}", n) for n in range(40)}
        assert len({hit.id for hit in index.browse_sync(limit=7)}) == 7
        assert len(index.browse_sync(limit=1000)) == 40
        with pytest.raises(ConfigurationError, match="no positive whole number"):
            index.browse_sync(limit=0)


def test_the_first_call_of_a_fresh_user_loses_nothing(tmp_path: Path) -> None:
    """The catalogue's race: an operation while everything is still being loaded. 40 users, 20 documents each."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader) as indexes:
        for user in range(40):
            documents = [(f"{number}", f"text {user} {number}") for number in range(20)]
            receipt = indexes.of(f"user {user}").add_sync(documents)
            assert receipt.state is Progress.DEFERRED
        loader.gate.set()
        for user in range(40):
            index = indexes.of(f"user {user}")
            assert ids(index, f"text {user} 7") in ([], ["7"])
            index.add_sync([("last", "last")], critical=True)
            assert index.status().store.documents == 21
            assert ids(index, f"text {user} 7", 21) == ["7"]
    assert loader.calls == 1


def test_what_an_earlier_process_accepted_is_taken_up(tmp_path: Path) -> None:
    """Documents of a process that never got to its encoder are searchable after the next start, unasked."""
    with running(tmp_path, Loader(failures=[OSError("no model")] * 1000)) as indexes:
        indexes.of("alice").add_sync(THREE)
    with running(tmp_path) as indexes:
        indexes.start()
        deadline = time.monotonic() + PATIENCE
        while "alice" not in indexes.status().indexes or indexes.status().indexes["alice"].store.queued:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ids(indexes.of("alice"), "beta") == ["b"]


def test_a_damaged_index_keeps_nobody_else_s_documents_back(tmp_path: Path) -> None:
    """What others had accepted is taken up after a start although one user's queue cannot be read."""
    users = [f"user {number}" for number in range(6)]
    with running(tmp_path, Loader(failures=[OSError("no model")] * 1000)) as indexes:
        for user in users:
            indexes.of(user).add_sync(THREE)
    first = min(tmp_path.iterdir())
    (first / "queue.sqlite3").write_bytes(b"no database at all" * 1000)
    sound = [user for user in users if user_directory(tmp_path, user) != first]
    with running(tmp_path) as indexes:
        indexes.start()
        deadline = time.monotonic() + PATIENCE
        while set(sound) - set(indexes.status().indexes) or any(
            status.store.queued for status in indexes.status().indexes.values()
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_background_search_says_that_it_saw_nothing(tmp_path: Path) -> None:
    """No empty list stands for an answer: the result names the reason, and what is not searchable yet."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader, fail_fast=False) as indexes:
        index = indexes.of("alice")
        index.add_sync(THREE)
        found = index.search_sync("alpha")
        assert (list(found), found.ready, found.behind) == ([], False, 3)
        assert "loaded" in found.reason
        with pytest.raises(NotReady):
            index.search_sync("alpha", critical=True, timeout=0.01)
        loader.gate.set()
        index.ready_sync(PATIENCE)
        index.add_sync([("d", "delta")], critical=True)
        found = index.search_sync("alpha")
        assert (found[0].id, found.ready, found.behind) == ("a", True, 0)


def test_a_critical_add_that_is_late_is_kept(tmp_path: Path) -> None:
    """NotReady says that the documents are deferred, and its receipt is what to wait for."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        with pytest.raises(NotReady) as caught:
            index.add_sync(THREE, critical=True, timeout=0.01)
        assert caught.value.deferred
        assert "kept" in caught.value.diagnosis
        assert caught.value.receipt is not None
        loader.gate.set()
        caught.value.receipt.wait(PATIENCE)
        assert ids(index, "gamma") == ["c"]


def test_unchanged_documents_cost_no_encoding(tmp_path: Path) -> None:
    """ALwrity indexes all of a user's tasks again at every refresh: the same content is encoded once."""
    loader = Loader()
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        for _ in range(5):
            index.add_sync(THREE, critical=True)
        assert sorted(loader.encoder.encoded) == ["alpha", "beta", "gamma"]
    with running(tmp_path, loader) as indexes:
        indexes.of("alice").add_sync([*THREE, ("d", "delta")], critical=True)
        assert sorted(loader.encoder.encoded) == ["alpha", "beta", "delta", "gamma"]


@pytest.mark.parametrize(
    "item",
    [("a", ""), ("a", "text", {"x": float("nan")}), (7, "text"), {"id": "a", "text": "x", "score": 1}, "text"],
)
def test_unusable_documents_are_refused_at_once(tmp_path: Path, item: object) -> None:
    """The error names the document, and nothing of the call is kept, whether the index is ready or not."""
    loader = Loader()
    loader.gate.clear()
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        with pytest.raises(UnusableDocument):
            index.add_sync([("fine", "fine"), item])  # type: ignore[list-item]
        assert index.status().store.queued == 0


def test_bad_arguments_are_errors_at_once(tmp_path: Path) -> None:
    """A programming error never waits for readiness, and never passes as an empty answer."""
    with running(tmp_path) as indexes:
        index = indexes.of("alice")
        for arguments in ({"query": ""}, {"query": None}, {"query": "x", "limit": 0}, {"query": "x", "limit": True}):
            with pytest.raises(ConfigurationError):
                index.search_sync(**arguments)
        with pytest.raises(ConfigurationError):
            index.delete_sync("abc")
        for wrong in ([7], [None], None, 7, ["\ud800"]):
            with pytest.raises(ConfigurationError):
                index.delete_sync(wrong)  # type: ignore[arg-type]
        assert index.status().store.queued == 0
        with pytest.raises(UnusableDocument):
            index.add_sync(None)  # type: ignore[arg-type]
        with pytest.raises(UnusableFilter):
            index.search_sync("x", where={"a": ["b"]})
        for user_id in ("", None, 7):
            with pytest.raises(ConfigurationError):
                indexes.of(user_id)


def test_users_do_not_see_each_other(tmp_path: Path) -> None:
    """Ids that would be the same path, or lead out of the directory, are users of their own."""
    users = ["alice", "Alice", "../alice", "../../x", "alice/", "a" * 300, "ä", "\ud800", "CON", "alice\0"]
    with running(tmp_path / "root") as indexes:
        for number, user in enumerate(users):
            indexes.of(user).add_sync([("id", f"secret {number}")], critical=True)
        for number, user in enumerate(users):
            assert [hit.text for hit in indexes.of(user).search_sync(f"secret {number}")] == [f"secret {number}"]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_search_waits_for_no_encoding(tmp_path: Path) -> None:
    """While a thousand documents are being encoded, a search is answered, and says what it could not see."""
    loader = Loader()
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        index.add_sync(THREE, critical=True)
        loader.encoder.gate.clear()
        loader.encoder.entered.clear()
        receipt = index.add_sync([(f"{number}", f"text {number}") for number in range(1000)])
        assert loader.encoder.entered.wait(PATIENCE)
        with ThreadPoolExecutor(1) as pool:
            searching = pool.submit(index.search_sync, "alpha")
            while len(loader.encoder.calls) == 1 and not searching.running():
                time.sleep(0.001)
            loader.encoder.gate.set()
            found = searching.result(PATIENCE)
        assert found[0].id == "a"
        receipt.wait(PATIENCE)
        assert index.status().store.documents == 1003


def test_closing_from_a_loop_does_not_block_it(tmp_path: Path) -> None:
    """`close` waits beside the loop."""

    async def scenario() -> bool:
        with running(tmp_path) as indexes:
            await indexes.of("alice").add(THREE)
            return await indexes.close(PATIENCE)

    assert asyncio.run(scenario())


def test_a_bounded_number_of_indexes_is_open(tmp_path: Path) -> None:
    """20 users with room for 3: the others give their memory up, and are found again when they are asked."""
    with running(tmp_path, most_open=3) as indexes:
        for user in range(20):
            indexes.of(f"{user}").add_sync([("id", f"text {user}")], critical=True)
        deadline = time.monotonic() + PATIENCE
        while sum(one.state is State.READY for one in indexes.status().indexes.values()) > 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with ThreadPoolExecutor(8) as pool:
            users = [number % 20 for number in range(100)]
            found = pool.map(lambda user: ids(indexes.of(f"{user}"), f"text {user}"), users)
            assert list(found) == [["id"]] * 100


def test_giving_up_meets_a_search(tmp_path: Path) -> None:
    """A search that holds an index while that is given up gets its answer, and the next one opens it again."""
    with running(tmp_path, most_open=1) as indexes:
        indexes.of("alice").add_sync(THREE, critical=True)
        with held("searching") as (arrived, released), ThreadPoolExecutor(1) as pool:
            searching = pool.submit(ids, indexes.of("alice"), "alpha")
            assert arrived.wait(PATIENCE)
            receipt = indexes.of("bob").add_sync(THREE)
            released.set()
            assert searching.result(PATIENCE) == ["a"]
            receipt.wait(PATIENCE)
        assert ids(indexes.of("bob"), "beta") == ["b"]
        assert ids(indexes.of("alice"), "beta") == ["b"]


def test_many_threads_and_loops(tmp_path: Path) -> None:
    """8 threads and 3 event loops write, search and delete for 5 users: every id ends as it was last written."""

    def of_thread(number: int) -> dict[tuple[str, str], str | None]:
        last: dict[tuple[str, str], str | None] = {}
        for turn in range(12):
            user, document = f"{(number + turn) % 5}", f"{number}-{turn % 4}"
            index = indexes.of(user)
            if turn % 5 == 4:
                index.delete_sync([document])
                last[user, document] = None
            else:
                index.add_sync([(document, f"text {number} {turn}")])
                last[user, document] = f"text {number} {turn}"
            index.search_sync(f"text {number} {turn}")
        return last

    async def of_loop(number: int) -> dict[tuple[str, str], str | None]:
        last: dict[tuple[str, str], str | None] = {}
        for turn in range(12):
            user = f"{turn % 5}"
            await indexes.of(user).add([(f"loop {number}", f"loop {number} {turn}")])
            last[user, f"loop {number}"] = f"loop {number} {turn}"
            await asyncio.gather(*(indexes.of(f"{other}").search(f"loop {turn}") for other in range(5)))
        return last

    with running(tmp_path) as indexes, ThreadPoolExecutor(11) as pool:
        work = [pool.submit(of_thread, number) for number in range(8)]
        work += [pool.submit(asyncio.run, of_loop(number)) for number in range(3)]
        expected = {key: text for future in work for key, text in future.result(PATIENCE).items()}
        for user in range(5):
            index = indexes.of(f"{user}")
            index.add_sync([("last", "last")], critical=True)
            wanted = {one: text for (owner, one), text in expected.items() if owner == f"{user}" and text is not None}
            assert index.status().store.documents == len(wanted) + 1
            for one, text in wanted.items():
                assert one in ids(index, text, 100)


def test_the_store_of_another_encoder_is_encoded_anew(tmp_path: Path) -> None:
    """A change of the model mixes no vectors: the documents are encoded again, and found."""
    with running(tmp_path) as indexes:
        indexes.of("alice").add_sync(THREE, critical=True)
    loader = Loader(HashEncoder("another"))
    with running(tmp_path, loader) as indexes:
        index = indexes.of("alice")
        index.add_sync([("d", "delta")], critical=True)
        assert ids(index, "alpha") == ["a"]
        assert set(loader.encoder.encoded) >= {"alpha", "beta", "gamma", "delta"}
