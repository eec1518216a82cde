"""`make bench-txtai`: the semantic index beside its peers, in one run. Ratios count; times are this machine's.

`python -m benchmarks.txtai NAME...` measures the named groups only: see GROUPS.
"""

from __future__ import annotations

import json
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmarks.measure import at_least, at_most, fact, table
from benchmarks.txtai_child import child, ended
from tests.support.txtai_kill import Killer
from tests.support.txtai_survivor import Survivor

Rows: TypeAlias = list[tuple[str, ...]]

_USERS: Final = 100
_SIZES: Final = (1_000, 10_000, 100_000)


def kills() -> Rows:
    """Kill at random moments while documents are accepted, applied and saved."""
    count = int(os.environ.get("TXTAI_KILLS", "100"))
    chance = random.Random(1)  # noqa: S311 - moments, not secrets
    killer = Killer()
    try:
        with tempfile.TemporaryDirectory() as folder:
            survivor = Survivor(killer, Path(folder))
            wrong = sum(survivor.kill(10_000 + number, chance.uniform(0.0, 0.3)) for number in range(count))
    finally:
        killer.close()
    return [
        at_most(f"documents lost, duplicated or mismatched after {count} random kills", wrong, 0),
        fact("documents acknowledged meanwhile", f"{survivor.documents:,} in {survivor.kept:,} calls"),
    ]


def accept() -> Rows:
    """Measure the first call of 100 fresh users, with the real model; and in a process that has imported nothing."""
    measured, cold = child("accept", _USERS, "imported"), child("accept", _USERS // 2, "cold")
    median, late = _percentiles(measured["latencies"])
    least = min(measured["searchable"], cold["searchable"])
    return [
        at_least("first call on a fresh user: searchable later", least * 100, 100, " %"),
        at_most("... accept latency, median of 100 users", median, 15, " ms"),
        at_most("... accept latency, 99th of 100 users", late, 60, " ms"),
        fact(
            "... in a process that imports txtai and torch meanwhile: median, 99th",
            "{:.3g} ms, {:.3g} ms".format(*_percentiles(cold["latencies"])),
        ),
    ]


def _percentiles(latencies: list[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(latencies)
    return statistics.median(ordered) * 1000, ordered[round(len(ordered) * 0.99) - 1] * 1000


def mix() -> Rows:
    """Count interpreter faults, errors and wrong documents."""
    operations = int(os.environ.get("TXTAI_OPERATIONS", "10000"))
    process = ended("mix", operations)
    name = f"interpreter faults in {operations:,} mixed operations, 8 threads and 3 loops"
    if process.returncode < 0:
        return [at_most(f"{name}: {signal.Signals(-process.returncode).name}", 1, 0)]
    measured = child_result(process.stdout, process.stderr)
    told = f": {measured['first'][0]:.80}" if measured["first"] else ""
    return [
        at_most(name, 0, 0),
        at_most(f"... operations that raised{told}", measured["errors"], 0),
        at_most("... documents lost, stale or undead", measured["wrong"], 0),
    ]


def child_result(output: str, error: str) -> dict[str, Any]:
    """Return what a child printed. Raises RuntimeError where it printed nothing."""
    if not output:
        raise RuntimeError(f"a child measured nothing: {error[-2000:]}")
    measured: dict[str, Any] = json.loads(output.splitlines()[-1])
    return measured


def stall() -> Rows:
    """Measure the lateness of an event loop, in three processes; of each phase the median of its worst counts."""
    runs = [child("stall", 300) for _ in range(3)]
    rows: Rows = []
    for phase in runs[0]:
        late, ours = (statistics.median(run[phase][part] for run in runs) * 1000 for part in (0, 1))
        name = f"event-loop stall, {phase}"
        rows.append(at_most(f"{name}, besides waiting for a processor", ours, 10, " ms"))
        rows.append(fact(f"{name}, in all", f"{late:.3g} ms"))
    return rows


def encoding() -> Rows:
    """Measure throughput against raw sentence-transformers."""
    measured = child("encoding", 128, 5)
    if "missing" in measured:
        return [fact("encoding: skipped", f"{measured['missing']}: pip install sentence-transformers")]
    ours, small = measured["ours"], measured["int8"]
    return [
        at_least("encoding throughput against sentence-transformers, by CPU time", ours["cpu"], 0.95, " x"),
        fact("... by the wall clock", f"{ours['wall']:.3g} x"),
        at_least("... with the int8 encoder, by CPU time", small["cpu"], 1.7, " x"),
        fact("... by the wall clock", f"{small['wall']:.3g} x"),
        fact("... least cosine of a text's two vectors: ours, int8", f"{ours['cosine']:.4f}, {small['cosine']:.4f}"),
    ]


def growth() -> Rows:
    """Measure what 20 more documents cost in indexes of three sizes."""
    measured = {size: child("growth", size) for size in _SIZES}
    rows: Rows = [
        fact(
            f"20 documents more to {size:,}: indexed; a snapshot, once in so many batches; both per batch",
            f"{one['index'] * 1000:.1f} ms; {one['snapshot'] * 1000:.0f} ms, {one['batches']}; "
            f"{_both(one) * 1000:.1f} ms",
        )
        for size, one in measured.items()
    ]
    for less, more in pairwise(_SIZES):
        here, there, name = measured[less], measured[more], f"{more:,} against {less:,}"
        rows.append(at_most(f"index time of 20 more, {name}", there["index"] / here["index"], 10, " x"))
        rows.append(at_most(f"index and snapshot time of 20 more, {name}", _both(there) / _both(here), 10, " x"))
    rows.append(at_least("batches of 20 from one full rewrite to the next at 100,000", there["batches"], 100))
    return rows


def _both(measured: dict[str, float]) -> float:
    return measured["index"] + measured["snapshot"] / measured["batches"]


def memory() -> Rows:
    """Measure the memory of one more user."""
    return [at_most("memory of one more user with 1,000 documents", child("memory", 10, 1000)["bytes"] / 1e6, 3, " MB")]


def recovery() -> Rows:
    """Kill a process with 10,000 documents, the last 1,000 without a snapshot, and start again."""
    with tempfile.TemporaryDirectory() as folder:
        process = ended("fill", folder, 10_000)
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the process was not killed: {process.stderr[-2000:]}")
        measured = child("reopen", folder, 10_000)
    return [
        at_most("recovery after a kill with 10,000 documents, besides imports", measured["seconds"], 3, " s"),
        at_most("... documents missing then", measured["missing"], 0),
    ]


def peers() -> Rows:
    """Measure accepting and searching beside txtai itself, Chroma and Qdrant."""
    from benchmarks.txtai_peers import PEERS

    measured = {name: child("peer", name, 20) for name in PEERS}
    ours = measured["ours"]
    rows: Rows = []
    for name, one in measured.items():
        if "missing" in one:
            rows.append(fact(f"{name}: skipped", f"{one['missing']}: pip install --target DIR {name}; TXTAI_PEERS=DIR"))
            continue
        accept, searchable, search = (one[key] * 1000 for key in ("accept", "searchable", "search"))
        told = f"{accept:.2f} ms; {searchable:.2f} ms; {search:.2f} ms"
        rows.append(fact(f"{name}: 20 documents accepted at 1,000; searchable; one search", told))
        if one is not ours:
            ratios = "; ".join(f"{one[key] / ours[key]:.2f} x" for key in ("accept", "searchable", "search"))
            rows.append(fact(f"... time against ours, above 1 is slower than we are ({name})", ratios))
    return rows


GROUPS: Final[dict[str, Callable[[], Rows]]] = {
    one.__name__: one for one in (kills, accept, mix, stall, encoding, growth, memory, recovery, peers)
}


def main() -> int:
    """Print the table; return 1 if a goal was missed."""
    chosen = sys.argv[1:] or list(GROUPS)
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        print(f"no group {unknown[0]!r}; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    rows: Rows = [("measure", "measured", "goal", "held")]
    for name in chosen:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        rows += GROUPS[name]()
    print(f"CPython {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors\n")
    print(table(rows))
    return int(any(row[-1] == "NO" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
