"""Measuring a process: the kernel's texts are read as they are, and a real peak is seen however short it was."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from alwrity_checks.models.measuring import (
    Memory,
    Meter,
    maxrss_bytes,
    memory_of,
    parse_schedstat,
    parse_smaps_rollup,
    parse_status,
    wait_share,
)

_STATUS = """\
Name:\tpython: a\tb
State:\tR (running)
VmPeak:\t 5202308 kB
VmHWM:\t 1505280 kB
VmRSS:\t 1430000 kB
RssAnon:\t  363520 kB
RssFile:\t 1066480 kB
RssShmem:\t       0 kB
Threads:\t3
"""
_ROLLUP = """\
55eba20ea000-7ffe0168f000 ---p 00000000 00:00 0                          [rollup]
Rss:             1430000 kB
Pss:             1427333 kB
Pss_Dirty:        363520 kB
Pss_Anon:         363520 kB
"""
_MEBI = 1 << 20
_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps these figures")


def test_status_is_read_in_bytes() -> None:
    """Each part has its own field; 0 is 0 and not unknown."""
    told = parse_status(_STATUS)
    assert told == Memory(1_464_320_000, 372_244_480, 1_092_075_520, 0, 1_541_406_720)
    assert told.resident == (told.anonymous or 0) + (told.file_backed or 0) + (told.shared or 0)


def test_an_old_kernel_does_not_tell_the_parts() -> None:
    """What is not there is None, so that nobody takes it for nothing."""
    told = parse_status("VmHWM:\t    1736 kB\nVmRSS:\t    1700 kB\n")
    assert told == Memory(resident=1700 * 1024, peak=1736 * 1024)
    assert (told.anonymous, told.file_backed) == (None, None)


@pytest.mark.parametrize("text", ["", "VmRSS", "VmRSS:\t12 pages\n", "VmRSS:\t-1 kB\n", "VmRSS:\tmany kB\n"])
def test_a_status_that_is_none(text: str) -> None:
    """A process that has ended has no memory in its status; nonsense is no number."""
    assert parse_status(text) == Memory()


def test_the_proportional_size_is_that_of_all_mappings() -> None:
    """`Pss:` and not one of the lines that begin alike."""
    assert parse_smaps_rollup(_ROLLUP) == 1_427_333 * 1024
    assert parse_smaps_rollup("Rss: 12 kB\n") is None
    assert parse_smaps_rollup("") is None


def test_schedstat_is_run_and_wait() -> None:
    """Zeros everywhere mean that the kernel does not count; other texts are none."""
    assert parse_schedstat("401119 79438 2\n") == (401119, 79438)
    for text in ("0 0 0", "", "1 2", "1 2 3 4", "a b c", "1.5 2 3"):
        assert parse_schedstat(text) is None


def test_waiting_is_shared_out_over_the_threads_of_the_phase() -> None:
    """A thread that is new counts whole, one that was there before with what it added, one that has gone not at all."""
    before = {"1": (100, 50), "2": (10, 0), "9": (5, 5)}
    after = {"1": (180, 60), "2": (20, 0), "3": (5, 5)}
    assert wait_share(before, after) == pytest.approx(15 / 110)
    assert wait_share(after, after) is None
    assert wait_share({}, {}) is None


def test_ru_maxrss_has_another_unit_on_each_system() -> None:
    """Bytes on macOS, kilobytes on Linux."""
    assert maxrss_bytes(1736, "linux") == 1736 * 1024
    assert maxrss_bytes(1736, "darwin") == 1736


@_LINUX
def test_each_phase_has_a_peak_of_its_own() -> None:
    """100 MiB that are held for a moment show in their phase, and no longer in the next one."""
    meter = Meter()
    with meter.phase("before"):
        pass
    with meter.phase("spike"):
        block = bytearray(100 * _MEBI)
        block[::4096] = b"x" * len(block[::4096])
        del block
    with meter.phase("after"):
        pass
    before, spike, after = meter.usages
    assert all(one.peak_is_own and one.peak_rss and one.after.resident for one in meter.usages)
    assert (spike.peak_rss or 0) - (before.peak_rss or 0) >= 95 * _MEBI
    assert (spike.peak_rss or 0) - (after.peak_rss or 0) >= 90 * _MEBI
    assert meter.peak_rss == spike.peak_rss
    assert (spike.proportional or 0) > 0


def test_a_phase_that_fails_is_measured_too() -> None:
    """Where memory ran out is what one wants to know."""
    meter = Meter()
    with pytest.raises(MemoryError), meter.phase("load"):
        raise MemoryError
    assert [one.phase for one in meter.usages] == ["load"]
    assert meter.peak_rss


def test_processor_time_is_that_of_all_threads() -> None:
    """A phase waits for its thread, and the thread's work counts; sleeping does not."""
    meter = Meter()

    def work() -> None:
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass

    with meter.phase("work"):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    with meter.phase("sleep"):
        time.sleep(0.1)
    working, sleeping = meter.usages
    assert working.cpu_seconds >= 0.05
    assert sleeping.cpu_seconds < 0.05 <= sleeping.seconds


def test_another_process_can_be_looked_at() -> None:
    """Its memory is not ours; once it has gone there is nothing to tell."""
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not memory_of(child.pid).resident and time.monotonic() < deadline:
            time.sleep(0.01)
        told, own = memory_of(child.pid), memory_of()
    finally:
        child.communicate()
    assert 0 < (told.resident or 0) < (own.resident or 0)


@_LINUX
def test_a_fresh_child_does_not_inherit_a_peak() -> None:
    """With 200 MiB in this process a child of some 10 MiB has a peak of its own size: ru_maxrss would not."""
    ballast = bytearray(200 * _MEBI)
    ballast[::4096] = b"x" * len(ballast[::4096])
    script = "print(open('/proc/self/status').read())"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-S", "-E", "-c", script], capture_output=True, text=True, check=True
    )
    assert 0 < (parse_status(done.stdout).peak or 0) < 100 * _MEBI < len(ballast)
