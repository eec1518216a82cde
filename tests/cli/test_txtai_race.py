"""`alwrity-doctor txtai race`, with the quickest of its runs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.model import ExitCode
from tests.support.backend_checkout import CONFLICT, DOUBLE, write_checkout
from tests.support.in_process import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ("txtai", "race", "--free", "--trials", "1", "--variant", "7e4adce5")
"""One call, two in a row, two at once: on the state that loses the earlier of two batches, and on the component."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_race_shows_and_draws(command: CommandLine, tmp_path: Path) -> None:
    """One run gives the report, the table, the trace and the page; what chance left open is left open."""
    done = command(*QUICK, "--trace", "race.json", "--html", "race.html")
    assert done.code == ExitCode.UNKNOWN
    assert "TXT005 a further batch leaves" in " ".join(done.out.split())
    assert "How often the fault showed" in done.out
    assert "10>5" in done.out
    assert "10>10" in done.out
    trace = json.loads((tmp_path / "race.json").read_text())
    assert {"legacy 7e4adce5", "fixed"} == {
        event["args"]["name"].partition(": ")[2] for event in trace["traceEvents"] if event["name"] == "process_name"
    }
    page = (tmp_path / "race.html").read_text()
    assert page.count("<svg") >= 2
    assert "5 of 10 accepted documents lost" in page


def test_files_are_there_though_nobody_reads_on(tmp_path: Path) -> None:
    """`alwrity-doctor txtai race --html F | head -1`: what was asked for as a file is written all the same."""
    doctor = f"{sys.executable} -m alwrity_doctor {' '.join(QUICK)} --html race.html"
    subprocess.run(f"{doctor} | head -1", shell=True, cwd=tmp_path, check=True, capture_output=True, timeout=120)  # noqa: S602 - as one types it
    assert "<svg" in (tmp_path / "race.html").read_text()


def test_json_is_the_report_alone(command: CommandLine) -> None:
    """Where a program reads, the timelines for people are left out; what was counted is a table of the report."""
    done = command("txtai", "race", "--free", "--trials", "1", "--target", "fixed", "--format", "json")
    assert done.document["command"] == "txtai race"
    assert [table["columns"] for table in done.document["tables"]] == [["fault", "fixed"]]
    assert {one["outcome"] for one in done.document["observations"]} == {"absent"}
    assert done.code == ExitCode.UNKNOWN  # no legacy target: its absence elsewhere proves nothing


def test_place_that_cannot_be_written_is_refused_first(command: CommandLine) -> None:
    """A directory that is not there ends the command before anything is played."""
    done = command("txtai", "race", "--html", "nowhere/race.html")
    assert done.code == ExitCode.USAGE
    assert "nowhere/race.html cannot be written" in done.err
    assert not done.out


def test_variant_without_the_legacy_service_is_refused(command: CommandLine) -> None:
    """Two options that contradict each other are wrong usage."""
    done = command("txtai", "race", "--target", "fixed", "--variant", "HEAD")
    assert done.code == ExitCode.USAGE
    assert "--variant" in done.err


def test_unknown_variant_names_the_known_ones(command: CommandLine) -> None:
    """A state that does not exist is wrong usage, and those that exist are named."""
    done = command("txtai", "race", "--variant", "deadbeef")
    assert done.code == ExitCode.USAGE
    assert "8c2d88ef" in done.err


def test_race_is_a_subcommand(command: CommandLine) -> None:
    """The group has a help of its own, which lists the race."""
    done = command("txtai", "--help")
    assert done.code == 0
    assert "race" in done.out


def test_checkout_is_raced_beside_the_others(command: CommandLine, tmp_path: Path) -> None:
    """With --backend the checkout has a column, a verdict and a picture of its own, between legacy and fixed."""
    # Two initialisations at once, left to chance, end the process now and then.
    write_checkout(tmp_path / "mine", DOUBLE.replace("self._ensure_initialized()\n        await", "await"))
    done = command(*QUICK, "--backend", "mine", "--format", "json", "--html", "race.html")
    assert done.code == ExitCode.FINDING
    assert done.document["tables"][0]["columns"] == ["fault", "legacy 7e4adce5", "fixed", "yours"]
    row = next(row for row in done.document["tables"][0]["rows"] if row[0].startswith("TXT005"))
    assert row[-1] == "1/1  10>5"
    assert done.verdicts["TXT005"] == "fail"
    page = (tmp_path / "race.html").read_text()
    chapter = page[page.index("<h2>TXT005") :]
    assert chapter.index("<h3>legacy 7e4adce5") < chapter.index("<h3>yours") < chapter.index("<h3>fixed")


def test_checkout_alone_needs_no_other_target(command: CommandLine, tmp_path: Path) -> None:
    """With --target backend nothing else is played, and what cannot be driven is unknown, with the reason."""
    write_checkout(tmp_path / "mine", CONFLICT)
    done = command("txtai", "race", "--target", "backend", "--backend", "mine/backend")
    assert done.code == ExitCode.UNKNOWN
    assert "a merge conflict was left in it" in " ".join(done.out.split())
    assert "Traceback" not in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "backend"), "--backend DIR"),
        (("--target", "fixed", "--backend", "."), "--target fixed leaves it out"),
        (("--target", "backend", "--backend", ".", "--variant", "HEAD"), "--variant"),
        (("--backend", "."), "no checkout of ALwrity"),
    ],
)
def test_checkout_that_is_not_named_well_is_refused(
    arguments: tuple[str, ...], said: str, command: CommandLine
) -> None:
    """Options that contradict each other, and a directory that is no checkout, are wrong usage."""
    done = command("txtai", "race", *arguments)
    assert done.code == ExitCode.USAGE
    assert said in " ".join(done.err.split())
