"""What every store promises, whatever it is kept in: the tests of `UserStore` that the implementations share.

A test module makes a class of `StoreContract` with a fixture `world`, and a machine of `ContractMachine` with
`make_world`. What is peculiar to one implementation is tested beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.storage import Batch, NotOpen, StaleBatch, StorageError, StoreStatus, UnusableFilter
from tests.support.txtai_store import DIMENSIONS, drain, encode, put, step, vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from alwrity_checks.txtai.storage import Storage, UserStore

UNUSABLE: Final = (
    None,
    np.zeros((1, DIMENSIONS)),
    np.full((2, DIMENSIONS), np.nan),
    np.zeros((2, DIMENSIONS)),
    np.ones((2, DIMENSIONS)),
    np.ones((2, DIMENSIONS + 1)),
    np.ones(2 * DIMENSIONS),
)
"""Vectors that do not belong to two documents."""

FIELDS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "post", "n": 1, "flag": True, "none": None, "list": ["post"], "map": {"kind": "post"}},
    {"kind": "page", "n": 1.0, "flag": 1},
    {"kind": "post", "n": 2.5, "flag": "true"},
    {"kind": "it's; DROP TABLE documents --", "n": "1"},
    {"κλειδί \"'": "ä\n\t\\", "n": -3, "list": []},
    {},
)
WHERE: Final[tuple[tuple[dict[str, Any], set[int]], ...]] = (
    ({"kind": "post"}, {0, 2}),
    ({"n": 1}, {0, 1}),
    ({"n": 1.0}, {0, 1}),
    ({"n": "1"}, {3}),
    ({"n": 2.5, "kind": "post"}, {2}),
    ({"flag": True}, {0}),
    ({"flag": 1}, {1}),
    ({"flag": "true"}, {2}),
    ({"flag": False}, set()),
    ({"kind": None}, {4, 5}),
    ({"none": None}, {0, 1, 2, 3, 4, 5}),
    ({"list": None}, {1, 2, 3, 5}),
    ({"list": "post"}, set()),
    ({"map": "post"}, set()),
    ({"kind": "it's; DROP TABLE documents --"}, {3}),
    ({"kind') OR true --": "post"}, set()),
    ({"κλειδί \"'": "ä\n\t\\"}, {4}),
    ({}, {0, 1, 2, 3, 4, 5}),
)


class World(Protocol):
    """A place where stores are kept, as several processes see it."""

    def storage(self, encoder: str = "hash-8", dimensions: int = DIMENSIONS) -> Storage:
        """Return the storage that a further process has."""

    def store(self, user_id: str = "alice", encoder: str = "hash-8") -> UserStore:
        """Return the store of a user that a further process has, not yet opened; closed with the world."""

    def content(self, store: UserStore) -> dict[str, str]:
        """Return the texts in an open store by id, after a comparison with its vectors."""

    def kill(self, store: UserStore) -> None:
        """End the process that has the store, as SIGKILL does."""

    def close(self) -> None:
        """Close every store, and leave nothing behind."""


def wide(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return normalised vectors of twice the dimensions."""
    return np.asarray(np.concatenate([block, block], axis=1) / np.sqrt(2), dtype=np.float32)


class StoreContract:
    """The promises of `UserStore`, one by one. A subclass has the fixture `world`."""

    @pytest.fixture
    def alice(self, world: World) -> UserStore:
        """Return an open store without documents."""
        made = world.store()
        made.open()
        return made

    def test_a_user_without_a_store_has_none(self, world: World) -> None:
        """Asking how things stand makes no user."""
        bob = world.store("bob")
        assert bob.status() == StoreStatus(0, 0, None, 0, 0, 0)
        assert bob.dead_letters() == []
        assert "bob" not in set(world.storage().users())

    @pytest.mark.parametrize("user_id", ["alice", "../../x", "a\0b", "\ud800", "ä" * 5000, " "])
    def test_any_string_names_a_user(self, world: World, user_id: str) -> None:
        """And is given back as it is."""
        put(world.store(user_id), ("a", "alpha"))
        assert list(world.storage().users()) == [user_id]
        assert world.store(user_id).status().queued == 1
        assert world.store(user_id + "x").status().queued == 0

    def test_accepting_needs_no_open_index(self, world: World) -> None:
        """What one process has accepted another one applies, and the status tells how far that is."""
        before = time.time()
        door = world.store()
        assert put(door, ("a", "alpha"), ("b", "beta")) == 2
        status = door.status()
        assert (status.documents, status.queued, status.applied) == (0, 2, 0)
        assert status.oldest_queued_at is not None
        assert before - 0.001 <= status.oldest_queued_at <= time.time() + 0.001
        with pytest.raises(NotOpen):
            door.pending()
        with pytest.raises(NotOpen):
            door.search(vector("alpha"), 1)
        writer = world.store()
        writer.open()
        writer.open()
        drain(writer)
        assert world.content(writer) == {"a": "alpha", "b": "beta"}
        assert (writer.status().documents, writer.status().queued, writer.status().applied) == (2, 0, 2)
        assert (door.status().queued, door.status().applied) == (0, 2)

    def test_a_batch_is_what_is_to_be_done(self, world: World, alice: UserStore) -> None:
        """Upserts to encode, deletes, and what is unchanged and costs nothing."""
        put(alice, ("a", "alpha"), ("b", "beta"))
        drain(alice)
        put(alice, ("a", "alpha"), ("b", "better"), ("c", "gamma"), deletes=["d"])
        batch = alice.pending()
        assert [one.id for one in batch.upserts] == ["b", "c"]
        assert (batch.deletes, batch.unchanged, batch.cleared, batch.sequence) == (("d",), ("a",), False, 6)
        alice.apply(batch, encode(["better", "gamma"]))
        assert world.content(alice) == {"a": "alpha", "b": "better", "c": "gamma"}
        assert not alice.pending()
        alice.apply(alice.pending())

    def test_the_last_operation_on_an_id_wins(self, world: World, alice: UserStore) -> None:
        """Within a batch, and from one to the next."""
        put(alice, ("a", "one"), ("b", "beta"))
        put(alice, ("a", "two"), deletes=["b"])
        put(alice, ("a", "three"), ("c", "gamma"))
        alice.put(deletes=["c"])
        batch = alice.pending()
        assert [one.text for one in batch.upserts] == ["three"]
        assert set(batch.deletes) == {"b", "c"}
        drain(alice, 1)
        assert world.content(alice) == {"a": "three"}
        put(alice, *((one, one) for one in "bcde"))
        drain(alice)
        put(alice, ("f", "phi"), deletes=list("abcd"))
        drain(alice)
        assert world.content(alice) == {"e": "e", "f": "phi"}

    def test_fields_count_as_content(self, alice: UserStore) -> None:
        """A changed field is a change, though the vector stays the same."""
        put(alice, {"id": "a", "text": "alpha", "kind": "x"})
        drain(alice)
        put(alice, {"id": "a", "text": "alpha", "kind": "y"})
        assert alice.pending().upserts
        drain(alice)
        assert alice.search(vector("alpha"), 1, {"kind": "y"})[0].fields == {"kind": "y"}

    def test_filters_compare_as_json_does(self, alice: UserStore) -> None:
        """By value and kind, None for null or absent; and no word of a filter is ever a command."""
        put(alice, *({"id": f"d{number}", "text": "the same", **fields} for number, fields in enumerate(FIELDS)))
        drain(alice)
        for where, expected in WHERE:
            hits = alice.search(vector("the same"), 99, where)
            assert {hit.id for hit in hits} == {f"d{number}" for number in expected}, where
            assert all(hit.fields == FIELDS[int(hit.id[1:])] for hit in hits)
        for value in (["post"], {"kind": "post"}, object()):
            with pytest.raises(UnusableFilter):
                alice.search(vector("the same"), 1, {"kind": value})

    def test_a_search_finds_the_nearest(self, alice: UserStore) -> None:
        """Best first, by cosine, no more than asked for, and nothing that points the other way."""
        names = [f"text {number}" for number in range(60)]
        put(alice, *((name, name) for name in names))
        drain(alice)
        wanted = vector("a query")
        cosine = dict(zip(names, encode(names) @ wanted, strict=True))
        best = [one for one in sorted(names, key=lambda name: -cosine[name]) if cosine[one] > 0]
        hits = alice.search(wanted, 99)
        assert [hit.id for hit in hits] == best
        assert [hit.score for hit in hits] == pytest.approx([cosine[one] for one in best], abs=1e-5)
        assert [hit.id for hit in alice.search(wanted, 3)] == best[:3]
        assert alice.search(wanted, 0) == []

    def test_users_do_not_see_each_other(self, world: World, alice: UserStore) -> None:
        """Neither in searches nor in deletes and clears."""
        bob = world.store("bob")
        bob.open()
        put(alice, ("a", "alpha"))
        put(bob, ("a", "beta"), ("b", "beta"))
        drain(alice)
        drain(bob)
        alice.put(deletes=["b"])
        alice.put(clear=True)
        drain(alice)
        assert world.content(alice) == {}
        assert world.content(bob) == {"a": "beta", "b": "beta"}
        assert alice.search(vector("beta"), 9) == []

    def test_reindexing_keeps_what_is_unchanged_and_never_empties_the_index(
        self, world: World, alice: UserStore
    ) -> None:
        """A clear removes what is not accepted anew; the rest stays searchable, and is not encoded again."""
        put(alice, *((f"d{number}", f"text {number}") for number in range(5)))
        drain(alice)
        alice.put(documents([("d1", "text 1"), ("d2", "changed"), ("new", "new")]), clear=True)
        batch = alice.pending()
        assert (batch.cleared, set(batch.deletes)) == (True, {"d0", "d3", "d4"})
        alice.apply(batch)
        assert world.content(alice) == {"d1": "text 1", "d2": "text 2"}
        batch = alice.pending()
        assert ([one.id for one in batch.upserts], batch.unchanged) == (["d2", "new"], ("d1",))
        drain(alice)
        assert world.content(alice) == {"d1": "text 1", "d2": "changed", "new": "new"}

    def test_a_stale_batch_is_refused(self, alice: UserStore) -> None:
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

    @pytest.mark.parametrize("number", range(len(UNUSABLE)))
    def test_unusable_vectors_change_nothing(self, world: World, alice: UserStore, number: int) -> None:
        """Vectors that are missing, too many, not finite or not normalised are refused before anything is written."""
        put(alice, ("a", "alpha"), ("b", "beta"))
        batch = alice.pending()
        vectors: Any = UNUSABLE[number]
        with pytest.raises(StorageError, match="vector"):
            alice.apply(batch, vectors)
        alice.apply(batch, encode(["alpha", "beta"]))
        assert world.content(alice) == {"a": "alpha", "b": "beta"}

    def test_a_buried_document_blocks_nothing(self, world: World, alice: UserStore) -> None:
        """The version before stays searchable, the others go on, and a later version takes the dead letter away."""
        put(alice, ("a", "good"))
        drain(alice)
        poison = documents([{"id": "a", "text": "poison", "kind": "x"}])
        sequence = alice.put(poison)
        put(alice, ("b", "beta"))
        alice.bury(poison, "the encoder fails")
        drain(alice)
        assert world.content(alice) == {"a": "good", "b": "beta"}
        letter = alice.dead_letters()[0]
        assert (letter.sequence, letter.document, letter.reason) == (sequence, poison[0], "the encoder fails")
        assert abs(letter.buried_at - time.time()) < 60
        assert (alice.status().dead_letters, alice.status().queued) == (1, 0)
        put(alice, ("a", "good"))
        drain(alice)
        assert alice.status().dead_letters == 0
        put(alice, ("p", "poison"))
        alice.bury(documents([("p", "poison")]), "again")
        alice.put(clear=True)
        drain(alice)
        assert alice.dead_letters() == []

    def test_burying_the_last_document_ends_the_waiting(self, world: World, alice: UserStore) -> None:
        """The applied sequence moves past it, here and for whoever looks from outside."""
        poison = documents([("a", "poison")])
        sequence = alice.put(poison)
        alice.bury(poison, "no")
        assert not alice.pending()
        assert alice.status().applied == world.store().status().applied == sequence

    def test_encoders_never_mix(self, world: World, alice: UserStore) -> None:
        """A store opened with another model has everything encoded anew, but for what the queue decides on."""
        put(alice, ("a", "alpha"), ("b", "beta"), ("x", "xi"))
        drain(alice)
        alice.settle(force=True)
        put(alice, ("b", "better"), ("c", "gamma"))
        drain(alice)
        put(alice, ("d", "delta"), ("x", "psi"), deletes=["a"])
        alice.close()
        other = world.storage("wide", 2 * DIMENSIONS).user("alice")
        other.open()
        try:
            assert other.status().documents == 0
            while batch := other.pending(2):
                other.apply(batch, wide(encode([one.text for one in batch.upserts])))
            for text in ("better", "gamma", "delta", "psi"):
                assert other.search(wide(encode([text]))[0], 1)[0].text == text
            assert other.status().documents == 4
        finally:
            other.close()

    def test_a_reader_follows(self, world: World, alice: UserStore) -> None:
        """A second process sees what is applied without taking part."""
        reader = world.store()
        reader.open()
        for number in range(5):
            put(alice, (f"d{number}", f"text {number}"), deletes=[f"d{number - 3}"])
            drain(alice)
            alice.settle(force=number == 2)
            reader.refresh()
            assert world.content(reader) == world.content(alice)
        assert reader.status().applied == alice.status().applied

    def test_a_closed_store_still_accepts(self, world: World, alice: UserStore) -> None:
        """And can be opened again; closing twice does no harm."""
        put(alice, ("a", "alpha"))
        drain(alice)
        alice.close()
        alice.close()
        with pytest.raises(NotOpen):
            alice.search(vector("alpha"), 1)
        with pytest.raises(NotOpen):
            alice.settle()
        put(alice, ("b", "beta"))
        assert alice.status().queued == 1
        alice.open()
        drain(alice)
        assert world.content(alice) == {"a": "alpha", "b": "beta"}

    def test_documents_come_back_as_they_were_sent(self, alice: UserStore) -> None:
        """To the letter: control characters, long ids, numbers that a binary fraction does not hold."""
        long = "\N{GRINNING FACE}" * 1024
        sent = documents(
            [
                {"id": long, "text": " a\0b\r\n\u2028 ", "big": 10**30, "far": 1e23, "small": 1e-300, "nul": "a\0b"},
                {
                    "id": "nested",
                    "text": "x" * 200_000,
                    "deep": {"a": [{"b\0": [1, None, 1.5, "\x7f"]}]},
                    "z": 0,
                    "a": 1,
                },
            ]
        )
        alice.put(sent)
        drain(alice)
        for one in sent:
            hit = alice.search(vector(one.text), 1)[0]
            assert (hit.id, hit.text, hit.fields) == (one.id, one.text, one.fields)
            assert list(hit.fields) == list(one.fields)
        alice.put(sent)
        assert len(alice.pending().unchanged) == 2


# Whatever the order


IDS: Final = st.sampled_from([f"d{number}" for number in range(6)])
TEXTS: Final = st.sampled_from([f"text {number}" for number in range(5)])
OPERATIONS: Final = st.lists(st.tuples(IDS, TEXTS), max_size=4, unique_by=lambda pair: pair[0])
_numbers: Final = count(1)
STEPS: Final = ("applying", "copied", "applied", "noted")


class Killed(BaseException):
    """The process ends here: nobody tidies up."""


class StepError(Exception):
    """A step fails, and the process goes on."""


@contextmanager
def raising(name: str, error: type[BaseException]) -> Iterator[None]:
    """Raise `error` when the point `name` is reached for the first time."""
    left = [name]

    def hook(reached: str, _: object) -> None:
        if left and reached == name:
            left.clear()
            raise error(name)

    with hooked(hook):
        yield


class ContractMachine(RuleBasedStateMachine):
    """A random walk of several processes that accept, apply, fail and die, compared with a dictionary."""

    make_world: Callable[[], World]

    @initialize()
    def begin(self) -> None:
        """Start two processes that do everything."""
        self.world = type(self).make_world()
        self.user = f"user {next(_numbers)}"
        self.expected: dict[str, str] = {}
        self.encoder = "one"
        self.hosts = [self.started(), self.started()]

    def started(self) -> UserStore:
        """Return what a new process has."""
        store = self.world.store(self.user, self.encoder)
        store.open()
        return store

    def replace(self, number: int) -> None:
        """Start a process in the place of one that was killed."""
        self.world.kill(self.hosts[number])
        self.hosts[number] = self.started()

    def accepted(self, upserts: list[tuple[str, str]], deletes: list[str], *, clear: bool) -> None:
        """Do in the dictionary what was accepted."""
        if clear:
            self.expected.clear()
        for one in deletes:
            self.expected.pop(one, None)
        self.expected.update(upserts)

    @rule(
        host=st.integers(0, 1),
        upserts=OPERATIONS,
        deletes=st.lists(IDS, max_size=2),
        clear=st.sampled_from([False] * 9 + [True]),
    )
    def accept(self, host: int, upserts: list[tuple[str, str]], deletes: list[str], clear: bool) -> None:  # noqa: FBT001
        """Accept operations, in any process."""
        self.hosts[host].put(documents(upserts), deletes, clear=clear)
        self.accepted(upserts, deletes, clear=clear)

    @rule(host=st.integers(0, 1), upserts=OPERATIONS, name=st.sampled_from(["enqueueing", "enqueued"]))
    def killed_while_accepting(self, host: int, upserts: list[tuple[str, str]], name: str) -> None:
        """Count what was committed, even where the caller never learnt of it."""
        with raising(name, Killed), pytest.raises(Killed):
            self.hosts[host].put(documents(upserts))
        self.replace(host)
        if name == "enqueued":
            self.accepted(upserts, [], clear=False)

    @rule(host=st.integers(0, 1), limit=st.integers(1, 7))
    def apply_some(self, host: int, limit: int) -> None:
        """Apply a small batch, in whatever process."""
        step(self.hosts[host], limit)

    @rule(host=st.integers(0, 1), limit=st.integers(1, 7))
    def take_the_right_and_no_step(self, host: int, limit: int) -> None:
        """Begin to apply, and go on with it at any time later."""
        self.hosts[host].pending(limit)

    @rule(host=st.integers(0, 1), limit=st.integers(1, 7), name=st.sampled_from(STEPS))
    def killed_while_applying(self, host: int, limit: int, name: str) -> None:
        """End in the middle of a batch."""
        try:
            with raising(name, Killed):
                step(self.hosts[host], limit)
        except Killed:
            self.replace(host)

    @rule(host=st.integers(0, 1), limit=st.integers(1, 7), name=st.sampled_from(STEPS))
    def applying_fails(self, host: int, limit: int, name: str) -> None:
        """Fail in a write, be told so, and go on."""
        store = self.hosts[host]
        batch = store.pending(limit)
        if batch:
            with raising(name, StepError), pytest.raises(StorageError):
                store.apply(batch, encode([one.text for one in batch.upserts]))
            with pytest.raises(StaleBatch):
                store.apply(batch, encode([one.text for one in batch.upserts]))

    @rule(host=st.integers(0, 1), number=st.integers(0, 1), other=TEXTS)
    def poison(self, host: int, number: int, other: str) -> None:
        """Bury a document that cannot be encoded, and it alone."""
        poisonous = documents([(f"p{number}", other)])
        self.hosts[host].put(poisonous)
        self.hosts[host].bury(poisonous, "it cannot be encoded")
        assert f"p{number}" in {letter.document.id for letter in self.hosts[1 - host].dead_letters()}

    @rule(host=st.integers(0, 1))
    def close(self, host: int) -> None:
        """Close, and start again."""
        self.hosts[host].close()
        self.hosts[host] = self.started()

    @rule()
    def change_encoder(self) -> None:
        """Another model everywhere: nothing is mixed, and everything is encoded anew."""
        self.encoder = "two" if self.encoder == "one" else "one"
        for one in self.hosts:
            one.close()
        self.hosts = [self.started(), self.started()]

    @rule(host=st.integers(0, 1), limit=st.integers(1, 7))
    def compare(self, host: int, limit: int) -> None:
        """Everything accepted is searchable from everywhere, in its last version and once."""
        # One that has begun goes on, and so the other one gets its turn.
        for one in (*self.hosts, *self.hosts):
            drain(one, limit)
        assert self.world.content(self.hosts[host]) == self.expected
        status = self.hosts[host].status()
        assert (status.documents, status.queued) == (len(self.expected), 0)

    def teardown(self) -> None:
        """Compare once more, and remove everything."""
        if hasattr(self, "world"):
            try:
                self.compare(0, 256)
            finally:
                self.world.close()
