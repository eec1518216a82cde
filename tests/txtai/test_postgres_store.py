"""What is peculiar to the store in PostgreSQL: several hosts, one order, few connections, a server that goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("psycopg")

import psycopg

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.poison import is_environmental
from alwrity_checks.txtai.postgres import queue
from alwrity_checks.txtai.storage import StaleBatch, Storage, StorageError, UserStore
from tests.support.postgres import Host, content, new_user, until
from tests.support.txtai_runtime import held
from tests.support.txtai_store import DIMENSIONS, drain, encode, put, step, vector
from tests.txtai.store_contract import wide

if TYPE_CHECKING:
    from tests.support.postgres import Server

SESSIONS = "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'alwrity-doctor semantic index'"


@pytest.fixture
def one(postgres: Server) -> Iterator[Host]:
    """Return a host."""
    made = Host(postgres.url)
    yield made
    made.close()


@pytest.fixture
def two(postgres: Server) -> Iterator[Host]:
    """Return another host."""
    made = Host(postgres.url)
    yield made
    made.close()


@pytest.fixture
def user() -> str:
    """Return a user without documents."""
    return new_user()


def test_it_is_a_store(one: Host, user: str) -> None:
    """The types are those of the seam."""
    seam: Storage = one.storage()
    store: UserStore = one.opened(user)
    assert user in set(seam.users())
    assert not store.settle(force=True)


# The right to apply


def test_one_host_at_a_time_applies(one: Host, two: Host, user: str) -> None:
    """While a host is at it, another has nothing to do; it learns how far that is, and goes on when its turn comes."""
    first, second = one.opened(user), two.opened(user)
    put(first, ("a", "alpha"))
    batch = first.pending()
    put(second, ("b", "beta"))
    assert (bool(second.pending()), second.pending().sequence) == (False, 0)
    first.apply(batch, encode(["alpha"]))
    assert (bool(second.pending()), second.pending().sequence) == (False, 1)
    assert [hit.id for hit in second.search(vector("alpha"), 1)] == ["a"]
    drain(first)
    assert second.pending().sequence == 2
    put(first, ("c", "gamma"))
    assert step(second)
    assert content(first) == {"a": "alpha", "b": "beta", "c": "gamma"}


def test_a_host_that_dies_leaves_its_work_to_another(one: Host, two: Host, user: str) -> None:
    """The server takes the right back with the session."""
    first, second = one.opened(user), two.opened(user)
    put(first, ("a", "alpha"))
    assert first.pending()
    assert not second.pending()
    one.vanish()
    drain(second)
    assert content(second) == {"a": "alpha"}


def test_closing_gives_the_right_back(one: Host, two: Host, user: str) -> None:
    """At once, though the host goes on with other users."""
    first, second, other = one.opened(user), two.opened(user), one.opened(new_user())
    put(first, ("a", "alpha"))
    assert first.pending()
    put(other, ("x", "xi"))
    assert other.pending()
    first.close()
    assert second.pending()
    assert one.database._rights._connection is not None


def test_two_stores_of_one_host_are_two(one: Host, user: str) -> None:
    """One session would be granted its own lock twice."""
    first, second = one.opened(user), one.opened(user)
    put(first, ("a", "alpha"))
    assert first.pending()
    assert not second.pending()
    drain(first)
    put(second, ("b", "beta"))
    assert second.pending()


def test_a_right_that_was_lost_does_no_harm(one: Host, two: Host, postgres: Server, user: str) -> None:
    """Two hosts have the same batch, because one does not know that its session is gone: one of them applies it."""
    first, second = one.opened(user), two.opened(user)
    put(first, ("a", "alpha"), ("b", "beta"))
    early = first.pending()
    rights = one.database._rights._connection
    assert rights is not None
    postgres.ask("SELECT pg_terminate_backend(%s, 5000)", rights.info.backend_pid)
    late = second.pending()
    assert [one.id for one in late.upserts] == [one.id for one in early.upserts]
    second.apply(late, encode(["alpha", "beta"]))
    put(second, ("a", "newer"))
    drain(second)
    with pytest.raises(StaleBatch):
        first.apply(early, encode(["alpha", "beta"]))
    assert content(first) == {"a": "newer", "b": "beta"}
    put(first, ("c", "gamma"))
    drain(first)
    assert "c" in content(second)


def test_nobody_waits_for_somebody_who_applies(one: Host, two: Host, user: str) -> None:
    """While a batch is being written others accept and search; a second writer is turned away, not kept waiting."""
    first, second = one.opened(user), two.opened(user)
    put(first, ("a", "alpha"))
    batch = first.pending()
    with ThreadPoolExecutor(1) as pool, held("copied") as (arrived, released):
        writing = pool.submit(first.apply, batch, encode(["alpha"]))
        assert arrived.wait(10)
        assert put(second, ("b", "beta")) == 2
        assert second.search(vector("alpha"), 9) == []
        one.database._rights.close()
        stolen = second.pending()
        assert [document.id for document in stolen.upserts] == ["a", "b"]
        with pytest.raises(StaleBatch):
            second.apply(stolen, encode(["alpha", "beta"]))
        released.set()
        writing.result()
    drain(second)
    assert content(second) == {"a": "alpha", "b": "beta"}


def test_the_order_of_sequences_is_that_of_commits(one: Host, two: Host, postgres: Server, user: str) -> None:
    """Somebody whose commit takes long is not overtaken: the watermark would move past what he accepts."""
    store = two.opened(user)
    accepted = queue.operations(documents([("slow", "slow")]), [], clear=False)
    with psycopg.connect(postgres.url, options="-c search_path=alwrity_txtai,public") as slow:
        assert queue.accept(slow, user, accepted) == 1
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(put, one.store(user), ("late", "late"))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
            until(lambda: postgres.ask(waiting, "%INSERT INTO users%") != [(0,)])
            assert not later.done()
            assert not store.pending()
            slow.commit()
            assert later.result() == 2
    assert [document.id for document in store.pending().upserts] == ["slow", "late"]


# Encoders


def test_hosts_with_two_encoders_do_not_fight(one: Host, two: Host, user: str) -> None:
    """The newer deployment wins; a process that had the index before it says so, and changes nothing back."""
    old = one.opened(user, "old")
    put(old, ("a", "alpha"), ("b", "beta"))
    drain(old)
    put(old, ("c", "gamma"))
    batch = old.pending()
    early = two.store(user, "new")
    with pytest.raises(StorageError, match="being written"):
        early.open()
    old.apply(batch, encode(["gamma"]))
    assert not old.pending()
    early.open()
    with pytest.raises(StorageError, match="changed to the encoder new"):
        old.search(vector("alpha"), 1)
    with pytest.raises(StorageError, match="changed to the encoder new"):
        old.pending()
    old.close()
    with pytest.raises(StorageError, match="changed to the encoder new"):
        old.open()
    put(old, ("d", "delta"))
    drain(early)
    assert content(early) == {"a": "alpha", "b": "beta", "c": "gamma", "d": "delta"}


def test_a_search_compares_vectors_of_one_encoder(one: Host, two: Host, user: str) -> None:
    """Not even of other dimensions: the encoder is asked for where the vectors are read."""
    old, new = one.opened(user), two.store(user, "wide", 2 * DIMENSIONS)
    put(old, ("a", "alpha"))
    drain(old)
    new.open()
    batch = new.pending()
    new.apply(batch, wide(encode([document.text for document in batch.upserts])))
    with pytest.raises(StorageError, match="changed to the encoder wide"):
        old.search(vector("alpha"), 1)
    assert new.search(wide(encode(["alpha"]))[0], 1)[0].id == "a"


# Connections


def test_connections_are_few_and_never_idle_in_a_transaction(postgres: Server) -> None:
    """Whatever number of users and threads; and none is left when the last store is closed."""
    host = Host(postgres.url, most_connections=3)
    names = [new_user() for _ in range(12)]
    most = 0

    def work(name: str) -> None:
        nonlocal most
        store = host.opened(name)
        for number in range(5):
            put(store, (f"d{number}", f"text {number}"))
            drain(store)
            store.search(vector("text 1"), 3)
            most = max(most, host.database._pool._size - host.database._pool._free._value)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, names))
    sessions = postgres.ask(SESSIONS)
    assert most <= 3
    assert len(sessions) <= 4
    assert {state for _, state in sessions} == {"idle"}
    host.close()
    mine = {pid for pid, _ in sessions}
    until(lambda: not mine & {pid for pid, _ in postgres.ask(SESSIONS)})


def test_a_busy_pool_says_so(postgres: Server, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gets no connection is told so in the end, and it is not his document's fault."""
    monkeypatch.setattr("alwrity_checks.txtai.postgres.pool._PATIENCE", 0.01)
    host = Host(postgres.url, most_connections=1)
    with host.database._pool.connection(), pytest.raises(StorageError, match="connections") as caught:
        put(host.store(user), ("a", "alpha"))
    assert is_environmental(caught.value)
    host.close()


def test_a_closed_store_keeps_no_connection(one: Host, user: str) -> None:
    """Accepting and asking still work, each with a connection of its own."""
    store = one.opened(user)
    store.close()
    assert store.status().queued == 0
    assert not one.database._pool._idle


def test_a_session_that_was_ended_is_replaced(one: Host, postgres: Server, user: str) -> None:
    """An administrator, or a firewall, ends idle sessions: the next operation does not notice."""
    store = one.opened(user)
    put(store, ("a", "alpha"))
    assert store.pending()
    for connection in (*one.database._pool._idle, one.database._rights._connection):
        assert connection is not None
        postgres.ask("SELECT pg_terminate_backend(%s, 5000)", connection.info.backend_pid)
    put(store, ("b", "beta"))
    drain(store)
    assert content(store) == {"a": "alpha", "b": "beta"}


def test_a_commit_whose_answer_is_lost_counts_once(one: Host, postgres: Server, user: str) -> None:
    """The session ends between the commit and the answer: applying again finds out that it has been done."""
    store = one.opened(user)
    put(store, ("a", "alpha"))
    batch = store.pending()
    apply = one.database._run

    def lossy(act: object) -> object:
        one.database._run = apply  # type: ignore[method-assign]
        apply(act)  # type: ignore[arg-type]
        connection = one.database._pool._idle[-1]
        postgres.ask("SELECT pg_terminate_backend(%s, 5000)", connection.info.backend_pid)
        return one.database._run(lambda stale: stale.execute("SELECT"))

    one.database._run = lossy  # type: ignore[method-assign,assignment]
    with pytest.raises(StaleBatch):
        store.apply(batch, encode(["alpha"]))
    assert (store.status().applied, store.status().generation) == (1, 1)
    assert content(store) == {"a": "alpha"}


# A server that comes and goes


def test_a_server_that_is_gone_is_named_and_blames_no_document(one: Host, postgres: Server, user: str) -> None:
    """Every operation says so; when the server is back the store works as before, without being opened again."""
    store = one.opened(user)
    put(store, ("a", "alpha"))
    drain(store)
    put(store, ("b", "beta"))
    batch = store.pending()
    postgres.stop()
    try:
        for act in (
            lambda: put(store, ("c", "gamma")),
            store.pending,
            lambda: store.search(vector("alpha"), 1),
            store.status,
            lambda: store.bury(batch.upserts, "why"),
        ):
            with pytest.raises(StorageError, match="failed in the database at") as caught:
                act()
            assert is_environmental(caught.value)
            assert "server" in caught.value.remedy
    finally:
        postgres.start()
    assert [hit.id for hit in store.search(vector("alpha"), 1)] == ["a"]
    drain(store)
    put(store, ("c", "gamma"))
    drain(store)
    assert content(store) == {"a": "alpha", "b": "beta", "c": "gamma"}


def test_an_error_of_the_data_is_not_the_machines(one: Host, user: str) -> None:
    """The runtime may bury the document that it stands alone with."""
    store = one.opened(user)
    with pytest.raises(StorageError) as caught:
        store._database.run("testing", lambda connection: connection.execute("SELECT 'NaN'::real[]"))
    assert not is_environmental(caught.value)


def test_threads_may_share_a_store(one: Host, two: Host, user: str) -> None:
    """Accepting, applying and searching from many threads of two hosts at once."""
    stores = [one.opened(user), two.opened(user)]
    ended = threading.Event()

    def accept(number: int) -> None:
        for times in range(15):
            put(stores[number % 2], (f"d{number}", f"text {number}.{times}"), deletes=[f"d{number}"])

    def apply(store: UserStore) -> None:
        while not ended.is_set():
            try:
                step(store)
            except StaleBatch:
                continue

    with ThreadPoolExecutor(8) as pool:
        appliers = [pool.submit(apply, store) for store in stores]
        try:
            list(pool.map(accept, range(4)))
            for _ in range(30):
                assert all(hit.text.startswith("text") for hit in stores[0].search(vector("text"), 5))
        finally:
            ended.set()
        for applier in appliers:
            applier.result()
    for store in (*stores, *stores):
        drain(store)
    assert content(stores[1]) == {f"d{number}": f"text {number}.14" for number in range(4)}
