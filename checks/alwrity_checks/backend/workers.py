"""Many files, read by several processes. A file that kills its reader is a result, not the end of the scan.

The processes are ours, started from scratch and spoken to over pipes: a fork of a process with threads can hang, and a
pool of the standard library imports the user's main module again, and gives up whole when one of its processes dies.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Final

from alwrity_checks.backend.parsing import Flaw, FlawKind
from alwrity_checks.backend.reading import Order, Reading, read_file
from alwrity_checks.backend.rooms import rooms

__all__ = ["processors", "read_all", "serve"]

_BATCH: Final = 24
_WORTH: Final = 150
"""Files: for fewer, a process takes longer to start than it saves."""
_PATIENCE: Final = 120.0
"""Seconds for a batch; the slowest file that a person wrote takes a tenth of one."""
_LENGTH: Final = struct.Struct(">Q")
_LARGEST: Final = 1 << 30
"""Bytes of an answer; what announces more speaks another language."""
_READY: Final = "ready"
_PROGRAM: Final = "from alwrity_checks.backend.workers import serve; serve()"


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def read_all(orders: Sequence[Order], workers: int | None = None) -> list[Reading]:
    """Return what every file came to, in the order of the files.

    `workers`: so many processes; 0 reads in this one. Without it, as many as there are processors, if that is worth it.
    """
    if workers is None:
        workers = min(processors(), len(orders) // _WORTH)
    if workers < 1 or not sys.executable:
        return [read_file(order) for order in orders]
    batches: queue.SimpleQueue[Sequence[Order]] = queue.SimpleQueue()
    for start in range(0, len(orders), _BATCH):
        batches.put(list(orders[start : start + _BATCH]))
    found: dict[str, Reading] = {}
    threads = [threading.Thread(target=_work, args=(batches, found), daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A worker that could not be started has left its share.
    return [found.get(order.path) or read_file(order) for order in orders]


def _work(batches: queue.SimpleQueue[Sequence[Order]], found: dict[str, Reading]) -> None:
    """Have one process after the other read batches until there are none."""
    reader: _Reader | None = None
    try:
        while True:
            batch = batches.get_nowait()
            reader = reader or _Reader()
            readings = reader.read(batch)
            if readings is None:
                reader.end()
                reader = None
                if len(batch) == 1:
                    flaw = Flaw(FlawKind.UNDECIDED, 1, "ends the process that reads it, or holds it for ever")
                    readings = [Reading(batch[0].path, batch[0].live, flaw, parsed=False)]
                else:
                    for order in batch:
                        batches.put([order])
                    continue
            found.update((reading.path, reading) for reading in readings)
    except (queue.Empty, OSError):
        return
    finally:
        if reader is not None:
            reader.end()


class _Reader:
    """One process that reads files."""

    def __init__(self) -> None:
        path = os.pathsep.join(one for one in sys.path if one)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            # -P: the directory that we stand in may be the checkout's, and have a module named like one of Python's.
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
            # An interruption is for this process; the child ends with its stdin.
            start_new_session=True,
        )
        # What keeps the process from its work altogether is no file's fault.
        if self._ask(None) != _READY:
            self.end()
            raise OSError("a reader could not be started")

    def read(self, batch: Sequence[Order]) -> list[Reading] | None:
        """Return what the files came to; None if the process died of it, or took too long."""
        told = self._ask(batch)
        return told if isinstance(told, list) else None

    def _ask(self, batch: Sequence[Order] | None) -> object:
        """Send a batch, if there is one, and return the next answer; None if the process died, or took too long."""
        asking, answering = self._process.stdin, self._process.stdout
        if asking is None or answering is None:
            return None
        alarm = threading.Timer(_PATIENCE, self._process.kill)
        alarm.start()
        try:
            if batch is not None:
                _send(asking, batch)
            return _receive(answering)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        finally:
            alarm.cancel()

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()


def _send(pipe: IO[bytes], told: object) -> None:
    data = pickle.dumps(told, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> object:
    """Return what the other side of a pipe sent, which is a process of ours. Raises EOFError at its end."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    if length > _LARGEST:
        raise EOFError
    return pickle.loads(pipe.read(length))  # noqa: S301 - from our own child, which reads and runs nothing


def _batches(pipe: IO[bytes]) -> Iterator[Sequence[Order]]:
    while True:
        try:
            told = _receive(pipe)
        except EOFError:
            return
        if isinstance(told, list):
            yield told


def serve() -> None:
    """Read what comes on stdin and answer on stdout, until stdin ends with its owner."""
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not come between the answers.
    os.dup2(2, 1)
    rooms()
    _send(answers, _READY)
    # Syntax trees hold no circles: looking for some takes as long as parsing them.
    gc.disable()
    gc.freeze()
    for batch in _batches(sys.stdin.buffer):
        _send(answers, [read_file(order) for order in batch])
        gc.collect()
