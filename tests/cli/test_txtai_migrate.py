"""`alwrity-doctor txtai migrate`: every old index of a backend, told one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from alwrity_checks.adoption.migration import fingerprint
from alwrity_checks.txtai.model_source import MINILM, find_model
from alwrity_checks.txtai.paths import user_directory, users_in
from alwrity_checks.txtai.repair import recover
from tests.support.in_process import CommandLine
from tests.support.txtai_cli import JSON
from tests.support.txtai_legacy import as_alwrity, saved_by_txtai

TEXTS = {
    "cat": "A small cat sleeps on the sofa",
    "rate": "The central bank has raised interest rates",
    "seo": "Search engine optimisation brings visitors to a web site",
}


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory and without any setting."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return CommandLine(monkeypatch, capsys, tmp_path)


def path_of(workspace: Path, user: str) -> Path:
    """Return where ALwrity puts the index of a user; what is above it is made."""
    path = workspace / f"workspace_{user}" / "indices" / "txtai"
    path.parent.mkdir(parents=True)
    return path


def by_alwrity(path: Path) -> None:
    """Write an index with the real MiniLM, by txtai, in the configuration of ALwrity's module (ce9bf293, line 134)."""
    from txtai import Embeddings  # type: ignore[import-untyped]

    model = str(find_model(MINILM, hub_answers=lambda: False).directory)
    index = Embeddings(
        {"path": model, "content": True, "objects": True, "backend": "faiss", "batch": 32, "gpu": False, "limit": 1000}
    )
    index.upsert([as_alwrity(one, text, {"type": "page", "n": 1}) for one, text in TEXTS.items()])
    index.config["path"] = MINILM
    index.save(str(path))
    index.close()


def test_a_backends_indexes_move(doctor: CommandLine, tmp_path: Path) -> None:
    """With real vectors: taken over beside the old ones, where a backend looks that is started there, and compared."""
    backend = tmp_path / "backend"
    old = path_of(backend / "workspace", "user_2abc")
    by_alwrity(old)
    never = saved_by_txtai(path_of(backend / "workspace", "user_2new"), [])
    vectors = saved_by_txtai(path_of(backend / "workspace", "user_2vec"), [("a", "alpha")])
    (vectors / "documents").unlink()
    before = [fingerprint(one) for one in (old, never, vectors)]
    done = doctor("txtai", "migrate", str(backend), *JSON)
    results = {one["title"].split()[3]: one for one in done.document["results"]}
    assert {user: one["verdict"] for user, one in results.items()} == {
        "user_2abc": "pass",
        "user_2new": "skip",
        "user_2vec": "fail",
    }
    assert done.code == 1
    assert results["user_2abc"]["reason"] == "3 documents of 3 rows; 3 searches find the same document"
    assert "only vectors" in results["user_2vec"]["reason"]
    assert "user_2vec again" in results["user_2vec"]["remedy"]
    new = backend / "workspace" / "semantic-index"
    assert list(users_in(new)) == ["user_2abc"]
    documents = recover(user_directory(new, "user_2abc")).documents
    assert {one.id: one.text for one in documents} == TEXTS
    assert all(dict(one.fields) == {"type": "page", "n": 1} for one in documents)
    assert [fingerprint(one) for one in (old, never, vectors)] == before
    found = doctor("txtai", "search", "kitten", "--user", "user_2abc", "--data", str(new), *JSON)
    assert "cat" in found.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nothing",), "is no directory"),
        (("empty",), "there is no index of ALwrity's own module"),
        (("loose",), "says whose index it is"),
        (("loose", "--user", "u"), "is in no workspace"),
        (("workspace", "--user", "somebody"), "no index of 'somebody'"),
        (("workspace", "--into", "workspace/workspace_u/indices/txtai/new"), "is in the old index"),
    ],
    ids=["missing", "empty", "whose", "where", "another", "inside"],
)
def test_what_cannot_be_meant_is_refused(
    words: tuple[str, ...], told: str, doctor: CommandLine, tmp_path: Path
) -> None:
    """Exit code 2 with the reason, before anything is read or written."""
    (tmp_path / "empty").mkdir()
    saved_by_txtai(tmp_path / "loose", [("a", "alpha")])
    saved_by_txtai(path_of(tmp_path / "workspace", "u"), [("a", "alpha")])
    before = fingerprint(tmp_path)
    done = doctor("txtai", "migrate", *words)
    assert done.code == 2
    assert told in done.err.replace("\n", " ").replace("  ", " ")
    assert fingerprint(tmp_path) == before


def test_without_a_model_nothing_is_written(doctor: CommandLine, tmp_path: Path) -> None:
    """An encoder that cannot be had is exit code 3 with the reason, and the new place is as it was."""
    saved_by_txtai(path_of(tmp_path / "workspace", "u"), [("a", "alpha")])
    done = doctor("txtai", "migrate", "workspace", *JSON, ALWRITY_TXTAI_MODEL="acme/no-such-model")
    assert (done.code, [one["verdict"] for one in done.document["results"]]) == (3, ["unknown"])
    assert "acme/no-such-model" in done.document["results"][0]["reason"]
    assert not (tmp_path / "workspace" / "semantic-index").exists()
