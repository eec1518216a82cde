"""What holds for every format."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, ExitCode, Report, Severity, Verdict
from alwrity_doctor.report import FORMATS, render
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from collections.abc import Iterable

EMPTY = Report("gate", "0.1.0", datetime(2026, 1, 2, tzinfo=UTC), timedelta())


def _with(verdicts: Iterable[Verdict], fail_on: Severity = Severity.ERROR) -> Report:
    results = tuple(CheckResult(f"room.{verdict}", "all is well", 1, verdict) for verdict in verdicts)
    return replace(EMPTY, results=results, fail_on=fail_on)


def test_an_unknown_format_is_a_configuration_error_that_names_the_known_ones() -> None:
    """A slip of the pen in --format ends with exit code 2 and the list of formats."""
    with pytest.raises(ConfigurationError, match="'yaml'") as caught:
        render(EMPTY, "yaml")
    assert all(name in caught.value.diagnosis for name in FORMATS)


@pytest.mark.parametrize("name", FORMATS)
@RANDOM
@given(report=reports())
def test_every_report_renders_as_clean_text(name: str, report: Report) -> None:
    """No report makes a format fail, leave UTF-8, or send a control character to the terminal."""
    output = render(report, name)
    assert output.encode().decode() == output
    assert output.endswith("\n")
    allowed = "\t\n\x7f" if name in {"json", "sarif"} else "\t\n"
    assert not [char for char in output if (ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0) and char not in allowed]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\ufffe\uffff]", output)


@RANDOM
@given(report=reports())
def test_machine_formats_always_parse(report: Report) -> None:
    """Whatever a server sends, JSON, SARIF, JUnit and Code Quality stay well-formed."""
    json.loads(render(report, "json"))
    json.loads(render(report, "codequality"))
    json.loads(render(report, "sarif"))
    ET.fromstring(render(report, "junit").encode())  # noqa: S314 - our own output


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "code"),
    [
        ((), Severity.ERROR, ExitCode.UNKNOWN),
        ((Verdict.SKIP,), Severity.ERROR, ExitCode.UNKNOWN),
        ((Verdict.PASS, Verdict.SKIP), Severity.ERROR, ExitCode.HEALTHY),
        ((Verdict.PASS, Verdict.WARN), Severity.ERROR, ExitCode.HEALTHY),
        ((Verdict.PASS, Verdict.WARN), Severity.WARNING, ExitCode.FINDING),
        ((Verdict.PASS, Verdict.UNKNOWN), Severity.ERROR, ExitCode.UNKNOWN),
        ((Verdict.UNKNOWN, Verdict.FAIL), Severity.ERROR, ExitCode.FINDING),
    ],
)
def test_every_format_states_the_same_exit_code(
    verdicts: tuple[Verdict, ...], fail_on: Severity, code: ExitCode
) -> None:
    """The exit code is the report's; no renderer works out another."""
    report = _with(verdicts, fail_on)
    assert report.exit_code is code
    assert json.loads(render(report, "json"))["exit_code"] == code
    assert json.loads(render(report, "sarif"))["runs"][0]["invocations"][0]["exitCode"] == code
    for name in ("text", "markdown", "github"):
        assert f"Exit code {int(code)}:" in render(report, name)
    suites = ET.fromstring(render(report, "junit"))  # noqa: S314 - our own output
    assert {one.get("value") for one in suites.iter("property") if one.get("name") == "exit_code"} <= {str(int(code))}


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_checked_renders_and_is_not_healthy(name: str) -> None:
    """A run without a single check is shown in every format, and never as a success."""
    output = render(EMPTY, name)
    assert "pass" not in re.sub("(?s)<style>.*?</style>", "", output).lower()
    if name in {"text", "markdown", "github"}:
        assert "nothing was checked" in output
        assert "Exit code 3: nothing was checked." in output


@pytest.mark.parametrize("name", FORMATS)
def test_tables_are_for_readers_and_never_a_verdict(name: str) -> None:
    """Text, Markdown, the page and JSON show them; formats of findings and cases have no place for them."""
    report = shared_report()
    differs = render(report, name) != render(replace(report, tables=()), name)
    assert differs is (name in {"text", "markdown", "html", "json"})


@pytest.mark.parametrize("name", FORMATS)
def test_a_renderer_does_not_look_at_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same report gives the same text in a CI job, a dumb terminal and another time zone."""
    before = render(shared_report(), name)
    for variable, value in {
        "NO_COLOR": "1",
        "FORCE_COLOR": "1",
        "COLUMNS": "20",
        "TERM": "dumb",
        "TZ": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(variable, value)
    assert render(shared_report(), name) == before


def test_the_package_imports_no_renderer_and_no_rich() -> None:
    """Asking for the list of formats costs no import of rich or of a renderer: the cold start's law."""
    code = (
        "import sys, alwrity_doctor.report as report\n"
        "print([name for name in sys.modules if name in (*report.FORMATS.values(), 'rich', 'xml.etree')])"
    )
    path = ":".join(filter(None, sys.path))
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
