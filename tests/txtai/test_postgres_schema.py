"""The tables come into being once, whoever is first, and a database that does not fit is named."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

pytest.importorskip("psycopg")

import psycopg

from alwrity_checks.txtai.postgres.schema import STEPS, prepare
from alwrity_checks.txtai.storage import StorageError
from tests.support.postgres import Host, content
from tests.support.txtai_store import drain, put

if TYPE_CHECKING:
    from tests.support.postgres import Server

VERSIONS: Final = "SELECT number FROM alwrity_txtai.version ORDER BY number"


@pytest.fixture
def name(postgres: Server) -> Iterator[str]:
    """Return the name of an empty database."""
    with postgres.database() as made:
        yield made


def use(url: str) -> None:
    """Do with a database what a host does."""
    host = Host(url)
    store = host.opened("alice")
    put(store, ("a", "alpha"))
    drain(store)
    assert content(store) == {"a": "alpha"}
    host.close()


def test_many_hosts_begin_at_once(postgres: Server, name: str) -> None:
    """One makes the tables, the others wait and use them."""
    hosts = [Host(postgres.url_of(name)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        sequences = list(pool.map(lambda host: put(host.store("alice"), ("a", "alpha")), hosts))
    assert sorted(sequences) == list(range(1, 7))
    assert postgres.ask(VERSIONS, database=name) == [(number,) for number in range(1, len(STEPS) + 1)]
    for host in hosts:
        host.close()


def test_tables_are_brought_up_to_date(postgres: Server, name: str) -> None:
    """What an earlier release made is kept, and each step is taken once."""
    use(postgres.url_of(name))
    later = (*STEPS, "CREATE TABLE added (number integer)", "INSERT INTO added VALUES (7)")
    for _ in range(2):
        with psycopg.connect(postgres.url_of(name), autocommit=True) as connection:
            prepare(connection, "here", later)
    assert postgres.ask("SELECT number FROM alwrity_txtai.added", database=name) == [(7,)]
    assert postgres.ask("SELECT count(*) FROM alwrity_txtai.documents", database=name) == [(1,)]
    with pytest.raises(StorageError, match=f"version {len(STEPS) + 2}") as caught:
        use(postgres.url_of(name))
    assert "release" in caught.value.remedy


def test_a_step_that_fails_leaves_nothing_behind(postgres: Server, name: str) -> None:
    """The next start finds what the last one found."""
    with psycopg.connect(postgres.url_of(name), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            prepare(connection, "here", (*STEPS, "INSERT INTO nowhere VALUES (1)"))
        assert connection.execute("SELECT to_regnamespace('alwrity_txtai')").fetchone() == (None,)
    use(postgres.url_of(name))


def test_an_ordinary_user_may_use_what_is_there(postgres: Server, name: str) -> None:
    """It needs rights on the rows alone; one that has not even those is told what to grant."""
    use(postgres.url_of(name))
    postgres.ask("CREATE ROLE clerk LOGIN", database=name)
    try:
        with pytest.raises(StorageError, match="permission denied") as caught:
            use(postgres.url_of(name, "clerk"))
        assert "GRANT" in caught.value.remedy
        postgres.ask("GRANT USAGE ON SCHEMA alwrity_txtai TO clerk", database=name)
        postgres.ask(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA alwrity_txtai TO clerk", database=name
        )
        use(postgres.url_of(name, "clerk"))
    finally:
        postgres.ask("DROP OWNED BY clerk", database=name)
        postgres.ask("DROP ROLE clerk")


def test_pgvector_may_be_in_a_schema_of_its_own(postgres: Server, name: str) -> None:
    """Some hosters keep extensions apart; and nothing but that and our own schema is looked into."""
    postgres.ask("CREATE SCHEMA extensions", database=name)
    postgres.ask("CREATE EXTENSION vector SCHEMA extensions", database=name)
    postgres.ask("CREATE TABLE public.documents (trap text)", database=name)
    use(postgres.url_of(name))
    assert postgres.ask("SELECT * FROM public.documents", database=name) == []


def test_a_database_that_cannot_hold_every_character_is_refused(postgres: Server) -> None:
    """Before anything is accepted that could not be kept."""
    postgres.ask("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StorageError, match="LATIN1") as caught:
            use(postgres.url_of("narrow"))
        assert "UTF8" in caught.value.remedy
    finally:
        postgres.ask("DROP DATABASE narrow WITH (FORCE)")


def test_what_is_not_there_is_named(postgres: Server, name: str) -> None:
    """A database, a role, and tables that somebody has removed."""
    with pytest.raises(StorageError, match="does not exist"):
        use(postgres.url_of("nowhere"))
    with pytest.raises(StorageError, match="does not exist"):
        use(postgres.url_of(name, "nobody"))
    host = Host(postgres.url_of(name))
    store = host.opened("alice")
    postgres.ask("DROP SCHEMA alwrity_txtai CASCADE", database=name)
    with pytest.raises(StorageError) as caught:
        put(store, ("a", "alpha"))
    assert "restart" in caught.value.remedy
    host.close()
