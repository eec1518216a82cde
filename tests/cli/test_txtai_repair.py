"""`alwrity-doctor txtai repair`: what can be had of an index, in a new place, and the old one as it was."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.paths import user_directory
from alwrity_checks.txtai.repair import recover
from tests.support.command_line import COMMAND
from tests.support.in_process import CommandLine
from tests.support.txtai_cli import JSON, needs_mount, on_a_small_disk
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai
from tests.support.txtai_store import put, store

if TYPE_CHECKING:
    from pathlib import Path

_KILLED = """
import os, pathlib, sys
from alwrity_checks.txtai.documents import documents
from alwrity_checks.txtai.local_store import LocalStore
LocalStore(pathlib.Path(sys.argv[1]), "u", "", 0).put(documents([("late", "text")]))
os._exit(0)
"""


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return CommandLine(monkeypatch, capsys, tmp_path)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Return the index of a backend's user, with fields where the backend puts them."""
    items = [
        as_alwrity("invoice", "The invoice of March has not been paid", {"kind": "task"}),
        as_alwrity("bread", "How to bake sourdough bread at home", {"kind": "note"}),
    ]
    return saved_by_txtai(tmp_path / "workspace" / "workspace_user_7" / "indices" / "txtai", items)


def contents(directory: Path) -> dict[str, str]:
    """Return a digest of each file's content."""
    return {str(one): hashlib.sha256(one.read_bytes()).hexdigest() for one in directory.rglob("*") if one.is_file()}


def kept(data: Path, user: str) -> dict[str, str]:
    """Return the accepted texts by id."""
    return {one.id: one.text for one in recover(user_directory(data, user)).documents}


def test_a_backends_index_moves(doctor: CommandLine, index: Path) -> None:
    """Its documents are found under the user that the path names, by fields, too; with the real model."""
    before = contents(index)
    done = doctor("txtai", "repair", str(index), "--into", "new", "--offline", *JSON)
    assert done.code == 0, done.out
    assert [one["reason"] for one in done.document["results"]] == ["2 documents", "2 documents"]
    search = ("txtai", "search", "unpaid bill", "--user", "user_7", "--data", "new", "--offline", *JSON)
    for where in ((), ("--where", "kind=task")):
        found = doctor(*search, *where)
        assert found.document["results"][0]["evidence"][0]["label"] == "invoice"
    assert contents(index) == before


def test_vectors_that_are_gone(doctor: CommandLine, index: Path, tmp_path: Path) -> None:
    """Texts are what counts: without vectors everything is recovered, and the damaged index stays as it was."""
    (index / "embeddings").unlink()
    (index / "config.json").write_text("")
    before = contents(index)
    assert doctor("txtai", "repair", str(index), "--into", "new", "--no-wait").code == 0
    assert set(kept(tmp_path / "new", "user_7")) == {"invoice", "bread"}
    assert contents(index) == before


def test_what_could_not_be_recovered_is_named(doctor: CommandLine, index: Path) -> None:
    """A row that is no document is a warning that names it."""
    connection = sqlite3.connect(index / "documents")
    connection.execute("UPDATE sections SET text = ' ' WHERE id = 'bread'")
    connection.commit()
    connection.close()
    done = doctor("txtai", "repair", str(index), "--into", "new", "--no-wait", *JSON)
    assert done.code == 0
    (finding,) = done.document["results"][0]["findings"]
    assert finding["rule"]["code"] == "TXT064"
    assert "bread" in finding["message"]
    assert done.document["results"][0]["reason"] == "1 documents"
    assert doctor("txtai", "repair", str(index), "--into", "n2", "--no-wait", "--fail-on", "warn").code == 1


def test_a_store_of_the_component(doctor: CommandLine, tmp_path: Path) -> None:
    """It knows its user itself, and what is only queued moves, too."""
    one = store(tmp_path / "ix", "../../x")
    put(one, {"id": "a", "text": "alpha"})
    one.close()
    directory = user_directory(tmp_path / "ix", "../../x")
    assert doctor("txtai", "repair", str(directory), "--into", "new", "--no-wait").code == 0
    assert kept(tmp_path / "new", "../../x") == {"a": "alpha"}


@pytest.mark.parametrize("into", [".", "workspace", "workspace/workspace_user_7/indices/txtai", "{index}/new"])
def test_never_in_place(doctor: CommandLine, index: Path, into: str) -> None:
    """Neither the index itself nor anything in it or around it is a new place."""
    before = contents(index)
    done = doctor("txtai", "repair", str(index), "--into", into.format(index=index), "--no-wait")
    assert (done.code, done.out) == (2, "")
    assert "new" in done.err
    assert contents(index) == before


def test_a_link_is_no_new_place(doctor: CommandLine, index: Path, tmp_path: Path) -> None:
    """A link to the old place is the old place."""
    (tmp_path / "link").symlink_to(index.parent)
    assert doctor("txtai", "repair", str(index), "--into", "link", "--no-wait").code == 2


def test_a_place_that_is_in_use(doctor: CommandLine, index: Path, tmp_path: Path) -> None:
    """What is there already is neither mixed nor overwritten."""
    repair = ("txtai", "repair", str(index), "--into", "new", "--no-wait")
    assert doctor(*repair).code == 0
    again = doctor(*repair)
    assert (again.code, again.out) == (2, "")
    assert "new place" in again.err
    assert doctor(*repair, "--user", "another").code == 0
    assert len(kept(tmp_path / "new", "user_7")) == 2


def test_whose_it_is_must_be_known(doctor: CommandLine, tmp_path: Path) -> None:
    """Without a user in path or directory it is asked for."""
    directory = saved_by_txtai(tmp_path / "somewhere", [{"id": "a", "text": "alpha"}])
    done = doctor("txtai", "repair", str(directory), "--into", "new", "--no-wait")
    assert (done.code, done.out) == (2, "")
    assert "--user" in done.err
    assert doctor("txtai", "repair", str(directory), "--into", "new", "--no-wait", "--user", "u").code == 0


def test_a_path_that_leads_nowhere(doctor: CommandLine) -> None:
    """It is not the user's name that is asked for then."""
    done = doctor("txtai", "repair", "missing", "--into", "new", "--no-wait")
    assert (done.code, done.out) == (2, "")
    assert "missing is no directory" in done.err


@needs_mount
def test_a_disk_that_takes_no_writes(tmp_path: Path) -> None:
    """A mounted snapshot is examined and recovered from, with what a killed process has left in its log."""
    disk = tmp_path / "disk"
    (tmp_path / "plan.md").write_text("A town")
    index = user_directory(disk / "ix", "u")
    examined, repaired = on_a_small_disk(
        disk,
        f"{' '.join(COMMAND)} txtai index plan.md --user u --data {disk}/ix --no-wait",
        f"{sys.executable} -c '{_KILLED}' {index}",
        f"mount -o remount,ro {disk}",
        ("txtai", "status", str(disk / "ix"), *JSON),
        ("txtai", "repair", str(index), "--into", "new", "--no-wait"),
        size="8m",
    )
    assert (examined.returncode, repaired.returncode) == (0, 0), examined.stdout + repaired.stdout
    (result,) = json.loads(examined.stdout)["results"]
    assert result["reason"] == "0 documents in the last snapshot, 2 operations after it"
    assert kept(tmp_path / "new", "u") == {"plan.md": "A town", "late": "text"}


@pytest.mark.parametrize("name", ["nothing", "missing"])
def test_nothing_to_recover(doctor: CommandLine, tmp_path: Path, name: str) -> None:
    """An empty directory, or none: wrong usage."""
    (tmp_path / "nothing").mkdir()
    done = doctor("txtai", "repair", name, "--into", "new", "--user", "u", "--no-wait")
    assert (done.code, done.out) == (2, "")
