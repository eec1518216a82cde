"""Many files read by several processes, some of which do not survive it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from alwrity_checks.backend import workers
from alwrity_checks.backend.parsing import FlawKind
from alwrity_checks.backend.reading import Order, Reading, read_file
from alwrity_checks.backend.workers import read_all

if TYPE_CHECKING:
    from pathlib import Path

FAULTY = b"from loguru import logger\n\n\ndef f():\n    logger.info('%s', 1)\n"


def orders(number: int) -> list[Order]:
    """Return files of several kinds."""
    kinds = (FAULTY, b"x = 1\n", b"<<<<<<< HEAD\n", b"", b"URL = 'https://router.huggingface.co/hf/v1'\n")
    return [Order(f"m{n}.py", kinds[n % len(kinds)], live=n % 2 == 0) for n in range(number)]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_read_what_one_reads(processes: int) -> None:
    """The same, in the same order, whoever read it; facts and traces come over whole."""
    asked = orders(120)
    assert read_all(asked, processes) == [read_file(order) for order in asked]


def test_directory_of_the_caller_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stands in the checkout has its modules at hand, and some may have the name of one of Python's."""
    ran = tmp_path / "ran"
    for name in ("pickle", "queue", "struct", "alwrity_checks"):
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'a')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    asked = orders(30)
    assert read_all(asked, 1) == [read_file(order) for order in asked]
    assert not ran.exists()


def test_few_files_are_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes longer to start than it would save."""
    monkeypatch.setattr(workers, "_Reader", None)
    assert len(read_all(orders(5))) == 5
    assert read_all([]) == []


_DEADLY = """
import os
from alwrity_checks.backend import reading, workers
careful = reading.read_file
def deadly(order):
    if b"deadly" in order.data:
        os.kill(os.getpid(), {signal})
    if b"endless" in order.data:
        import time
        time.sleep(60)
    return careful(order)
workers.read_file = deadly
workers.serve()
"""


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGSEGV])
def test_a_file_that_kills_its_reader_is_a_result(monkeypatch: pytest.MonkeyPatch, killed_by: signal.Signals) -> None:
    """It is undecided, and every other file is read as if it were not there."""
    monkeypatch.setattr(workers, "_PROGRAM", _DEADLY.format(signal=int(killed_by)))
    asked = orders(60)
    asked[7] = Order("deadly.py", b"deadly = 1\n", live=True)
    found = read_all(asked, 2)
    assert found[7].flaw is not None
    assert (found[7].flaw.kind, found[7].parsed) == (FlawKind.UNDECIDED, False)
    assert found[:7] + found[8:] == [read_file(order) for order in (*asked[:7], *asked[8:])]


def test_a_file_that_holds_its_reader_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is ended after its time, and the file is undecided."""
    monkeypatch.setattr(workers, "_PROGRAM", _DEADLY.format(signal=int(signal.SIGKILL)))
    monkeypatch.setattr(workers, "_PATIENCE", 3.0)
    asked = [Order("endless.py", b"endless = 1\n", live=True), *orders(3)]
    found = read_all(asked, 1)
    assert found[0].flaw is not None
    assert found[0].flaw.kind is FlawKind.UNDECIDED
    assert found[1:] == [read_file(order) for order in asked[1:]]


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('no protocol')"])
def test_processes_that_do_not_start_are_done_without(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """The files are read in this process."""
    monkeypatch.setattr(workers, "_PROGRAM", program)
    asked = orders(30)
    assert read_all(asked, 2) == [read_file(order) for order in asked]


def test_no_process_is_left_behind() -> None:
    """Their owner ends them, and waits for their end."""
    read_all(orders(60), 2)
    assert not [one for one in psutil.Process().children() if "workers" in " ".join(one.cmdline())]


def test_a_reading_is_compared_by_what_it_says() -> None:
    """Two readings of one file are equal: what is known of a file in one scan serves another."""
    order = Order("a.py", FAULTY, live=True)
    assert read_file(order) == read_file(order) != Reading("a.py", live=True)
    assert {order: 1}[Order("a.py", FAULTY, live=True)] == 1
