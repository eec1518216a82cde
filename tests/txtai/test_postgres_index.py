"""The semantic index over PostgreSQL: two processes' worth of it on one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("psycopg")

from alwrity_checks.redaction import Secret
from alwrity_checks.txtai.encoding import EncoderRegistry
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.postgres import storage_at
from alwrity_checks.txtai.receipts import Progress
from tests.support.postgres import new_user, until
from tests.support.txtai_runtime import PATIENCE, Loader

if TYPE_CHECKING:
    from tests.support.postgres import Server


@contextmanager
def host(postgres: Server) -> Iterator[tuple[SemanticIndexes, Loader]]:
    """Run the indexes of one host."""
    load = Loader()
    storage = storage_at(Secret(postgres.url, scrubbed=False))
    indexes = SemanticIndexes(storage, load=load, encoders=EncoderRegistry())
    try:
        yield indexes, load
    finally:
        load.gate.set()
        load.encoder.gate.set()
        assert indexes.close_sync(PATIENCE)


def test_what_one_host_accepts_every_host_finds(postgres: Server) -> None:
    """Also what a host accepts whose encoder is not loaded yet, and what another is just at."""
    user = new_user()
    with host(postgres) as (one, load), host(postgres) as (two, slow):
        slow.gate.clear()
        waiting = two.of(user).add_sync([("b", "beta", {"kind": "x"})])
        one.of(user).add_sync([("a", "alpha")], critical=True, timeout=PATIENCE)
        assert [hit.id for hit in one.of(user).search_sync("beta", where={"kind": "x"})] == ["b"]
        assert waiting.state is Progress.DEFERRED
        slow.gate.set()
        waiting.wait(PATIENCE)
        load.encoder.gate.clear()
        held = one.of(user).add_sync([("c", "gamma")])
        behind = two.of(user).add_sync([("d", "delta")])
        load.encoder.gate.set()
        held.wait(PATIENCE)
        behind.wait(PATIENCE)
        for indexes in (one, two):
            assert indexes.of(user).search_sync("gamma")[0].id == "c"
            assert indexes.of(user).search_sync("delta")[0].id == "d"
            assert indexes.of(user).status().store.documents == 4


def test_the_server_is_restarted_under_the_index(postgres: Server) -> None:
    """The error is kept and shown, nothing is buried, and it goes on by itself."""
    user = new_user()
    with host(postgres) as (indexes, load):
        index = indexes.of(user)
        index.add_sync([("a", "alpha")], critical=True, timeout=PATIENCE)
        load.encoder.gate.clear()
        load.encoder.entered.clear()
        receipt = index.add_sync([("b", "beta")])
        assert load.encoder.entered.wait(PATIENCE)
        postgres.stop("immediate")
        try:
            load.encoder.gate.set()
            until(lambda: index._writer.last_error)
        finally:
            postgres.start()
        receipt.wait(PATIENCE)
        assert index.dead_letters() == []
        assert index.search_sync("beta")[0].id == "b"


def test_an_earlier_process_left_work(postgres: Server) -> None:
    """Its documents become searchable though nobody asks for that user."""
    user = new_user()
    with host(postgres) as (first, load):
        load.gate.clear()
        first.of(user).add_sync([("a", "alpha")])
        assert first.close_sync(0.1) in {True, False}
    with host(postgres) as (second, _):
        second.start()
        second.of(user).ready_sync(PATIENCE)
        second.of(user).add_sync([], critical=True, timeout=PATIENCE)
        assert second.of(user).search_sync("alpha")[0].id == "a"
