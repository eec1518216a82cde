"""`alwrity-doctor scan` in a real process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_doctor.report import FORMATS
from tests.support.command_line import run
from tests.support.scanned_checkout import commit, git, lay_out

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "backend/services/reports.py"
WARNING = "from loguru import logger\n\n\ndef total(values):\n    logger.info('%s', values)\n"
CONFLICT = "<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"


def report(*arguments: str, cwd: Path) -> dict[str, Any]:
    """Return the report of a scan."""
    done = run("scan", *arguments, "--format", "json", cwd=cwd)
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    return told


def rules(told: dict[str, Any]) -> list[str]:
    """Return the rules that a report finds broken."""
    return [finding["rule"]["code"] for result in told["results"] for finding in result["findings"]]


@pytest.mark.parametrize(
    ("files", "arguments", "code"),
    [
        ({}, [], 0),
        ({SERVICE: WARNING}, [], 0),
        ({SERVICE: WARNING}, ["--fail-on", "warn"], 1),
        ({SERVICE: CONFLICT}, [], 1),
        ({SERVICE: CONFLICT}, ["--issue", "1"], 1),
        ({SERVICE: "URL = 'https://router.huggingface.co/hf/v1'\n"}, ["--issue", "1"], 0),
        ({SERVICE: "URL = 'https://router.huggingface.co/hf/v1'\n"}, ["--issue", "1", "--issue", "2"], 1),
    ],
)
def test_the_exit_code_is_the_gates(tmp_path: Path, files: dict[str, str], arguments: list[str], code: int) -> None:
    """Findings, --fail-on and --issue decide; what may hide any issue belongs to each."""
    lay_out(tmp_path, files)
    done = run("scan", ".", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""


def test_every_format_in_one_run(tmp_path: Path) -> None:
    """All of them are written, and name the place."""
    lay_out(tmp_path / "checkout", {SERVICE: CONFLICT})
    forms = [f"--format={name}={tmp_path / name}" for name in FORMATS]
    done = run("scan", "checkout/backend", *forms, cwd=tmp_path)
    assert done.returncode == 1
    for name in FORMATS:
        assert SERVICE in (tmp_path / name).read_text(), name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent"], "is not a directory"),
        ([".."], "no checkout"),
        ([".", "--issue", "7"], "nothing is known of issue 7"),
        ([".", "--since", "no-such"], "there is no revision"),
        ([".", "--config", "absent.toml"], "cannot be read"),
        ([], "DIR"),
    ],
)
def test_wrong_usage_is_2_with_a_remedy(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Nothing is on stdout, and stderr says what to do."""
    root = lay_out(tmp_path / "checkout")
    commit(root)
    done = run("scan", *arguments, cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_since_shows_only_the_change(tmp_path: Path) -> None:
    """And says what it was compared with, and how much was there before."""
    root = lay_out(tmp_path, {SERVICE: WARNING})
    commit(root)
    git(root, "tag", "v1")
    lay_out(root, {SERVICE: WARNING, "backend/routers/reports.py": f"from services.reports import total\n{CONFLICT}"})
    told = report(".", "--since", "v1", cwd=root)
    assert rules(told) == ["SRC001"]
    assert "1 finding was there before" in told["settings"]["--since"]


def test_a_change_without_a_fault_does_not_make_the_checkout_healthy(tmp_path: Path) -> None:
    """What is said to be free of faults is the change, beside what was there before."""
    root = lay_out(tmp_path, {SERVICE: WARNING})
    commit(root)
    done = run("scan", ".", "--since", "HEAD", cwd=root)
    assert done.returncode == 0
    assert done.stdout.startswith("PASS: nothing known was introduced since HEAD: compared with ")
    assert "nothing is wrong" not in done.stdout


def test_accepted_findings_are_set_apart(tmp_path: Path) -> None:
    """By the same file as the gate's."""
    lay_out(tmp_path, {SERVICE: WARNING})
    accepted = f'[[suppress]]\nrule = "SRC020"\nlocation = "{SERVICE}:*"\nreason = "soon"\nexpires = 2999-01-01\n'
    (tmp_path / "alwrity-doctor.toml").write_text(accepted)
    told = report(".", "--fail-on", "warn", cwd=tmp_path)
    assert told["exit_code"] == 0
    assert rules(told) == []
    (entry,) = [one for result in told["results"] for one in result["suppressed"]]
    assert entry["finding"]["location"] == {"kind": "file", "name": SERVICE, "line": 5}


def test_many_places_of_one_rule_are_one_entry(tmp_path: Path) -> None:
    """What to do is said once, and the places are named below it."""
    lay_out(tmp_path, {SERVICE: WARNING + "    logger.info('%d', values)\n" * 40})
    text = run("scan", ".", cwd=tmp_path).stdout
    assert text.count("Write {} for %s") == 1
    assert f"{SERVICE}:29: " in text
    assert f"{SERVICE}:30: " not in text
    assert "and 16 more" in text


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_the_number_of_processes_changes_nothing(tmp_path: Path, jobs: str) -> None:
    """They only share the work."""
    lay_out(tmp_path, {SERVICE: WARNING})
    assert rules(report(".", "--jobs", jobs, cwd=tmp_path)) == ["SRC020"]
