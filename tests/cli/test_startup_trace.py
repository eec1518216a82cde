"""`alwrity-doctor startup trace`: the real command line around real servers."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.command_line import start
from tests.support.in_process import CommandLine
from tests.support.startup_servers import program

if TYPE_CHECKING:
    from pathlib import Path

JSON = ("--format", "json")


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """Return the command line, in an empty directory."""
    return CommandLine(monkeypatch, capsys, tmp_path)


def test_a_report_of_a_start(doctor: CommandLine, tmp_path: Path) -> None:
    """The report names the waits with file and line, has the phases as a table, and writes page and trace."""
    path = program(tmp_path, "import time\ntime.sleep(1.5)\nserve()\n")
    files = ("--html", "page.html", "--trace", "trace.json")
    options = ("--threshold", "0.4", "--fail-on", "warn", *files, *JSON)
    done = doctor("startup", "trace", *options, "--", sys.executable, str(path))
    assert done.code == 1, done.err
    assert done.reasons == ["start-sleeps"]
    assert done.verdicts["startup.answers"] == "pass"
    location = next(one for result in done.document["results"] for one in result["findings"])["location"]
    assert (location["name"], location["line"]) == (
        "server.py",
        path.read_text().splitlines().index("time.sleep(1.5)") + 1,
    )
    phases = done.document["tables"][0]
    assert phases["rows"][0][0] == "sleeping"
    assert phases["rows"][-1][0] == "in all"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_the_commands_own_options_are_its_own(doctor: CommandLine, tmp_path: Path) -> None:
    """What stands behind the command's name goes to it, even where we have an option of that name; and stays unsaid."""
    body = """
import sys
sys.exit(f"got {sys.argv[1:]}")
"""
    arguments = ("--format", "nonsense", "--password", "geheim-wort-77", "-h", "--", "x")
    command = (sys.executable, str(program(tmp_path, body)), *arguments)
    for dashes in ((), ("--",)):
        done = doctor("startup", "trace", *JSON, *dashes, *command)
        assert done.code == 1
        (finding,) = done.document["results"][0]["findings"]
        assert finding["rule"] == "STA019" or finding["rule"]["code"] == "STA019"
        assert "'--format', 'nonsense', '--password'" in done.out
        assert "geheim-wort-77" not in done.out + done.err


def test_what_the_command_says_is_shown_on_request(doctor: CommandLine, tmp_path: Path) -> None:
    """With --verbose its lines come on stderr, scrubbed; without they do not."""
    body = "print('hello from', 'hf_' + 'a1' * 12, flush=True)\nserve()\n"
    command = ("--", sys.executable, str(program(tmp_path, body)))
    loud, quiet = (doctor("startup", "trace", *more, *JSON, *command) for more in (("--verbose",), ()))
    assert (loud.code, quiet.code) == (0, 0)
    assert "hello from hf_…" in loud.err
    assert "hello" not in quiet.err


def test_a_server_that_does_not_listen_in_time(doctor: CommandLine, tmp_path: Path) -> None:
    """It could not be checked: 3, and the reason says how long it was given."""
    path = program(tmp_path, "import time\ntime.sleep(60)\n")
    done = doctor("startup", "trace", "--timeout", "0.7", *JSON, "--", sys.executable, str(path))
    assert done.code == 3
    assert done.verdicts["startup.listens"] == "unknown"
    assert "within 0.7 s" in done.document["results"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Missing argument"),
        (("--",), "Missing argument"),
        (("--", "/not/there"), "there cannot be started"),
        (("--url", "ftp://host", "--", "true"), "--url"),
        (("--url", "http://u:geheim@host", "--", "true"), "--url"),
        (("--url", "http://host:99999999", "--", "true"), "--url"),
        (("--path", "health", "--", "true"), "--path"),
        (("--", ""), "the command is empty"),
        (("--timeout", "0", "--", "true"), "--timeout"),
        (("--timeout", "nan", "--", "true"), "--timeout"),
        (("--threshold", "inf", "--", "true"), "--threshold"),
        (("--html", "no/such/folder/x.html", "--", "true"), "cannot be written"),
        (("--format", "nonsense", "--", "true"), "no format"),
    ],
)
def test_wrong_usage(doctor: CommandLine, arguments: tuple[str, ...], told: str) -> None:
    """It ends with 2 and a word about it, before anything runs."""
    done = doctor("startup", "trace", *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert "geheim" not in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """The command is ended in good order, the report holds what was seen, the exit code is 130."""
    body = f"""
import pathlib, os, signal, sys, time
def leave(*_):
    pathlib.Path({str(tmp_path / "left")!r}).touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
time.sleep(600)
"""
    process = start("startup", "trace", *JSON, "--", sys.executable, str(program(tmp_path, body)), cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert (tmp_path / "left").exists()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert "interrupted" in out


def test_help(doctor: CommandLine) -> None:
    """The group and the command say what they are for."""
    assert "Issue 6" in doctor("startup", "--help").out
    assert "-- COMMAND" in doctor("startup", "trace", "--help").out
