"""Two reports compared: what became better, worse, new or unknown, and the commands that read reports again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.model import (
    CheckResult,
    ExitCode,
    Finding,
    Location,
    LocationKind,
    Observation,
    Outcome,
    Report,
    Target,
    TargetKind,
    Verdict,
)
from alwrity_doctor.comparison import compare
from alwrity_doctor.report.json import render
from tests.support.in_process import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

RULES = rules()


def found(
    code: str = "AUTH021", line: int = 1, message: str = "it is too short by 3 characters", identity: str = ""
) -> Finding:
    """Return a finding in a file."""
    return Finding(RULES[code], message, location=Location(LocationKind.FILE, ".env", line), identity=identity)


def checked(verdict: Verdict, *findings: Finding, name: str = "auth.secret-key") -> CheckResult:
    """Return what a check came to."""
    return CheckResult(name, "the secret key fits", 1, verdict, findings, reason="as it is")


def report(*results: CheckResult, observations: tuple[Observation, ...] = ()) -> Report:
    """Return a report of a gate."""
    return Report("gate", "1.0", datetime(2027, 1, 1, tzinfo=UTC), timedelta(seconds=1), results, observations)


FAILED = checked(Verdict.FAIL, found())
PASSED = checked(Verdict.PASS)


@pytest.mark.parametrize(
    ("before", "after", "change", "code"),
    [
        (PASSED, FAILED, "worse", ExitCode.FINDING),
        (FAILED, PASSED, "better", ExitCode.HEALTHY),
        (FAILED, FAILED, None, ExitCode.HEALTHY),
        (FAILED, checked(Verdict.FAIL, found(line=7)), None, ExitCode.HEALTHY),
        (FAILED, checked(Verdict.FAIL, found(message="it is too short by 9 characters")), None, ExitCode.HEALTHY),
        (FAILED, checked(Verdict.FAIL, found(), found("AUTH022")), "worse", ExitCode.FINDING),
        (checked(Verdict.FAIL, found(), found("AUTH022")), FAILED, "better", ExitCode.HEALTHY),
        (PASSED, checked(Verdict.SKIP), "unknown", ExitCode.UNKNOWN),
        (FAILED, checked(Verdict.UNKNOWN), "unknown", ExitCode.UNKNOWN),
        (FAILED, None, "unknown", ExitCode.UNKNOWN),
        (None, FAILED, "new", ExitCode.FINDING),
        (None, PASSED, "new", ExitCode.HEALTHY),
        (checked(Verdict.SKIP), FAILED, "new", ExitCode.FINDING),
        (checked(Verdict.SKIP), checked(Verdict.UNKNOWN), None, ExitCode.HEALTHY),
    ],
)
def test_only_what_became_worse_is_a_finding(
    before: CheckResult | None, after: CheckResult | None, change: str | None, code: ExitCode
) -> None:
    """Moved lines and other numbers change nothing; what is not looked at any more is unknown, and never better."""
    compared = compare(report(*([before] if before else [])), report(*([after] if after else [])))
    assert compared.exit_code is code
    assert [row[-1] for table in compared.tables for row in table.rows] == ([change] if change else [])


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        # The message tells how far away something is; what is there is the same line of the source.
        ([found(identity="key = cut")], [found(line=9, message="other words", identity="key = cut")], None),
        ([found(identity="key = cut")], [found(identity="key = another")], "worse"),
        ([found(identity="key = cut")], [found(identity="key = cut"), found(line=5, identity="key = cut")], "worse"),
        ([found(identity="key = cut"), found(line=5, identity="key = cut")], [found(identity="key = cut")], "better"),
        # Reports from before findings had an identity.
        ([found()], [found(identity="key = cut")], None),
        ([found(message="key sk_live_…#1a2b3c4d")], [found(message="key sk_live_…#99999999")], None),
    ],
)
def test_a_finding_is_the_same_one_as_for_a_baseline(
    before: list[Finding], after: list[Finding], change: str | None
) -> None:
    """What is compared is what a finding is about, and one more of the same kind is one more."""
    compared = compare(report(checked(Verdict.FAIL, *before)), report(checked(Verdict.FAIL, *after)))
    assert [row[-1] for table in compared.tables for row in table.rows] == ([change] if change else [])


def test_two_reports_without_a_check_compare_to_nothing() -> None:
    """Of nothing nothing is said to be healthy."""
    assert compare(report(), report()).exit_code is ExitCode.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "before", "after", "change"),
    [
        (TargetKind.BACKEND, Outcome.ABSENT, Outcome.REPRODUCED, "worse"),
        (TargetKind.FIXED, Outcome.REPRODUCED, Outcome.ABSENT, "better"),
        (TargetKind.BACKEND, Outcome.ABSENT, Outcome.UNKNOWN, "unknown"),
        (TargetKind.LEGACY, Outcome.ABSENT, Outcome.REPRODUCED, "other"),
        (TargetKind.FIXED, Outcome.ABSENT, Outcome.ABSENT, None),
    ],
)
def test_what_a_target_shows_is_told_beside_the_checks(
    kind: TargetKind, before: Outcome, after: Outcome, change: str | None
) -> None:
    """The table names each target that shows something else than before."""
    was = Observation(RULES["AUTH001"], Target(kind), "a forged token", before, "seen")
    compared = compare(report(PASSED, observations=(was,)), report(PASSED, observations=(replace(was, outcome=after),)))
    assert [row[-1] for table in compared.tables for row in table.rows] == ([change] if change else [])


def test_the_facts_that_changed_are_told() -> None:
    """Another version of Python or of this program may be why the rest differs."""
    old = replace(report(PASSED), environment={"python": "3.11", "same": "1"})
    new = replace(report(PASSED), environment={"python": "3.12", "same": "1"}, version="2.0")
    assert compare(old, new).environment == {"python": "3.11 -> 3.12", "alwrity-doctor": "1.0 -> 2.0"}


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line in a directory with two reports."""
    (tmp_path / "a.json").write_text(render(report(PASSED)), encoding="utf-8")
    (tmp_path / "b.json").write_text(render(report(FAILED)), encoding="utf-8-sig")
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_the_command_compares_files(doctor: CommandLine) -> None:
    """`diff A B` ends with 1 where B is worse, and with 0 the other way round; its report is one of ours."""
    worse = doctor("diff", "a.json", "b.json", "--format", "json")
    assert worse.code == 1
    assert worse.document["tables"][0]["rows"] == [["auth.secret-key", "pass", "fail", "worse"]]
    assert doctor("diff", "b.json", "a.json").code == 0
    assert "nothing became worse" in doctor("diff", "b.json", "b.json").out


def test_a_report_is_rendered_again(doctor: CommandLine, tmp_path: Path) -> None:
    """`render` writes the same report in any format, from a file or standard input, and ends as the first command."""
    done = doctor("render", "b.json", "--format", "markdown=page.md", "--format", "json")
    assert done.code == 1
    assert json.loads(done.out) == json.loads((tmp_path / "b.json").read_text("utf-8-sig"))
    assert "AUTH021" in (tmp_path / "page.md").read_text("utf-8")
    again = doctor("render", "-", "--format", "json", stdin=(tmp_path / "b.json").read_bytes())
    assert again.out == done.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and so on", "gate --from"),
        (b"[]", "a JSON object"),
        (b"{}", "not a report"),
        (b"\xff\xfe{", "not UTF-8"),
        (b'{"schema": "alwrity-doctor/report/9"}', "schema"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_report_is_refused(doctor: CommandLine, tmp_path: Path, content: bytes | None, said: str) -> None:
    """Anything else ends with 2, and names the file and the remedy."""
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    for words in (("render", "x.json"), ("diff", "a.json", "x.json")):
        done = doctor(*words)
        assert done.code == 2
        assert said in done.err
        assert "x.json" in done.err
