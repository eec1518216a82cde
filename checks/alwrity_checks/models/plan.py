"""Which step of a chain fits this machine, and why not the others; and to what it may fall back.

    from alwrity_checks.models.plan import parse_bytes, planned

    with Hub.from_environment() as hub:                                # or hub=None: nobody is asked
        found = planned(steps, machine=this_machine(measure=True), hub=hub, context=4096,
                        available=parse_bytes("8GiB"))                  # or None: what is there now
    for row in found.rows:
        print(row.step, row.fit, row.why, row.prediction and row.prediction.peak_rss)
    found.chosen, found.fallbacks

`plan` is the same without looking at anything: facts and machine come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.available import ADDRESS_SPACE
from alwrity_checks.models.bytes_text import parse_bytes
from alwrity_checks.models.decision import CLOSE, in_bytes
from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.prediction import PROMPT, Prediction, int4_bytes, predict
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Runtime, Step

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.models.facts import ModelFacts
    from alwrity_checks.models.hub import Hub
    from alwrity_checks.models.machine import Machine

__all__ = ["EXTRAS", "Fit", "Plan", "PlanRow", "lighter_chain", "parse_bytes", "plan", "planned"]

EXTRAS: Final[Mapping[Runtime, str]] = {Runtime.TRANSFORMERS: "models", Runtime.ONNX: "onnx"}
"""The extra that brings a runtime."""


class Fit(StrEnum):
    """What a step comes to on a machine."""

    FITS = "fits"
    TIGHT = "tight"
    """Fits with less than a seventh to spare: a first load is rehearsed in a child."""
    SLOWER = "slower"
    """Only what cannot be given back fits; the rest is the mapped file, read again and again. It is not chosen."""
    TOO_LARGE = "too large"
    NOT_INSTALLED = "not installed"
    UNKNOWN = "unknown"
    """Nothing could be found out of the model, or it cannot be had."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A step, and what it comes to."""

    step: Step
    fit: Fit
    why: str = ""
    """One sentence; empty where there is nothing to say."""
    remedy: str = ""
    reason: Reason | None = None
    """Why it cannot be used; None where it can."""
    facts: ModelFacts | None = None
    prediction: Prediction | None = None
    margin: int | None = None
    """Bytes that are left at the peak; negative where it does not fit."""
    download_bytes: int = 0
    """Still to be downloaded."""
    download_seconds: float | None = None
    """At the rate that was given; None where none was."""
    disk_bytes: int = 0
    """What it will take on the disk besides what is there: the download, and the converted copy."""
    conversion_peak: int = 0
    """Bytes of memory that converting it takes, once; 0 where nothing is converted."""

    @property
    def fits(self) -> bool:
        """Whether it can be loaded whole."""
        return self.fit in {Fit.FITS, Fit.TIGHT}

    @property
    def peak(self) -> int | None:
        """The predicted peak of resident memory; None where nothing could be predicted."""
        return None if self.prediction is None else self.prediction.peak_rss

    @property
    def free_to_use(self) -> bool:
        """Whether the licence lets a company use it, as far as it is known."""
        return self.facts is None or self.facts.commercial_use


@dataclass(frozen=True, slots=True)
class Plan:
    """What a chain comes to on a machine."""

    rows: tuple[PlanRow, ...]
    """In the order of preference."""
    chosen: Step | None
    """The first that fits; None: nothing does."""
    fallbacks: tuple[Step, ...]
    """What may follow the chosen one, each strictly lighter than the one before."""
    available: int
    """Bytes that were planned with."""
    limited_by: str
    """What limits them: `memory`, `cgroup /x`, `address space`, … or `as asked for`."""
    context: int
    assumed: frozenset[str] = frozenset()
    """Which of the machine's figures were assumed and not measured; see `Machine.assumed`."""
    busy: bool = False
    """The machine had other work while it was measured: speeds are told too low."""

    def row(self, step: Step) -> PlanRow | None:
        """Return the row of a step."""
        return next((row for row in self.rows if row.step == step), None)


def plan(  # noqa: PLR0913 - what a plan is made of
    steps: Sequence[Step],
    machine: Machine,
    facts: Mapping[str, ModelFacts | ModelError],
    *,
    available: int | None = None,
    context: int,
    prompt: int = PROMPT,
    download_rate: float | None = None,
) -> Plan:
    """Return what `steps`, in the order of preference, come to on `machine`. No I/O.

    `facts` gives by the model's name what is known of it, or why nothing is. `available` are bytes of memory to plan
    with instead of `machine.available`; `context` tokens, prompt and answer together; `prompt` tokens those of the time
    to the first token; `download_rate` bytes a second.

    Chosen is the first step that fits, whatever its licence: whoever put it there asked for it. A model whose licence
    does not let everybody use it is no fallback.
    """
    left = machine.available.bytes if available is None else available
    rows = [
        _priced(
            _row(step, machine, facts.get(step.model), left, context, prompt, asked=available is not None),
            download_rate,
        )
        for step in steps
    ]
    rows = [_compared(row, rows) for row in rows]
    chain = lighter_chain(rows)
    predictions = [row.prediction for row in rows if row.prediction is not None]
    return Plan(
        rows=tuple(rows),
        chosen=chain[0] if chain else None,
        fallbacks=chain[1:],
        available=left,
        limited_by=machine.available.limited_by if available is None else "as asked for",
        context=context,
        assumed=frozenset().union(*(one.assumed for one in predictions)),
        busy=machine.busy,
    )


def planned(  # noqa: PLR0913 - what a plan is made of
    steps: Sequence[Step],
    *,
    machine: Machine,
    hub: Hub | None,
    context: int,
    cache: Path | None = None,
    available: int | None = None,
    prompt: int = PROMPT,
    download_rate: float | None = None,
) -> Plan:
    """Return the same as `plan`, with facts looked for in directories, in the cache and at `hub` (None: not asked).

    Blocks; reads at most 200 kB from the hub for each model. A model of which nothing can be found out is a row that
    says why. Raises ValueError for a context of no tokens.
    """
    from alwrity_checks.models.facts import find_facts

    found: dict[str, ModelFacts | ModelError] = {}
    for model in dict.fromkeys(step.model for step in steps):
        try:
            found[model] = find_facts(model, hub=hub, cache=cache)
        except ModelError as error:
            found[model] = error
    return plan(steps, machine, found, available=available, context=context, prompt=prompt, download_rate=download_rate)


def lighter_chain(rows: Iterable[PlanRow]) -> tuple[Step, ...]:
    """Return the first of `rows` that fits, and what may follow it: each strictly lighter, by its predicted peak.

    Never upwards: what follows a step that ran out of memory has to need less.
    """
    fitting = [row for row in rows if row.fits and row.prediction is not None]
    usable = [row for number, row in enumerate(fitting) if row.free_to_use or number == 0]
    chain: list[Step] = []
    least: float = float("inf")
    for row in usable:
        if row.peak is not None and row.peak < least:
            chain.append(row.step)
            least = row.peak
    return tuple(chain)


def _row(  # noqa: PLR0913, PLR0917 - one step, seen from all sides
    step: Step,
    machine: Machine,
    facts: ModelFacts | ModelError | None,
    available: int,
    context: int,
    prompt: int,
    *,
    asked: bool,
) -> PlanRow:
    if facts is None or isinstance(facts, ModelError):
        told = ("nothing was looked up", "", None) if facts is None else (facts.diagnosis, facts.remedy, facts.reason)
        return PlanRow(step, Fit.UNKNOWN, *told)
    try:
        prediction = predict(facts, step, machine, context=context, prompt=prompt)
    except ModelError as error:
        return PlanRow(step, Fit.UNKNOWN, error.diagnosis, error.remedy, error.reason, facts)
    converted, disk = _conversion(step, facts)
    row = PlanRow(
        step,
        Fit.FITS,
        facts=facts,
        prediction=prediction,
        margin=available - prediction.peak_rss,
        download_bytes=facts.download_bytes,
        disk_bytes=facts.download_bytes + disk,
        conversion_peak=converted,
    )
    if step.runtime not in machine.installed:
        extra = EXTRAS[step.runtime]
        return replace(
            row,
            fit=Fit.NOT_INSTALLED,
            why=f"{step.runtime} is not installed: it comes with the extra [{extra}]",
            remedy=f'pip install "alwrity-doctor[{extra}]"',
            reason=Reason.EXTRA_MISSING,
        )
    return _judged(row, prediction, machine, available, asked=asked)


def _judged(row: PlanRow, prediction: Prediction, machine: Machine, available: int, *, asked: bool) -> PlanRow:
    """Say whether what a step needs is there."""
    free = "free memory, raise the limit, or choose a lighter step"
    peak = in_bytes(prediction.peak_rss)
    space = next((part.bytes for part in machine.available.parts if part.name == ADDRESS_SPACE), None)
    if prediction.peak_rss > available:
        return _too_large(row, prediction, available)
    if space is not None and not asked and prediction.address_space > space:
        why = f"takes {in_bytes(prediction.address_space)} of address space, of which {in_bytes(space)} are left"
        return replace(row, fit=Fit.TOO_LARGE, why=why, remedy="raise the limit: ulimit -v", reason=Reason.DOES_NOT_FIT)
    if row.conversion_peak > available:
        why = f"would fit with {peak}, but converting it takes {in_bytes(row.conversion_peak)} once"
        remedy = "convert it on a larger machine and copy the result, or name a directory that is converted already"
        return replace(row, fit=Fit.TOO_LARGE, why=why, remedy=remedy, reason=Reason.DOES_NOT_FIT)
    if row.disk_bytes > machine.disk_free:
        why = f"takes {in_bytes(row.disk_bytes)} of disk, of which {in_bytes(machine.disk_free)} are free"
        return replace(row, fit=Fit.TOO_LARGE, why=why, remedy="free some disk", reason=Reason.DISK_FULL)
    if prediction.peak_rss > CLOSE * available:
        why = f"needs {peak} of {in_bytes(available)}: the first load is rehearsed in a child process"
        return replace(row, fit=Fit.TIGHT, why=why, remedy=free)
    return row


def _too_large(row: PlanRow, prediction: Prediction, available: int) -> PlanRow:
    there = in_bytes(available)
    why = f"needs {in_bytes(prediction.peak_rss)}, and {there} are there"
    # Of steps that are loaded whole at once, what comes after is lighter than loading them.
    if prediction.loading_peak == prediction.peak_rss and prediction.steady_rss + prediction.kv <= available:
        why = f"needs {in_bytes(prediction.peak_rss)} while it loads, and {there} are there"
    fit = Fit.TOO_LARGE
    if prediction.anonymous <= available:
        fit = Fit.SLOWER
        why += (
            f"; {in_bytes(prediction.anonymous)} of it cannot be given back, the rest is the mapped file: it would be "
            "slower, and not killed"
        )
    remedy = "free memory, raise the limit, or choose a lighter step"
    return replace(row, fit=fit, why=why, remedy=remedy, reason=Reason.DOES_NOT_FIT)


def _conversion(step: Step, facts: ModelFacts) -> tuple[int, int]:
    """Return the bytes of memory and of disk that it takes to convert a model first; 0 where it need not be."""
    if step.runtime is not Runtime.ONNX or facts.converted_bytes is not None:
        return 0, 0
    from alwrity_checks.models.conversion import conversion_need

    memory, _ = conversion_need(facts.weights)
    return memory, int4_bytes(facts.shape)


def _priced(row: PlanRow, rate: float | None) -> PlanRow:
    return replace(row, download_seconds=row.download_bytes / rate) if rate and rate > 0 else row


def _compared(row: PlanRow, rows: Sequence[PlanRow]) -> PlanRow:
    """Say of a step that fits what speaks against it: its licence, or the same model slower and heavier."""
    if not row.fits or row.prediction is None or row.facts is None:
        return row
    against = [row.why] if row.why else []
    if not row.facts.commercial_use:
        against.append(f"its licence ({row.facts.licence}) forbids commercial use")
    better = next((one for one in rows if _outdoes(one, row)), None)
    if better is not None:
        against.append(f"slower and heavier than {better.step}")
    return replace(row, why="; ".join(against))


def _outdoes(one: PlanRow, other: PlanRow) -> bool:
    """Say whether `one` carries out the same model or a larger one, in less memory and faster."""
    if not one.fits or not one.free_to_use or one.prediction is None or other.prediction is None:
        return False
    if one.facts is None or other.facts is None or one.facts.shape.parameters < other.facts.shape.parameters:
        return False
    faster = (one.prediction.tokens_per_second or 0.0) > (other.prediction.tokens_per_second or 0.0)
    return faster and one.prediction.peak_rss < other.prediction.peak_rss
