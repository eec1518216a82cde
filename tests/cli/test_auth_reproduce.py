"""`alwrity-doctor auth reproduce --backend`: the checkout's column, its evidence and its verdict, in every format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth import experiment as room
from alwrity_checks.auth.experiment import AuthExperiment
from alwrity_doctor.cli import command_line
from tests.support.auth_backend import CONFLICT, DROP_IN, SECRET, middleware, write_auth_backend

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play the scenario of one rule: the others are played in the room's own tests."""
    monkeypatch.setattr(room, "experiment", lambda: AuthExperiment(codes={"AUTH001"}))


def reproduce(*arguments: str) -> object:
    """Return the exit code of the command."""
    return command_line().main(["auth", "reproduce", *arguments], standalone_mode=False)


def test_checkout_is_the_column_yours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So in the tables for people; the machine-readable report keeps the target's kind. No secret is in any."""
    root = write_auth_backend(tmp_path / "checkout", middleware("D"))
    files = {name: tmp_path / f"report.{name}" for name in ("json", "markdown", "html", "junit", "sarif")}
    formats = [word for name, path in files.items() for word in ("--format", f"{name}={path}")]
    assert reproduce("--backend", str(root), "--use-env", "--format", "text", *formats) == 1
    text, (markdown, page) = capsys.readouterr().out, (files[one].read_text("utf-8") for one in ("markdown", "html"))
    assert any(line.startswith("rule ") and line.endswith(" yours") for line in text.splitlines())
    assert "| fixed | yours |" in markdown
    assert '<th scope="col">yours</th>' in page
    assert "AUTH001 reproduced on yours" in text
    document = json.loads(files["json"].read_text("utf-8"))
    (own,) = [one for one in document["observations"] if one["target"]["kind"] == "backend"]
    assert own["outcome"] == "reproduced"
    facts = {one["label"]: one["value"] for one in own["evidence"]}
    assert "PyJWT" in facts["driven on"]
    assert facts["settings from .env files"] == "CLERK_SECRET_KEY"
    assert not [name for name, path in files.items() if SECRET in path.read_text("utf-8")]
    assert SECRET not in text


def test_cured_checkout_passes(tmp_path: Path) -> None:
    """Reproduced on the models, absent from the component and from the checkout that has it."""
    assert reproduce("--backend", str(write_auth_backend(tmp_path, DROP_IN))) == 0


def test_checkout_that_cannot_be_driven_leaves_the_others_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule's verdict is what models and component came to; the checkout's part is open, with its finding."""
    root = write_auth_backend(tmp_path, CONFLICT)
    assert reproduce("--backend", str(root), "--format", "json") == 3
    document = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["verdict"]) for one in document["results"]] == [
        ("AUTH001", "pass"),
        ("experiment 1: yours", "unknown"),
    ]
    (finding,) = document["results"][1]["findings"]
    assert (finding["rule"]["code"], finding["location"]["line"]) == ("SRC001", 3)
