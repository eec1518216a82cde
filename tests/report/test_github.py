"""The workflow commands, read the way the runner reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from alwrity_checks.model import CheckResult, Evidence, Finding, Location, LocationKind, Report, Severity, Verdict
from alwrity_doctor.report.characters import visible
from alwrity_doctor.report.github import render
from alwrity_doctor.report.phrases import describe
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import ISSUER, shared_report

if TYPE_CHECKING:
    from collections.abc import Sequence


def _unescaped(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def _command(line: str) -> tuple[str, dict[str, str], str] | None:
    """Return a line's command, properties and message, or None if the runner would print it."""
    line = line.lstrip()
    if not line.startswith("::") or "::" not in line[2:]:
        return None
    head, message = line[2:].split("::", 1)
    name, _, rest = head.partition(" ")
    properties = dict(one.split("=", 1) for one in rest.split(",") if one)
    return name, {key: _unescaped(value) for key, value in properties.items()}, _unescaped(message)


@RANDOM
@given(report=reports())
def test_there_is_one_command_for_each_finding_and_unknown_check(report: Report) -> None:
    """No text adds a command or breaks one; the message arrives as it was; the summary is no command."""
    *lines, summary = map(_command, render(report).removesuffix("\n").split("\n"))
    assert summary is None
    levels = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
    unknown = [result for result in report.results if result.verdict is Verdict.UNKNOWN]
    assert len(lines) == len(report.findings) + len(unknown)  # never so many that something is left out
    for line, finding in zip(lines, report.findings, strict=False):
        assert line is not None
        name, properties, message = line
        assert name == levels[finding.rule.severity]
        assert set(properties) <= {"file", "line", "title"}
        assert message == describe(finding)


def _report(findings: Sequence[Finding], unknown: int = 0) -> Report:
    results = [replace(shared_report().results[0], findings=tuple(findings), suppressed=())]
    nameless = CheckResult("demo.check", "it can be asked", 1, Verdict.UNKNOWN, reason="no answer\n::error::no")
    return replace(shared_report(), results=(*results, *(replace(nameless, name=f"demo.{n}") for n in range(unknown))))


def _finding(code: str, severity: Severity, message: str = "seen", **changes: Any) -> Finding:  # noqa: ANN401 - fields
    return Finding(replace(ISSUER, code=code, severity=severity), message, **changes)


def _commands(report: Report) -> list[tuple[str, dict[str, str], str]]:
    return [command for command in map(_command, render(report).splitlines()) if command]


@pytest.mark.parametrize("severity", Severity)
def test_what_github_would_drop_is_in_the_log(severity: Severity) -> None:
    """Ten of a level are annotated; the others are lines of a group, and a notice tells how many they are."""
    findings = [_finding(f"DEMO{number:03}", severity, f"seen {number}") for number in range(14)]
    commands = _commands(_report(findings))
    names = [name for name, _, _ in commands]
    shown = 9 if severity is Severity.NOTE else 10
    assert max(names.count(level) for level in ("error", "warning", "notice")) <= 10
    titles = [properties.get("title", "") for _, properties, _ in commands]
    assert f"{14 - shown} more are not annotated" in titles
    log = render(_report(findings)).splitlines()
    start, end = log.index(f"::group::{14 - shown} more are not annotated"), log.index("::endgroup::")
    assert log[start + 1 : end] == [f"{severity} DEMO{number:03} seen {number}" for number in range(shown, 14)]


def test_exactly_ten_are_all_annotated() -> None:
    """Nothing is left out, and nothing says so."""
    findings = [_finding("DEMO001", level, f"seen {number}") for level in Severity for number in range(10)]
    assert len(_commands(_report(findings))) == 30
    assert "::group::" not in render(_report(findings))


def test_no_rule_is_hidden_by_a_rule_with_many_findings() -> None:
    """The first finding of each rule is annotated before the second one of any, in the order of the report."""
    many = [_finding("DEMO001", Severity.ERROR, f"seen {number}") for number in range(20)]
    one = _finding("DEMO002", Severity.ERROR, "the only one")
    messages = [message.splitlines()[0] for name, _, message in _commands(_report([*many, one])) if name == "error"]
    assert messages == [*(f"DEMO001: seen {number}" for number in range(9)), "DEMO002: the only one"]


def test_what_could_not_be_checked_comes_before_notes() -> None:
    """Both are notices; a check without a verdict weighs more, and its reason is no command of its own."""
    notes = [_finding(f"DEMO{number:03}", Severity.NOTE) for number in range(9)]
    titles = [
        properties["title"].partition(" ")[0]
        for _, properties, _ in _commands(_report(notes, unknown=12))
        if properties
    ]
    assert titles == ["UNKNOWN"] * 9 + ["12"]
    assert "\nunknown it can be asked: no answer ::error::no\n" in render(_report(notes, unknown=12))


def test_a_remedy_is_not_cut_off() -> None:
    """The runner cuts a message at 4096 UTF-16 units: the evidence is what goes."""
    long = _finding("DEMO001", Severity.ERROR, evidence=(Evidence("answer", "😀" * 3000),))
    ((_, _, message),) = _commands(_report([long]))
    assert "remedy: " in message
    assert "😀" not in message
    endless = _finding("DEMO001", Severity.ERROR, "😀" * 3000)
    ((_, _, message),) = _commands(_report([endless]))
    assert len(message.encode("utf-16-le")) // 2 <= 4096
    assert message.endswith("…")


def test_a_file_is_annotated_on_its_line() -> None:
    """The annotation stands where the fault is, whatever the file is called."""
    place = Location(LocationKind.FILE, ".\\a,b:c%\n.py", 12)
    result = replace(shared_report().results[0], findings=(Finding(ISSUER, "seen", (), place),))
    first = _command(render(replace(shared_report(), results=(result,))).split("\n")[0])
    assert first is not None
    assert first[1] == {"file": "a,b:c%\n.py", "line": "12", "title": f"DEMO001 {ISSUER.title}"}


def test_only_a_file_is_given_as_one() -> None:
    """A variable's name is not a path."""
    for line in render(shared_report()).splitlines():
        assert "file=" not in line or "file=backend/middleware" in line or "file=/srv/app" in line


def test_an_unknown_check_is_a_notice_with_its_remedy() -> None:
    """What could not be checked is said, and how to change that."""
    notices = [command for command in map(_command, render(shared_report()).splitlines()) if command]
    assert notices[-1] == (
        "notice",
        {"title": "UNKNOWN every model of the chain exists"},
        "the check raised RuntimeError: ::error::boom\nrun it alone: alwrity-doctor gate hf.models",
    )


def test_the_summary_is_the_last_line_and_plain() -> None:
    """The log ends with what everybody wants to know."""
    last = render(shared_report()).splitlines()[-1]
    assert last.startswith("FAIL: 3 of 11 checks failed. 7 findings, 1 suppressed. Exit code 1:")
    assert visible(last) == last
