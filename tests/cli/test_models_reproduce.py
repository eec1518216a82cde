"""`models reproduce`: the verdicts side by side; the scenarios themselves have their tests in tests/models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.models_backends import OLD, write_checkout
from tests.support.models_cli import Models


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Models:
    """Return the commands in an empty home."""
    return Models(monkeypatch, capsys, tmp_path)


def test_a_rule_passes_when_the_fault_shows_on_the_wrapper_alone(models: Models) -> None:
    """Two rules, two targets: exit code 0 and a verdict for each."""
    code, document = models.json("reproduce", "--rule", "MDL002", "--rule", "MDL010")
    assert code == 0
    assert document["command"] == "models reproduce"
    assert [result["verdict"] for result in document["results"]] == ["pass", "pass"]
    assert len(document["observations"]) == 4


def test_a_rule_without_a_scenario_is_a_usage_error(models: Models) -> None:
    """With those that have one."""
    done = models("reproduce", "--rule", "MDL999")
    assert done.code == 2
    assert "MDL001" in done.err


def test_a_checkout_has_a_column_of_its_own(models: Models, tmp_path: Path) -> None:
    """Its own wrapper is put through the scenarios that are asked for, and fails the run where a fault shows."""
    root = write_checkout(tmp_path / "theirs", OLD)
    code, document = models.json("reproduce", "--rule", "MDL002", "--rule", "MDL009", "--backend", str(root))
    assert code == 1
    yours = {one["rule"]["code"]: one for one in document["observations"] if one["target"]["kind"] == "backend"}
    assert {one["outcome"] for one in yours.values()} == {"reproduced"}
    assert sorted(yours) == ["MDL002", "MDL009"]


def test_a_checkout_that_parts_cannot_be_read_is_an_answer(models: Models, tmp_path: Path) -> None:
    """A merge left undone is `unknown`, with the line; the other targets are judged all the same."""
    files = {**OLD, "services/intelligence/txtai_service.py": "<<<<<<< HEAD\n"}
    root = write_checkout(tmp_path / "theirs", files)
    code, document = models.json("reproduce", "--rule", "MDL010", "--backend", str(root))
    assert code == 3
    assert [result["verdict"] for result in document["results"]] == ["pass", "unknown"]
    assert "txtai_service.py:1 does not parse" in document["results"][1]["reason"]
