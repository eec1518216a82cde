"""`alwrity-doctor txtai search`: what is found, what is filtered out, and what it says when it cannot search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.paths import user_directory
from tests.support.in_process import CommandLine
from tests.support.txtai_cli import DOCUMENTS, JSON, lines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line beside an index of alice's whose documents are accepted and not yet searchable."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = CommandLine(monkeypatch, capsys, tmp_path)
    name = lines(tmp_path / "documents.jsonl", *DOCUMENTS, {"id": "zip", "text": "A town", "priority": "3"})
    assert line("txtai", "index", name, "--user", "alice", "--data", "ix", "--no-wait").code == 0
    return line


def found(doctor: CommandLine, query: str, *more: str) -> list[str]:
    """Return the ids that a search of alice's index shows."""
    done = doctor("txtai", "search", query, "--user", "alice", "--data", "ix", "--offline", *more, *JSON)
    assert done.code == 0, done.out
    return [one["label"] for one in done.document["results"][0]["evidence"]]


def test_what_was_accepted_before_is_found(doctor: CommandLine) -> None:
    """A search works off the queue first; the best comes first, at most as many as wanted."""
    assert found(doctor, "unpaid bill", "--limit", "1") == ["invoice"]
    assert found(doctor, "baking")[0] == "bread"


def test_filters_compare_values_and_their_types(doctor: CommandLine) -> None:
    """A value is JSON where it can be read so: 3 is no "3"; several filters hold together."""
    assert set(found(doctor, "spring roses and bread", "--where", "kind=note")) == {"bread", "garden"}
    query = "a spring town garden with an invoice"
    assert set(found(doctor, query, "--where", "priority=3")) <= {"invoice", "garden"}
    assert found(doctor, query, "--where", 'priority="3"') == ["zip"]
    assert found(doctor, query, "--where", "priority=3", "--where", "kind=note") == ["garden"]
    assert found(doctor, query, "--where", "kind=nothing") == []


def test_another_users_documents_are_never_seen(doctor: CommandLine, tmp_path: Path) -> None:
    """Bob finds his own alone."""
    (tmp_path / "bob.txt").write_text("A bill that bob has to pay")
    assert doctor("txtai", "index", "bob.txt", "--user", "bob", "--data", "ix", "--no-wait").code == 0
    done = doctor("txtai", "search", "unpaid bill", "--user", "bob", "--data", "ix", "--offline", *JSON)
    assert [one["label"] for one in done.document["results"][0]["evidence"]] == ["bob.txt"]
    assert "bob.txt" not in found(doctor, "unpaid bill")


def test_the_backends_encoder_is_used(doctor: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or its index would be encoded anew, and back again by the backend; a word that is no encoder is refused."""
    monkeypatch.setenv("ALWRITY_TXTAI_ENCODER", "fp4")
    done = doctor("txtai", "search", "bread", "--user", "alice", "--data", "ix", "--offline")
    assert (done.code, done.out) == (2, "")
    assert "ALWRITY_TXTAI_ENCODER is 'fp4'" in done.err


def test_a_user_without_an_index(doctor: CommandLine, tmp_path: Path) -> None:
    """It is said, and none is made by asking."""
    before = sorted(path.name for path in (tmp_path / "ix").iterdir())
    done = doctor("txtai", "search", "x", "--user", "carol", "--data", "ix")
    assert (done.code, done.out) == (2, "")
    assert "carol" in done.err
    assert sorted(path.name for path in (tmp_path / "ix").iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [("x", "--where", "kind"), ("x", "--where", "=3"), ("x", "--limit", "0"), ("x", "--where", "kind=[1]"), ("  ",)],
)
def test_wrong_usage(doctor: CommandLine, arguments: tuple[str, ...]) -> None:
    """A filter or a query that is none ends with 2 and a word about it."""
    done = doctor("txtai", "search", *arguments, "--user", "alice", "--data", "ix", "--offline")
    assert (done.code, done.out) == (2, "")
    assert done.err


def test_an_index_that_is_damaged(doctor: CommandLine, tmp_path: Path) -> None:
    """A search that cannot be carried out is unknown, not empty, and names the file."""
    queue = user_directory(tmp_path / "ix", "alice") / "queue.sqlite3"
    for beside in queue.parent.glob("queue.sqlite3-*"):
        beside.unlink()
    queue.write_bytes(b"no database" * 1000)
    done = doctor("txtai", "search", "x", "--user", "alice", "--data", "ix", "--offline", *JSON)
    assert done.code == 3
    (result,) = done.document["results"]
    assert result["verdict"] == "unknown"
    assert "damaged" in result["reason"]
    assert "txtai repair" in result["remedy"]
