"""A random walk through everything that can happen to a store, compared with a dictionary."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from alwrity_checks.txtai import generations
from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.point import hooked
from alwrity_checks.txtai.storage import StaleBatch, StorageError
from tests.support.txtai_store import content, drain, encode, step, store

if TYPE_CHECKING:
    from alwrity_checks.txtai.local_store import LocalStore

EXAMPLES: Final = int(os.environ.get("TXTAI_MACHINE_EXAMPLES", "60"))
IDS: Final = st.sampled_from([f"d{number}" for number in range(6)])
TEXTS: Final = st.sampled_from([f"text {number}" for number in range(5)])
OPERATIONS: Final = st.lists(st.tuples(IDS, TEXTS), max_size=4, unique_by=lambda pair: pair[0])
APPLYING: Final = ("applying", "applied", "noted")
SETTLING: Final = ("saving", "saved-work", "copied", "synced", "renamed", "switched", "trimmed")
LOADING: Final = ("loading", "loaded")


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


class StoreMachine(RuleBasedStateMachine):
    """One user's store, the process that drives it, a second process that accepts, and a third that reads."""

    @initialize()
    def begin(self) -> None:
        """Open a store in a new directory, in memory where the system has such a place."""
        shared = Path("/dev/shm")  # noqa: S108 - a place in memory, with a directory of its own in it
        self.root = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
        self.encoder = "one"
        self.stores: list[LocalStore] = []
        self.expected: dict[str, str] = {}
        self.damageable = False
        self.reopen()
        self.second = self.another()
        self.reader = self.another()
        self.reader.open()

    def another(self) -> LocalStore:
        """Return a further store of the same directory, as another process has one."""
        made = store(self.root, encoder=self.encoder)
        self.stores.append(made)
        return made

    def reopen(self) -> None:
        """Start again, as after the end of the process."""
        self.store = self.another()
        self.store.open()

    def killed(self, name: str, act: Callable[[], object]) -> bool:
        """Do something that ends at a point; say whether it came so far."""
        try:
            with raising(name, Killed):
                act()
        except Killed:
            self.reopen()
            return True
        return False

    @rule(upserts=OPERATIONS, deletes=st.lists(IDS, max_size=2), clear=st.sampled_from([False] * 9 + [True]))
    def accept(self, upserts: list[tuple[str, str]], deletes: list[str], clear: bool) -> None:  # noqa: FBT001
        """Accept operations, in either process."""
        (self.second if len(upserts) % 2 else self.store).put(documents(upserts), deletes, clear=clear)
        self.accepted(upserts, deletes, clear=clear)

    def accepted(self, upserts: list[tuple[str, str]], deletes: list[str], *, clear: bool) -> None:
        """Do in the dictionary what was accepted."""
        if clear:
            self.expected.clear()
        for one in deletes:
            self.expected.pop(one, None)
        self.expected.update(upserts)

    @rule(upserts=OPERATIONS, name=st.sampled_from(["enqueueing", "enqueued"]))
    def killed_while_accepting(self, upserts: list[tuple[str, str]], name: str) -> None:
        """Count what was committed, even where the caller never learnt of it."""
        assert self.killed(name, lambda: self.store.put(documents(upserts)))
        if name == "enqueued":
            self.accepted(upserts, [], clear=False)

    @rule(limit=st.integers(1, 7))
    def apply_some(self, limit: int) -> None:
        """Apply a small batch."""
        step(self.store, limit)

    @rule(limit=st.integers(1, 7), name=st.sampled_from(APPLYING))
    def killed_while_applying(self, limit: int, name: str) -> None:
        """End in the middle of a batch."""
        self.killed(name, lambda: step(self.store, limit))

    @rule(limit=st.integers(1, 7), name=st.sampled_from(APPLYING))
    def applying_fails(self, limit: int, name: str) -> None:
        """Fail in a write, be told so, and go on with what is durable."""
        batch = self.store.pending(limit)
        if batch:
            with raising(name, StepError), pytest.raises(StorageError):
                self.store.apply(batch, encode([one.text for one in batch.upserts]))
            with pytest.raises(StaleBatch):
                self.store.apply(batch, encode([one.text for one in batch.upserts]))

    @rule()
    def encoding_fails(self) -> None:
        """Vectors that are none change nothing."""
        batch = self.store.pending()
        if batch.upserts:
            with pytest.raises(StorageError):
                self.store.apply(batch, np.full((len(batch.upserts), 8), np.nan, np.float32))

    @rule(number=st.integers(0, 1), other=TEXTS)
    def poison(self, number: int, other: str) -> None:
        """Bury a document that cannot be encoded, and it alone."""
        poisonous = documents([(f"p{number}", other)])
        self.store.put(poisonous)
        self.store.bury(poisonous, "it cannot be encoded")
        assert f"p{number}" in {letter.document.id for letter in self.store.dead_letters()}

    @rule(force=st.booleans())
    def settle(self, force: bool) -> None:  # noqa: FBT001
        """Take a snapshot."""
        self.damageable |= self.store.settle(force=force)

    @rule(name=st.sampled_from(SETTLING))
    def killed_while_settling(self, name: str) -> None:
        """End in the middle of a snapshot."""
        self.killed(name, lambda: self.store.settle(force=True))

    @rule(name=st.sampled_from(SETTLING))
    def settling_fails(self, name: str) -> None:
        """Fail in a snapshot, and go on working."""
        try:
            with raising(name, StepError):
                self.store.settle(force=True)
        except StepError:
            return

    @rule(name=st.sampled_from(LOADING))
    def killed_while_loading(self, name: str) -> None:
        """End during the start."""
        fresh = self.another()
        assert self.killed(name, fresh.open)

    @rule()
    def close(self) -> None:
        """Close and start again."""
        self.store.close()
        self.reopen()

    @rule()
    def change_encoder(self) -> None:
        """Another model: nothing is mixed, and everything is encoded anew."""
        self.encoder = "two" if self.encoder == "one" else "one"
        self.damageable = False
        self.reopen()
        self.reader = self.another()
        self.reader.open()

    @precondition(lambda self: self.damageable)
    @rule(name=st.sampled_from(["documents", "embeddings", "config.json", "applied.json"]), remove=st.booleans())
    def disk_damages_the_generation(self, name: str, remove: bool) -> None:  # noqa: FBT001
        """One damaged generation is stepped back from without a loss."""
        current = generations.current(self.store.directory)
        assert current is not None
        file = current.path / name
        if file.exists():
            if remove:
                file.unlink()
            else:
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            self.damageable = False
            self.reopen()

    @rule()
    def read_elsewhere(self) -> None:
        """See in a process that only reads what was applied."""
        drain(self.store)
        self.reader.refresh()
        assert content(self.reader) == self.expected

    @rule(limit=st.integers(1, 7))
    def compare(self, limit: int) -> None:
        """Everything accepted is searchable, in its last version and once."""
        drain(self.store, limit)
        assert content(self.store) == self.expected
        status = self.store.status()
        assert (status.documents, status.queued) == (len(self.expected), 0)

    def teardown(self) -> None:
        """Compare once more, now and after a last start, and remove everything."""
        if not hasattr(self, "root"):
            return
        try:
            self.compare(256)
            self.reopen()
            self.compare(256)
        finally:
            for one in self.stores:
                one._loaded = None if one._loaded is None else one._discard()  # type: ignore[func-returns-value]
                one._accepting.close()
                one._journal.close()
            shutil.rmtree(self.root)


def test_nothing_accepted_is_lost() -> None:
    """Whatever the order of accepting, applying, failing, dying, damaging and starting: the store is the dictionary."""
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
