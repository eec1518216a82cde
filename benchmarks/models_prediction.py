"""`python -m benchmarks.models_prediction`: predicted against measured peaks, with hf-mem and accelerate beside it.

Every case runs in a fresh child, whose peak is the kernel's own (VmHWM). The checkpoints have the exact shapes of the
published ones and random weights. hf-mem is no dependency: MODELS_PEERS names a directory that was made by
`pip install --target DIR hf-mem`; it is asked for the same model on a hub of this machine. MODELS_SYNTHETIC names a
directory in which checkpoints are kept between runs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from alwrity_checks.models.steps import Precision, Runtime, Step
from benchmarks.measure import at_least, at_most, fact, table

if TYPE_CHECKING:
    from alwrity_checks.models.facts import ModelFacts
    from alwrity_checks.models.machine import Machine

Rows: TypeAlias = list[tuple[str, ...]]

MODELS: Final = ("Qwen/Qwen2.5-0.5B-Instruct", "TinyLlama/TinyLlama-1.1B-Chat-v1.0")
WAYS: Final = (
    (Runtime.TRANSFORMERS, Precision.BFLOAT16),
    (Runtime.TRANSFORMERS, Precision.FLOAT32),
    (Runtime.ONNX, Precision.INT4),
)
PROMPTS: Final = (128, 1024)
ANSWER: Final = 16
_PATIENCE: Final = 900.0
_MEBI: Final = 1 << 20


def rows() -> Rows:
    """Measure every case, and what the two estimators say of it."""
    from alwrity_checks.models.machine import this_machine

    found: Rows = []
    machine = this_machine(measure=True)
    errors: dict[Runtime, list[float]] = {runtime: [] for runtime in Runtime}
    peers: dict[str, list[float]] = {}
    with _checkpoints() as directories:
        for model, directory in directories.items():
            accelerate = _accelerate(directory)
            for runtime, precision in WAYS:
                for prompt in PROMPTS:
                    case = _case(directory, Step(model, runtime, precision), prompt, machine)
                    errors[runtime].append(abs(case["error"]))
                    found.append(_row(case))
                    if runtime is Runtime.TRANSFORMERS:
                        told = {
                            "hf-mem": _hf_mem(model, directory, prompt + ANSWER),
                            "accelerate": accelerate[precision],
                        }
                        for name, estimate in told.items():
                            if estimate is not None:
                                peers.setdefault(name, []).append(abs(estimate / case["measured"] - 1))
    ours = errors[Runtime.TRANSFORMERS]
    found.append(at_most("predicted peak memory, worst of 8 cases in transformers: off by", max(ours) * 100, 5, " %"))
    found.append(
        at_most("... in onnxruntime-genai int4, worst of 4: off by", max(errors[Runtime.ONNX]) * 100, 10, " %")
    )
    for name in ("hf-mem", "accelerate"):
        if name not in peers:
            found.append(fact(name, "not measured: MODELS_PEERS names no directory with it"))
            continue
        found.append(
            fact(f"... {name}: median, worst", f"{statistics.median(peers[name]):.0%}, {max(peers[name]):.0%}")
        )
        nearer = sum(mine < its for mine, its in zip(ours, peers[name], strict=True))
        found.append(at_least(f"... cases of 8 in which we are nearer than {name}", nearer, len(ours)))
    return found + _bytes_read()


def _case(directory: Path, step: Step, prompt: int, machine: Machine) -> dict[str, Any]:
    from alwrity_checks.models.facts import find_facts
    from alwrity_checks.models.prediction import predict

    context = prompt + ANSWER
    predicted = predict(
        _as_published(find_facts(str(directory), hub=None)), step, machine, context=context, prompt=prompt
    )
    measured = _measured(directory, step, prompt)
    return {
        "step": step,
        "prompt": prompt,
        "measured": measured["peak"],
        "error": predicted.peak_rss / measured["peak"] - 1,
        "anonymous": predicted.anonymous / measured["anonymous"] - 1,
        "predicted": predicted,
        "first": measured["first"],
        "rate": measured["rate"],
    }


def _as_published(facts: ModelFacts) -> ModelFacts:
    """Return the facts as they would be before anything is converted: so is what int4 takes predicted."""
    from dataclasses import replace

    return replace(facts, converted_bytes=None)


def _row(case: dict[str, Any]) -> tuple[str, ...]:
    step, predicted = case["step"], case["predicted"]
    return fact(
        f"{step.model.split('/')[1]} {step.precision}, prompt {case['prompt']}",
        f"peak {predicted.peak_rss / _MEBI:,.0f} for {case['measured'] / _MEBI:,.0f} MiB ({case['error']:+.1%}; "
        f"anonymous {case['anonymous']:+.1%}); first token {predicted.time_to_first_token:.2g} for "
        f"{case['first']:.2g} s; {predicted.tokens_per_second:.3g} for {case['rate']:.3g} tokens/s",
    )


def _measured(directory: Path, step: Step, prompt: int) -> dict[str, float]:
    if step.runtime is Runtime.ONNX:
        from alwrity_checks.models.conversion import convert

        directory = convert(directory, cache=directory.parent / "converted")
    return _child("load", str(directory), step.runtime, step.precision, str(prompt))


def _child(*arguments: str) -> dict[str, float]:
    ended = subprocess.run(  # noqa: S603 - this very module
        [sys.executable, "-m", "benchmarks.models_prediction", *arguments],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    if ended.returncode:
        raise RuntimeError(f"the child for {arguments} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def _load(directory: str, runtime: str, precision: str, prompt: str) -> None:
    """Load, take a prompt, write an answer, and tell the peak: this is the child."""
    import random

    from alwrity_checks.models.measuring import Meter
    from alwrity_checks.models.runtimes.table import LOADERS

    chance = random.Random(1)  # noqa: S311 - tokens, not secrets
    length, meter = int(prompt), Meter()
    with meter.phase("load"):
        model = LOADERS[Runtime(runtime)].load(Path(directory), Precision(precision), context=length + ANSWER)
    session = model.session()
    tokens = [chance.randrange(min(model.vocabulary, 30_000)) for _ in range(length)]
    with meter.phase("prefill"):
        logits = session.advance(tokens)
    with meter.phase("decode"):
        for _ in range(ANSWER - 1):
            logits = session.advance([int(logits.argmax())])
    load, prefill, decode = meter.usages
    # What of a peak was mapped cannot be told apart at the peak itself; while answering it only grows.
    told = {
        "peak": meter.peak_rss,
        "anonymous": max(
            load.after.anonymous or 0,
            *((one.peak_rss or 0) - (one.after.file_backed or 0) for one in (prefill, decode)),
        ),
        "first": prefill.seconds,
        "rate": (ANSWER - 1) / decode.seconds,
    }
    print(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)


def _bytes_read() -> Rows:
    """Measure what is read from a hub to plan with a model: of one file, and of three shards."""
    from alwrity_checks.models.facts import find_facts
    from alwrity_checks.models.hub import Hub
    from alwrity_checks.models.loopback_hub import LoopbackHub

    found: Rows = []
    with (
        _checkpoints() as directories,
        tempfile.TemporaryDirectory() as cache,
        LoopbackHub(directories) as server,
        Hub(server.endpoint) as hub,
    ):
        for model in directories:
            facts = find_facts(model, hub=hub, cache=Path(cache))
            if facts.origin != "hub" or not facts.weights.exact:
                raise RuntimeError(f"the hub was not read for {model}")
            name = f"bytes read from the hub to plan {model.split('/')[1]}"
            found.append(at_most(name, facts.bytes_read / 1000, 200, " kB"))
    return found


def _accelerate(directory: Path) -> dict[Precision, float]:
    """Return what `accelerate estimate-memory` says that inference takes, by precision."""
    import torch
    from accelerate.utils import calculate_maximum_sizes  # type: ignore[import-untyped]
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory), dtype=torch.float32)
    total, _ = calculate_maximum_sizes(model)
    return {Precision.FLOAT32: float(total), Precision.BFLOAT16: total / 2}


_HF_MEM: Final = """
import asyncio, json, sys
import httpx2
from hf_mem.run import arun

model, endpoint, length = sys.argv[1:]
get = httpx2.AsyncClient.get


def redirected(self, url, **others):
    # The hub's address is part of its code.
    return get(self, str(url).replace("https://huggingface.co", endpoint), **others)


httpx2.AsyncClient.get = redirected
found = asyncio.run(arun(model, experimental=True, max_model_len=int(length)))
print(json.dumps({"memory": found.total_memory}))
"""


def _hf_mem(model: str, directory: Path, context: int) -> float | None:
    """Return what hf-mem says of a checkpoint with its keys and values; it knows the stored precision alone."""
    peers = os.environ.get("MODELS_PEERS")
    if not peers or not (Path(peers) / "hf_mem").is_dir():
        return None
    from alwrity_checks.models.loopback_hub import LoopbackHub

    with LoopbackHub({model: directory}) as server, tempfile.TemporaryDirectory() as home:
        ended = subprocess.run(  # noqa: S603 - the peer
            [sys.executable, "-c", _HF_MEM, model, server.endpoint, str(context)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | {"PYTHONPATH": peers, "HF_HOME": home},
        )
    if ended.returncode:
        raise RuntimeError(f"hf-mem said nothing of {model}: {ended.stderr[-1500:]}")
    return float(json.loads(ended.stdout.strip().splitlines()[-1])["memory"])


@contextmanager
def _checkpoints() -> Iterator[dict[str, Path]]:
    """Yield the directories of the models, written now or before."""
    from alwrity_checks.models.synthetic import write_checkpoint

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(os.environ.get("MODELS_SYNTHETIC") or scratch)
        yield {model: write_checkpoint(folder / model.replace("/", "--"), model) for model in MODELS}


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        _load(*sys.argv[2:])
    print(table([("measure", "found", "goal", "met"), *rows()]))
