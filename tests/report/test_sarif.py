"""The SARIF format, checked against the structure that the standard gives it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from alwrity_checks.model import CheckResult, Finding, Location, LocationKind, Report, Verdict
from alwrity_doctor.report.sarif import render
from tests.report.random_reports import RANDOM, reports
from tests.report.sarif_structure import LOG
from tests.support.shared_report import ISSUER, LEEWAY, shared_report

STRUCTURE = Draft202012Validator(LOG)


def _run(report: Report) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(render(report))["runs"][0]
    return run


def _of(*findings: Finding) -> list[dict[str, Any]]:
    result = CheckResult("a.b", "all is well", 1, Verdict.FAIL, findings)
    results: list[dict[str, Any]] = _run(replace(shared_report(), results=(result,)))["results"]
    return results


def _fingerprint(finding: Finding) -> str:
    prints: dict[str, str] = _of(finding)[0]["partialFingerprints"]
    return prints["alwrityDoctor/v1"]


@RANDOM
@given(report=reports())
def test_every_log_has_the_structure_of_the_standard(report: Report) -> None:
    """Objects, required properties and their types are those of SARIF 2.1.0 for any report, and there are no others."""
    STRUCTURE.validate(json.loads(render(report)))


@RANDOM
@given(report=reports())
def test_every_result_points_to_its_rule_and_has_a_fingerprint_of_its_own(report: Report) -> None:
    """Code scanning drops or merges what does not."""
    run = _run(report)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in run["results"]] == [one["ruleId"] for one in run["results"]]
    prints = [result["partialFingerprints"]["alwrityDoctor/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints) == len(report.findings) + len(report.suppressed)


@pytest.mark.parametrize(
    ("name", "artifact"),
    [
        ("backend/app.py", {"uri": "backend/app.py", "uriBaseId": "%SRCROOT%"}),
        ("./backend\\app.py", {"uri": "backend/app.py", "uriBaseId": "%SRCROOT%"}),
        ("a b/50%:é.py", {"uri": "a%20b/50%25%3A%C3%A9.py", "uriBaseId": "%SRCROOT%"}),
        ("/srv/a b.env", {"uri": "file:///srv/a%20b.env"}),
        ("C:\\srv\\.env", {"uri": "file:///C:/srv/.env"}),
    ],
)
def test_a_file_is_a_physical_location(name: str, artifact: dict[str, str]) -> None:
    """A relative path is relative to the checkout; the line is kept; nothing else counts as a file."""
    (result,) = _of(Finding(ISSUER, "seen", (), Location(LocationKind.FILE, name, 7)))
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 7}}}]


@pytest.mark.parametrize("kind", set(LocationKind) - {LocationKind.FILE})
def test_what_is_no_file_is_a_logical_location(kind: LocationKind) -> None:
    """No file is made up for a variable, a flag, a package or a URL."""
    (result,) = _of(Finding(ISSUER, "seen", (), Location(kind, "name")))
    assert result["locations"] == [{"logicalLocations": [{"name": "name", "kind": kind.value}]}]


def test_a_finding_without_a_place_has_none() -> None:
    """No place is made up."""
    assert "locations" not in _of(Finding(ISSUER, "seen"))[0]


def test_a_fingerprint_is_the_same_in_the_next_run() -> None:
    """A moved line, another time of day and this process's mask of a secret do not make it another alert."""
    place = Location(LocationKind.FILE, "a.py", 3)
    before = Finding(ISSUER, "sk_live_…#1a2b3c4d expired 35 s ago at 2026-01-02T03:04:05Z", (), place)
    after = Finding(ISSUER, "sk_live_…#99887766 expired 1000 s ago at 2026-02-03T04:05:06Z", (), replace(place, line=9))
    assert _fingerprint(before) == _fingerprint(after)


def test_a_fingerprint_differs_for_another_fault() -> None:
    """Another rule, file or message is another alert."""
    place = Location(LocationKind.FILE, "a.py", 3)
    finding = Finding(ISSUER, "seen", (), place)
    others = (
        finding,
        replace(finding, rule=LEEWAY),
        replace(finding, message="heard"),
        replace(finding, location=replace(place, name="b.py")),
        replace(finding, location=None),
    )
    assert len({_fingerprint(one) for one in others}) == len(others)


def test_the_log_does_not_depend_on_the_run_but_for_its_times() -> None:
    """Two runs that saw the same give the same results."""
    later = replace(shared_report(), started=shared_report().started + timedelta(days=1))
    assert _run(later)["results"] == _run(shared_report())["results"]


def test_suppressions_are_on_all_results_or_on_none() -> None:
    """The standard wants it so (3.27.23), and the accepted finding says why and until when."""
    results = _run(shared_report())["results"]
    assert [one["suppressions"] for one in results if one["suppressions"]] == [
        [
            {
                "kind": "external",
                "justification": "the clocks of staging drift; see the change of 12 May (until 2026-06-30)",
            }
        ]
    ]
    assert all("suppressions" not in one for one in _of(Finding(ISSUER, "seen")))


def test_checks_without_a_verdict_are_notifications_and_the_run_is_not_successful() -> None:
    """An incomplete run cannot pass for a clean one."""
    (invocation,) = _run(shared_report())["invocations"]
    assert [one["level"] for one in invocation["toolExecutionNotifications"]] == ["note", "note", "note", "error"]
    assert invocation["executionSuccessful"] is False
    checked = tuple(one for one in shared_report().results if one.verdict in {Verdict.PASS, Verdict.FAIL})
    (invocation,) = _run(replace(shared_report(), results=checked))["invocations"]
    assert invocation["executionSuccessful"] is True
    (invocation,) = _run(replace(shared_report(), results=()))["invocations"]
    assert invocation["executionSuccessful"] is False


def test_a_run_that_outlasts_time_ends_with_it() -> None:
    """A duration that somebody wrote into a file is no reason to have no report."""
    run = _run(replace(shared_report(), duration=timedelta.max))
    assert run["invocations"][0]["endTimeUtc"] == "9999-12-31T23:59:59.999999Z"


def test_a_link_in_evidence_stays_text() -> None:
    """SARIF messages know links; a server's answer must not plant one in code scanning."""
    (result,) = _of(Finding(ISSUER, "see [the fix](https://evil.example)"))
    assert result["message"]["text"] == r"see [the fix\](https://evil.example)"
