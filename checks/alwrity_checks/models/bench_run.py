"""A whole bench: what it is done to, what has to be made ready first, and the cases one after the other."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alwrity_checks.errors import DoctorError, MissingExtra
from alwrity_checks.models.bench import Stopped, run_case
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.bench_figures import Bench, Case, Download, Failure, Result, Surroundings, Workload
from alwrity_checks.models.bench_limit import bandwidth, read_per_token
from alwrity_checks.models.errors import LoadFailed, ModelError, ModelUnavailable
from alwrity_checks.models.processor import processor_name, usable_threads
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.redaction import scrub

__all__ = [
    "CONVERSION",
    "Source",
    "cases_of",
    "check_synthetic",
    "find_source",
    "pulled_source",
    "run_bench",
    "surroundings",
    "too_large",
]

CONVERSION: Final = "conversion"
"""The phase before the child: a checkpoint is converted to what a runtime reads."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model, and where its checkpoint is."""

    model: str
    directory: Path
    precision: Precision
    """Of the checkpoint."""
    download: Download | None = None
    """What it took to fetch it; None where it was here."""


def find_source(model: str, *, synthetic: Path | None, cache: Path | None = None) -> Source:
    """Return the checkpoint of a model: written into a directory below `synthetic`, or found on this machine.

    Blocks while a synthetic one is written. Raises ModelError: MODEL_NAME_INVALID, SETTING_INVALID, DISK_FULL, and
    HUB_OFFLINE or FILE_MISSING where the model is not here: a bench downloads nothing by itself.
    """
    from alwrity_checks.models.cache import cached_snapshot
    from alwrity_checks.models.roles import checked_name
    from alwrity_checks.models.synthetic import write_checkpoint
    from alwrity_checks.models.weights import weights_in

    if synthetic is not None:
        directory = write_checkpoint(synthetic / model.replace("/", "--"), model)
    else:
        named = checked_name(model)
        found = cached_snapshot(named, cache)
        if found is None and Path(named).is_absolute():
            raise LoadFailed(
                Reason.FILE_MISSING,
                f"{scrub(named):.200} holds no whole model: a configuration, a tokenizer and every file of the weights",
                "copy all of its files there, or name the model as the hub does",
            )
        if found is None:
            raise ModelUnavailable(
                Reason.HUB_OFFLINE,
                f"the model {scrub(model):.200} is not on this machine, or not whole, and a bench downloads nothing",
                f"alwrity-doctor models pull {scrub(model):.200}; or measure random weights of its shape: --synthetic",
            )
        directory = found
    if (directory / "genai_config.json").is_file():
        return Source(model, directory, Precision.INT4)
    return Source(model, directory, weights_in(directory).precision or Precision.FLOAT32)


def pulled_source(model: str, fetch: Callable[[str, Callable[[int, int], None]], Path], cache: Path) -> Source:
    """Return the checkpoint of a model, downloaded by `fetch` if it is not here; that it was is told, and how long.

    Blocks for as long as it takes. Raises ModelError, as `fetch` does.
    """
    from alwrity_checks.models.cache import cached_snapshot
    from alwrity_checks.models.roles import checked_name

    if Path(checked_name(model)).is_dir() or cached_snapshot(model, cache) is not None:
        return find_source(model, synthetic=None, cache=cache)
    total, began = 0, time.monotonic()

    def count(_done: int, size: int) -> None:
        nonlocal total
        total = size

    fetch(model, count)
    took = Download(time.monotonic() - began, total)
    return replace(find_source(model, synthetic=None, cache=cache), download=took)


def check_synthetic(model: str) -> None:
    """Raise ModelError where no language model's checkpoint of that name can be written."""
    from alwrity_checks.models.synthetic_models import SHAPES

    writable = [name for name, shape in SHAPES.items() if shape.model_type != "bert"]
    if model not in writable:
        raise ModelError(
            Reason.SETTING_INVALID,
            f"no language model {scrub(model)!r:.200} can be written with random weights",
            f"choose one of {', '.join(writable)}",
        )


def cases_of(source: Source, carriers: Sequence[Carrier], precisions: Sequence[Precision]) -> tuple[Case, ...]:
    """Return the cases of a model: each runtime in each precision that it can; by default in the checkpoint's own.

    onnxruntime-genai is int4 and nothing else, txtai takes the checkpoint as it is: they are left out where only
    other precisions are wanted. A directory that is converted already is for onnxruntime-genai alone.
    """
    cases = []
    converted = source.precision is Precision.INT4
    for carrier in carriers:
        if carrier is Carrier.ONNX:
            able: tuple[Precision, ...] = (Precision.INT4,)
        elif converted:
            able = ()
        elif carrier is Carrier.TXTAI:
            able = (source.precision,)
        else:
            able = tuple(one for one in precisions if one is not Precision.INT4) if precisions else (source.precision,)
        cases += [Case(source.model, carrier, one) for one in able if not precisions or one in precisions]
    return tuple(cases)


def surroundings() -> Surroundings:
    """Return the machine with its bandwidth as it is now. Blocks for two seconds."""
    import psutil

    return Surroundings(
        processor=processor_name(),
        threads=usable_threads(),
        memory=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}",
        bandwidth=bandwidth(),
    )


def run_bench(  # noqa: PLR0913 - what is measured, and who hears of it
    cases: Sequence[tuple[Case, Source]],
    workload: Workload,
    *,
    version: str,
    synthetic: bool = False,
    conversions: Path | None = None,
    anyway: bool = False,
    stop: threading.Event | None = None,
    notify: Callable[[str], None] | None = None,
    finished: Callable[[Result], None] | None = None,
) -> Bench:
    """Measure the cases one after the other; blocks for as long as that takes.

    `conversions` is where converted models are kept, None: in the user's cache. What is predicted not to fit into the
    memory is not tried, unless `anyway`. `finished` gets each result as it comes. What cannot be measured is a result
    with a failure. Raises Stopped when `stop` is set.
    """
    say = notify or (lambda _told: None)
    began = datetime.now(UTC)
    say("the memory's bandwidth")
    around = surroundings()
    results = []
    for case, source in cases:
        if stop is not None and stop.is_set():
            raise Stopped
        refused = None if anyway else too_large(case, source, workload)
        if refused is not None:
            result = Result(case, failure=refused)
        else:
            result = _one(case, source, workload, conversions, stop, say)
        results.append(result)
        if finished is not None:
            finished(result)
    return Bench(
        version=version,
        started=began.isoformat(timespec="seconds"),
        synthetic=synthetic,
        workload=workload,
        surroundings=around,
        results=tuple(results),
    )


def too_large(case: Case, source: Source, workload: Workload) -> Failure | None:
    """Return why a case is not tried: what is predicted for it is more than the memory that is there now, or None."""
    from alwrity_checks.models.machine import this_machine
    from alwrity_checks.models.plan import Fit, planned

    runtime = Runtime.ONNX if case.carrier is Carrier.ONNX else Runtime.TRANSFORMERS
    step = Step(str(source.directory), runtime, case.precision)
    context = workload.prompt_tokens + workload.new_tokens
    (row,) = planned([step], machine=this_machine(measure=False), hub=None, context=context).rows
    if row.fit is not Fit.TOO_LARGE:
        return None
    remedy = "; ".join(one for one in (row.remedy, "or try it all the same: --anyway") if one)
    return Failure(Reason.DOES_NOT_FIT, row.why, remedy, "")


def _one(  # noqa: PLR0913, PLR0917 - those of run_bench
    case: Case,
    source: Source,
    workload: Workload,
    conversions: Path | None,
    stop: threading.Event | None,
    say: Callable[[str], None],
) -> Result:
    directory, seconds = source.directory, None
    if case.carrier is Carrier.ONNX:
        from alwrity_checks.models.conversion import convert, converted

        say(f"{case}: {CONVERSION}")
        try:
            ready = converted(directory, cache=conversions)
            if ready is None:
                began = time.monotonic()
                ready = convert(directory, cache=conversions, stop=stop)
                seconds = time.monotonic() - began
        except DoctorError as error:
            if stop is not None and stop.is_set():
                raise Stopped from None
            return Result(case, failure=_failure(error))
        directory = ready
    result = run_case(case, directory, workload, stop=stop, notify=lambda phase: say(f"{case}: {phase}"))
    return replace(
        result,
        download=source.download,
        prepared_seconds=seconds,
        read_per_token=read_per_token(case.carrier, case.precision, directory),
        bandwidth=bandwidth() if result.answers else None,
    )


def _failure(error: DoctorError) -> Failure:
    reason = error.reason if isinstance(error, ModelError) else Reason.LOAD_FAILED
    if isinstance(error, MissingExtra):
        reason = Reason.EXTRA_MISSING
    return Failure(reason, scrub(error.diagnosis), scrub(error.remedy), CONVERSION)
