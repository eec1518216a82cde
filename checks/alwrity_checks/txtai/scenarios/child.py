"""A process of its own for what a target may do to its process: hang, die, or be killed.

`python -m alwrity_checks.txtai.scenarios.child ACT TARGET [ARGUMENT]...` carries out one act and prints a JSON
object in each line. It imports txtai without torch and transformers, which the vectors of the scenarios do not need:
that takes half a second instead of six.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from alwrity_checks.sandbox.sandbox import Launch

__all__ = [
    "ACTS",
    "UNNEEDED",
    "Ended",
    "Launcher",
    "arguments",
    "environment",
    "launched",
    "main",
    "run",
    "without_torch",
]

ACTS: Final = {"loops": "threads", "hammer": "threads", "write": "crash", "play": "trial", "meet": "driven"}
"""The act -> the module of this package that has the function of this name."""
_MODULE: Final = "alwrity_checks.txtai.scenarios.child"
UNNEEDED: Final = ("torch", "transformers", "sentence_transformers", "sklearn", "scipy")
_ROOT: Final = Path(__file__).parents[3]
"""The directory from which `alwrity_checks` is imported."""


@runtime_checkable
class Launcher(Protocol):
    """A target whose acts are carried out in another way than by our own interpreter."""

    def launch(self, act: str, *words: str) -> Launch:
        """Return how a child begins to carry out `act`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    code: int | None
    """Its exit code, negative for the signal that killed it; None if it had to be killed after its time."""
    lines: tuple[Mapping[str, Any], ...]
    """What it printed."""
    errors: str
    """The end of what it wrote to stderr."""

    @property
    def signal(self) -> str:
        """The name of the signal that killed it, if one did."""
        import signal

        return signal.Signals(-self.code).name if self.code is not None and self.code < 0 else ""


def arguments(act: str, *words: str) -> list[str]:
    """Return the command line of a child."""
    return [sys.executable, "-m", _MODULE, act, *words]


def environment() -> dict[str, str]:
    """Return the child's environment: one thread for each library, and nothing fetched from anywhere."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **offline, "PYTHONPATH": path}


@contextmanager
def launched(act: str, target: object, *words: str) -> Iterator[Launch]:
    """Yield how a child of our own interpreter begins to carry out `act`.

    Its temporary files go where they are removed with it: txtai leaves its vectors' file behind when it is killed.
    """
    with tempfile.TemporaryDirectory(prefix="txtai-race-", ignore_cleanup_errors=True) as temporary:
        there = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary)
        yield Launch(arguments(act, str(target), *words), {**environment(), **there})


def run(act: str, target: object, *words: str, timeout: float) -> Ended:
    """Carry out an act in a child, and kill it after `timeout` seconds."""
    if isinstance(target, Launcher):
        return _ended(target.launch(act, *words), timeout)
    with launched(act, target, *words) as launch:
        return _ended(launch, timeout)


def _ended(launch: Launch, timeout: float) -> Ended:
    with subprocess.Popen(  # noqa: S603 - our own program
        launch.arguments,
        env=launch.environment,
        cwd=launch.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            output, errors = child.communicate(timeout=timeout)
            code: int | None = child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            output, errors = child.communicate()
            code = None
    return Ended(code, tuple(_objects(output)), errors.decode(errors="replace")[-2000:])


def _objects(output: bytes) -> list[dict[str, Any]]:
    """Return the complete lines: a child that was killed may have left half of one."""
    return [json.loads(line) for line in output.split(b"\n")[:-1] if line.startswith(b"{")]


def without_torch() -> None:
    """Let every import of torch and its kin fail from now on, as if they were not installed."""
    for name in UNNEEDED:
        if name not in sys.modules:
            # What the import system itself knows as "there is no such module".
            sys.modules[name] = None  # type: ignore[assignment]


def main(words: list[str]) -> int:
    """Carry out the act that the command line names."""
    without_torch()
    act, target, *rest = words
    from alwrity_checks.txtai.scenarios.targets import target_named

    play = getattr(import_module(f"alwrity_checks.txtai.scenarios.{ACTS[act]}"), act)
    play(target_named(target), *rest)
    sys.stdout.flush()
    # Threads that hang would keep the process from ending.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
