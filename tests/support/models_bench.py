"""Bench results made by hand, and children that behave in ways a real one rarely does."""

from __future__ import annotations

import json
import sys
from typing import Any

from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import (
    IMPORTS,
    LOAD,
    MEASURED,
    Answer,
    Bench,
    Case,
    Mark,
    Result,
    Sample,
    Surroundings,
    Workload,
)
from alwrity_checks.models.measuring import Memory, Usage
from alwrity_checks.models.steps import Precision

MEBI = 1 << 20


def usage(phase: str, peak: int, *, resident: int = 0, anonymous: int = 0, wait: float | None = 0.01) -> Usage:
    """Return a phase of a second with a peak in MiB."""
    after = Memory(resident * MEBI, anonymous * MEBI, (resident - anonymous) * MEBI, 0, peak * MEBI)
    return Usage(phase, 1.0, 1.5, wait, peak * MEBI, True, after, resident * MEBI)


def result(
    model: str = "owner/model",
    carrier: Carrier = Carrier.TRANSFORMERS,
    precision: Precision = Precision.BFLOAT16,
    **changes: Any,  # noqa: ANN401 - any field
) -> Result:
    """Return a result of 1,500 MiB, 400 of them anonymous, 2 s to the first token and 10 tokens per second."""
    figures: dict[str, Any] = {
        "usages": (
            usage(IMPORTS, 250, resident=250, anonymous=150),
            usage(LOAD, 500, resident=480, anonymous=300),
            usage(MEASURED, 1500, resident=1400, anonymous=390),
        ),
        "first": Answer(128, 11, 4.0, 1.0),
        "answers": (Answer(128, 11, 2.0, 1.0), Answer(128, 11, 1.9, 0.5), Answer(128, 11, 2.1, 1.25)),
        "libraries": {"torch": "2.13.0"},
        "samples": (Sample(0.0, 100 * MEBI, 50 * MEBI), Sample(1.0, 500 * MEBI, 400 * MEBI), Sample(2.0, 1400 * MEBI)),
        "marks": (Mark(0.0, IMPORTS), Mark(0.5, LOAD), Mark(1.0, MEASURED)),
        "read_per_token": 1_000_000_000,
    }
    return Result(case=Case(model, carrier, precision), **(figures | changes))


def bench(*results: Result, **changes: Any) -> Bench:  # noqa: ANN401 - any field
    """Return a run on a machine of 20 GB/s."""
    figures: dict[str, Any] = {
        "version": "0.1.0",
        "started": "2026-01-02T03:04:05+00:00",
        "synthetic": False,
        "workload": Workload(),
        "surroundings": Surroundings("x86_64/a processor", 2, 8 << 30, "Linux 6.1", 20e9),
    }
    return Bench(results=results, **(figures | changes))


def child(script: str) -> tuple[str, ...]:
    """Return the command of a child that takes its order, and then does what `script` says; `tell` tells an event."""
    opening = (
        "import json, os, signal, sys, time\n"
        "order = json.loads(sys.stdin.readline())\n"
        "def tell(event, value):\n"
        "    print(json.dumps({'event': event, 'value': value}), flush=True)\n"
    )
    return (sys.executable, "-c", opening + script)


def told_usage(phase: str) -> str:
    """Return the text of a usage's event, for a child's script."""
    after = {"resident": 1, "anonymous": 1, "file_backed": 0, "shared": 0, "peak": 2}
    value = {
        "phase": phase,
        "seconds": 0.1,
        "cpu_seconds": 0.1,
        "wait_share": 0.0,
        "peak_rss": 2,
        "peak_is_own": True,
        "after": after,
        "proportional": 1,
    }
    return f"tell('usage', json.loads({json.dumps(value)!r}))\n"
