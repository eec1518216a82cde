"""Measurements in a process of their own: whose memory, faults or end are the thing measured.

python -m benchmarks.txtai_child NAME [ARGUMENT]        prints one JSON object
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

__all__ = ["child", "ended"]

_PATIENCE: Final = 3600.0
_ROOT: Final = Path(__file__).parents[1]


def ended(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a measurement in a child, and return how that ended."""
    command = [sys.executable, "-X", "faulthandler", "-m", "benchmarks.txtai_child", name, *map(str, arguments)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.run(  # noqa: S603 - our own module
        command,
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )


def child(name: str, *arguments: object) -> dict[str, Any]:
    """Run a measurement in a child, and return what it measured. Raises RuntimeError where it fails."""
    process = ended(name, *arguments)
    if process.returncode:
        raise RuntimeError(f"{name} ended with {process.returncode}: {process.stderr.strip()[-2000:]}")
    measured: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Carry out the measurement that the arguments name."""
    from benchmarks import (
        txtai_accept,
        txtai_encoding,
        txtai_mix,
        txtai_peers,
        txtai_recovery,
        txtai_stall,
        txtai_store,
    )

    measurements: dict[str, Callable[..., dict[str, Any]]] = {
        "accept": txtai_accept.accept,
        "encoding": txtai_encoding.encoding,
        "fill": txtai_recovery.fill_and_die,
        "growth": txtai_store.growth,
        "memory": txtai_store.memory,
        "mix": txtai_mix.mix,
        "peer": txtai_peers.peer,
        "reopen": txtai_recovery.reopen,
        "stall": txtai_stall.stall,
    }
    print(json.dumps(measurements[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
