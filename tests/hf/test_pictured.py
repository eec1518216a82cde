"""The matrix of a probe: every deployment in every mode, a fault for good told apart from one that may pass."""

from __future__ import annotations

from typing import Final

from alwrity_checks.hf.canary import Structure
from alwrity_checks.hf.causes import Action, Cause, Classification, Mode, Permanence, Scope
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.pictured import mode_matrix
from alwrity_checks.hf.probe_result import Cell, ProbeResult
from alwrity_checks.model import Verdict
from alwrity_checks.pictures import Matrix
from alwrity_checks.redaction import Secret

A, B = Deployment.parse("owner/a:groq"), Deployment.parse("owner/b:together")
MODE: Final = Mode.JSON_SCHEMA_STRICT


def classified(cause: Cause, permanence: Permanence = Permanence.PERMANENT) -> Classification:
    """Return what an answer was taken for."""
    return Classification(cause, Scope.DEPLOYMENT, permanence, Action.MOVE, "as it was said")


def drawn(*cells: Cell) -> Matrix:
    """Return the matrix of these cells."""
    picture = mode_matrix(ProbeResult(cells, requests=len(cells), seconds=1.0, cost=None))
    assert isinstance(picture, Matrix)
    return picture


def test_rows_and_columns() -> None:
    """A row for each deployment, plain text first; what was not planned is an empty cell, and counts are told."""
    picture = drawn(
        Cell(A, None, classified(Cause.OK), status=200),
        Cell(A, MODE, classified(Cause.OK), Structure.HONOURED, 200),
        Cell(B, None, classified(Cause.OK), status=200),
    )
    assert picture.columns == ("plain text", str(MODE))
    assert [(row.name, [cell.text for cell in row.cells]) for row in picture.rows] == [
        ("owner/a:groq", ["200", "honoured"]),
        ("owner/b:together", ["200", ""]),
    ]
    assert picture.description.startswith("2 of 2 deployments answer in plain text; 1 of 1 ")
    assert picture.issue == 2


def test_each_answer_has_its_verdict() -> None:
    """Honoured, by chance, ignored, cut; refused for good, refused for now, not asked."""
    structures = {
        Structure.HONOURED: Verdict.PASS,
        Structure.COINCIDENTAL: Verdict.WARN,
        Structure.IGNORED: Verdict.FAIL,
        Structure.CUT: Verdict.UNKNOWN,
    }
    for structure, verdict in structures.items():
        (row,) = drawn(Cell(A, None, skipped="no"), Cell(A, MODE, classified(Cause.OK), structure, 200)).rows
        assert [cell.verdict for cell in row.cells] == [Verdict.SKIP, verdict]
    for permanence, verdict in ((Permanence.PERMANENT, Verdict.FAIL), (Permanence.TRANSIENT, Verdict.UNKNOWN)):
        (row,) = drawn(Cell(A, None, classified(Cause.RATE_LIMITED, permanence), status=429)).rows
        assert row.cells[0].verdict is verdict
        assert row.cells[0].text.startswith("429 ")


def test_a_secret_in_a_name_is_masked() -> None:
    """A deployment may be named by whoever filled the settings."""
    secret = Secret("made-up-name-that-is-secret")
    picture = drawn(Cell(Deployment.parse(f"owner/{secret.reveal()}"), None, classified(Cause.OK), status=200))
    assert secret.reveal() not in repr(picture)
