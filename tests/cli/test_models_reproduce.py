"""`models reproduce`: the verdicts side by side; the scenarios themselves have their tests in tests/models."""

from __future__ import annotations

from pathlib import Path

import pytest

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
