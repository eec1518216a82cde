"""Processes that use one database as hosts do, until they are killed with SIGKILL or told to end.

One process imports what is needed and forks the others before it has made any thread or connection.

    python -m tests.support.postgres_kill        reads one JSON request per line, and answers each with one line
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[2]
_IDS: Final = 12
_BACKLOG: Final = 100
_PAUSE: Final = 0.005


class Forker:
    """The process from which the others are forked."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.postgres_kill"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, **request: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline()))

    def start(self, log: Path, point: tuple[str, int] | None = None, **plan: object) -> int:
        """Start a host that does as `live` says, and return its process id.

        It kills itself when it reaches a point for the n-th time.
        """
        return self._ask(log=str(log), point=point, plan=plan)

    def end(self, process: int, number: int = signal.SIGKILL) -> int:
        """Send a signal (0: none), and return how the process ended: the negative signal, or the exit code."""
        return self._ask(process=process, signal=number)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@contextmanager
def forking() -> Iterator[Forker]:
    """Run a forker."""
    forker = Forker()
    try:
        yield forker
    finally:
        forker.close()


def told(log: Path) -> list[dict[str, Any]]:
    """Return what a host has told; a last line without its end was just being written."""
    return [json.loads(line) for line in log.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def live(log: int, *, url: str, user: str, name: str, applies: bool) -> None:
    """Accept documents in one thread and apply in another, whatever the server says, until killed or told to end.

    One that does not apply does so when it is told to end, until nothing is left.
    """
    from tests.support.postgres import Host

    host = Host(url)
    store = host.store(user)
    chance = random.Random(name)  # noqa: S311 - a plan of work
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())

    def tell(kind: str, **facts: object) -> None:
        os.write(log, (json.dumps({"kind": kind, **facts}) + "\n").encode())

    accepting = threading.Thread(target=_accept, args=(store, chance, name, tell, ending), daemon=True)
    accepting.start()
    if applies:
        _apply(store, tell, ending)
    accepting.join()
    _apply(store, tell, ending)
    host.close()


def _accept(store: Any, chance: random.Random, name: str, tell: Any, ending: threading.Event) -> None:  # noqa: ANN401 - what `live` has
    from alwrity_checks.txtai.documents import documents
    from alwrity_checks.txtai.storage import StorageError

    number = 0
    while not ending.is_set():
        number += 1
        upserts = {
            f"{name}.{chance.randrange(_IDS)}": f"{name} {number}.{one}" for one in range(chance.randrange(1, 6))
        }
        upserts["hot"] = f"hot {name} {number}"
        deletes = [f"{name}.{chance.randrange(_IDS)}" for _ in range(chance.randrange(3))]
        tell("intent", upserts=upserts, deletes=deletes)
        while True:
            try:
                sequence = store.put(documents(upserts.items()), deletes)
                break
            except StorageError:
                # Perhaps it was accepted; accepting it again comes to the same.
                time.sleep(_PAUSE)
        tell("kept", sequence=sequence)
        while not ending.is_set() and _queued(store) > _BACKLOG:
            time.sleep(_PAUSE)


def _queued(store: Any) -> int:  # noqa: ANN401 - as in `_accept`
    from alwrity_checks.txtai.storage import StorageError

    try:
        return int(store.status().queued)
    except StorageError:
        return sys.maxsize


def _apply(store: Any, tell: Any, ending: threading.Event) -> None:  # noqa: ANN401 - as in `_accept`
    """Apply what there is until told to end; then until nothing is left to do, for anybody."""
    from alwrity_checks.txtai.storage import StorageError
    from tests.support.txtai_store import encode

    done = False
    while not done:
        try:
            store.open()
            batch = store.pending(16)
            store.apply(batch, encode([one.text for one in batch.upserts]))
            if batch:
                tell("applied", sequence=batch.sequence)
                continue
            done = ending.is_set() and store.status().queued == 0
        except StorageError as error:
            tell("failed", error=error.diagnosis)
        # Nothing to do, or nothing to be done: for a moment.
        time.sleep(_PAUSE)


def _start(log: str, point: tuple[str, int] | None, plan: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        from alwrity_checks.txtai.point import hooked

        wanted, left = point or (None, 0)

        def hook(reached: str, _: object) -> None:
            nonlocal left
            left -= reached == wanted
            if reached == wanted and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        with hooked(hook):
            live(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND), **plan)
        os._exit(0)
    finally:
        os._exit(3)


def _end(process: int, number: int) -> int:
    if number:
        os.kill(process, number)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> None:
    """Answer requests until there are no more."""
    import tests.support.postgres  # noqa: F401 - imported for every process to come

    for line in sys.stdin:
        request = json.loads(line)
        answer = _end(request["process"], request["signal"]) if "process" in request else _start(**request)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
