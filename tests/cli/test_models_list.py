"""`models list`: what the registry and a checkout name, with place and disagreement."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.models_cli import Models, reasons


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Models:
    """Return the commands in an empty home."""
    return Models(monkeypatch, capsys, tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with the historical drift."""
    backend = tmp_path / "alwrity" / "backend"
    (backend / "middleware").mkdir(parents=True)
    (backend / "app.py").write_text("import agents\n")
    (backend / "agents.py").write_text('LLM(path="Qwen/Qwen2.5-1.5B-Instruct")\n')
    (backend / "start_alwrity_backend.py").write_text('snapshot_download(repo_id="Qwen/Qwen2.5-3B-Instruct")\n')
    return backend.parent


def test_the_registrys_models(models: Models) -> None:
    """Each with its role, its place in the chain, its licence and its size; nothing is asked over the network."""
    code, document = models.json("list", HF_ENDPOINT="http://127.0.0.1:1", SIF_AGENT_RUNTIME="")
    assert code == 0
    (table,) = document["tables"]
    rows = {row[0]: row for row in table["rows"]}
    assert rows["Qwen/Qwen2.5-1.5B-Instruct"][1:5] == ["agent", "1", "default", "Apache-2.0"]
    assert rows["sentence-transformers/all-MiniLM-L6-v2"][1] == "embeddings"
    assert all(row[8] == "no" for row in table["rows"])


def test_a_setting_is_shown_with_its_source(models: Models) -> None:
    """The model that a variable names, its licence, and the variable."""
    code, document = models.json("list", SIF_AGENT_MODEL="Qwen/Qwen2.5-3B-Instruct")
    assert code == 0  # a warning: a backend that is sold may not run it
    assert reasons(document) == ["licence-restricted"]
    row = document["tables"][0]["rows"][0]
    assert row[3] == "SIF_AGENT_MODEL ($SIF_AGENT_MODEL)"
    assert "no commercial use" in row[4]
    assert document["settings"]["SIF_AGENT_MODEL"].startswith("Qwen/Qwen2.5-3B-Instruct (environment")


def test_the_drift_of_a_checkout(models: Models, checkout: Path) -> None:
    """What is downloaded and never loaded is a finding, with file and line; root and backend are both accepted."""
    for place in (checkout, checkout / "backend"):
        code, document = models.json("list", "--backend", str(place))
        assert code == 1
        assert reasons(document) == ["names-disagree"]
        places = {row[0]: row[2] for row in document["tables"][1]["rows"]}
        assert places == {"agents.py:1": "generation", "start_alwrity_backend.py:1": "download"}


def test_a_checkout_that_agrees(models: Models, checkout: Path) -> None:
    """Exit code 0."""
    (checkout / "backend" / "start_alwrity_backend.py").write_text("")
    code, _ = models.json("list", "--backend", str(checkout))
    assert code == 0


def test_a_checkout_that_names_no_model(models: Models, checkout: Path) -> None:
    """Where nothing was found to compare, nothing is called healthy."""
    for name in ("agents.py", "start_alwrity_backend.py"):
        (checkout / "backend" / name).write_text("")
    _, document = models.json("list", "--backend", str(checkout))
    assert document["results"][1]["verdict"] == "skip"


def test_what_is_no_checkout(models: Models, tmp_path: Path) -> None:
    """Exit code 2, with what is missing."""
    done = models("list", "--backend", str(tmp_path))
    assert done.code == 2
    assert "app.py" in done.err
