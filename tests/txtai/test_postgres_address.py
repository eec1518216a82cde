"""The URL: read as the driver reads it, and never shown."""

from __future__ import annotations

import sys
import traceback

import pytest

pytest.importorskip("psycopg")

from psycopg.conninfo import conninfo_to_dict

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.redaction import Secret, scrub
from alwrity_checks.txtai.indexes import SemanticIndexes
from alwrity_checks.txtai.postgres import storage_at
from alwrity_checks.txtai.postgres.address import Address
from alwrity_checks.txtai.postgres.database import Database
from alwrity_checks.txtai.postgres.store import PostgresStorage
from alwrity_checks.txtai.storage import StorageError

PASSWORD = "correct horse battery"
URL = f"postgresql://alice:{PASSWORD.replace(' ', '%20')}@db.invalid:6543/app?sslmode=require"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_a_url_is_read(scheme: str) -> None:
    """With a driver of SQLAlchemy's in it, too, and with what libpq knows behind the question mark."""
    address = Address.of(Secret(URL.replace("postgresql", scheme) + "\n"))
    parts = conninfo_to_dict(address.conninfo.reveal())
    assert (parts["user"], parts["password"], parts["dbname"]) == ("alice", PASSWORD, "app")
    assert (parts["sslmode"], parts["connect_timeout"], parts["client_encoding"]) == ("require", "5", "utf8")
    assert address.place == "db.invalid:6543/app"
    assert PASSWORD not in repr(address)


def test_a_url_may_say_how_long_to_wait() -> None:
    """What it says is not overruled."""
    parts = conninfo_to_dict(Address.of(Secret(URL + "&connect_timeout=2")).conninfo.reveal())
    assert parts["connect_timeout"] == "2"


@pytest.mark.parametrize(
    "url", ["", "sqlite:///x", "mysql://u:hunter2hunter2@h/d", URL + "&unknown=1", URL.replace("db.invalid", "[::1")]
)
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    """Neither in the error nor in a traceback."""
    with pytest.raises(ConfigurationError) as caught:
        Database(Secret(url))
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.remedy
    assert "hunter2" not in shown
    assert "battery" not in shown
    assert scrub(caught.value.remedy) == caught.value.remedy
    assert Address.of(Secret(caught.value.remedy.removeprefix("write it as "))).place == "HOST:5432/DATABASE"


def test_an_error_of_the_driver_shows_no_password() -> None:
    """A server that is not there is named by its place; the password is known to be one wherever it turns up."""
    storage = storage_at(Secret(URL.replace("db.invalid", "127.0.0.1").replace("6543", "1")))("hash-8", 8)
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1/app") as caught:
        storage.user("alice").status()
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown
    assert "battery" not in shown
    assert PASSWORD not in scrub(f"connecting with {PASSWORD}")


def test_one_setting_chooses_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is connected by that; and without the driver the extra is named."""
    indexes = SemanticIndexes.from_environment({"ALWRITY_TXTAI_URL": URL})
    assert isinstance(indexes._storage("hash-8", 8), PostgresStorage)
    assert indexes.close_sync()
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match="postgres"):
        SemanticIndexes.from_environment({"ALWRITY_TXTAI_URL": URL})
    local = SemanticIndexes.from_environment({"ALWRITY_TXTAI_URL": " "})
    assert not isinstance(local._storage("hash-8", 8), PostgresStorage)
    assert local.close_sync()
