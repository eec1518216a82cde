"""`alwrity-doctor` alone: where somebody stands, in the time that a keystroke may take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alwrity_checks.catalogue import ROOMS
from alwrity_checks.model import RequirementKind
from alwrity_doctor import __version__
from alwrity_doctor.cli import COMMANDS, output
from alwrity_doctor.cli.standing import page
from alwrity_doctor.discovery import discover
from alwrity_doctor.standing import _ENV_FILES as OURS
from alwrity_doctor.standing import SETTINGS, KeptReport, stand
from tests.support.command_line import environment, run
from tests.support.in_process import bare
from tests.support.scanned_checkout import commit, lay_out

GOLDEN = Path(__file__).parents[1] / "report/golden/shared.json"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
KEY = "sk_test_aVeryLongMadeUpKeyOfNobody00"
WEIGHTY = {
    *("rich", "httpx", "pydantic", "openai", "torch", "transformers", "txtai", "cryptography", "jwt", "fastapi"),
    *("jsonschema", "ijson", "typer", "click", "asyncio", "socket", "ssl"),
}
PUBLISHABLE = "pk_test_Zm9vLWJhci0xMy5jbGVyay5hY2NvdW50cy5kZXYk"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a checkout in which something is set, and stand in it."""
    bare(monkeypatch)
    root = lay_out(
        tmp_path / "alwrity",
        {"backend/.env": f"# keys\nCLERK_SECRET_KEY={KEY}\nCLERK_PUBLISHABLE_KEY={PUBLISHABLE}\nHF_TOKEN=\n"},
    )
    commit(root)
    monkeypatch.chdir(root)
    return root


def told(directory: Path) -> str:
    """Return the page as somebody in `directory` sees it."""
    return page(stand(directory), directory, NOW)


def test_it_ends_well_whatever_there_is_to_be_seen(tmp_path: Path) -> None:
    """To look is healthy: exit code 0, everything on stdout, in an empty directory too."""
    done = run(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"alwrity-doctor {__version__}: where you stand\n")
    assert "backend      none: this directory is in no checkout of ALwrity\n" in done.stdout
    assert "alwrity-doctor gate --backend DIR" in done.stdout


def test_nothing_of_weight_is_imported(checkout: Path) -> None:
    """In a checkout with a .env file, a report and a log: no typer, no event loop, no room, and nothing of an extra."""
    (checkout / "app.log").write_text("a line\n")
    program = (
        "import json, sys; from alwrity_doctor.__main__ import main; sys.argv = ['alwrity-doctor']; main(); "
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], cwd=checkout, env=environment(), capture_output=True, text=True, check=True
    )
    modules = json.loads(done.stdout.splitlines()[-1])
    assert "CLERK_SECRET_KEY" in done.stdout
    assert not {name.partition(".")[0] for name in modules} & WEIGHTY
    rooms = {name.split(".")[1] for name in modules if name.startswith("alwrity_checks.")}
    assert rooms.isdisjoint(set(ROOMS) - {"backend"})


def test_the_checkout_is_found_from_anywhere_in_it(checkout: Path) -> None:
    """The backend, its branch and its commit, also for somebody deep inside."""
    (checkout / ".env").write_text("ENVIRONMENT=production\n")
    (checkout / "notes.log").write_text("a line\n")
    here = checkout / "backend/services"
    seen = told(here)
    assert "backend      .., main at " in seen
    assert "ENVIRONMENT from ../../.env:1" in seen
    assert "alwrity-doctor gate --backend ../.." in seen
    assert "alwrity-doctor triage ../../notes.log" in seen


def test_settings_are_named_with_their_sources_and_without_values(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name and where it comes from; that one is set to nothing is told, what it is set to never."""
    monkeypatch.setenv("CLERK_JWT_KEY", "-----BEGIN PUBLIC KEY-----\nabcdefgh\n")
    seen = told(checkout)
    assert "issue 1: CLERK_PUBLISHABLE_KEY from backend/.env:3" in seen
    assert "issue 1: CLERK_SECRET_KEY from backend/.env:2" in seen
    assert "issue 1: CLERK_JWT_KEY from the environment\n" in seen
    assert "issue 2: HF_TOKEN from backend/.env:4, which sets it to nothing" in seen
    assert "none for issue 3 (SIF_FAIL_FAST, …)" in seen
    for value in (KEY, PUBLISHABLE, KEY[8:16], "BEGIN", "abcdefgh"):
        assert value not in seen


def test_the_table_of_settings_has_what_the_checks_ask_for() -> None:
    """No check looks for a setting that is not named here."""
    asked = {
        name
        for check in discover()
        for need in check.requires
        if need.kind in {RequirementKind.SETTING, RequirementKind.CREDENTIAL}
        for name in need.names
    }
    assert asked <= {name for names in SETTINGS.values() for name in names}


def test_the_env_files_are_those_of_the_gate() -> None:
    """What is shown as set here is set for the gate too."""
    assert OURS == output._DEFAULT_ENV_FILES


def test_an_env_file_that_cannot_be_read_is_told(checkout: Path) -> None:
    """The page is there all the same."""
    (checkout / "backend/.env").write_bytes(b"A=\xff\n")
    assert "settings     not read: " in told(checkout)
    assert "is not UTF-8 text" in told(checkout)


@pytest.fixture
def golden() -> dict[str, object]:
    """Give the JSON of a whole report."""
    document: dict[str, object] = json.loads(GOLDEN.read_text("utf-8"))
    return document


def test_the_last_report_is_found(checkout: Path, golden: dict[str, object]) -> None:
    """Of the reports that are kept here the last one, by what it says; other JSON files are none."""
    (checkout / "package.json").write_text('{"schema": "something else"}')
    (checkout / "broken.json").write_text('{"schema": "alwrity-doctor/report/1"')
    (checkout / "old.json").write_text(json.dumps(golden, indent=2))
    started = (NOW - timedelta(hours=3, minutes=20)).isoformat().replace("+00:00", "Z")
    (checkout / "backend/new.json").write_text(json.dumps(golden | {"started": started}, indent=2))
    seen = stand(checkout).report
    assert seen == KeptReport(checkout / "backend/new.json", "gate", "fail", NOW - timedelta(hours=3, minutes=20))
    assert "last report  backend/new.json: FAIL of gate, 3 h ago\n" in told(checkout)
    assert "alwrity-doctor render backend/new.json" in told(checkout)


def test_nothing_is_waited_for(checkout: Path) -> None:
    """A pipe with a report's name is left alone, and so is what only root may read."""
    os.mkfifo(checkout / "pipe.json")
    os.mkfifo(checkout / "pipe.log")
    (checkout / "link.json").symlink_to(checkout / "nowhere.json")
    seen = stand(checkout)
    assert (seen.report, seen.log) == (None, None)


def test_the_log_that_was_written_last_is_named(checkout: Path) -> None:
    """An empty one tells nothing; a name that a shell would take apart is quoted."""
    (checkout / "logs").mkdir()
    for age, name in enumerate(("logs/a b.log", "old.log")):
        (checkout / name).write_text("a line\n")
        os.utime(checkout / name, (1_000_000 - age, 1_000_000 - age))
    (checkout / "empty.log").touch()
    assert "alwrity-doctor triage 'logs/a b.log'" in told(checkout)


def test_a_name_that_deceives_a_terminal_is_not_shown(tmp_path: Path) -> None:
    """A file with an escape or a line feed in its name is not proposed; a directory's is spelled out."""
    root = lay_out(tmp_path / "x\x1b[2J\ny")
    (root / "a\nalwrity-doctor evil.log").write_text("a line\n")
    seen = page(stand(root / "backend"), tmp_path, NOW)
    assert "\x1b" not in seen
    assert "evil" not in seen
    assert "x\\x1b[2J" in seen


def test_extras_are_told_apart(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed and what is not, and the one command that changes it."""
    from alwrity_doctor import facts

    monkeypatch.setattr(facts, "EXTRAS", {"hf": ("json",), "txtai": ("no_such_module",), "onnx": ("no_such", "json")})
    seen = told(checkout)
    assert "extras       installed: hf\n" in seen
    assert "not installed: txtai, onnx\n" in seen
    assert 'pip install "alwrity-doctor[txtai,onnx]"' in seen


def test_what_is_proposed_exists(checkout: Path, golden: dict[str, object]) -> None:
    """Each step is a command of the table, and there is at least one, with or without a checkout."""
    (checkout / "r.json").write_text(json.dumps(golden, indent=2))
    for directory in (checkout, checkout.parent):
        steps = [line.split()[1] for line in told(directory).splitlines() if line.startswith("  alwrity-doctor ")]
        assert steps
        assert set(steps) <= COMMANDS.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="a directory in use cannot be removed there")
def test_a_directory_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    """Somebody whose directory was removed from under the shell is told all the same."""
    gone = tmp_path / "gone"
    gone.mkdir()
    program = "import os, sys; os.rmdir(os.getcwd()); from alwrity_doctor.__main__ import main; sys.exit(main())"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=gone,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "What to run next" in done.stdout


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=400), "400 d ago"),
        (timedelta(days=-1), "dated in the future"),
    ],
)
def test_an_age_is_told_as_a_person_says_it(passed: timedelta, said: str) -> None:
    """The largest unit that fits; a clock that is wrong is told, not counted."""
    from alwrity_doctor.cli.standing import _ago

    assert _ago(passed) == said
