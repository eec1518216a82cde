"""A user's store in PostgreSQL keeps the promises of every store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

import pytest

pytest.importorskip("psycopg")

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.postgres import Host, content
from tests.support.txtai_store import DIMENSIONS
from tests.txtai.store_contract import ContractMachine, StoreContract

if TYPE_CHECKING:
    from alwrity_checks.txtai.postgres.store import PostgresStorage, PostgresStore
    from alwrity_checks.txtai.storage import UserStore
    from tests.support.postgres import Server

EXAMPLES: Final = int(os.environ.get("TXTAI_POSTGRES_EXAMPLES", "8"))


class PostgresWorld:
    """A database with a process of its own for every store."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._hosts: dict[object, Host] = {}

    def _host(self) -> Host:
        return Host(self._url)

    def storage(self, encoder: str = "hash-8", dimensions: int = DIMENSIONS) -> PostgresStorage:
        """Return the storage of a new process."""
        return self._host().storage(encoder, dimensions)

    def store(self, user_id: str = "alice", encoder: str = "hash-8") -> PostgresStore:
        """Return the store of a new process."""
        host = self._host()
        store = host.store(user_id, encoder)
        self._hosts[store] = host
        return store

    def content(self, store: UserStore) -> dict[str, str]:
        """Return the texts in the tables."""
        return content(cast("PostgresStore", store))

    def kill(self, store: UserStore) -> None:
        """End every session of the store's process."""
        self._hosts.pop(store).vanish()

    def close(self) -> None:
        """Close every store, and forget what it held."""
        for host in self._hosts.values():
            host.close()


@pytest.fixture(scope="module")
def database(postgres: Server) -> Iterator[str]:
    """Return the name of a database for this module."""
    with postgres.database() as name:
        yield name


@pytest.fixture
def world(postgres: Server, database: str) -> Iterator[PostgresWorld]:
    """Return a world without users."""
    made = PostgresWorld(postgres.url_of(database))
    made.store().status()
    postgres.ask("DELETE FROM alwrity_txtai.users", database=database)
    yield made
    made.close()


class TestPostgresStore(StoreContract):
    """The promises, one by one."""


def test_nothing_accepted_is_lost(postgres: Server, database: str) -> None:
    """Whatever two hosts do in whatever order, failing and dying: the store is the dictionary."""

    class Machine(ContractMachine):
        @staticmethod
        def make_world() -> PostgresWorld:
            return PostgresWorld(postgres.url_of(database))

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=25, suppress_health_check=list(HealthCheck)),
    )
