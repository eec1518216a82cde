"""Processes that use a store until they are killed with SIGKILL, at a named point or at a random moment.

Importing txtai takes seconds and a kill takes milliseconds: so one process imports what the storage needs of txtai, and
every process to be killed is forked from it before it has made any thread. `Killer` is the face of that process.

    python -m tests.support.txtai_kill        reads one JSON request per line, and answers each with one line
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_UNNEEDED: Final = ("torch", "transformers", "sentence_transformers", "sklearn", "scipy")
"""Not needed for vectors that come from outside, and nine tenths of the time that the import takes."""
_IDS: Final = 40
_ROOT: Final = Path(__file__).parents[2]


class Killer:
    """The process from which the others are forked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.txtai_kill"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def life(directory: Path, log: int, seed: int) -> None:
    """Accept random operations in one thread, apply and settle them in another, until killed."""
    from alwrity_checks.txtai.documents import documents
    from tests.support.txtai_store import step, store

    chance = random.Random(seed)  # noqa: S311 - a plan of work
    alice = store(directory)

    def told(kind: str, **facts: object) -> None:
        os.write(log, (json.dumps({"kind": kind, **facts}) + "\n").encode())

    def accept() -> None:
        for number in range(sys.maxsize):
            upserts = {f"d{chance.randrange(_IDS)}": f"{seed}.{number}.{one}" for one in range(chance.randrange(1, 8))}
            upserts["hot"] = f"hot {seed}.{number}"
            deletes = [f"d{chance.randrange(_IDS)}" for _ in range(chance.randrange(3))]
            clear = chance.random() < 0.02
            told("intent", upserts=upserts, deletes=deletes, clear=clear)
            alice.put(documents(upserts.items()), deletes, clear=clear)
            told("kept")
            # As fast as it is applied, more or less: so that every kill finds a backlog, and a bounded one.
            while alice.status().queued > 300:
                time.sleep(0.001)

    threading.Thread(target=accept, daemon=True).start()
    turns = random.Random(-seed)  # noqa: S311 - a plan of work
    alice.open()
    while True:
        step(alice, turns.randrange(1, 64))
        alice.settle(force=turns.random() < 0.2)


def found(directory: Path) -> dict[str, str]:
    """Start the store as after a kill, apply what is pending, and return the texts by id."""
    from tests.support.txtai_store import content, drain, store

    alice = store(directory)
    alice.open()
    drain(alice)
    texts = content(alice)
    alice.close()
    return texts


def _forked(act: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(3)
    return child


def _kill(directory: str, log: str, seed: int, *, moment: float | tuple[str, int]) -> str:
    from alwrity_checks.txtai.point import hooked

    descriptor = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
    point, left = (None, 0) if isinstance(moment, float) else moment

    def hook(reached: str, _: object) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def act() -> None:
        with hooked(hook):
            life(Path(directory), descriptor, seed)

    child = _forked(act)
    if isinstance(moment, float):
        while not os.fstat(descriptor).st_size:
            time.sleep(0.001)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(descriptor)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def _found(directory: str, log: str) -> str:
    def act() -> None:
        Path(log).write_text(json.dumps(found(Path(directory))), "utf-8")
        os._exit(0)

    _, status = os.waitpid(_forked(act), 0)
    return f"exit {os.waitstatus_to_exitcode(status)}"


def main() -> None:
    """Answer requests until there are no more."""
    for name in _UNNEEDED:
        sys.modules[name] = None  # type: ignore[assignment] # the documented way to forbid an import
    import txtai.embeddings  # type: ignore[import-untyped] # noqa: F401 - imported for every process to come

    for line in sys.stdin:
        request = json.loads(line)
        answer = _kill(**request) if request.pop("act") == "kill" else _found(**request)
        sys.stdout.write(json.dumps({"ended": answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
