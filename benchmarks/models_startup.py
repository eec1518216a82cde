"""When a server answers with a model download of a minute ahead of it, beside the same server without models.

The server is FastAPI behind uvicorn, with nothing in it: a real application's own imports would only hide what a
download adds. Each start is a fresh process; the rounds take turns, so that a noisy moment hits all of them alike.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.loopback_hub import LoopbackHub
from alwrity_checks.startup.legacy import AGENT_MODEL, BOOTSTRAP_MODEL
from alwrity_checks.startup.race import environment
from alwrity_checks.startup.race_hub import SIZES, write_models
from benchmarks.measure import at_most, fact, table

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDS: Final = 15
_SECONDS: Final = 60.0
_HANGS: Final = 120.0
_PORT: Final = "listening on "

_SERVER: Final = """
import socket, sys
from contextlib import asynccontextmanager

target = sys.argv[1]
if target == "legacy":
    from alwrity_checks.startup.legacy import bootstrap_local_llm_models

    bootstrap_local_llm_models()

import uvicorn
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    if target == "fixed":
        from alwrity_checks.models import ModelRegistry

        app.state.registry = ModelRegistry.from_environment()
        app.state.registry.prefetch("agent")
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/health")
async def health():
    return {}

listener = socket.create_server(("127.0.0.1", 0))
print("listening on", listener.getsockname()[1], flush=True)
uvicorn.run(app, fd=listener.fileno(), log_level="error")
"""
"""The port is known before uvicorn runs, so that its first answer is waited for and not looked for."""


@contextmanager
def _server(target: str, variables: Mapping[str, str]) -> Iterator[float]:
    """Start a server and yield the seconds until it has answered."""
    import http.client

    began = time.monotonic()
    command = [sys.executable, "-c", _SERVER, target]
    with subprocess.Popen(command, env=dict(variables), stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own server
        try:
            if process.stdout is None or not (line := process.stdout.readline()).startswith(_PORT):
                raise RuntimeError(f"the {target} server did not come up")
            connection = http.client.HTTPConnection("127.0.0.1", int(line.removeprefix(_PORT)), timeout=_HANGS)
            connection.request("GET", "/health")
            status = connection.getresponse().status
            seconds = time.monotonic() - began
            connection.close()
            if status != 200:
                raise RuntimeError(f"the {target} server answered {status}")
            yield seconds
        finally:
            process.kill()


def _start(target: str, hub: LoopbackHub, cache: Path) -> float:
    """Return the seconds until a server has answered whose download has really begun."""
    asked = len(hub.requests)
    with (
        tempfile.TemporaryDirectory(dir=cache) as own,
        _server(target, environment(hub.endpoint, Path(own))) as seconds,
    ):
        deadline = time.monotonic() + _HANGS
        while target != "bare" and len(hub.requests) == asked:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the {target} server never asked the hub")
            time.sleep(0.01)
        return seconds


def rows() -> list[tuple[str, ...]]:
    """Measure, and return the rows of the table."""
    with tempfile.TemporaryDirectory() as directory:
        models = write_models(Path(directory) / "models")
        with LoopbackHub(models, rate=SIZES[AGENT_MODEL] / _SECONDS) as hub:
            for target in ("bare", "fixed"):
                _start(target, hub, Path(directory))  # compiles, and fills the page cache
            figures: dict[str, list[float]] = {"bare": [], "fixed": []}
            for number in range(_ROUNDS):
                for target in sorted(figures, reverse=number % 2 == 1):
                    figures[target].append(_start(target, hub, Path(directory)))
        with LoopbackHub(models, rate=SIZES[BOOTSTRAP_MODEL] / _SECONDS) as hub:
            legacy = _start("legacy", hub, Path(directory))
    medians = {target: statistics.median(seconds) for target, seconds in figures.items()}
    return [
        at_most(
            "server answering with a 60 s model download ahead, against the same server without models",
            medians["fixed"] / medians["bare"],
            1.05,
            " x",
        ),
        fact("the server without models answers after", f"{medians['bare'] * 1000:.0f} ms, {_spread(figures['bare'])}"),
        fact(
            "with the download ahead, by the component",
            f"{medians['fixed'] * 1000:.0f} ms, {_spread(figures['fixed'])}",
        ),
        fact(
            "with the download ahead, by the historical bootstrap", f"{legacy:.1f} s, {legacy / medians['bare']:.0f} x"
        ),
    ]


def _spread(seconds: Sequence[float]) -> str:
    first, _, third = statistics.quantiles(seconds, n=4)
    return f"middle half {first * 1000:.0f} to {third * 1000:.0f}"


if __name__ == "__main__":
    os.environ.pop("HF_HUB_OFFLINE", None)
    print(table([("measure", "measured", "goal", "reached"), *rows()]))
