"""The format of GitLab's Code Quality, as GitLab documents what it reads."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given

from alwrity_checks.model import Finding, Location, LocationKind, Report, Severity
from alwrity_doctor.report.codequality import render
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import ISSUER, shared_report


def _issues(report: Report) -> list[dict[str, Any]]:
    issues: list[dict[str, Any]] = json.loads(render(report))
    return issues


def _of(*findings: Finding) -> Report:
    return replace(shared_report(), results=(replace(shared_report().results[0], findings=findings),))


@RANDOM
@given(report=reports())
def test_every_issue_has_what_gitlab_requires(report: Report) -> None:
    """Each finding in a file is one issue, no two with the same fingerprint; nothing else is one."""
    issues = _issues(report)
    in_files = [one for one in report.findings if one.location and one.location.kind is LocationKind.FILE]
    assert len(issues) <= len(in_files)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    for issue in issues:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["path"]
        assert issue["location"]["lines"]["begin"] >= 1


def test_a_finding_keeps_its_fingerprint_when_its_line_moves() -> None:
    """GitLab tells by it what a merge request brings and what was there before."""
    first, second = (
        _issues(_of(Finding(ISSUER, "seen", location=Location(LocationKind.FILE, "./backend\\a.py", line))))[0]
        for line in (3, 40)
    )
    assert first["fingerprint"] == second["fingerprint"]
    assert first["location"] == {"path": "backend/a.py", "lines": {"begin": 3}}


def test_severities_are_gitlabs() -> None:
    """An error weighs more than a warning, and a warning more than a note."""
    place = Location(LocationKind.FILE, "a.py")
    findings = [Finding(replace(ISSUER, severity=severity), "seen", location=place) for severity in Severity]
    assert [issue["severity"] for issue in _issues(_of(*findings))] == ["critical", "minor", "info"]


def test_nothing_in_a_file_is_an_empty_list() -> None:
    """GitLab takes an empty list for: nothing is wrong any more."""
    assert _issues(_of(Finding(ISSUER, "seen", location=Location(LocationKind.ENVIRONMENT, "CLERK_ISSUER")))) == []
