"""`alwrity-doctor txtai status`: the component's indexes, and a backend's directories, told as they are."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.txtai.paths import user_directory
from tests.support.in_process import CommandLine
from tests.support.txtai_cli import JSON
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai
from tests.support.txtai_store import drain, put, store

if TYPE_CHECKING:
    from pathlib import Path

ITEMS: list[dict[str, object]] = [{"id": f"d{number}", "text": f"text {number}"} for number in range(30)]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return CommandLine(monkeypatch, capsys, tmp_path)


def contents(directory: Path) -> dict[str, str]:
    """Return a digest of each file's content, SQLite's bookkeeping of readers left out."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def evidence(result: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Return a result's evidence by its labels."""
    return {one["label"]: one["value"] for one in result["evidence"]}


def codes(document: dict[str, list[dict[str, list[dict[str, dict[str, str]]]]]]) -> list[str]:
    """Return the codes of the rules that are broken."""
    return [one["rule"]["code"] for result in document["results"] for one in result["findings"]]


# The component's own


def test_every_user_is_told(doctor: CommandLine, tmp_path: Path) -> None:
    """Documents, queue and state of each, by the very ids; nothing is changed."""
    for user, number in (("alice", 3), ("../../x", 1)):
        one = store(tmp_path / "ix", user)
        put(one, *ITEMS[:number])
        one.close()
    before = contents(tmp_path / "ix")
    done = doctor("txtai", "status", "--data", "ix", *JSON)
    assert done.code == 0
    told = {one["title"]: evidence(one) for one in done.document["results"]}
    assert {title: facts["documents"] for title, facts in told.items()} == {
        "the index of alice is sound and up to date": "3",
        "the index of ../../x is sound and up to date": "1",
    }
    assert {(facts["state"], facts["dead letters"]) for facts in told.values()} == {("cold", "0")}
    assert contents(tmp_path / "ix") == before
    one_user = doctor("txtai", "status", "--data", "ix", "--user", "alice", *JSON)
    assert len(one_user.document["results"]) == 1


def test_what_waits_for_long(doctor: CommandLine, tmp_path: Path) -> None:
    """Documents that nobody makes searchable are a warning, with the time since when."""
    one = store(tmp_path / "ix")
    put(one, *ITEMS[:3])
    one.close()
    queue = user_directory(tmp_path / "ix", "alice") / "queue.sqlite3"
    with sqlite3.connect(queue) as connection:
        connection.execute("UPDATE queue SET at = ?", (time.time() - 3600,))
    connection.close()
    done = doctor("txtai", "status", "--data", "ix", *JSON)
    assert (done.code, codes(done.document)) == (0, ["TXT061"])
    assert doctor("txtai", "status", "--data", "ix", "--fail-on", "warn").code == 1
    assert evidence(done.document["results"][0])["queued"] == "3"
    assert "oldest queued" in evidence(done.document["results"][0])


def test_what_was_put_aside(doctor: CommandLine, tmp_path: Path) -> None:
    """A dead letter is told with its reason."""
    one = store(tmp_path / "ix")
    one.open()
    put(one, *ITEMS[:2])
    batch = one.pending()
    one.bury([batch.upserts[0]], "the model fails on it")
    drain(one)
    one.close()
    done = doctor("txtai", "status", "--data", "ix", *JSON)
    assert codes(done.document) == ["TXT062"]
    (finding,) = done.document["results"][0]["findings"]
    assert "'d0'" in finding["message"]
    assert "the model fails on it" in finding["message"]
    assert evidence(done.document["results"][0])["documents"] == "1"


def test_a_damaged_store(doctor: CommandLine, tmp_path: Path) -> None:
    """A generation with a truncated file is a fault, with the command that repairs it."""
    one = store(tmp_path / "ix")
    one.open()
    put(one, *ITEMS)
    drain(one)
    one.settle(force=True)
    one.close()
    directory = user_directory(tmp_path / "ix", "alice")
    (vectors,) = directory.glob("gen-*/embeddings")
    vectors.write_bytes(vectors.read_bytes()[:50])
    done = doctor("txtai", "status", "--data", "ix", *JSON)
    assert done.code == 1
    assert "TXT032" in codes(done.document)
    assert f"alwrity-doctor txtai repair {directory} --into" in done.out


def test_loading_makes_the_queue_searchable(doctor: CommandLine, tmp_path: Path) -> None:
    """With --load the real model works the queue off, and the state is told as it is then."""
    (tmp_path / "plan.md").write_text("a plan")
    assert doctor("txtai", "index", "plan.md", "--data", "ix", "--no-wait").code == 0
    done = doctor("txtai", "status", "--data", "ix", "--load", "--offline", *JSON)
    facts = evidence(done.document["results"][0])
    assert (facts["state"], facts["documents"], facts["queued"]) == ("ready", "1", "0")


def test_a_model_that_is_not_here(doctor: CommandLine, tmp_path: Path) -> None:
    """What keeps the index from being loaded is told, and what the documents wait for."""
    (tmp_path / "plan.md").write_text("a plan")
    assert doctor("txtai", "index", "plan.md", "--data", "ix", "--no-wait").code == 0
    done = doctor("txtai", "status", "--data", "ix", "--load", *JSON, ALWRITY_TXTAI_MODEL="./no-such-directory")
    assert done.code == 3
    assert "no-such-directory" in done.document["results"][0]["reason"]


@pytest.mark.parametrize("arguments", [(), ("--user", "carol"), ("--data", "nowhere")])
def test_nothing_there(doctor: CommandLine, arguments: tuple[str, ...]) -> None:
    """No index, no such user, no such directory: wrong usage, never healthy."""
    done = doctor("txtai", "status", *arguments)
    assert (done.code, done.out) == (2, "")
    assert "Remedy: " in done.err


# A directory


def test_a_sound_backend_index(doctor: CommandLine, tmp_path: Path) -> None:
    """Its numbers are told, and nothing is changed."""
    directory = saved_by_txtai(tmp_path / "workspace" / "workspace_u" / "indices" / "txtai", ITEMS)
    before = contents(directory)
    done = doctor("txtai", "status", str(directory), *JSON)
    assert (done.code, codes(done.document)) == (0, [])
    facts = evidence(done.document["results"][0])
    assert (facts["documents"], facts["vectors"], facts["written by txtai"]) == ("30", "30", "9.14.0")
    assert contents(directory) == before
    assert "vectors" in doctor("txtai", "status", str(directory)).out


def test_what_is_wrong_with_a_backend_index(doctor: CommandLine, tmp_path: Path) -> None:
    """Fields in tags, truncated vectors, rows without vectors, files left over, a save of nothing: each its rule."""
    tagged = saved_by_txtai(tmp_path / "tagged", [as_alwrity("a", "alpha", {"kind": "x"})])
    truncated = saved_by_txtai(tmp_path / "truncated", ITEMS)
    (truncated / "embeddings").write_bytes((truncated / "embeddings").read_bytes()[:60])
    mixed = saved_by_txtai(tmp_path / "mixed", ITEMS)
    other = saved_by_txtai(tmp_path / "other", ITEMS[:9])
    (mixed / "embeddings").write_bytes((other / "embeddings").read_bytes())
    orphaned = saved_by_txtai(tmp_path / "orphaned", ITEMS)
    (orphaned / "documents-journal").write_bytes(b"")
    empty = saved_by_txtai(tmp_path / "empty", [])
    (tmp_path / "nothing").mkdir()
    expected = {
        tagged: ("TXT034", 0),
        truncated: ("TXT032", 1),
        mixed: ("TXT033", 1),
        orphaned: ("TXT035", 0),
        empty: ("TXT031", 1),
        tmp_path / "nothing": ("TXT030", 0),
    }
    for directory, (code, exit_code) in expected.items():
        done = doctor("txtai", "status", str(directory), *JSON)
        assert code in codes(done.document), directory
        assert done.code == exit_code, directory


def test_everything_below_a_workspace(doctor: CommandLine, tmp_path: Path) -> None:
    """The root of a backend, or its workspace, names every index in it, once."""
    for user in ("a", "b"):
        saved_by_txtai(tmp_path / "backend" / "workspace" / f"workspace_{user}" / "indices" / "txtai", ITEMS[:2])
    one = store(tmp_path / "backend" / "workspace" / "semantic-index")
    put(one, *ITEMS[:1])
    one.close()
    for directory in (".", "backend", "backend/workspace"):
        done = doctor("txtai", "status", directory, *JSON)
        assert len(done.document["results"]) == 3, directory
        assert done.code == 0


@pytest.mark.parametrize("arguments", [("missing",), (".", "--data", "x"), (".", "--load"), (".", "--user", "a")])
def test_wrong_usage(doctor: CommandLine, arguments: tuple[str, ...]) -> None:
    """A directory that is none, or one beside options of the component."""
    done = doctor("txtai", "status", *arguments)
    assert (done.code, done.out) == (2, "")
