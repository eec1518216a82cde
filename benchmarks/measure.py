"""Measuring side by side: every round measures every peer, so that a noisy moment hits all of them alike."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

__all__ = ["at_least", "at_most", "child_cpu", "fact", "interleaved", "ratio", "table"]


def interleaved(peers: Mapping[str, Callable[[], object]], *, rounds: int, calls: int) -> dict[str, list[float]]:
    """Return each peer's CPU time per call, in seconds, one figure a round."""
    figures: dict[str, list[float]] = {name: [] for name in peers}
    for peer in peers.values():
        peer()
    for _ in range(rounds):
        for name, peer in peers.items():
            started = time.thread_time()
            for _ in range(calls):
                peer()
            figures[name].append((time.thread_time() - started) / calls)
    return figures


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """Return the median of the ratios, pair by pair."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def child_cpu(command: Sequence[str], *, runs: int = 9) -> float:
    """Return the median CPU time of a whole process, user and system, in seconds."""
    spent = []
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - our own commands
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(spent[1:])  # the first run compiles and fills the page cache


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def at_least(measure: str, value: float, least: float, unit: str = "") -> tuple[str, ...]:
    """Return the row of a measure that must not be less than `least`."""
    return measure, f"{value:.3g}{unit}", f">= {least:g}{unit}", "yes" if value >= least else "NO"


def at_most(measure: str, value: float, most: float, unit: str = "") -> tuple[str, ...]:
    """Return the row of a measure that must not be more than `most`."""
    return measure, f"{value:.3g}{unit}", f"<= {most:g}{unit}", "yes" if value <= most else "NO"


def fact(measure: str, told: str) -> tuple[str, ...]:
    """Return the row of a measure without a goal."""
    return f"({measure})", told, "-", "-"
