"""A Dask cluster of real processes on this machine, and gatherers that behave badly on it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alwrity_checks.logs.gathering import gatherer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DyingGatherer", "cluster", "started"]

ROOT = Path(__file__).parent.parent.parent
SALT = b"0123456789abcdef"


@contextlib.contextmanager
def started(directory: Path, *arguments: str, path: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part of a cluster; `path` is its PYTHONPATH, else the one of this tree. It is gone at the end."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "checks"))) if path is None else path,
        "DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
    }
    log = (directory / f"{arguments[0].rpartition('.')[2]}-{os.urandom(3).hex()}.txt").open("wb")
    with log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, *(("-S",) if path == "" else ()), "-m", *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(directory: Path, workers: int) -> Iterator[str]:
    """Yield the address of a scheduler with `workers` workers, each a process of one thread and without a nurse."""
    with contextlib.ExitStack() as stack:
        found = directory / "scheduler.json"
        scheduler = [
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--no-jupyter",
            "--scheduler-file",
            str(found),
        ]
        stack.enter_context(started(directory, "distributed.cli.dask_scheduler", *scheduler))
        address = _address(found)
        worker = ["--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"]
        for _ in range(workers):
            place = ["--local-directory", str(directory)]
            stack.enter_context(started(directory, "distributed.cli.dask_worker", address, *worker, *place))
        yield address


def _address(file: Path) -> str:
    import json
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.05)
    raise TimeoutError("the scheduler did not start")


class DyingGatherer:
    """Makes gatherers; the first process that begins at `start`, as long as `marker` exists, ends like one killed."""

    def __init__(self, marker: Path, start: int, *, always: bool = False) -> None:
        self.marker = marker
        self.start = start
        self.always = always

    def __call__(self, stream: str, start: int) -> Any:  # noqa: ANN401 - a gatherer
        """Return a gatherer, or end the process."""
        if start == self.start and self.marker.exists():
            if not self.always:
                self.marker.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return gatherer(SALT)(stream, start)
