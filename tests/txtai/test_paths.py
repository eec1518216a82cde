"""User ids are never paths, and files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.txtai.paths import create_user_directory, user_directory, user_of, users_in, write_file
from alwrity_checks.txtai.storage import StorageError
from alwrity_checks.txtai.work import Work, sweep_work

HOSTILE = ["../../x", "/etc/passwd", "..", "", " ", "a/b\\c", "CON", "a\0b", "Ünï", "\ud800", "x" * 5000, "user_2abc"]


@pytest.mark.parametrize("user_id", HOSTILE)
def test_no_id_leaves_the_root(tmp_path: Path, user_id: str) -> None:
    """Every string gets a directory of its own directly below the root, and is found again by its id."""
    directory = user_directory(tmp_path, user_id)
    assert directory.parent == tmp_path
    create_user_directory(directory, user_id)
    create_user_directory(directory, user_id)
    assert user_of(directory) == user_id
    assert list(users_in(tmp_path)) == [user_id]


@given(st.text(), st.text())
def test_two_ids_are_two_directories(one: str, two: str) -> None:
    """Ids that differ, if only in case or in a character that no path can hold, do not share a directory."""
    directories = {user_directory(Path("root"), user_id).name.casefold() for user_id in (one, two)}
    assert len(directories) == len({one, two})


def test_a_directory_is_not_given_to_another_user(tmp_path: Path) -> None:
    """Should two ids ever meet in one directory, the second user is told and sees nothing."""
    directory = tmp_path / "shared"
    create_user_directory(directory, "alice")
    with pytest.raises(StorageError, match="another user"):
        create_user_directory(directory, "bob")


def test_what_is_no_user_is_not_listed(tmp_path: Path) -> None:
    """Other directories, damaged ones and copies under another name are passed over."""
    create_user_directory(user_directory(tmp_path, "alice"), "alice")
    create_user_directory(tmp_path / "copy-of-alice", "alice")
    (tmp_path / "other").mkdir()
    broken = user_directory(tmp_path, "bob")
    create_user_directory(broken, "bob")
    (broken / "user.json").write_text("[", "utf-8")
    (tmp_path / "file").write_text("", "utf-8")
    assert list(users_in(tmp_path)) == ["alice"]
    assert list(users_in(tmp_path / "absent")) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing is left beside the file."""
    write_file(tmp_path / "CURRENT", b"one")
    write_file(tmp_path / "CURRENT", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("CURRENT", b"two")]


def test_work_directories_are_swept_when_their_process_is_gone(tmp_path: Path) -> None:
    """One that is in use stays; one without a living owner goes, whether it got as far as its lock or not."""
    ours = Work(tmp_path)
    dead, barely = tmp_path / "work-1-1", tmp_path / "work-1-2"
    for path in (dead, barely):
        path.mkdir()
    (dead / "lock").touch()
    (dead / "documents").touch()
    sweep_work(tmp_path)
    assert list(tmp_path.iterdir()) == [ours.path]
    ours.remove()
    ours.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="locks of another kind")
def test_work_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    """Another process does not sweep what this one uses, and does sweep it afterwards."""
    ours = Work(tmp_path)
    sweep = "import pathlib, sys; from alwrity_checks.txtai.work import *; sweep_work(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", sweep, str(tmp_path)]
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter
    assert ours.path.exists()
    os.close(ours._descriptor)
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter
    assert not ours.path.exists()
    ours._descriptor = os.open(os.devnull, os.O_RDONLY)
    ours.remove()
    assert Work(tmp_path).path != ours.path


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Where a user's directory was removed a claim fails, and does not go on trying for ever."""
    with pytest.raises(FileNotFoundError):
        Work(tmp_path / "gone")
