"""`triage` in a process of its own: following, interrupting, and logs that are odd beyond what a test can hold."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_triage import INDEX, PAIR, hour
from tests.support.command_line import COMMAND, environment, run, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATE = 60.0


class Lines:
    """What a process writes, line by line, read by a thread so that a test can wait for it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._came:
                self._lines.append(line)
                self._came.notify_all()

    def until(self, text: str) -> None:
        """Wait for a line with `text` in it."""
        with self._came:
            assert self._came.wait_for(lambda: any(text in line for line in self._lines), LATE), "".join(self._lines)

    def all(self) -> str:
        """Return everything, when the process has ended."""
        self._thread.join(LATE)
        return "".join(self._lines)


@pytest.fixture
def following(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Yield a list of processes that are ended with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr, process.stdin):
            if stream is not None:
                stream.close()
    del tmp_path


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_following_tells_what_comes_and_ends_with_the_report(
    tmp_path: Path, following: list[subprocess.Popen[str]], ends: signal.Signals
) -> None:
    """Piped: a new finding is a line as soon as it is there; an interrupt ends with the report so far and 130."""
    log = tmp_path / "app.log"
    log.write_text(hour(PAIR, 6, 3))
    process = start("triage", "-f", "app.log", cwd=tmp_path)
    following.append(process)
    lines = Lines(process)
    lines.until("failed first so far: auth")
    with log.open("a") as file:
        file.write(hour(INDEX, 7, 3))
    lines.until("issue 3")
    process.send_signal(ends)
    assert process.wait(LATE) == 130
    report = lines.all()
    assert "FAIL: sign-in (auth) failed first" in report
    assert "it was interrupted" in report


def test_following_with_a_report_for_a_program(tmp_path: Path, following: list[subprocess.Popen[str]]) -> None:
    """With JSON on stdout the lines are on stderr, and stdout is one document; a file may come late."""
    process = start("triage", "-f", "late.log", "--format", "json", cwd=tmp_path)
    following.append(process)
    assert process.stderr is not None
    assert "Following" in process.stderr.readline()
    (tmp_path / "late.log").write_text(hour(PAIR, 6, 3))
    seen = ""
    while "failed first so far" not in seen:
        seen = process.stderr.readline()
        assert seen, "it ended"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=LATE)
    assert process.returncode == 130
    assert json.loads(out)["summary"].startswith("sign-in (auth) failed first")


def test_a_file_that_never_comes(tmp_path: Path) -> None:
    """After the deadline that is a usage error."""
    done = run("triage", "-f", "never.log", "--wait", "0.2", cwd=tmp_path)
    assert done.returncode == 2
    assert "did not appear" in done.stderr


def test_an_interrupted_pipe_gives_what_was_read(tmp_path: Path, following: list[subprocess.Popen[str]]) -> None:
    """`kubectl logs -f | triage -`, then Ctrl-C: the report so far, and 130."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*COMMAND, "triage", "-", "--format", "json"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    following.append(process)
    assert process.stdin is not None
    # A pipe holds 64 KiB: when this has been written, the greater part has been read.
    process.stdin.write(hour(PAIR, 6, 2000))
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    # The pipe stays open: nobody but the signal says that it is over.
    assert process.wait(LATE) == 130
    assert process.stdout is not None
    assert process.stderr is not None
    document = json.loads(process.stdout.read())
    assert process.stderr.read() == ""
    assert document["summary"].startswith("sign-in (auth) failed first")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
def test_a_log_that_is_pasted_into_a_terminal(tmp_path: Path, following: list[subprocess.Popen[str]]) -> None:
    """It is said what is waited for, and Ctrl-D ends the log."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*COMMAND, "triage", "-", "--format", "json"],
        cwd=tmp_path,
        env=environment(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    following.append(process)
    os.close(theirs)
    assert process.stderr is not None
    assert "press Ctrl-D" in process.stderr.readline()
    os.write(ours, hour(PAIR, 6, 1).split("\n")[0].encode() + b"\n\x04")
    out, _ = process.communicate(timeout=LATE)
    os.close(ours)
    document = json.loads(out)
    assert "triage.issue-1" in [result["name"] for result in document["results"]]


def test_odd_logs_end_in_a_report(tmp_path: Path) -> None:
    """Cut, binary and interleaved logs: each is told, what could be read counts, and nothing crashes."""
    good = hour(PAIR, 6, 4).encode()
    noise = b"".join(os.urandom(30).hex().encode() + b"\n" for _ in range(20_000))
    (tmp_path / "cut.log.gz").write_bytes(gzip.compress(good + noise)[:300_000])
    (tmp_path / "binary.log").write_bytes(b"\x00\x01\xff" * 1000 + b"\n" + good + os.urandom(50_000))
    halves = [line for line in good.splitlines(keepends=True) if line.strip()]
    (tmp_path / "interleaved.log").write_bytes(
        b"".join(part for line in halves for part in (line, b"INFO:     x\r\n", line[:30], b"\n"))
    )
    (tmp_path / "nul.log").write_bytes(bytes(3_000_000))
    done = run("triage", "*.log*", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    (logs,) = [result for result in document["results"] if result["name"] == "triage.logs"]
    told = " ".join(finding["message"] for finding in logs["findings"])
    assert "cut.log.gz" in told
    assert "binary.log" in told
    assert logs["verdict"] == "warn"
    assert document["summary"].startswith("sign-in (auth) failed first")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's peak is read from /proc")
def test_a_line_of_100_mb_ends_in_a_report(tmp_path: Path) -> None:
    """Its beginning is looked at, the rest is told as passed over, the lines around it count; memory stays small."""
    with (tmp_path / "app.log").open("wb") as file:
        file.write(hour(PAIR, 6, 2).encode())
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + hour(PAIR, 7, 2).encode())
    program = (
        "from alwrity_doctor.cli.process import execute\n"
        "code = execute(['triage', 'app.log', '--workers', '1', '--format', 'json=report.json'])\n"
        # Not getrusage: that counts what this process was before it became another program.
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(code, int(peak.split()[1]) // 1024)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=LATE,
    )
    code, peak = map(int, done.stdout.split())
    assert code == 1
    assert peak < 100, "megabytes"
    document = json.loads((tmp_path / "report.json").read_text())
    assert "(4 verifications)" in document["summary"]
    (logs,) = [result for result in document["results"] if result["name"] == "triage.logs"]
    assert any("64 KiB" in finding["message"] for finding in logs["findings"])


def test_a_reader_that_has_gone_is_no_fault(tmp_path: Path) -> None:
    """`triage app.log | head -1` ends quietly, with the report's code."""
    (tmp_path / "app.log").write_text(hour(PAIR, 6, 4))
    process = start("triage", "app.log", cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    assert process.wait(LATE) == 1
    process.stderr.close()
    assert "Traceback" not in error
