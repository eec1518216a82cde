"""`gate --write-baseline` and `gate --baseline`: today's findings accepted, tomorrow's not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import install, run
from tests.support.in_process import CommandLine
from tests.support.scanned_checkout import lay_out

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "backend/services/reports.py"
WRONG = "URL = 'https://router.huggingface.co/hf/v1'\n"
SOURCE = f"{WRONG}\n\ndef total(v):\n    return v\n"
LATER = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
OVER = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
WRITE = ("--write-baseline", "b.toml", "--reason", "rewritten in March", "--expires", LATER)
SCAN = ("gate", "scan", "--backend", ".")


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line in a checkout with a wrong address in it."""
    lay_out(tmp_path, {SERVICE: SOURCE})
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_todays_findings_are_accepted_and_tomorrows_are_not(doctor: CommandLine, tmp_path: Path) -> None:
    """Written once, the gate is healthy; moved lines change nothing; a second address beside the first one counts."""
    assert doctor(*SCAN).code == 1
    written = doctor(*SCAN, *WRITE)
    assert written.code == 0
    assert "b.toml: " in written.err
    assert "rewritten in March" in (tmp_path / "b.toml").read_text("utf-8")
    accepted = doctor(*SCAN, "--baseline", "b.toml", "--format", "json")
    assert (accepted.code, accepted.err) == (0, "")
    assert all(not result["findings"] for result in accepted.document["results"])
    lay_out(tmp_path, {SERVICE: f"import os\n\n\n{SOURCE}\n\nos.getpid()\n"})
    assert doctor(*SCAN, "--baseline", "b.toml").code == 0
    lay_out(tmp_path, {SERVICE: SOURCE + WRONG})
    again = doctor(*SCAN, "--baseline", "b.toml", "--format", "json")
    assert again.code == 1
    assert sum(len(result["findings"]) for result in again.document["results"]) == 1


def test_what_is_accepted_is_shown_with_its_reason(doctor: CommandLine) -> None:
    """Nothing is swept away: a report lists what was accepted, why and until when."""
    doctor(*SCAN, *WRITE)
    shown = " ".join(doctor(*SCAN, "--baseline", "b.toml").out.split())
    assert "Suppressed: found, and accepted for now" in shown
    assert "rewritten in March" in shown
    assert f"until {LATER}" in shown


def test_many_that_were_accepted_alike_are_told_together(doctor: CommandLine, tmp_path: Path) -> None:
    """The verdict says how many are accepted, and a list of places does not bury it."""
    lay_out(tmp_path, {SERVICE: WRONG * 9 + SOURCE})
    doctor(*SCAN, *WRITE)
    shown = " ".join(doctor(*SCAN, "--baseline", "b.toml").out.split())
    assert "nothing but 10 accepted findings is wrong" in shown
    assert "not so in 10 places" in shown
    assert "and 7 more, which --format json names" in shown


def test_an_entry_that_found_nothing_is_told(doctor: CommandLine, tmp_path: Path) -> None:
    """When the fault is mended its entry is named, with the command that drops it; a part of a run says nothing."""
    doctor(*SCAN, *WRITE)
    lay_out(tmp_path)
    done = doctor(*SCAN, "--baseline", "b.toml")
    assert done.code == 0
    assert "accepts what is no longer found: " in done.err
    assert SERVICE in done.err
    part = doctor("gate", "scan.auth", "--backend", ".", "--baseline", "b.toml")
    assert part.err == ""
    renewed = doctor(*SCAN, "--baseline", "b.toml", *WRITE)
    assert "found nothing and was left out" in renewed.err
    assert "[[accept]]" not in (tmp_path / "b.toml").read_text("utf-8")


def test_an_entry_that_lapsed_is_told_and_counts(doctor: CommandLine, tmp_path: Path) -> None:
    """The day after its last day the gate fails again, and says why on stderr and in the finding."""
    doctor(*SCAN, *WRITE)
    path = tmp_path / "b.toml"
    path.write_text(path.read_text("utf-8").replace(LATER, OVER), encoding="utf-8")
    done = doctor(*SCAN, "--baseline", "b.toml")
    assert done.code == 1
    assert "of b.toml lapsed, and what it accepted counts again" in done.err
    assert f"lapsed on {OVER}; its reason was: rewritten in March" in " ".join(done.out.split())


def test_a_baseline_is_renewed_with_its_reasons(doctor: CommandLine, tmp_path: Path) -> None:
    """What was accepted keeps its reason and its date; only what is new gets today's."""
    doctor(*SCAN, *WRITE)
    lay_out(tmp_path, {SERVICE: SOURCE + WRONG})
    more = ("--write-baseline", "b.toml", "--reason", "one more", "--expires", LATER)
    assert doctor(*SCAN, *more).code == 2
    assert doctor(*SCAN, "--baseline", "b.toml", *more).code == 0
    text = (tmp_path / "b.toml").read_text("utf-8")
    assert text.count('"one more"') == 1
    assert "rewritten in March" in text
    assert doctor(*SCAN, "--baseline", "b.toml").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--baseline", "absent.toml"], "absent.toml cannot be read"),
        (["--baseline", "backend/app.py"], "is not TOML"),
        (["--write-baseline", "b.toml", "--expires", LATER], "needs a reason"),
        (["--write-baseline", "b.toml", "--reason", " ", "--expires", LATER], "needs a reason"),
        (["--write-baseline", "b.toml", "--reason", "r"], "needs a last day"),
        (["--write-baseline", "b.toml", "--reason", "r", "--expires", "soon"], "'soon' is no date"),
        (["--write-baseline", "b.toml", "--reason", "r", "--expires", OVER], "is over"),
        (["--write-baseline", "no/such/b.toml", "--reason", "r", "--expires", LATER], "cannot be written"),
        (["--write-baseline", "backend", "--reason", "r", "--expires", LATER], "is there already"),
        (["--reason", "r"], "--reason is about a baseline"),
        (["--expires", LATER], "--expires is about a baseline"),
        ([*WRITE, "--wait", "3"], "choose one"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    doctor: CommandLine, tmp_path: Path, arguments: list[str], said: str
) -> None:
    """Before the run; there is no file behind it."""
    done = doctor(*SCAN, *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not (tmp_path / "b.toml").exists()


CHAIN = """
from dataclasses import dataclass
from datetime import timedelta

from alwrity_checks.catalogue import rules
from alwrity_checks.model import Finding, Requirement, RequirementKind


@dataclass(frozen=True)
class Acme:
    name: str
    requires: frozenset = frozenset()
    title: str = "acme is well"
    issue: int = 1
    timeout: timedelta = timedelta(seconds=60)

    async def run(self, context):
        return [Finding(rules()["AUTH001"], f"as {self.name} knows")]


CHECKS = [
    Acme("acme.first"),
    Acme("acme.second", frozenset({Requirement(RequirementKind.CHECK, ("acme.first",))})),
]
"""


def test_what_follows_from_an_accepted_failure_is_accepted_as_well(tmp_path: Path) -> None:
    """A check that another one held up runs once that one is accepted: what it finds is in the file from the start."""
    install(tmp_path / "plugins", "acme-checks", "acme", CHAIN)
    options = {"cwd": tmp_path, "plugins": tmp_path / "plugins"}
    assert run("gate", "acme", *WRITE, **options).returncode == 0  # type: ignore[arg-type]  # the options by name
    assert (tmp_path / "b.toml").read_text("utf-8").count("[[accept]]") == 2
    again = run("gate", "acme", "--baseline", "b.toml", **options)  # type: ignore[arg-type]  # the same
    assert (again.returncode, again.stderr) == (0, "")


def test_a_bundle_is_judged_with_a_baseline(doctor: CommandLine) -> None:
    """What was found elsewhere can be accepted from the bundle, and the bundle then judged by that."""
    assert doctor("bundle", "out", "--offline", "--backend", ".").code == 0
    assert doctor("gate", "scan", "--from", "out.tar.gz").code == 1
    assert doctor("gate", "scan", "--from", "out.tar.gz", *WRITE).code == 0
    judged = doctor("gate", "scan", "--from", "out.tar.gz", "--baseline", "b.toml")
    assert judged.code == 0
    # The live checkout, too: what a bundle holds is known by the same words.
    assert doctor(*SCAN, "--baseline", "b.toml").code == 0
