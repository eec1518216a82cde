"""The child in which a machine is measured: what a runtime takes for itself, and how fast memory and processor are.

    python -m alwrity_checks.models.machine_probe '{"runtime": "transformers", "directory": "…", "precision": "…"}'

The peak of a model that weighs next to nothing is the runtime's own floor. It is read before anything else is measured
here, in a process that has never been anything else.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from alwrity_checks.models.measuring import BUSY, Meter, memory_of
from alwrity_checks.models.processor import usable_threads
from alwrity_checks.models.steps import Precision, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["floor", "product_rates", "read_bandwidth", "speeds"]

_PROMPT: Final = 16
_ANSWER: Final = 4
_BANDWIDTH_SECONDS: Final = 0.3
_PASSES: Final = 3
_RATE_SECONDS: Final = 0.1
_ATTEMPTS: Final = 4
_BUFFER: Final = 256 << 20
"""Bytes, all threads together: several times the caches of a laptop's processor."""
_ROWS, _COLUMNS, _INNER = 128, 4096, 1024
"""A projection of a small model, with a prompt of 128 tokens."""


def floor(runtime: Runtime, directory: Path, precision: Precision) -> dict[str, int]:
    """Return what a runtime takes in this process for the tiny model in `directory`, in bytes.

    `peak` of resident memory, `unreclaimable` of it now, `address_space` at its peak.
    """
    from alwrity_checks.models.runtimes.table import LOADERS

    model = LOADERS[runtime].load(directory, precision, context=_PROMPT + _ANSWER)
    session = model.session()
    session.advance(list(range(_PROMPT)))
    for token in range(_ANSWER):
        session.advance([token])
    memory = memory_of()
    session.close()
    model.close()
    peak = memory.peak or memory.resident or 0
    return {
        "peak": peak,
        "unreclaimable": peak if memory.anonymous is None else memory.anonymous,
        "address_space": max(peak, _address_space()),
    }


def read_bandwidth(seconds: float = _BANDWIDTH_SECONDS, size: int = _BUFFER) -> float:
    """Return how many bytes a second all threads together read from memory: the best of several rounds.

    A round counts what all of them read until the last one is done; other work on the machine only lowers it.
    """
    import numpy as np

    threads = usable_threads()
    blocks = [np.ones(size // threads // 4, dtype=np.float32) for _ in range(threads)]
    read = sum(block.nbytes for block in blocks) * _PASSES

    def passes(block: NDArray[np.float32]) -> None:
        for _ in range(_PASSES):
            block.max()

    best, end = 0.0, time.perf_counter() + seconds
    with ThreadPoolExecutor(threads) as readers:
        list(readers.map(passes, blocks))
        while best == 0.0 or time.perf_counter() < end:
            began = time.perf_counter()
            list(readers.map(passes, blocks))
            best = max(best, read / (time.perf_counter() - began))
    return best


def product_rates(seconds: float = _RATE_SECONDS) -> dict[Precision, float]:
    """Return the operations a second of torch's linear layer in each precision: the best of what fits into `seconds`.

    Of the layer and not of a bare product: without native bfloat16 the one is twenty times as fast as the other.
    """
    import torch

    rates = {}
    for precision in (Precision.FLOAT32, Precision.BFLOAT16, Precision.FLOAT16):
        kind = getattr(torch, precision.value)
        rows, weight = torch.ones(_ROWS, _INNER, dtype=kind), torch.ones(_COLUMNS, _INNER, dtype=kind)
        with torch.inference_mode():
            fastest = _fastest(lambda: torch.nn.functional.linear(rows, weight), seconds)  # noqa: B023 - called at once
        rates[precision] = 2 * _ROWS * _COLUMNS * _INNER / fastest
    return rates


def speeds(runtime: Runtime) -> dict[str, Any]:
    """Return `bandwidth`, `flops` by precision where there is torch, and `wait`, the part of the time spent waiting.

    On a machine that has other work it tries again, and the best of each counts.
    """
    bandwidth, flops, meter = 0.0, dict[Precision, float](), Meter()
    for _ in range(_ATTEMPTS):
        with meter.phase("speed"):
            bandwidth = max(bandwidth, read_bandwidth())
            for precision, rate in (product_rates() if runtime is Runtime.TRANSFORMERS else {}).items():
                flops[precision] = max(rate, flops.get(precision, 0.0))
        wait = meter.usages[-1].wait_share
        if wait is None or wait < BUSY:
            break
    return {"bandwidth": bandwidth, "flops": flops, "wait": wait}


def _fastest(call: Callable[[], object], seconds: float) -> float:
    call()
    end = time.perf_counter() + seconds
    fastest = float("inf")
    while (began := time.perf_counter()) < end or fastest == float("inf"):
        call()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest


def _address_space() -> int:
    try:
        found = re.search(r"^VmPeak:\s+(\d+) kB$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _main(order: str) -> NoReturn:
    asked = json.loads(order)
    answer: dict[str, Any] = {}
    try:
        runtime = Runtime(asked["runtime"])
        answer["floor"] = floor(runtime, Path(asked["directory"]), Precision(asked["precision"]))
        if asked.get("speeds", True):
            answer |= speeds(runtime)
    except Exception as error:  # noqa: BLE001 - whatever a library raises is an answer: it cannot be measured
        answer["error"] = f"{type(error).__name__}: {error}"[:300]
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    sys.stdout.flush()
    # A runtime's threads have been seen to hang at the interpreter's end.
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1])
