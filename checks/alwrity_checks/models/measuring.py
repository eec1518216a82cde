"""What a process really uses, as the kernel counts it: memory by phase, processor time, and time spent waiting for one.

Linux keeps the peak of resident memory itself (`VmHWM` in /proc/self/status) and resets it when 5 is written to
/proc/self/clear_refs (proc(5)): no sampler sees as much. Elsewhere psutil and getrusage tell less, and what cannot be
had is None, never 0. `ru_maxrss` is not used on Linux: the child of a large process starts with its parent's peak.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "BUSY",
    "Memory",
    "Meter",
    "Usage",
    "maxrss_bytes",
    "memory_of",
    "parse_schedstat",
    "parse_smaps_rollup",
    "parse_status",
    "wait_share",
]

BUSY: Final = 0.05
"""From this part of the time on that threads wait for a processor, figures of time are not to be relied on."""
_RESET_PEAK: Final = "5"


@dataclass(frozen=True, slots=True)
class Memory:
    """A process's memory at one moment, in bytes; None is what this system does not tell."""

    resident: int | None = None
    anonymous: int | None = None
    """Cannot be given back under pressure without swap."""
    file_backed: int | None = None
    """Can be dropped and read again: a mapped model."""
    shared: int | None = None
    peak: int | None = None
    """The most that was resident, since the start or since the last reset."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a phase took: memory in bytes, time in seconds."""

    phase: str
    seconds: float
    cpu_seconds: float
    """Of all threads, user and system."""
    wait_share: float | None
    """The part of the time in which threads could have run and waited for a processor."""
    peak_rss: int | None
    peak_is_own: bool
    """Whether the peak is this phase's; else it is the process's since its start."""
    after: Memory
    """At the end of the phase."""
    proportional: int | None
    """At the end; pages that several processes share are divided between them."""


def parse_status(text: str) -> Memory:
    """Return the memory that `/proc/PID/status` tells of; kernels before 4.5 do not tell the parts."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Memory(
        resident=_kilobytes(fields.get("VmRSS")),
        anonymous=_kilobytes(fields.get("RssAnon")),
        file_backed=_kilobytes(fields.get("RssFile")),
        shared=_kilobytes(fields.get("RssShmem")),
        peak=_kilobytes(fields.get("VmHWM")),
    )


def parse_smaps_rollup(text: str) -> int | None:
    """Return the proportional set size that `/proc/PID/smaps_rollup` tells of, in bytes."""
    return next((_kilobytes(line[4:]) for line in text.splitlines() if line.startswith("Pss:")), None)


def parse_schedstat(text: str) -> tuple[int, int] | None:
    """Return the nanoseconds that a thread ran, and those it waited to run; None where nothing was counted.

    `/proc/PID/task/TID/schedstat`: time on the processor, time on a run queue, slices.
    """
    numbers = text.split()
    if len(numbers) != 3 or not all(number.isdigit() for number in numbers):  # noqa: PLR2004 - the format's columns
        return None
    ran, waited, _ = map(int, numbers)
    return (ran, waited) if ran or waited else None


def maxrss_bytes(value: int, platform: str = sys.platform) -> int:
    """Return getrusage's `ru_maxrss` in bytes: macOS counts bytes, the others kilobytes."""
    return value if platform == "darwin" else value * 1024


def wait_share(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> float | None:
    """Return what part of the time threads waited to run; None where nothing was counted.

    Both by thread: nanoseconds run, and waited.
    """
    ran = waited = 0
    for thread, (ran_now, waited_now) in after.items():
        ran_then, waited_then = before.get(thread, (0, 0))
        ran += max(0, ran_now - ran_then)
        waited += max(0, waited_now - waited_then)
    return waited / (ran + waited) if ran + waited else None


def memory_of(pid: int | None = None) -> Memory:
    """Return a process's memory, this one's for None. Raises OSError, or psutil.Error, where the process is gone."""
    if sys.platform == "linux":
        return parse_status(Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii", errors="replace"))
    import psutil

    told = psutil.Process(pid).memory_info()
    peak = getattr(told, "peak_wset", None)
    if peak is None and pid is None and sys.platform != "win32":
        import resource

        peak = maxrss_bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return Memory(resident=told.rss, peak=peak)


class Meter:
    """Measures this process, phase by phase. A phase is measured in one thread; its costs are those of all."""

    def __init__(self) -> None:
        self.usages: list[Usage] = []

    @property
    def peak_rss(self) -> int | None:
        """The most that was resident in any phase."""
        return max((usage.peak_rss for usage in self.usages if usage.peak_rss is not None), default=None)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure what happens inside; the usage is added to `usages`, also where it raises."""
        own = _reset_peak()
        threads, cpu, clock = _threads(), time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            seconds, spent = time.perf_counter() - clock, time.process_time() - cpu
            waited = wait_share(threads, _threads())
            after = memory_of()
            usage = Usage(name, seconds, spent, waited, after.peak, own, after, _proportional())
            self.usages.append(usage)


def _kilobytes(text: str | None) -> int | None:
    number, _, unit = (text or "").strip().partition(" ")
    return int(number) * 1024 if number.isdigit() and unit == "kB" else None


def _reset_peak() -> bool:
    """Make the kernel forget the peak so far. Says whether it did."""
    if sys.platform != "linux":
        return False
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _threads() -> dict[str, tuple[int, int]]:
    """Return how long each thread of this process ran and waited; empty where the system does not tell."""
    found: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            # A thread may end while we look.
            with contextlib.suppress(OSError):
                times = parse_schedstat((task / "schedstat").read_text(encoding="ascii"))
                if times is not None:
                    found[task.name] = times
    return found


def _proportional() -> int | None:
    with contextlib.suppress(OSError):
        return parse_smaps_rollup(Path("/proc/self/smaps_rollup").read_text(encoding="ascii", errors="replace"))
    return None
