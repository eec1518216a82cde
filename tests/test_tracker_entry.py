"""A new entry of the catalogue from lines that no signature knows: whole, true, and within the document's own rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from alwrity_checks.catalogue import rules
from alwrity_doctor.cli import command_line
from alwrity_doctor.cli.tracker_commands import complaint
from alwrity_doctor.tracker import SECTIONS, SHORT_FIELDS, check, load
from alwrity_doctor.tracker_records import contradictions
from tests.support.in_process import CommandLine, Done

if TYPE_CHECKING:
    from collections.abc import Callable

REAL: Final = Path(__file__).resolve().parents[1] / "tracker.md"
UNKNOWN: Final = (
    "06:36:{second:02d} | ERROR    | services.billing:charge:19 - Card `visa` of {who} was declined with code 402\n\n"
)
OTHER: Final = "06:36:59 | WARNING  | services.mail:send:7 - the mailbox is full\n\n"
KNOWN: Final = (
    "06:36:48 | ERROR    | middleware.auth_middleware:verify_token:191 - Unverified token rejected (production).\n"
)
SECRET: Final = "sk_live_" + "Zq3" * 12


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Done]:
    """Return `tracker new` in a directory with a catalogue and a log."""
    (tmp_path / "tracker.md").write_bytes(REAL.read_bytes())
    lines = [UNKNOWN.format(second=second, who=SECRET if second == 3 else f"user_{second}") for second in range(3, 8)]
    (tmp_path / "app.log").write_text("".join([KNOWN, *lines, OTHER]), encoding="utf-8")
    (tmp_path / "known.log").write_text(KNOWN, encoding="utf-8")
    run = CommandLine(monkeypatch, capsys, tmp_path)
    return lambda *words: run("tracker", "new", *words)


def test_an_entry_has_every_field_and_keeps_the_rules(doctor: Callable[..., Done], tmp_path: Path) -> None:
    """The most frequent unknown form becomes issue 7, the next one issue 8; the document stays free of problems."""
    first = doctor("--from-triage", "app.log", "--yes")
    assert first.code == 0, first.err
    second = doctor("--from-triage", "app.log", "--cluster", "2", "--title", "The mailbox is `full`", "--yes")
    assert second.code == 0, second.err
    tracker = load(tmp_path / "tracker.md")
    seven, eight = tracker.issue(7), tracker.issue(8)
    assert (seven.value("Status"), seven.value("Severity"), eight.value("Severity")) == ("open", "high", "medium")
    assert [field.name for field in seven.fields] == [*SHORT_FIELDS, *SECTIONS]
    assert "5 lines at level ERROR" in seven.field("Observed").text
    assert seven.field("Signatures").entries[0].parts["mark"] == "log"
    assert eight.title == "The mailbox is 'full'"
    problems = check(tracker, rules(), lambda line: complaint(command_line(), line)) + contradictions(tracker)
    assert not problems, problems
    assert tracker.lines[: len(REAL.read_text("utf-8").rstrip().split("\n"))] == tuple(
        REAL.read_text("utf-8").rstrip().split("\n")
    )


def test_the_same_lines_open_no_second_entry(doctor: Callable[..., Done], tmp_path: Path) -> None:
    """Run again, the command names the issue that has the signature, and writes nothing."""
    assert doctor("--from-triage", "app.log", "--yes").code == 0
    before = (tmp_path / "tracker.md").read_bytes()
    again = doctor("--from-triage", "app.log", "--yes")
    assert again.code == 2
    assert "issue 7 has this signature already" in again.err
    assert (tmp_path / "tracker.md").read_bytes() == before


def test_no_secret_of_the_log_gets_into_the_catalogue(doctor: Callable[..., Done], tmp_path: Path) -> None:
    """The sample is the cleaned one, in the file and in what is shown."""
    done = doctor("--from-triage", "app.log", "--yes")
    assert SECRET not in done.out + done.err + (tmp_path / "tracker.md").read_text("utf-8")


def test_it_is_shown_before_it_is_written(doctor: Callable[..., Done], tmp_path: Path) -> None:
    """With --dry-run nothing is written; without a terminal and without --yes it ends with 2 and nothing is written."""
    shown = doctor("--from-triage", "app.log", "--dry-run")
    assert shown.code == 0
    assert "+## Issue 7: " in shown.out
    refused = doctor("--from-triage", "app.log")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert (tmp_path / "tracker.md").read_bytes() == REAL.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from-triage", "known.log"), 2, "every line of trouble in it is known"),
        (("--from-triage", "app.log", "--cluster", "9"), 2, "has 2 unknown forms"),
        (("--from-triage", "missing.log"), 2, "missing.log"),
        ((), 2, "--from-triage"),
    ],
)
def test_what_cannot_be_opened(doctor: Callable[..., Done], words: tuple[str, ...], code: int, said: str) -> None:
    """A log without unknown trouble, a form that is not there and a log that is not there: each says what to do."""
    done = doctor(*words, "--yes")
    assert done.code == code
    assert said in done.err
