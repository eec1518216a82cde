"""`alwrity-doctor hf reproduce`: the verdicts, and what the truth cost, side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from alwrity_checks.model import Evidence, Observation, Outcome, Severity, Target, TargetKind
from alwrity_doctor.cli.hf_reproduce import cost_table, reproduce
from tests.support.checks import rule
from tests.support.hf_backends import CONFLICT, HEAD, SECRET, write_checkout

if TYPE_CHECKING:
    from pathlib import Path

OLD = Target(TargetKind.LEGACY, "OLD")
FIXED = Target(TargetKind.FIXED)


def observed(target: Target, scenario: str, *facts: tuple[str, str]) -> Observation:
    """Return an observation with these facts."""
    evidence = tuple(Evidence(*fact) for fact in facts)
    return Observation(rule("HF001", Severity.ERROR), target, scenario, Outcome.ABSENT, "seen", evidence)


def test_costs_stand_side_by_side() -> None:
    """A row for each scenario, a column for each target; what was not counted is unknown, or was not asked."""
    table = cost_table(
        [
            observed(OLD, "one", ("requests", "96"), ("seconds", "24.0")),
            observed(OLD, "two", ("requests", "6"), ("seconds", "18.0")),
            observed(FIXED, "one", ("requests", "1"), ("seconds", "0.0")),
            observed(FIXED, "two"),
            observed(OLD, "text", ("requests", "48"), ("seconds", "24.1")),
        ]
    )
    assert table.columns == ("scenario", "legacy OLD", "fixed")
    assert table.rows == (
        ("one", "96, 24.0 s", "1, 0.0 s"),
        ("two", "6, 18.0 s", "unknown"),
        ("text", "48, 24.1 s", "not asked"),
    )


def test_the_costs_are_in_the_report_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The text on the terminal and the JSON of the same run have them; the command ends with 0."""
    with pytest.raises(typer.Exit) as caught:
        reproduce(form=["text", f"json={tmp_path / 'report.json'}"])
    assert caught.value.exit_code == 0
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["command"] == "hf reproduce"
    assert {result["verdict"] for result in document["results"]} == {"pass"}
    (table,) = document["tables"]
    row = next(row for row in table["rows"] if row[0] == "the base URL ends in /hf/v1")
    assert [cell.partition(",")[0] for cell in row[1:]] == ["96", "12", "1"]
    assert table["title"] in capsys.readouterr().out


def test_a_checkout_is_a_column_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its own provider stands beside the models; with its faults the command ends with 1, and names its base URL."""
    pytest.importorskip("tenacity")
    write_checkout(tmp_path / "checkout", HEAD)
    with pytest.raises(typer.Exit) as caught:
        reproduce(backend=tmp_path / "checkout", form=["text", f"json={tmp_path / 'report.json'}"])
    assert caught.value.exit_code == 1
    document = json.loads((tmp_path / "report.json").read_text())
    assert {result["verdict"] for result in document["results"]} == {"fail"}
    (table,) = document["tables"]
    assert table["columns"] == ["scenario", "legacy OLD", "legacy HEAD", "fixed", "yours"]
    row = next(row for row in table["rows"] if row[0] == "the base URL of its own")
    assert [cell.partition(",")[0] for cell in row[1:]] == ["96", "12", "1", "12"]
    shown = capsys.readouterr().out
    assert "POST /hf/v1/chat/completions is no route" in shown
    assert SECRET not in shown + (tmp_path / "report.json").read_text()


def test_a_checkout_that_cannot_be_driven_is_unknown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A merge left undone is told with its line; nothing is worse, so the command ends with 3."""
    write_checkout(tmp_path, CONFLICT)
    with pytest.raises(typer.Exit) as caught:
        reproduce(backend=tmp_path, form=["text"])
    assert caught.value.exit_code == 3
    assert "huggingface_provider.py:3 does not parse" in " ".join(capsys.readouterr().out.split())
