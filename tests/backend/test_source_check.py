"""The source of a checkout as checks of the gate."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from alwrity_checks.backend import whole
from alwrity_checks.backend.check import CHECKS
from alwrity_checks.backend.subjects import SUBJECTS
from alwrity_checks.model import Report, Verdict
from alwrity_doctor.gate import run_checks
from tests.support.checks import context
from tests.support.scanned_checkout import commit, lay_out

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from alwrity_checks.model import Context

FAULT = "from loguru import logger\n\n\ndef total(values):\n    logger.info('%s', values)\n"


def gated(given: Context) -> Report:
    """Run the checks of the source as the gate does."""
    return asyncio.run(run_checks(CHECKS, given))


def test_every_subject_is_a_check() -> None:
    """Each has its issue, and none runs without a checkout."""
    assert [(check.name, check.issue) for check in CHECKS] == [
        (f"scan.{name}", issue) for name, (_, issue) in SUBJECTS.items()
    ]
    report = gated(context())
    assert {(one.verdict, one.remedy) for one in report.results} == {(Verdict.SKIP, "name it with --backend DIR")}


def test_a_checkout_is_scanned_once_for_all_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And anew for the next run: a gate that waits looks again."""
    scans: list[str] = []
    whole_scan = whole.scan_checkout

    def counted(directory: Path, since: str | None = None) -> whole.Outcome:
        scans.append(str(directory))
        return whole_scan(directory, since)

    monkeypatch.setattr(whole, "scan_checkout", counted)
    root = lay_out(tmp_path, {"backend/services/reports.py": FAULT})
    report = gated(context(backend=str(root)))
    assert scans == [str(root)]
    assert {one.name: one.verdict for one in report.results} == {
        check.name: Verdict.WARN if check.name == "scan.logging" else Verdict.PASS for check in CHECKS
    }
    assert [str(one.location) for one in report.findings] == ["backend/services/reports.py:5"]
    gated(context(backend=str(root)))
    assert len(scans) == 2


def test_the_gate_can_be_held_to_what_a_change_introduces(tmp_path: Path) -> None:
    """For a pull request: what was there before is not its fault."""
    root = lay_out(tmp_path, {"backend/services/reports.py": FAULT})
    base = commit(root)
    assert gated(replace(context(backend=str(root)), since=base)).findings == ()


def test_what_cannot_be_looked_into_is_unknown(tmp_path: Path) -> None:
    """A directory that is no checkout, and a file that was not read: neither passes."""
    report = gated(context(backend=str(tmp_path)))
    assert {one.verdict for one in report.results} == {Verdict.UNKNOWN}
    assert all("no checkout" in one.reason for one in report.results)
    root = lay_out(tmp_path / "checkout")
    (root / "backend/services/outside.py").symlink_to("/dev/null")
    told = {one.name: one for one in gated(context(backend=str(root))).results}
    assert told["scan.files"].verdict is Verdict.UNKNOWN
    assert "backend/services/outside.py: is a link out of the repository" in told["scan.files"].reason
    assert told["scan.auth"].verdict is Verdict.PASS
