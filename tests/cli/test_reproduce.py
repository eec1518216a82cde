"""`alwrity-doctor reproduce`, with an experiment of the tests' own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.experiment import TxtaiExperiment
from alwrity_checks.txtai.scenarios.targets import target_named
from alwrity_doctor.cli import command_line
from alwrity_doctor.cli import reproduce as command
from tests.support.backend_checkout import DOUBLE, write_checkout


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


def test_checkout_that_nobody_can_drive_yet_is_said_to_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An issue without a driver is reproduced as ever, and the checkout's part in it is `unknown`, never ignored."""
    write_checkout(tmp_path, DOUBLE)
    monkeypatch.setattr("alwrity_checks.backend.drivers.DRIVERS", {})
    assert reproduce("1", "--backend", str(tmp_path), "--format", "json") == 3
    document = json.loads(capsys.readouterr().out)
    assert [result["verdict"] for result in document["results"]] == ["pass", "unknown"]
    assert "issue 1 has no driver for it yet" in document["results"][-1]["reason"]
    assert not document["results"][-1]["evidence"]


def test_checkout_is_a_target_of_the_issue_that_can_drive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 3 puts the checkout's own service through what legacy and fixed are put through: three columns."""
    write_checkout(tmp_path, DOUBLE)
    room = ModuleType("a_room_of_the_test")
    targets = [target_named("legacy HEAD"), target_named("fixed")]
    vars(room)["experiment"] = lambda: TxtaiExperiment(chosen=targets, codes={"TXT003"})
    monkeypatch.setitem(sys.modules, room.__name__, room)
    monkeypatch.setattr(command, "EXPERIMENTS", {3: room.__name__})
    assert reproduce("3", "--backend", str(tmp_path / "backend"), "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert [(one["target"]["kind"], one["outcome"]) for one in document["observations"]] == [
        ("legacy", "reproduced"),
        ("fixed", "absent"),
        ("backend", "reproduced"),
    ]
    assert [result["verdict"] for result in document["results"]] == ["fail"]


def test_directory_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    """Nothing is carried out for a directory that is not what was meant."""
    with pytest.raises(ConfigurationError, match="no checkout of ALwrity"):
        reproduce("--backend", str(tmp_path))


@pytest.mark.parametrize("option", [("--use-env",), ("--python", sys.executable)])
def test_option_about_a_checkout_needs_one(option: tuple[str, ...]) -> None:
    """An option that would have no effect is not passed over in silence."""
    with pytest.raises(ConfigurationError, match=f"{option[0]} is about a checkout, and none is named"):
        reproduce(*option)


def test_interpreter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A slip in the path is an error of usage, before anything runs."""
    write_checkout(tmp_path, DOUBLE)
    with pytest.raises(ConfigurationError, match="no-python is no interpreter"):
        reproduce("--backend", str(tmp_path), "--python", str(tmp_path / "no-python"))


def test_env_files_that_are_not_there_are_missed(tmp_path: Path) -> None:
    """Whoever wants the settings of a `.env` file is told that there is none."""
    (write_checkout(tmp_path, DOUBLE) / ".env").unlink()
    with pytest.raises(ConfigurationError, match=r"--use-env: there is no \.env"):
        reproduce("--backend", str(tmp_path), "--use-env")
