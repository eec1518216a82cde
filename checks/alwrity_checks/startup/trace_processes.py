"""The traced command's processes, seen from outside: who descends from whom, which program, from when to when.

Whatever language they are written in. A process that leaves the group and its parent behind is still known by the
variable in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from alwrity_checks.startup.trace_child.alwrity_startup_tracer import program

__all__ = ["Family", "SeenProcess"]

_LINUX: Final = sys.platform.startswith("linux")
_PYTHON: Final = ("python", "pypy")


@dataclass(slots=True)
class SeenProcess:
    """A process of the traced command."""

    pid: int
    parent: int
    began: float
    """Seconds of the monotonic clock, to a hundredth."""
    last: float
    """When it was last seen alive."""
    program: str
    """Its name, and its verb where that is a known one; never its arguments."""
    python: bool
    """Whether it is a Python interpreter, or was one when last seen."""
    programs: list[tuple[float, str]] = field(default_factory=list)
    """Each program that it carried out, and since when: a process can become another one (exec)."""
    _image: str = ""
    _handle: psutil.Process | None = None

    @property
    def resident(self) -> int:
        """The bytes of memory that it holds now; 0 for one that is gone."""
        if self._handle is None:
            return 0
        try:
            return int(self._handle.memory_info().rss)
        except psutil.Error:
            return 0

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        if self._handle is None:
            return False
        try:
            return bool(self._handle.is_running() and self._handle.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


class Family:
    """A process, its descendants, and those of them that have left it."""

    def __init__(self, root: int, marker: tuple[str, str]) -> None:
        """Take the first process and the environment variable, name and value, that all of them inherit."""
        self.root = root
        self.seen: dict[int, SeenProcess] = {}
        self._marker = marker
        self._roots = {root}

    def update(self) -> None:
        """Look who is there now."""
        now = time.monotonic()
        for pid, parent in self._walk():
            one = self.seen.get(pid)
            if one is None:
                one = self._meet(pid, parent, now)
                if one is None:
                    continue
                self.seen[pid] = one
            one.last = now
            self._identify(one, now)

    def adopt(self) -> None:
        """Find the processes that are ours by their environment only, and watch them from now on."""
        marker = f"{self._marker[0]}={self._marker[1]}".encode()
        for process in psutil.process_iter():
            if process.pid in self.seen or process.pid == os.getpid():
                continue
            with contextlib.suppress(psutil.Error, OSError):
                environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0") if _LINUX else ()
                ours = marker in environment or (
                    not _LINUX and process.environ().get(self._marker[0]) == self._marker[1]
                )
                if ours:
                    self._roots.add(process.pid)
        self.update()

    @property
    def alive(self) -> tuple[SeenProcess, ...]:
        """Those that still run."""
        return tuple(one for one in self.seen.values() if one.alive)

    @property
    def resident(self) -> int:
        """The bytes of memory that all of them hold now; what several share is counted for each."""
        return sum(one.resident for one in self.seen.values())

    def lineage(self, pid: int) -> tuple[SeenProcess, ...]:
        """Return the process and its ancestors within the family, the oldest first."""
        chain: list[SeenProcess] = []
        while pid in self.seen and self.seen[pid] not in chain:
            chain.append(self.seen[pid])
            pid = self.seen[pid].parent
        return tuple(reversed(chain))

    def end(self, grace: float) -> None:
        """End all of them: first asked, after `grace` seconds killed."""
        self._tell(signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.02)
            self.update()
        self.adopt()
        for _ in range(20):
            if not self.alive:
                return
            self._tell(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            time.sleep(0.02)
            self.adopt()

    def _tell(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.root, number)
        for one in self.alive:
            # Who is in the group has been told; a second signal would find it in the middle of its good order.
            with contextlib.suppress(psutil.Error, OSError):
                if number is not signal.SIGTERM or not hasattr(os, "getpgid") or os.getpgid(one.pid) != self.root:
                    psutil.Process(one.pid).send_signal(number)

    def _walk(self) -> Iterator[tuple[int, int]]:
        waiting = [(root, self.seen[root].parent if root in self.seen else 0) for root in self._roots]
        met: set[int] = set()
        while waiting:
            pid, parent = waiting.pop()
            if pid in met:
                continue
            met.add(pid)
            yield pid, parent
            waiting += [(child, pid) for child in _children(pid)]

    @staticmethod
    def _meet(pid: int, parent: int, now: float) -> SeenProcess | None:
        try:
            handle = psutil.Process(pid)
            began = min(_began(handle), now)
        except (psutil.Error, OSError, ValueError):
            return None
        return SeenProcess(pid, parent, began, now, "", python=False, _handle=handle)

    @staticmethod
    def _identify(one: SeenProcess, now: float) -> None:
        try:
            if _LINUX:
                image = str(Path(f"/proc/{one.pid}/exe").readlink())
                if image == one._image:  # noqa: SLF001 - of this module
                    return
                words = [os.fsdecode(word) for word in Path(f"/proc/{one.pid}/cmdline").read_bytes().split(b"\0")]
            else:
                if one._image:  # noqa: SLF001 - of this module
                    return
                process = psutil.Process(one.pid)
                image, words = process.exe(), process.cmdline()
        except (OSError, psutil.Error):
            return
        one._image = image  # noqa: SLF001 - of this module
        name = program(image, words)
        one.python = Path(image).name.startswith(_PYTHON)
        one.programs.append((now if one.program else one.began, name))
        one.program = name


def _began(process: psutil.Process) -> float:
    """Return when a process began, on the monotonic clock."""
    if sys.platform != "linux":
        return float(process.create_time()) - time.time() + time.monotonic()
    # psutil adds the ticks to a boot time in whole seconds; field 22 of proc_pid_stat(5) counts from the boot itself.
    ticks = int(Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return ticks / os.sysconf("SC_CLK_TCK") - asleep


def _children(pid: int) -> list[int]:
    if not _LINUX:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    found: list[int] = []
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += [int(one) for one in Path(task.path, "children").read_bytes().split()]
    except OSError:
        return []
    return found
