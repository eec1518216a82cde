"""The way of a report to stdout and to files."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import CheckResult, ExitCode, Report, Severity, Verdict
from alwrity_doctor.cli.output import FailOn, Output, deliver, emit, env_files, parse_formats
from alwrity_doctor.interruption import Interrupted
from alwrity_doctor.report import FORMATS, render
from tests.support.acme import SOURCE
from tests.support.checks import finding
from tests.support.command_line import COMMAND, environment, install

CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNKNOWN: 3}


def report(verdict: Verdict = Verdict.PASS) -> Report:
    """Return a report of one result."""
    findings = (finding(),) if verdict is Verdict.FAIL else ()
    results = (CheckResult("a.b", "it is well", 1, verdict, findings),)
    return Report("gate", "0", datetime(2026, 1, 1, tzinfo=UTC), timedelta(), results)


def test_text_on_stdout_is_the_default() -> None:
    """Nothing given means one output."""
    assert parse_formats(None) == parse_formats([]) == (Output("text"),)


def test_several_formats_go_to_several_places(tmp_path: Path) -> None:
    """One may go to stdout, `-` is stdout, and a file's name may hold an equals sign."""
    assert parse_formats([f"json={tmp_path}/a=b.json", "text=-"]) == (
        Output("json", tmp_path / "a=b.json"),
        Output("text"),
    )


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("verdict", CODES)
def test_exit_code_is_the_reports_in_every_format(
    form: str, verdict: Verdict, capsys: pytest.CaptureFixture[str]
) -> None:
    """Writing is not judging."""
    assert emit(report(verdict), parse_formats([form])) == CODES[verdict]
    assert capsys.readouterr().out == render(report(verdict), form)


@pytest.mark.parametrize("form", FORMATS)
def test_interrupted_work_is_reported_and_ends_with_130(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was finished is written, in every format."""

    async def work() -> Report:
        await asyncio.sleep(0)
        raise Interrupted(report(Verdict.FAIL))

    assert deliver(lambda _: work(), parse_formats([form])) is ExitCode.INTERRUPTED
    assert capsys.readouterr().out == render(report(Verdict.FAIL), form)


def test_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The old content is gone, nothing is left beside it, and the file has the usual permissions."""
    path = tmp_path / "report.json"
    path.write_text("old" * 10_000)
    emit(report(), parse_formats([f"json={path}"]))
    assert path.read_text(encoding="utf-8") == render(report(), "json")
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_link_is_followed(tmp_path: Path) -> None:
    """What a link names is replaced, and the link stays."""
    link = tmp_path / "latest.json"
    link.symlink_to("1.json")
    emit(report(), parse_formats([f"json={link}"]))
    assert link.is_symlink()
    assert (tmp_path / "1.json").read_text(encoding="utf-8") == render(report(), "json")


def test_pipe_is_written_to_and_not_replaced() -> None:
    """A shell's process substitution gets its report."""
    reader, writer = os.pipe()
    try:
        emit(report(), parse_formats([f"json=/dev/fd/{writer}"]))
    finally:
        os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        assert stream.read() == render(report(), "json")


def test_directory_that_goes_away_is_a_configuration_error(tmp_path: Path) -> None:
    """What becomes impossible during the run ends with 2 as well."""
    directory = tmp_path / "reports"
    directory.mkdir()
    outputs = parse_formats([f"json={directory}/report.json"])
    directory.rmdir()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        emit(report(), outputs)


def test_env_files_are_those_the_backend_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file given, `backend/.env` comes before `.env`, as far as they exist."""
    monkeypatch.chdir(tmp_path)
    assert env_files(None) == ()
    Path(".env").touch()
    Path("backend").mkdir()
    Path("backend/.env").touch()
    assert env_files(None) == (Path("backend/.env"), Path(".env"))
    assert env_files([Path("other.env")]) == (Path("other.env"),)


def test_fail_on_names_the_least_severity() -> None:
    """`warn` counts warnings, `fail` errors alone."""
    assert FailOn.WARN.severity is Severity.WARNING
    assert FailOn.FAIL.severity is Severity.ERROR


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_terminal_gets_colour_unless_it_declines(tmp_path: Path, variables: dict[str, str], *, coloured: bool) -> None:
    """Colour is for a terminal, and NO_COLOR and a dumb terminal are obeyed."""
    assert ("\x1b[" in on_terminal(tmp_path, "stdout", **{"TERM": "xterm", "NO_COLOR": ""} | variables)) is coloured


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_terminal_on_stderr_shows_what_runs(tmp_path: Path) -> None:
    """The progress names the check under way, and only there."""
    assert "acme.well" in on_terminal(tmp_path, "stderr", TERM="xterm")


def on_terminal(tmp_path: Path, stream: str, **variables: str) -> str:
    """Return what a run of the gate writes to `stream`, which is a terminal."""
    install(tmp_path / "plugins", "acme-checks", "acme", SOURCE)
    ours, theirs = os.openpty()
    with (
        os.fdopen(ours, "rb", buffering=0) as terminal,
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*COMMAND, "gate", "acme.well"],
            cwd=tmp_path,
            env=environment(tmp_path / "plugins", **variables),
            stdout=theirs if stream == "stdout" else subprocess.DEVNULL,
            stderr=theirs if stream == "stderr" else subprocess.DEVNULL,
        ) as process,
    ):
        os.close(theirs)
        written = bytearray()
        try:
            while part := terminal.read(4096):
                written += part
        except OSError:
            pass  # Linux answers so once the other end is closed
        assert process.wait(60) == 0
    return written.decode()
