"""Measurements of a model in a process of its own, by other means than our own: wait4, optimum-benchmark, llama.cpp.

python -m benchmarks.models_child plain|tracked CARRIER PRECISION DIRECTORY REPETITIONS
python -m benchmarks.models_child llama FILE PROMPT_TOKENS NEW_TOKENS REPETITIONS THREADS
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

__all__ = ["kernel_peak", "llama", "tracked_peak"]

_ROOT: Final = Path(__file__).parents[1]
_PATIENCE: Final = 3600.0
_LAUNCHER: Final = (
    "import os, sys\n"
    "pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n"
    "_, status, usage = os.wait4(pid, 0)\n"
    "print(usage.ru_maxrss * 1024)\n"
    "sys.exit(os.waitstatus_to_exitcode(status) != 0)\n"
)
"""A parent of 8 MB: the child of a large one would begin with its parent's peak."""


def kernel_peak(*arguments: object) -> int:
    """Return the peak of a child as wait4 tells it, in bytes. Nothing of ours measures in it."""
    done = _run([sys.executable, "-S", "-E", "-c", _LAUNCHER, *_command(*arguments)])
    return int(done.stdout.splitlines()[-1])


def tracked_peak(*arguments: object) -> tuple[int, int]:
    """Return the peak of a child as optimum-benchmark's tracker tells it, and as wait4 does, in bytes."""
    done = _run([sys.executable, "-S", "-E", "-c", _LAUNCHER, *_command("tracked", *arguments)])
    *_, told, peak = done.stdout.splitlines()
    return int(told), int(peak)


def llama(*arguments: object) -> dict[str, Any]:
    """Return what llama.cpp measures of itself, and the kernel's peak."""
    done = _run([sys.executable, "-S", "-E", "-c", _LAUNCHER, *_command("llama", *arguments)])
    *_, told, peak = done.stdout.splitlines()
    measured: dict[str, Any] = json.loads(told)
    return measured | {"peak": int(peak)}


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.models_child", *map(str, arguments)]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "checks")]),
    }
    done = subprocess.run(  # noqa: S603 - our own modules
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[-6:]} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done


def _plain(carrier: str, precision: str, directory: str, repetitions: str) -> None:
    _work(carrier, precision, directory, repetitions)
    sys.stdout.flush()
    os._exit(0)


def _tracked(carrier: str, precision: str, directory: str, repetitions: str) -> None:
    # The tracker's own file, without the rest of its package, which needs half of a data scientist's libraries.
    root = Path(os.environ["MODELS_PEERS"]) / "optimum_benchmark"
    for name, place in (("optimum_benchmark", root), ("optimum_benchmark.trackers", root / "trackers")):
        package = sys.modules[name] = ModuleType(name)
        package.__path__, package.__spec__ = [str(place)], ModuleSpec(name, None, is_package=True)
    tracker = import_module("optimum_benchmark.trackers.memory").MemoryTracker("cpu", "pytorch")
    with tracker.track():
        _work(carrier, precision, directory, repetitions)
    print(round(tracker.get_max_memory().max_ram * 1e6), flush=True)
    os._exit(0)


def _work(carrier: str, precision: str, directory: str, repetitions: str) -> None:
    from alwrity_checks.models.bench_carrier import Carrier
    from alwrity_checks.models.bench_figures import Case, Workload
    from alwrity_checks.models.bench_subjects import subject
    from alwrity_checks.models.steps import Precision

    model = subject(Case("model", Carrier(carrier), Precision(precision)), Path(directory), Workload())
    model.imports()
    model.load()
    for _ in range(int(repetitions)):
        model.answer()


def _llama(path: str, prompt_tokens: str, new_tokens: str, repetitions: str, threads: str) -> None:
    sys.path.insert(0, os.environ["MODELS_PEERS"])
    import xllamacpp  # type: ignore[import-not-found] # from MODELS_PEERS

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = int(prompt_tokens) + int(new_tokens) + 8
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = int(threads)
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    rounds = []
    for number in range(int(repetitions) + 1):
        told = server.handle_completions(
            {
                # Another beginning each time: nothing of the last prompt can be used again.
                "prompt": [100 + number + token for token in range(int(prompt_tokens))],
                "n_predict": int(new_tokens),
                "temperature": 0,
                "ignore_eos": True,
                "cache_prompt": False,
            }
        )
        rounds.append((told if isinstance(told, dict) else json.loads(told))["timings"])
    print(json.dumps({"rounds": rounds}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    measurements: dict[str, Callable[..., None]] = {"plain": _plain, "tracked": _tracked, "llama": _llama}
    measurements[sys.argv[1]](*sys.argv[2:])
