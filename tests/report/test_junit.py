"""The JUnit format, checked against the structure that CI servers agree on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from alwrity_checks.model import (
    CheckResult,
    Evidence,
    Observation,
    Outcome,
    Report,
    Severity,
    Target,
    TargetKind,
    Verdict,
)
from alwrity_doctor.report.junit import render
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import ISSUER, shared_report

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "timestamp", "tests", "failures", "errors", "skipped", "time"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out"],
}
"""In the order in which the schema of the Jenkins xUnit plugin and of Ant want them."""


def _parsed(report: Report) -> ET.Element:
    return ET.fromstring(render(report).encode())  # noqa: S314 - our own output


def _validate(element: ET.Element) -> None:
    assert set(element.attrib) == ATTRIBUTES[element.tag]
    order = [CHILDREN.get(element.tag, []).index(child.tag) for child in element]
    assert order == sorted(order)
    if element.tag in {"testsuites", "testsuite"}:
        counted = Counter(one.tag for one in element.iter())
        expected = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
        assert {name: int(element.get(name, "")) for name in expected} == {
            name: counted[tag] for name, tag in expected.items()
        }
    if element.tag == "testcase":
        assert sum(child.tag in {"skipped", "error", "failure"} for child in element) <= 1
    if "time" in element.attrib:
        assert float(element.get("time", "")) >= 0
    for child in element:
        _validate(child)


@RANDOM
@given(report=reports())
def test_the_structure_is_what_ci_servers_read(report: Report) -> None:
    """Elements, attributes, their order and the counts are right for any report."""
    root = _parsed(report)
    _validate(root)
    assert int(root.get("tests", "")) == len(report.results) + len(report.observations)


def test_there_is_a_suite_for_each_issue() -> None:
    """The catalogue's issues are the suites, in their order."""
    assert [suite.get("name") for suite in _parsed(shared_report())] == ["issue 1", "issue 2"]


@pytest.mark.parametrize("fail_on", Severity)
@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_becomes_the_child_that_says_the_same(verdict: Verdict, fail_on: Severity) -> None:
    """A warning fails the case exactly if it makes the exit code 1; unknown is an error, never a pass or a failure."""
    result = CheckResult("a.b", "all is well", 1, verdict, reason="for a reason")
    case = _parsed(replace(shared_report(), results=(result,), observations=(), fail_on=fail_on)).find(".//testcase")
    assert case is not None
    expected = {
        Verdict.PASS: "system-out",
        Verdict.WARN: "system-out" if fail_on is Severity.ERROR else "failure",
        Verdict.FAIL: "failure",
        Verdict.SKIP: "skipped",
        Verdict.UNKNOWN: "error",
    }
    assert case[0].tag == expected[verdict]
    assert "for a reason" in (case[0].get("message") or case[0].text or "")


def test_a_failure_holds_every_finding_with_its_remedy() -> None:
    """Who opens the failed case in a CI server needs no other report."""
    result = shared_report().results[0]
    second = replace(result.findings[0], message="a second finding")
    report = replace(shared_report(), results=(replace(result, findings=(*result.findings, second)),))
    failure = _parsed(report).find(".//failure")
    assert failure is not None
    text = failure.text or ""
    assert "a second finding" in text
    assert text.count("remedy: Remedy 2") == 2
    assert "<title>503" in text


@pytest.mark.parametrize(
    ("kind", "outcome", "tag"),
    [
        (TargetKind.LEGACY, Outcome.REPRODUCED, "system-out"),
        (TargetKind.LEGACY, Outcome.UNKNOWN, "error"),
        (TargetKind.FIXED, Outcome.REPRODUCED, "failure"),
        (TargetKind.FIXED, Outcome.ABSENT, "system-out"),
        (TargetKind.BACKEND, Outcome.REPRODUCED, "failure"),
        (TargetKind.BACKEND, Outcome.UNKNOWN, "error"),
    ],
)
def test_an_observation_is_a_case_of_its_target(kind: TargetKind, outcome: Outcome, tag: str) -> None:
    """A fault is a failure only where it should not be."""
    target = Target(kind, "v")
    seen = Observation(ISSUER, target, "scenario", outcome, "seen", (Evidence("status", "200"),))
    case = _parsed(replace(shared_report(), results=(), observations=(seen,))).find(".//testcase")
    assert case is not None
    assert case.get("classname") == str(target)
    assert case[0].tag == tag
