"""Servers to be traced: small programs, each with one habit, and a host that answers slowly."""

from __future__ import annotations

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from textwrap import dedent
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import psutil

from alwrity_checks.startup.trace import record
from alwrity_checks.startup.trace_analysis import analyse
from alwrity_checks.startup.trace_findings import examine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alwrity_checks.model import CheckResult, Finding
    from alwrity_checks.startup.trace_analysis import Analysis
    from alwrity_checks.startup.trace_answer import Question

SERVE = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

def serve():
    ThreadingHTTPServer(("127.0.0.1", 0), Handler).serve_forever()
"""
"""The beginning of a program whose `serve()` serves on a free port."""
THRESHOLD = 0.4
"""Seconds: the habits below last longer, everything else of these servers is shorter."""


class SlowHost:
    """An HTTP server that sends a body of some size over some time."""

    def __init__(self, seconds: float = 0.7, size: int = 1_000_000) -> None:
        chunks = 10

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(size))
                self.end_headers()
                for _ in range(chunks):
                    time.sleep(seconds / chunks)
                    self.wfile.write(b"x" * (size // chunks))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def endpoint(self) -> str:
        """Its address, as HF_ENDPOINT has it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def program(directory: Path, body: str, name: str = "server.py") -> Path:
    """Write a program that begins with `SERVE`."""
    path = directory / name
    path.write_text(SERVE + dedent(body))
    return path


def line_of(path: Path, text: str) -> int:
    """Return the 1-based line of a program that contains `text`."""
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without a hub's settings, proxies, or Python's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "PYTHON", "TRANSFORMERS_")) and "PROXY" not in name.upper()
    }
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | variables


def traced(
    command: Sequence[str | Path],
    timeout: float = 40.0,
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
    question: Question | None = None,
    grace: float = 5.0,
) -> Analysis:
    """Trace a command and check what holds of every trace: phases add up, nobody is left behind."""
    words, settings = [str(one) for one in command], environment(**variables)
    analysis = analyse(record(words, question=question, timeout=timeout, environment=settings, grace=grace))
    assert abs(sum(analysis.totals.values()) - analysis.seconds) < 1e-6
    for one, following in zip(analysis.path, analysis.path[1:], strict=False):
        assert one.end == following.start
    assert not [pid for pid in analysis.recorded.processes if runs(pid, analysis)]
    return analysis


def runs(pid: int, analysis: Analysis) -> bool:
    """Say whether a process of the command still runs."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE) and analysis.recorded.processes[pid].alive
    except psutil.NoSuchProcess:
        return False


def python(path: Path, *arguments: str) -> list[str | Path]:
    """Return the command that runs a program with this interpreter."""
    return [sys.executable, path, *arguments]


def results(analysis: Analysis, threshold: float = THRESHOLD, timeout: float = 40.0) -> dict[str, CheckResult]:
    """Return the check results by their names."""
    return {one.name: one for one in examine(analysis, threshold, timeout=timeout)}


def findings(analysis: Analysis, threshold: float = THRESHOLD) -> dict[str, Finding]:
    """Return the findings by their reasons."""
    found = [finding for result in examine(analysis, threshold) for finding in result.findings]
    return {finding.evidence[0].value: finding for finding in found}
