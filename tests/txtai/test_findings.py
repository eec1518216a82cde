"""A problem that an inspection found is a finding of its rule, with what the directory holds as evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alwrity_checks.model import LocationKind
from alwrity_checks.txtai.findings import findings
from alwrity_checks.txtai.inspection import Fault, Inspection, Kind, Problem, inspect_index

if TYPE_CHECKING:
    from pathlib import Path


def test_problem_becomes_a_finding(tmp_path: Path) -> None:
    """Message, place, reason and counts are the inspection's."""
    problem = Problem(Fault.MISMATCH, "7 vectors and 5 rows", tmp_path / "embeddings")
    (found,) = findings(Inspection(tmp_path, Kind.TXTAI, rows=5, vectors=7, problems=(problem,)))
    assert (found.rule.code, found.message) == ("TXT033", "7 vectors and 5 rows")
    assert found.location
    assert (found.location.kind, found.location.name) == (LocationKind.FILE, str(tmp_path / "embeddings"))
    facts = {one.label: one.value for one in found.evidence}
    assert facts == {"reason": "index-mismatch", "documents": "5", "vectors": "7"}


def test_trace_of_the_double_initialisation_is_named(tmp_path: Path) -> None:
    """A directory in which the legacy service lost everything is found to be that."""
    (tmp_path / "config.json").write_text('{"path": "x"}')
    found = findings(inspect_index(tmp_path))
    assert [one.rule.code for one in found] == ["TXT031"]


def test_healthy_index_has_no_finding(tmp_path: Path) -> None:
    """No problem, no finding."""
    assert findings(Inspection(tmp_path, Kind.STORE, rows=5, vectors=5)) == ()
