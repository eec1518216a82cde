"""What the disk and SQLite say, in our words."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import DoctorError
from alwrity_checks.txtai.faults import storage_errors
from alwrity_checks.txtai.storage import DamagedIndex, StorageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EDQUOT, "no space is left"),
        (errno.EFBIG, "no space is left"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "failed in"),
    ],
)
def test_what_the_system_says(tmp_path: Path, number: int, word: str) -> None:
    """A full disk, missing rights and the rest are three different things to do something about."""
    with pytest.raises(StorageError, match=word) as caught, storage_errors("writing", tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path))
    assert str(tmp_path) in caught.value.diagnosis
    assert caught.value.remedy
    assert isinstance(caught.value.__cause__, OSError)


def test_a_database_that_may_not_be_written(tmp_path: Path) -> None:
    """SQLite's own refusals are told apart."""
    path = tmp_path / "queue.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE one (x)")
    connection.close()
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    with pytest.raises(StorageError, match="cannot be written"), storage_errors("writing", path):
        reader.execute("INSERT INTO one VALUES (1)")
    with pytest.raises(StorageError, match="no such table"), storage_errors("reading", path):
        reader.execute("SELECT * FROM two")
    reader.close()


def test_a_database_that_is_held(tmp_path: Path) -> None:
    """Where another process does not let go, the error says whom to look for."""
    path = tmp_path / "queue.sqlite3"
    holder, waiter = (sqlite3.connect(path, isolation_level=None, timeout=0) for _ in range(2))
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="another process holds"), storage_errors("writing", path):
        waiter.execute("BEGIN IMMEDIATE")
    holder.close()
    waiter.close()


def test_a_database_that_is_none(tmp_path: Path) -> None:
    """Damage has a type of its own, and the command that repairs as its remedy."""
    path = tmp_path / "queue.sqlite3"
    path.write_bytes(b"x" * 4096)
    connection = sqlite3.connect(path)
    with pytest.raises(DamagedIndex, match="is damaged") as caught, storage_errors("reading", path):
        connection.execute("SELECT * FROM sqlite_master")
    connection.close()
    assert caught.value.remedy == f"alwrity-doctor txtai repair {tmp_path} --into NEW_DIRECTORY"


def test_other_errors_pass(tmp_path: Path) -> None:
    """What is ours already, and what is a fault of the program, is not renamed."""
    for error in (DoctorError("ours"), KeyError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, storage_errors("writing", tmp_path):
            raise error
        assert caught.value is error
