"""What validations came to, in the session log; the rule by which a status moves; and the command that writes both."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from alwrity_checks.catalogue import rules
from alwrity_checks.model import Evidence, Observation, Outcome, Report, Target, TargetKind
from alwrity_doctor.cli import command_line
from alwrity_doctor.cli.tracker_commands import complaint
from alwrity_doctor.reproduction import judge
from alwrity_doctor.tracker import Tracker, check, load
from alwrity_doctor.tracker_records import (
    Came,
    Record,
    backend_record,
    component_record,
    contradictions,
    moved,
    recorded,
    with_status,
    written,
)
from tests.support.unrecorded import unrecorded

ROOT: Final = Path(__file__).resolve().parents[1]
COMMAND: Final = "alwrity-doctor reproduce 1"
DAY: Final = date(2027, 1, 9)
LATER: Final = date(2027, 2, 1)


def seen(kind: TargetKind, outcome: Outcome, code: str = "AUTH001") -> Observation:
    """Return an observation of a rule."""
    return Observation(rules()[code], Target(kind), "a scenario", outcome, "was seen", (Evidence("driven on", "x 1"),))


def report(*observations: Observation) -> Report:
    """Return the report of a reproduction."""
    return Report(
        "reproduce",
        "9.9",
        datetime.now(UTC),
        timedelta(seconds=1),
        judge(observations),
        observations,
        environment={"python": "CPython 3.11", "pyjwt": "2.10"},
    )


LEGACY: Final = seen(TargetKind.LEGACY, Outcome.REPRODUCED)
FREE: Final = seen(TargetKind.FIXED, Outcome.ABSENT)


@pytest.mark.parametrize(
    ("observations", "came"),
    [
        ((LEGACY, FREE), Came.PASSED),
        ((LEGACY, seen(TargetKind.FIXED, Outcome.REPRODUCED)), Came.FAILED),
        ((LEGACY, seen(TargetKind.FIXED, Outcome.UNKNOWN)), Came.UNDECIDED),
        ((seen(TargetKind.LEGACY, Outcome.ABSENT), FREE), Came.FAILED),
        ((LEGACY, FREE, seen(TargetKind.BACKEND, Outcome.REPRODUCED)), Came.PASSED),
        ((), Came.UNDECIDED),
    ],
)
def test_the_component_is_judged_without_the_checkout(observations: tuple[Observation, ...], came: Came) -> None:
    """The component passes if its model shows each fault and it none, whatever a checkout shows beside it."""
    told = component_record(COMMAND, 1, report(*observations))
    assert told.came is came
    assert "pyjwt 2.10" in told.told


@pytest.mark.parametrize(
    ("outcomes", "came", "said"),
    [
        (
            {"AUTH001": Outcome.REPRODUCED, "AUTH003": Outcome.ABSENT},
            Came.FAILED,
            "1 of 2 faults reproduced: `AUTH001`",
        ),
        ({"AUTH001": Outcome.ABSENT, "AUTH003": Outcome.ABSENT}, Came.PASSED, "2 of 2 faults absent"),
        ({"AUTH001": Outcome.ABSENT, "AUTH003": Outcome.UNKNOWN}, Came.UNDECIDED, "undecided: `AUTH003`"),
        ({}, Came.UNDECIDED, "could not be driven"),
    ],
)
def test_the_checkout_is_judged_by_its_own_column(outcomes: dict[str, Outcome], came: Came, said: str) -> None:
    """A checkout passes only if every rule was seen to hold in it; its revision and versions are told."""
    seen_here = [seen(TargetKind.BACKEND, outcome, code) for code, outcome in outcomes.items()]
    told = backend_record(f"{COMMAND} --backend DIR", report(LEGACY, FREE, *seen_here), "8c2d88ef")
    assert told.came is came
    assert told.told.startswith("at 8c2d88ef")
    assert said in told.told
    assert ("driven on x 1" in told.told) == bool(outcomes)


def component(came: Came) -> Record:
    """Return a record of the component."""
    return Record(COMMAND, came, "as seen")


def backend(came: Came) -> Record:
    """Return a record of a checkout."""
    return Record(f"{COMMAND} --backend DIR", came, "at 8c2d88ef")


P, F, U = Came.PASSED, Came.FAILED, Came.UNDECIDED


@pytest.mark.parametrize(
    ("status", "records", "after"),
    [
        ("open", [], "open"),
        ("open", [component(U)], "open"),
        ("open", [component(P)], "cured-here"),
        ("open", [component(F)], "open"),
        ("open", [component(P), backend(P)], "fixed"),
        ("open", [component(P), backend(F)], "cured-here"),
        ("cured-here", [component(P), backend(F)], "cured-here"),
        ("cured-here", [component(P), backend(U)], "cured-here"),
        ("cured-here", [component(P), backend(P)], "fixed"),
        ("cured-here", [backend(P)], "cured-here"),
        ("cured-here", [component(P), component(F)], "regressed"),
        ("fixed", [component(P), backend(P), component(U), backend(U)], "fixed"),
        ("fixed", [component(P), backend(P), backend(F)], "regressed"),
        ("fixed", [component(P), backend(P), component(F)], "regressed"),
        ("fixed", [component(P)], "cured-here"),
        ("regressed", [component(F), component(P)], "cured-here"),
        ("regressed", [component(P), backend(F)], "regressed"),
        ("regressed", [component(P), backend(F), backend(P)], "fixed"),
        ("no-defect", [component(F)], "no-defect"),
        ("cured-here", [component(P), Record("alwrity-doctor triage x.log", Came.SEEN, "told")], "cured-here"),
    ],
)
def test_a_status_moves_by_the_stated_rule_alone(status: str, records: list[Record], after: str) -> None:
    """`fixed` needs a passed checkout and component; `regressed` sets itself; doubt and logs move nothing."""
    assert moved(status, records) == after
    assert moved(after, records) == after, "a second look moves nothing"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of this repository's tracker."""
    path = tmp_path / "tracker.md"
    path.write_bytes(unrecorded())
    return path


def _record(path: Path, number: int, *records: Record, on: date = DAY) -> Tracker:
    issue = load(path).issue(number)
    lines = path.read_bytes().decode().split("\n")
    path.write_bytes("\n".join(written(lines, issue, records, on)).encode())
    return load(path)


def test_a_record_is_written_once_and_read_back(copy: Path) -> None:
    """What is recorded comes back as it was; a second time on that day changes no byte; only lines are added."""
    before = copy.read_text(encoding="utf-8").splitlines()
    long = replace(component(P), told="a long tale of `AUTH001` " * 12 + "x")
    tracker = _record(copy, 3, long, backend(F))
    assert list(recorded(tracker.issue(3)))[-2:] == [long, backend(F)]
    once = copy.read_bytes()
    _record(copy, 3, long, backend(F))
    assert copy.read_bytes() == once
    rest = iter(once.decode().splitlines())
    assert all(line in rest for line in before), "every line of a person is there, in order"
    problems = check(tracker, rules(), lambda line: complaint(command_line(), line))
    assert not problems, problems


def test_the_same_on_a_later_day_is_one_entry(copy: Path) -> None:
    """A run that comes to the same adds its date to the entry; one that comes to something else is a new entry."""
    _record(copy, 6, component(P))
    once = len(load(copy).issue(6).field("Session log").entries)
    tracker = _record(copy, 6, component(P), on=LATER)
    entries = tracker.issue(6).field("Session log").entries
    assert len(entries) == once
    assert entries[-1].text.endswith(f"as seen; the same on {LATER}")
    assert entries[-1].parts["date"] == DAY.isoformat()
    tracker = _record(copy, 6, component(F), on=LATER)
    assert [one.came for one in recorded(tracker.issue(6))][-2:] == [P, F]


def test_line_ends_and_byte_order_marks_stay(copy: Path) -> None:
    """A file as Windows saves it keeps its byte-order mark and its line ends, in the added lines as well."""
    copy.write_bytes(b"\xef\xbb\xbf" + unrecorded().replace(b"\n", b"\r\n"))
    _record(copy, 2, component(P))
    data = copy.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\n") == data.count(b"\r\n") > unrecorded().count(b"\n")


@pytest.mark.parametrize(
    ("status", "records", "said"),
    [
        ("fixed", [], "no record says so"),
        ("regressed", [], "no record says so"),
        ("fixed", [component(P), backend(F)], "by the last record it is regressed"),
        ("cured-here", [component(F)], "by the last record it is regressed"),
        ("open", [component(P)], "by the last record it is cured-here"),
        ("cured-here", [component(P)], ""),
        ("fixed", [component(P), backend(P)], ""),
    ],
)
def test_check_finds_what_the_last_record_denies(copy: Path, status: str, records: list[Record], said: str) -> None:
    """A status that the last record contradicts, and one that only a record may claim, is a problem at its line."""
    issue = load(copy).issue(1)
    lines = with_status(copy.read_text(encoding="utf-8").split("\n"), issue, status)
    copy.write_text("\n".join(lines), encoding="utf-8")
    tracker = _record(copy, 1, *records) if records else load(copy)
    found = contradictions(tracker)
    assert [problem.line for problem in found] == ([tracker.issue(1).field("Status").line] if said else [])
    assert all(said in problem.message for problem in found)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this interpreter, with words from this file
        [sys.executable, "-m", "alwrity_doctor", "tracker", "record", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "checks")))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_command_runs_a_validation_and_writes_what_it_came_to(copy: Path) -> None:
    """The real validation of issue 1 passes; the diff is shown, the file is written with --yes, and then stays."""
    shown = _run("1", "--file", str(copy), "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "+- " in shown.stdout
    assert "recorded by `alwrity-doctor reproduce 1`: `passed`" in shown.stdout
    assert copy.read_bytes() == unrecorded()
    written_once = _run("1", "--file", str(copy), "--yes")
    assert (written_once.returncode, written_once.stdout) == (0, shown.stdout)
    assert [one.came for one in recorded(load(copy).issue(1))][-1] is P
    again = _run("1", "--file", str(copy), "--yes")
    assert again.stdout == f"{copy}: nothing new\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor startup trace -- touch x`:", "is none that is run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor models pull`:", "is none that is run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor tracker list`:", "is none that is run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor txtai repair a --to b`:", "run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor reproduce --backend . --python x`:", "is none that is run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor reproduce 1 --format=json=x`:", "is none that is run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor gate --env-file x`:", "is none that is run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor reproduce '1`:", "cannot be run"),
        ("`alwrity-doctor reproduce 1`:", "`alwrity-doctor reproduce --forever`:", "cannot be run"),
    ],
)
def test_a_validation_that_does_more_than_look_is_refused(copy: Path, old: str, new: str, said: str) -> None:
    """A catalogue cannot make the program start other programs or write: such a validation ends with 2."""
    copy.write_text(copy.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    run = _run("1", "--file", str(copy), "--yes")
    assert run.returncode == 2, run.stderr
    assert said in run.stderr


def test_an_unknown_issue_and_a_directory_that_is_no_checkout_are_usage_errors(copy: Path, tmp_path: Path) -> None:
    """Both are told before anything runs, with exit code 2."""
    assert _run("9", "--file", str(copy)).returncode == 2
    run = _run("1", "--file", str(copy), "--backend", str(tmp_path))
    assert run.returncode == 2
    assert "is no checkout of ALwrity" in run.stderr
