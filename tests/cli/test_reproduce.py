"""`alwrity-doctor reproduce`, with an experiment of the tests' own."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_doctor.cli import command_line
from alwrity_doctor.cli import reproduce as command


@pytest.fixture(autouse=True)
def one_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one experiment, for issue 1."""
    assert isinstance(command, ModuleType)
    monkeypatch.setattr(command, "EXPERIMENTS", {1: "tests.support.experiment"})


def reproduce(*arguments: str) -> object:
    """Return the exit code of the command."""
    return command_line().main(["reproduce", *arguments], standalone_mode=False)


@pytest.mark.parametrize("issues", [(), ("1",), ("1", "1")])
def test_every_issue_is_reproduced_once(issues: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Without an issue, all that have an experiment; the report has the matrix and the verdicts."""
    assert reproduce(*issues, "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["observations"]) == 2
    assert [result["verdict"] for result in document["results"]] == ["pass"]
    assert document["command"] == "reproduce"


def test_issue_without_experiment_names_those_that_have_one() -> None:
    """Nothing is carried out when one of the issues cannot be."""
    with pytest.raises(ConfigurationError, match="issue 4 has no experiment") as caught:
        reproduce("1", "4")
    assert caught.value.remedy == "these have one: 1"
