"""`make bench-models`: local models, their plan and their start beside their peers, in one run. Ratios count.

`python -m benchmarks.models NAME...` measures the named groups only: see GROUPS. Checkpoints have the exact shapes of
the published ones and random weights; MODELS_SYNTHETIC names a directory in which they, and what is made of them, are
kept between runs (8 GB). Peers are no dependencies: MODELS_PEERS names a directory that was made by
`pip install --target DIR --no-deps xllamacpp gguf optimum-benchmark` and `pip install --target DIR hf-mem`.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from alwrity_checks.models.bench import run_case
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import Bench, Case, Result, Workload
from alwrity_checks.models.bench_limit import bandwidth
from alwrity_checks.models.bench_run import Source, find_source, run_bench
from alwrity_checks.models.conversion import convert
from alwrity_checks.models.processor import claims_bfloat16, usable_threads
from alwrity_checks.models.steps import Precision
from benchmarks import models_generation, models_prediction, models_startup
from benchmarks.measure import at_least, at_most, fact, table
from benchmarks.models_child import kernel_peak, llama, tracked_peak

if TYPE_CHECKING:
    from alwrity_checks.models.bench_figures import Spread

Rows: TypeAlias = list[tuple[str, ...]]

_SMALL: Final = "Qwen/Qwen2.5-0.5B-Instruct"
_DEFAULT: Final = "Qwen/Qwen2.5-1.5B-Instruct"
"""The catalogue's."""
_WORKLOAD: Final = Workload(prompt_tokens=128, new_tokens=32, repetitions=3, warmup=1)
_WITHOUT_BFLOAT16: Final = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
"""What makes torch and oneDNN calculate as on a laptop's processor, which has AVX2 and no instructions for bfloat16."""
_MEBI: Final = 1 << 20


@cache
def _folder() -> Path:
    named = os.environ.get("MODELS_SYNTHETIC")
    return Path(named) if named else Path(tempfile.gettempdir()) / "alwrity-doctor-bench-models"


@cache
def _source(model: str) -> Source:
    return find_source(model, synthetic=_folder())


def _case(model: str, carrier: Carrier, precision: Precision) -> tuple[Case, Source]:
    return Case(model, carrier, precision), _source(model)


def _measured(*cases: tuple[Case, Source], workload: Workload = _WORKLOAD) -> Bench:
    bench = run_bench(cases, workload, version="0", synthetic=True, conversions=_folder() / "onnx")
    for result in bench.results:
        if result.failure is not None:
            raise RuntimeError(f"{result.case}: {result.failure.diagnosis}")
    return bench


def kernel() -> Rows:
    """Compare the bench's peak, put together from phases, with what wait4 tells of a process that measures nothing."""
    rows: Rows = []
    for carrier, precision in (
        (Carrier.TRANSFORMERS, Precision.BFLOAT16),
        (Carrier.TRANSFORMERS, Precision.FLOAT32),
        (Carrier.ONNX, Precision.INT4),
    ):
        case, source = _case(_SMALL, carrier, precision)
        directory = convert(source.directory, cache=_folder() / "onnx") if carrier is Carrier.ONNX else source.directory
        pairs = []
        for _ in range(3):
            told = run_case(case, directory, Workload(repetitions=1, warmup=1)).peak_rss or 0
            pairs.append((told, kernel_peak("plain", carrier, precision, directory, 2)))
        ours, theirs = (statistics.median(one[part] for one in pairs) for part in (0, 1))
        rows.append(
            at_most(
                f"peak of {case} against the kernel's own figure, difference", abs(ours / theirs - 1) * 100, 1, " %"
            )
        )
        rows.append(fact("... ours, the kernel's", f"{ours / _MEBI:,.1f} MiB, {theirs / _MEBI:,.1f} MiB"))
        rows.append(_tracker(carrier, precision, directory))
    return rows


def _tracker(carrier: Carrier, precision: Precision, directory: Path) -> tuple[str, ...]:
    """Return how far off optimum-benchmark's memory tracker is for the same work."""
    named = os.environ.get("MODELS_PEERS", "")
    if not named or not Path(named, "optimum_benchmark").is_dir():
        return fact("... optimum-benchmark's tracker: skipped", "pip install --target DIR --no-deps optimum-benchmark")
    pairs = [tracked_peak(carrier, precision, directory, 2) for _ in range(3)]
    told, peak = (statistics.median(one[part] for one in pairs) for part in (0, 1))
    return fact("... optimum-benchmark's tracker against the kernel's", f"{(told / peak - 1) * 100:+.1f} %")


def runtimes() -> Rows:
    """Compare the runtime that a plan chooses with the catalogue's default, 1.5B as txtai loads it."""
    default = _case(_DEFAULT, Carrier.TXTAI, Precision.BFLOAT16)
    same = _case(_DEFAULT, Carrier.ONNX, Precision.INT4)
    small = _case(_SMALL, Carrier.ONNX, Precision.INT4)
    bench = _measured(default, same, small)
    txtai, ours, half = bench.results
    rows: Rows = [_told(one) for one in bench.results]
    rows += _against(txtai, ours, "1.5B in int4 against the default", (0.5, 0.2, 4))
    rows += _against(txtai, half, "0.5B in int4 against the default", (0.2, 0.1, 10))
    if claims_bfloat16():
        # Most laptops have no instructions for bfloat16, and there the default's first token is another matter.
        told = run_case(*_placed(default), _WORKLOAD, environment=_WITHOUT_BFLOAT16)
        rows.append(_told(told, " with AVX2 alone"))
        rows += _against(told, ours, "1.5B in int4 against the default with AVX2 alone", None)
        rows += _against(told, half, "0.5B in int4 against the default with AVX2 alone", None)
    rows += _fractions(bench)
    return rows


def _placed(case: tuple[Case, Source]) -> tuple[Case, Path]:
    return case[0], case[1].directory


def _told(result: Result, where: str = "") -> tuple[str, ...]:
    wait = "" if result.wait_share is None else f"; waiting {result.wait_share:.0%}"
    first, decode = _median(result.time_to_first_token), _median(result.decode)
    peak = (result.peak_rss or 0) / _MEBI
    return fact(f"{result.case}{where}", f"{peak:,.0f} MiB; first token {first:.2f} s; {decode:.1f} tokens/s{wait}")


def _against(theirs: Result, ours: Result, name: str, goals: tuple[float, float, float] | None) -> Rows:
    memory = (ours.peak_rss or 0) / (theirs.peak_rss or 1)
    first = _median(ours.time_to_first_token) / _median(theirs.time_to_first_token)
    speed = _median(ours.decode) / _median(theirs.decode)
    if goals is None:
        return [fact(name, f"{memory:.2f} x the peak; {first:.2f} x the first token; {speed:.1f} x the tokens/s")]
    return [
        at_most(f"{name}: peak memory", memory, goals[0], " x"),
        _timed(at_most("... first token", first, goals[1], " x"), theirs, ours),
        _timed(at_least("... tokens per second", speed, goals[2], " x"), theirs, ours),
    ]


def _timed(row: tuple[str, ...], *results: Result) -> tuple[str, ...]:
    """Return the row of a time, which is no verdict where the machine was busy with something else."""
    return (*row[:-1], "busy") if any(one.busy for one in results) else row


def _fractions(bench: Bench) -> Rows:
    rates = ", ".join(f"{(one.bandwidth or 0) / 1e9:.1f}" for one in bench.results)
    reached = {str(one.case): bench.fraction(one) or 0.0 for one in bench.results}
    best = max(reached, key=lambda name: reached[name])
    return [
        fact("memory bandwidth after each case", f"{rates} GB/s"),
        _timed(
            at_least(f"fraction of the bandwidth's limit in decoding, best runtime ({best})", reached[best], 0.6),
            *bench.results,
        ),
        fact("... of each", ", ".join(f"{name} {value:.2f}" for name, value in reached.items())),
    ]


def peers() -> Rows:
    """Measure llama.cpp on the same checkpoints."""
    if not (named := os.environ.get("MODELS_PEERS")):
        return [fact("llama.cpp: skipped", "pip install --target DIR --no-deps xllamacpp gguf; MODELS_PEERS=DIR")]
    with _importable(Path(named)):
        if missing := [name for name in ("xllamacpp", "gguf") if find_spec(name) is None]:
            return [fact("llama.cpp: skipped", f"MODELS_PEERS has no {missing[0]}")]
        from benchmarks.models_gguf import write_gguf

        rows: Rows = []
        for model in (_SMALL, _DEFAULT):
            for kind in ("Q8_0", "Q4_0"):
                target = _folder() / f"{model.rpartition('/')[2]}-{kind}.gguf"
                rows += _of_llama(write_gguf(_source(model).directory, target, kind))
        return rows


def _of_llama(path: Path) -> Rows:
    work = _WORKLOAD
    told = llama(path, work.prompt_tokens, work.new_tokens, work.repetitions, usable_threads())
    warm = told["rounds"][1:]
    first = statistics.median(one["prompt_ms"] for one in warm) / 1000
    rate = statistics.median(one["predicted_per_second"] for one in warm)
    limit = (bandwidth() or 0) / path.stat().st_size
    words = f"{told['peak'] / _MEBI:,.0f} MiB; first token {first:.2f} s; {rate:.1f} tokens/s; "
    return [fact(f"llama.cpp {path.stem}", words + (f"{rate / limit:.2f} of the limit" if limit else ""))]


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    sys.path.append(str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))


def _median(spread: Spread | None) -> float:
    return spread.median if spread is not None else float("nan")


def prediction() -> Rows:
    """Compare predicted with measured peaks, beside hf-mem and accelerate."""
    return list(models_prediction.rows())


def generation() -> Rows:
    """Count valid JSON from random weights, and measure what the mask costs."""
    return list(models_generation.rows(_source(_SMALL).directory))


def startup() -> Rows:
    """Measure when a server answers with a download ahead of it."""
    return list(models_startup.rows())


def loading() -> Rows:
    """Count the loads of four threads, and the tries of a failing model."""
    from benchmarks import models_loading

    return [
        (one.measure, f"{one.fixed} (the historical wrapper: {one.legacy})", one.wanted, "yes" if one.met else "NO")
        for one in models_loading.rows()
    ]


GROUPS: Final[dict[str, Callable[[], Rows]]] = {
    one.__name__: one for one in (prediction, kernel, runtimes, peers, generation, startup, loading)
}


def main() -> int:
    """Print the table; return 1 if a goal was missed, 3 if the machine was too busy to say."""
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
    verdicts = {row[-1] for row in rows}
    return 1 if "NO" in verdicts else 3 if "busy" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
