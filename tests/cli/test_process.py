"""Whatever ends a command becomes a message on stderr and an exit code."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import environment, run, start

if TYPE_CHECKING:
    from pathlib import Path

FAULTY = """
import sys
import typer
from alwrity_checks.redaction import Secret
from alwrity_doctor import cli
from alwrity_doctor.cli.process import execute

sys.modules["faulty"] = sys.modules[__name__]
app = typer.Typer()
phrase = Secret("the phrase that nobody may read").reveal()

@app.command()
def faulty() -> None:
    {body}

cli.COMMANDS = {{"faulty": ("faulty:app", "Fails.")}}
sys.exit(execute(["faulty"]))
"""
PHRASE = "the phrase that nobody may read"


def faulty(tmp_path: Path, body: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command line whose one command does `body`."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", FAULTY.format(body=body)],
        cwd=tmp_path,
        env=environment(None, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_option_without_a_command_shows_the_help_and_nothing_is_healthy(tmp_path: Path) -> None:
    """A script that asks for nothing ends with 2, since nothing was checked; without any argument see `standing`."""
    done = run("--", cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: alwrity-doctor" in done.stdout + done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is full")  # noqa: PTH110 - evaluated once
@pytest.mark.parametrize("words", [(), ("--version",), ("--help",), ("completion", "bash")])
def test_a_full_place_is_no_fault_of_the_program(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Whatever is written to stdout: it ends with 2 and the remedy, without a traceback or a confession."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "alwrity_doctor", *words],
            cwd=tmp_path,
            env=environment(None),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_is_no_reason_to_fail(tmp_path: Path) -> None:
    """Nobody asks to be told the version, and nothing is wrong."""
    command = f"exec {shlex.quote(sys.executable)} -m alwrity_doctor --version >&-"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env=environment(None),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_mistyped_command_comes_with_the_right_one(tmp_path: Path) -> None:
    """Usage errors end with 2 and help."""
    done = run("gat", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'gate'?" in done.stderr


def test_misplaced_token_is_masked(tmp_path: Path) -> None:
    """A usage error that quotes an argument does not quote a secret."""
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1c2VyXzEifQ.c2lnbmF0dXJl"
    for arguments in (["gate", "--issue", token], ["explain", "AUTH001", token], [token]):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "eyJ…#" in done.stderr
        assert token not in done.stderr


def test_our_error_is_a_message_with_a_remedy(tmp_path: Path) -> None:
    """A DoctorError ends with 2; what it says is scrubbed."""
    body = "from alwrity_checks.errors import DoctorError; raise DoctorError(f'no {phrase}', f'mend {phrase}')"
    done = faulty(tmp_path, body)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: no …#")
    assert "\nRemedy: mend …#" in done.stderr
    assert PHRASE not in done.stderr


@pytest.mark.parametrize("debug", ["", "1"])
def test_fault_of_ours_is_confessed(tmp_path: Path, debug: str) -> None:
    """An exception nobody foresaw ends with 3, neither `finding` nor `usage`; the traceback is there when asked for."""
    done = faulty(tmp_path, "raise ValueError(phrase)", ALWRITY_DOCTOR_DEBUG=debug)
    assert done.returncode == 3
    assert done.stderr.startswith("This is a fault of alwrity-doctor")
    assert PHRASE not in done.stderr
    assert ("Traceback" in done.stderr) is bool(debug)
    assert ("ALWRITY_DOCTOR_DEBUG=1" in done.stderr) is not bool(debug)


def test_interruption_outside_a_run_ends_with_130(tmp_path: Path) -> None:
    """Ctrl-C while something is read is no fault."""
    done = faulty(tmp_path, "raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


_INTERRUPTED_TWICE = """
    import asyncio, signal
    from datetime import UTC, datetime, timedelta
    from alwrity_checks.model import Report
    from alwrity_doctor.interruption import Interrupted, run
    async def interrupted():
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(60)
    async def work():
        try:
            await interrupted()
        except asyncio.CancelledError:
            try:
                await interrupted()
            finally:
                raise Interrupted(Report("faulty", "0", datetime.now(UTC), timedelta(), ()))
    run(work())
"""


def test_two_interruptions_end_with_130_and_without_a_traceback(tmp_path: Path) -> None:
    """Ctrl-C once more, while what was finished is being put together."""
    done = faulty(tmp_path, _INTERRUPTED_TWICE)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize(("body", "code"), [("raise typer.Exit(3)", 3), ("pass", 0), ("return 1", 1)])
def test_exit_code_of_a_command_is_the_process(tmp_path: Path, body: str, code: int) -> None:
    """A command raises its exit code, or returns it."""
    assert faulty(tmp_path, body).returncode == code


def test_text_that_cannot_be_encoded_is_escaped(tmp_path: Path) -> None:
    """A terminal without Unicode gets escapes instead of an exception."""
    done = faulty(tmp_path, "sys.stdout.write('caf\\xe9 \\u2713')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "caf\\xe9 \\u2713")


def test_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    """`explain | head -1` says nothing and ends well."""
    with start("explain", "--format", "json", cwd=tmp_path) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_abandoned_worker_does_not_keep_the_process(tmp_path: Path) -> None:
    """A worker thread that a check left behind for ever does not keep the process from ending."""
    from tests.support.command_line import install

    source = """
import asyncio
import threading
from datetime import timedelta

class Stuck:
    name, title, issue, requires, timeout = "stuck.check", "it ends", 1, frozenset(), timedelta(seconds=0.05)

    async def run(self, context):
        await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)

CHECKS = [Stuck()]
"""
    install(tmp_path / "plugins", "stuck-checks", "stuck", source)
    done = run("gate", "stuck", cwd=tmp_path, plugins=tmp_path / "plugins")
    assert done.returncode == 3
    assert "no verdict within 0.05 s" in done.stdout
