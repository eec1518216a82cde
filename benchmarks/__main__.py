"""`make bench`: the rooms' benchmarks, one after another, into `docs/benchmarks.md`; `make bench ROOM=auth`: one anew.

`python -m benchmarks [ROOM...]` runs `python -m benchmarks.ROOM` as it is run by hand, with this environment: the
variables that name peers or kept files are its own. The page is written after each room, so that what was measured is
kept whatever comes later, and a room that is not measured keeps its section with the machine and the day of it.

Exit codes: 0 every goal held; 1 one was missed; 2 a room could not be measured; 3 the machine was too busy to say.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

__all__ = ["PAGE", "ROOMS", "Measured", "machine", "main", "measure", "page", "ratios_first", "sections"]

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
ROOMS: Final[Mapping[str, str]] = {
    "auth": "Clerk tokens: the verifier beside PyJWT, joserfc and Clerk's own library",
    "hf": "The Hugging Face router: prober and generator beside the historical provider and the bare client",
    "txtai": "The semantic index beside txtai alone, Chroma and Qdrant",
    "models": "Local models: plan, memory and start beside hf-mem, accelerate, llama.cpp and txtai",
    "scan": "The scan of a checkout beside bandit and ruff",
    "triage": "The triage of a log beside grep, ripgrep and Drain3",
}
"""Room -> what it measures, the quickest first."""
_NOTICE: Final = "<!-- Measured by `make bench`, a room by `make bench ROOM=NAME`; do not edit it by hand. -->"
_INTRODUCTION: Final = """# Benchmarks

Each room is measured beside its peers in one run, round by round, so that a noisy moment hits all of them alike. Ratios
come first: they compare on one machine in one moment, and hold elsewhere better than times do. A measure in parentheses
has no goal. A peer that was not installed is named as skipped, with what installs it.
"""
_SECTION: Final = re.compile(r"<!-- room: (?P<room>\w+) -->\n(?P<text>.*?)<!-- end -->\n", re.DOTALL)
_HELD: Final = {0: "every goal held", 1: "a goal was missed", 3: "the machine was too busy to say of every goal"}
_RATIO: Final = re.compile(r"[0-9.,e+-]+ x\b")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a room's benchmark came to."""

    code: int
    """Its exit code: a key of `_HELD`, or that it could not measure."""
    output: str
    """What it printed: a line about the environment, and a table."""
    seconds: float


def measure(command: Sequence[str]) -> Measured:
    """Run a benchmark; what it says on stderr is seen as it comes."""
    began = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own benchmark
    return Measured(done.returncode, done.stdout, time.monotonic() - began)


def machine() -> str:
    """Name this machine: processor, how many of them, memory, system and Python."""
    name = platform.processor() or platform.machine()
    try:
        told = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        pass
    else:
        if found := re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE):
            name = found[1].strip()
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{name}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"CPython {platform.python_version()}"
    )


def ratios_first(output: str) -> str:
    """Return what a benchmark printed with those rows of its tables first that hold a ratio.

    A row that begins with "..." goes on from the one above it, and is moved with it.
    """
    lines: list[str] = []
    groups: list[list[str]] = []

    def flush() -> None:
        groups.sort(key=lambda group: not any(_is_ratio(row) for row in group))
        lines.extend(row for group in groups for row in group)
        groups.clear()

    heading = False
    for line in output.splitlines():
        if not line.startswith("|"):
            flush()
            heading = False
            lines.append(line)
        elif not heading:
            lines.append(line)
            heading = set(line) <= set("|- ")
        elif line.startswith("| ...") and groups:
            groups[-1].append(line)
        else:
            groups.append([line])
    flush()
    return "\n".join(lines)


def _is_ratio(row: str) -> bool:
    return any(_RATIO.match(cell.strip()) for cell in row.strip("|").split("|")[1:2])


def sections(text: str) -> dict[str, str]:
    """Return room -> section of a page that was written before."""
    return {found["room"]: found["text"] for found in _SECTION.finditer(text)}


def section(room: str, measured: Measured, *, on: str, busy: float, moment: datetime) -> str:
    """Return the section of a room that was measured on the machine `on`, with the load `busy` when it began."""
    took = f"{measured.seconds:.0f} s" if measured.seconds < 120 else f"{measured.seconds / 60:.0f} min"
    return (
        f"## {room}\n\n{ROOMS[room]}. `make bench ROOM={room}`, {moment:%Y-%m-%d}, {took}: {_HELD[measured.code]}.\n\n"
        f"On {on}; load {busy:.1f} when it began.\n\n{ratios_first(measured.output.strip())}\n\n"
    )


def page(told: Mapping[str, str]) -> str:
    """Return the page with these sections, in the order of the rooms; one that was never measured is said to be so."""
    missing = [room for room in ROOMS if room not in told]
    parts = [f"{_NOTICE}\n\n{_INTRODUCTION}\n"]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.\n\n")
    parts += [f"<!-- room: {room} -->\n{told[room]}<!-- end -->\n\n" for room in ROOMS if room in told]
    return "".join(parts).rstrip("\n") + "\n"


def main(
    arguments: Sequence[str] | None = None,
    run: Callable[[Sequence[str]], Measured] = measure,
    say: Callable[[str], object] = sys.stderr.write,
) -> int:
    """Measure the rooms that are named, or all, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"{', '.join(ROOMS)}; default: all")
    parser.add_argument("--output", type=Path, default=PAGE, help="default: docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if unknown := [room for room in options.rooms if room not in ROOMS]:
        parser.error(f"no room {unknown[0]!r}; there are {', '.join(ROOMS)}")
    codes = set()
    for room in [room for room in ROOMS if room in (options.rooms or ROOMS)]:
        say(f"room: {room}\n")
        busy = psutil.getloadavg()[0]
        measured = run([sys.executable, "-m", f"benchmarks.{room}"])
        if measured.code not in _HELD or "|" not in measured.output:
            say(f"{room} could not be measured: exit code {measured.code}; its section stays as it was\n")
            codes.add(2)
            continue
        codes.add(measured.code)
        told = sections(options.output.read_text("utf-8")) if options.output.exists() else {}
        told[room] = section(room, measured, on=machine(), busy=busy, moment=datetime.now(UTC))
        _replace(options.output, page(told))
    return next((code for code in (2, 1, 3) if code in codes), 0)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text, encoding="utf-8", newline="\n")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
