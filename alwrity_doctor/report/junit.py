"""JUnit XML for CI servers: a suite for each issue, a case for each check and for each scenario of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from alwrity_checks.model import CheckResult, Observation, Outcome, Report, Severity, TargetKind, Verdict
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.phrases import describe, fact, utc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alwrity_checks.model import Finding

__all__ = ["render"]


def render(report: Report) -> str:
    """Return the report as JUnit XML.

    `fail` is a failure, `warn` one where warnings make the exit code 1, `unknown` an error and `skip` a skip. A fault
    that is reproduced in anything but a legacy target is a failure; an outcome that could not be seen, an error.
    """
    root = ET.Element("testsuites", name=one_line(f"alwrity-doctor {report.command}"))
    issues = {result.issue for result in report.results} | {seen.rule.issue for seen in report.observations}
    for issue in sorted(issues):
        _suite(root, report, issue)
    _count(root, report.duration.total_seconds())
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, report: Report, issue: int) -> None:
    started = utc(report.started).removesuffix("Z")
    suite = ET.SubElement(root, "testsuite", name=f"issue {issue}", timestamp=started)
    properties = ET.SubElement(suite, "properties")
    facts = {"version": report.version, "verdict": report.verdict, "exit_code": str(int(report.exit_code))}
    for name, value in (facts | dict(report.environment)).items():
        ET.SubElement(properties, "property", name=one_line(name), value=one_line(value))
    results = [result for result in report.results if result.issue == issue]
    for result in results:
        _check(suite, result, warnings_fail=report.fail_on is not Severity.ERROR)
    for observation in report.observations:
        if observation.rule.issue == issue:
            _scenario(suite, observation)
    _count(suite, sum(result.duration.total_seconds() for result in results))


def _check(suite: ET.Element, result: CheckResult, *, warnings_fail: bool) -> None:
    seconds = result.duration.total_seconds()
    case = ET.SubElement(
        suite, "testcase", classname=one_line(result.name), name=one_line(result.title), time=f"{seconds:.6f}"
    )
    found = "\n\n".join(describe(finding) for finding in result.findings)
    notes = [
        f"suppressed until {one.expires}: {visible(one.reason)}\n{describe(one.finding)}" for one in result.suppressed
    ]
    notes += [fact(evidence) for evidence in result.evidence]
    if result.verdict is Verdict.SKIP:
        ET.SubElement(case, "skipped", message=one_line(result.reason))
        notes += [found, visible(result.remedy)]
    elif result.verdict is Verdict.UNKNOWN:
        body = "\n\n".join(filter(None, (visible(result.remedy), found)))
        _outcome(case, "error", one_line(result.reason), "unknown", body)
    elif result.verdict is Verdict.FAIL or (result.verdict is Verdict.WARN and warnings_fail):
        _outcome(case, "failure", _first(result.findings) or one_line(result.reason), result.verdict, found)
        notes = [visible(result.reason), *notes]
    else:
        notes = [visible(result.reason), found, *notes]
    _output(case, notes)


def _scenario(suite: ET.Element, seen: Observation) -> None:
    name = one_line(f"{seen.rule.code} {seen.rule.title}: {seen.scenario}")
    case = ET.SubElement(suite, "testcase", classname=one_line(str(seen.target)), name=name, time="0.000000")
    facts = [fact(evidence) for evidence in seen.evidence]
    if seen.outcome is Outcome.UNKNOWN:
        _outcome(case, "error", one_line(seen.message), "unknown", "\n".join(facts))
    elif seen.outcome is Outcome.REPRODUCED and seen.target.kind is not TargetKind.LEGACY:
        _outcome(case, "failure", one_line(seen.message), "reproduced", "\n".join(facts))
    else:
        _output(case, [f"{seen.outcome}: {visible(seen.message)}", *facts])


def _first(findings: tuple[Finding, ...]) -> str:
    return next((one_line(f"{finding.rule.code}: {finding.message}") for finding in findings), "")


def _outcome(case: ET.Element, tag: str, message: str, kind: str, body: str) -> None:
    ET.SubElement(case, tag, message=message, type=kind).text = body


def _output(case: ET.Element, notes: Iterable[str]) -> None:
    text = "\n".join(filter(None, notes))
    if text:
        ET.SubElement(case, "system-out").text = text


def _count(element: ET.Element, seconds: float) -> None:
    element.set("tests", str(len(list(element.iter("testcase")))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(len(list(element.iter(tag)))))
    element.set("time", f"{seconds:.6f}")
