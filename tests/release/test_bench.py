"""The page of the benchmarks: every room's table, the machine named, ratios first, and what is not measured kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import ROOMS, Measured, machine, main, measure, page, ratios_first, sections
from tests.release.building import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TABLE = """CPython 3.11, x86_64

| measure | measured | goal | held |
| ------- | -------- | ---- | ---- |
| CPU time of a start | 28 ms | <= 30 ms | yes |
| (a fact) | 12 in 3 | - | - |
| calls of one verifier | 900/s | - | - |
| ... against PyJWT | 2.7 x | >= 2 x | yes |
| throughput | 0.98 x | >= 0.95 x | yes |
"""


def printing(text: str, code: int = 0) -> Callable[[Sequence[str]], Measured]:
    """Return a run in which every benchmark prints `text`."""
    return lambda _command: Measured(code, text, 3.0)


def test_ratios_stand_first() -> None:
    """Rows with a ratio come before times and counts; what goes on from the row above stays with it."""
    rows = [line.split("|")[1].strip() for line in ratios_first(TABLE).splitlines() if line.startswith("|")]
    assert rows == [
        "measure",
        "-------",
        "calls of one verifier",
        "... against PyJWT",
        "throughput",
        "CPU time of a start",
        "(a fact)",
    ]
    assert sorted(ratios_first(TABLE).split()) == sorted(TABLE.split())


def test_every_room_gets_a_section_with_the_machine(tmp_path: Path) -> None:
    """All rooms are measured where none is named, and each section says where, when and how it went."""
    output = tmp_path / "benchmarks.md"
    assert main(["--output", str(output)], printing(TABLE), lambda _: None) == 0
    told = sections(output.read_text("utf-8"))
    assert list(told) == list(ROOMS)
    for room, text in told.items():
        assert f"make bench ROOM={room}`" in text
        assert machine() in text
        assert "every goal held" in text
    assert "Not measured yet" not in output.read_text("utf-8")


def test_one_room_is_measured_anew_and_the_others_stay(tmp_path: Path) -> None:
    """Only the named room's section changes; the rest of the page is the same to the letter."""
    output = tmp_path / "benchmarks.md"
    main(["auth", "triage", "--output", str(output)], printing(TABLE), lambda _: None)
    before = sections(output.read_text("utf-8"))
    assert "Not measured yet: hf, txtai, models, scan." in output.read_text("utf-8")
    assert main(["auth", "--output", str(output)], printing(TABLE.replace("2.7 x", "1.2 x"), 1), lambda _: None) == 1
    after = sections(output.read_text("utf-8"))
    assert after["triage"] == before["triage"]
    assert "1.2 x" in after["auth"]
    assert "a goal was missed" in after["auth"]
    assert page(after) == output.read_text("utf-8")


@pytest.mark.parametrize(("text", "code"), [("", 1), (TABLE, 2), (TABLE, -9), ("Traceback", 1)])
def test_a_room_that_cannot_be_measured_keeps_its_section(tmp_path: Path, text: str, code: int) -> None:
    """A benchmark that died, or printed no table, replaces nothing, is named, and ends with 2."""
    output = tmp_path / "benchmarks.md"
    main(["hf", "--output", str(output)], printing(TABLE), lambda _: None)
    before = output.read_text("utf-8")
    said: list[str] = []
    assert main(["hf", "--output", str(output)], printing(text, code), said.append) == 2
    assert output.read_text("utf-8") == before
    assert "hf could not be measured" in "".join(said)


def test_a_busy_machine_is_told(tmp_path: Path) -> None:
    """Exit code 3 of a benchmark is that of the whole, unless something was worse."""
    output = tmp_path / "benchmarks.md"
    assert main(["models", "--output", str(output)], printing(TABLE, 3), lambda _: None) == 3
    assert "too busy" in output.read_text("utf-8")


def test_an_unknown_room_is_a_wrong_call(tmp_path: Path) -> None:
    """A typing error measures nothing for an hour."""
    with pytest.raises(SystemExit) as ended:
        main(["txtia", "--output", str(tmp_path / "page.md")], printing(TABLE))
    assert ended.value.code == 2


def test_a_benchmark_is_run_as_by_hand() -> None:
    """Its output and its exit code are what a process printed and ended with."""
    measured = measure([sys.executable, "-c", "print('| a |'); raise SystemExit(3)"])
    assert (measured.code, measured.output.strip()) == (3, "| a |")


def test_every_room_has_a_benchmark() -> None:
    """The table of rooms and the modules are the same."""
    there = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(ROOMS) <= there
