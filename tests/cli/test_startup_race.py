"""`alwrity-doctor startup race`, with the quickest of its scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import ExitCode
from tests.support.in_process import CommandLine
from tests.support.models_backends import OLD, write_checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_race_shows_both_side_by_side(command: CommandLine, tmp_path: Path) -> None:
    """One run gives the verdict, the table with both targets and the server without models, and the page."""
    done = command("startup", "race", "--scenario", "slow", "--seconds", "1", "--html", "race.html")
    assert done.code == ExitCode.HEALTHY
    words = " ".join(done.out.split())
    assert "STA001" in words
    assert "no models at all" in words
    assert "legacy 8c2d88ef" in words
    assert "usable" in words
    assert (tmp_path / "race.html").read_text().count("<svg") == 1


def test_json_has_the_table_and_the_observations(command: CommandLine) -> None:
    """A program gets the same: with one target alone nothing is proved, and the exit code says so."""
    done = command(
        "startup", "race", "--target", "fixed", "--scenario", "unused model", "--seconds", "1", "--format", "json"
    )
    assert done.document["command"] == "startup race"
    assert [table["columns"] for table in done.document["tables"]] == [["scenario", "fixed"]]
    assert {one["outcome"] for one in done.document["observations"]} == {"absent"}
    assert done.code == ExitCode.UNKNOWN


def test_a_checkout_is_raced_beside_them(command: CommandLine, tmp_path: Path) -> None:
    """Its own script has a column of its own, in the verdicts and in the times, and is drawn with the others."""
    root = write_checkout(tmp_path / "theirs", OLD)
    arguments = ("--scenario", "slow", "--seconds", "1", "--backend", str(root), "--html", "race.html")
    done = command("startup", "race", *arguments, "--format", "json")
    assert done.code == ExitCode.FINDING
    (table,) = done.document["tables"]
    assert table["columns"] == ["scenario", "legacy 8c2d88ef", "fixed", "yours"]
    assert all("usable" in cell for cell in table["rows"][1][1:])
    (result,) = done.document["results"]
    assert result["findings"][0]["message"].startswith("reproduced on yours")
    assert "yours" in (tmp_path / "race.html").read_text()
    wrong = command("startup", "race", "--target", "fixed", "--backend", str(root))
    assert (wrong.code, wrong.out) == (ExitCode.USAGE, "")
    assert "leaves it out" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--scenario", "nothing"), "full disk"),
        (("--html", "nowhere/race.html"), "cannot be written"),
        (("--target", "backend"), "--backend DIR"),
        (("--backend", "."), "is no checkout of ALwrity"),
        (("--backend", "nowhere"), "is not a directory"),
        (("--python", "python"), "--backend DIR"),
        (("--use-env",), "--backend DIR"),
        (("--target", "nothing"), "legacy"),
        (("--seconds", "0"), "--seconds"),
        (("--seconds", "nan"), "--seconds"),
    ],
)
def test_wrong_usage_is_told_before_anything_starts(
    command: CommandLine, arguments: tuple[str, ...], word: str
) -> None:
    """An unknown scenario or target, and a place that cannot be written, are exit code 2 with what would be right."""
    done = command("startup", "race", *arguments)
    assert done.code == ExitCode.USAGE
    assert word in done.err
    assert not done.out
