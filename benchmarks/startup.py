"""`python -m benchmarks.startup`: what tracing a start costs the start, beside other tools that look into one.

The server is FastAPI under uvicorn, which imports txtai (and with it torch and transformers): four seconds of imports,
hundreds of thousands of audit events. Each round starts it once in every way, so that a noisy moment hits all alike;
what counts is the median of the ratios to the untraced start of the same round.

STARTUP_PEERS names a directory made by `pip install --target DIR py-spy viztracer`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import psutil

from alwrity_checks.startup.trace import record
from alwrity_checks.startup.trace_analysis import Analysis, analyse
from alwrity_checks.startup.trace_answer import Asker, Question
from alwrity_checks.startup.trace_phases import Phase
from benchmarks.measure import at_most, fact, ratio, table

Rows: TypeAlias = list[tuple[str, ...]]

_ROUNDS: Final = int(os.environ.get("STARTUP_ROUNDS", "7"))
_APP: Final = "import fastapi\nimport txtai\napp = fastapi.FastAPI()\n"
_LONGEST: Final = 180.0


def rows() -> Rows:
    """Measure, and return the table's rows."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(_APP)
        ways = _ways(Path(folder))
        next(iter(ways.values()))()  # fills the page cache
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(_ROUNDS):
            for name, way in ways.items():
                measured[name].append(way())
        analysis = _analysed(Path(folder))
    wall = {name: [one for one, _ in spent] for name, spent in measured.items()}
    processor = {name: [one for _, one in spent] for name, spent in measured.items()}
    plain = "untraced"
    found: Rows = [
        fact(
            "start until the first answer, untraced: median, least, most",
            f"{statistics.median(wall[plain]):.2f} s, {min(wall[plain]):.2f} s, {max(wall[plain]):.2f} s",
        )
    ]
    for name in ways:
        if name == plain:
            continue
        slower, busier = ratio(wall[name], wall[plain]), ratio(processor[name], processor[plain])
        # By processor time, which other programs on the machine disturb less than the time on the clock.
        told = f"processor time until the first answer against untraced: {name}"
        found.append(at_most(told, busier, 1.05, " x") if name == "startup trace" else fact(told, f"{busier:.3f} x"))
        clock = "... time on the clock"
        found.append(at_most(clock, slower, 1.05, " x") if name == "startup trace" else fact(clock, f"{slower:.3f} x"))
    found.extend(_missing(ways))
    found.extend(_truth(analysis))
    return found


def _truth(analysis: Analysis) -> Rows:
    unseen = analysis.totals.get(Phase.UNSEEN, 0.0) + analysis.totals.get(Phase.OTHER, 0.0)
    packages = ", ".join(f"{package} {spent:.2f} s" for package, spent in analysis.subjects(Phase.IMPORTS)[:4])
    return [
        at_most("share of a traced start that is told as other or not seen", 100 * unseen / analysis.seconds, 5, " %"),
        fact("... imports, the heaviest packages", packages),
    ]


def _ways(folder: Path) -> Mapping[str, Callable[[], tuple[float, float]]]:
    def server(*before: str) -> Callable[[], tuple[float, float]]:
        return lambda: _started(folder, before or (sys.executable,))

    ways = {
        "untraced": server(),
        "startup trace": lambda: _traced(folder),
        "python -X importtime": server(sys.executable, "-X", "importtime"),
    }
    peers = os.environ.get("STARTUP_PEERS", "")
    spy = Path(peers, "bin", "py-spy")
    if peers and spy.exists():
        output = str(folder / "spy.json")
        options = ("record", "--rate", "50", "--format", "speedscope", "--output", output, "--")
        ways["py-spy record, 50 a second"] = server(str(spy), *options, sys.executable)
    if peers and Path(peers, "viztracer").exists():
        code = f"import sys; sys.path.append({peers!r}); sys.argv[1:1] = ['-o', {str(folder / 'viz.json')!r}, '-m']; "
        code += "from viztracer.main import main; main()"
        ways["viztracer"] = lambda: _started(folder, (sys.executable, "-c", code), module=False)
    return ways


def _missing(ways: Mapping[str, object]) -> Rows:
    peers = {"py-spy": "py-spy record, 50 a second", "viztracer": "viztracer"}
    remedy = "pip install --target DIR py-spy viztracer; STARTUP_PEERS=DIR"
    return [fact(f"{name}: skipped", f"not installed: {remedy}") for name, way in peers.items() if way not in ways]


def _command(folder: Path, port: int, before: tuple[str, ...], *, module: bool = True) -> list[str]:
    middle = ["-m"] if module else []
    return [*before, *middle, "uvicorn", "app:app", "--port", str(port), "--app-dir", str(folder)]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _started(folder: Path, before: tuple[str, ...], *, module: bool = True) -> tuple[float, float]:
    """Start the server without us; return the seconds until its first answer, and those of processor time."""
    port = _free_port()
    with _ended(_command(folder, port, before, module=module)) as (process, began):
        asker = Asker(Question("127.0.0.1", port))
        try:
            while asker.answer is None and process.poll() is None and time.monotonic() - began < _LONGEST:
                time.sleep(0.01)
        finally:
            asker.close()
        if asker.answer is None:
            raise RuntimeError(f"no answer from: {' '.join(before)[:200]}")
        return asker.answer.at - began, _processor(process.pid)


def _processor(pid: int) -> float:
    spent = 0.0
    for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            spent += times.user + times.system
    return spent


@contextlib.contextmanager
def _ended(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    try:
        yield process, began
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def _traced(folder: Path) -> tuple[float, float]:
    """Start the server under the trace; the figures are its own, the watcher's share of the machine included."""
    port = _free_port()
    spent: list[float] = []

    def heard(line: str) -> None:
        if "GET / " in line:
            spent.extend(_processor(one.pid) for one in psutil.Process().children() if one.is_running())

    question = Question("127.0.0.1", port)
    command = _command(folder, port, (sys.executable,))
    recorded = record(command, question=question, timeout=_LONGEST, environment=_environment(), heard=heard)
    if recorded.answered is None:
        raise RuntimeError("no answer under the trace")
    return recorded.answered.at - recorded.began, sum(spent)


def _analysed(folder: Path) -> Analysis:
    return analyse(
        record(_command(folder, _free_port(), (sys.executable,)), timeout=_LONGEST, environment=_environment())
    )


def main() -> int:
    """Print the table; return 1 if a goal was missed."""
    measured = rows()
    print(f"CPython {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors\n")
    print(table([("measure", "measured", "goal", "held"), *measured]))
    return int(any(row[-1] == "NO" for row in measured))


if __name__ == "__main__":
    sys.exit(main())
