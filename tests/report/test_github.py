"""The workflow commands, read the way the runner reads them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from alwrity_checks.model import Finding, Location, LocationKind, Report, Severity, Verdict
from alwrity_doctor.report.characters import visible
from alwrity_doctor.report.github import render
from alwrity_doctor.report.phrases import describe
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import ISSUER, shared_report


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
    assert len(lines) == len(report.findings) + len(unknown)
    for line, finding in zip(lines, report.findings, strict=False):
        assert line is not None
        name, properties, message = line
        assert name == levels[finding.rule.severity]
        assert set(properties) <= {"file", "line", "title"}
        assert message == describe(finding)


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
