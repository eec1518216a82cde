"""A bench beside an earlier one: what became heavier or slower, and what else changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final

from alwrity_checks.models.bench_figures import LOAD, MEASURED, Bench, Result, Spread, Workload

__all__ = ["Comparison", "Difference", "Ratio", "compare"]

_MEMORY: Final = frozenset({"peak memory", "of it anonymous", "memory after load"})
"""Figures that stay comparable on another machine, near enough."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure, then and now."""

    figure: str
    then: float | None
    now: float | None

    @property
    def ratio(self) -> float | None:
        """Now by then; None where one of the two is missing."""
        return self.now / self.then if self.now is not None and self.then else None

    @property
    def of_memory(self) -> bool:
        """Whether it is a figure of memory; the others depend on the machine and its moment."""
        return self.figure in _MEMORY


@dataclass(frozen=True, slots=True)
class Difference:
    """One case beside what it was."""

    now: Result
    then: Result | None
    """None: it was not measured then."""
    ratios: tuple[Ratio, ...] = ()
    changes: tuple[str, ...] = ()
    """What else is different: the precision, the versions of libraries."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A bench beside its baseline."""

    same_machine: bool
    changes: tuple[str, ...]
    """What is different for all cases: the machine, the workload."""
    differences: tuple[Difference, ...]
    gone: tuple[Result, ...]
    """What was measured then and is not now."""


def compare(now: Bench, then: Bench) -> Comparison:
    """Compare case by case. A case is found again by model, runtime and precision, else by model and runtime."""
    left = list(then.results)
    pairs: list[tuple[Result, Result | None]] = []
    for exact in (True, False):
        for result in now.results:
            if any(one is result for one, _ in pairs):
                continue
            found = next((one for one in left if _alike(one, result, exact=exact)), None)
            if found is not None:
                left.remove(found)
                pairs.append((result, found))
    matched = {id(one): found for one, found in pairs}
    same = now.surroundings.same_machine(then.surroundings)
    return Comparison(
        same_machine=same,
        changes=tuple(_common_changes(now, then, same=same)),
        differences=tuple(_difference(one, matched.get(id(one))) for one in now.results),
        gone=tuple(left),
    )


def _alike(one: Result, other: Result, *, exact: bool) -> bool:
    a, b = one.case, other.case
    same = a.model == b.model and a.carrier is b.carrier
    return same and (not exact or a.precision is b.precision)


def _common_changes(now: Bench, then: Bench, *, same: bool) -> Iterator[str]:
    if not same:
        a, b = then.surroundings, now.surroundings
        yield (
            f"another machine: then {a.processor}, {a.threads} processors, {a.memory / (1 << 30):.0f} GiB, {a.system}; "
            f"now {b.processor}, {b.threads} processors, {b.memory / (1 << 30):.0f} GiB, {b.system}"
        )
    for field in fields(Workload):
        a_value, b_value = getattr(then.workload, field.name), getattr(now.workload, field.name)
        if a_value != b_value:
            yield f"{field.name.replace('_', ' ')}: {_told(a_value)} then, {_told(b_value)} now"
    if now.synthetic != then.synthetic:
        kinds = {True: "random weights", False: "real weights"}
        yield f"{kinds[then.synthetic]} then, {kinds[now.synthetic]} now"
    if now.version != then.version:
        yield f"alwrity-doctor {then.version} then, {now.version} now"


def _told(value: object) -> str:
    return "the runtime's choice" if value is None else str(value)


def _difference(now: Result, then: Result | None) -> Difference:
    if then is None:
        return Difference(now, None)
    return Difference(now, then, tuple(_ratios(now, then)), tuple(_changes(now, then)))


def _changes(now: Result, then: Result) -> Iterator[str]:
    if now.case.precision is not then.case.precision:
        yield f"{then.case.precision} then, {now.case.precision} now"
    for name in sorted({*now.libraries, *then.libraries}):
        a, b = then.libraries.get(name), now.libraries.get(name)
        if a != b:
            yield f"{name} {a or 'missing'} then, {b or 'missing'} now"
    for told, result in (("then", then), ("now", now)):
        if result.failure is not None:
            yield f"{told}: {result.failure.diagnosis}"
        if result.busy:
            yield f"{told} the machine was busy: times are not to be relied on"


def _ratios(now: Result, then: Result) -> Iterator[Ratio]:
    pair = (then, now)
    yield Ratio("peak memory", *_floats([one.peak_rss for one in pair]))
    yield Ratio("of it anonymous", *_floats([one.peak_anonymous for one in pair]))
    loaded = [one.after_load for one in pair]
    yield Ratio("memory after load", *_floats([None if one is None else one.resident for one in loaded]))
    yield Ratio("load time", *_floats([_seconds(one, LOAD) for one in pair]))
    yield Ratio("first token", *_floats([_median(one.time_to_first_token) for one in pair]))
    yield Ratio("tokens per second", *_floats([_median(one.decode) for one in pair]))
    yield Ratio("processor time of the answers", *_floats([_cpu(one, MEASURED) for one in pair]))


def _floats(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    then, now = (None if value is None else float(value) for value in values)
    return then, now


def _median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def _seconds(result: Result, phase: str) -> float | None:
    usage = result.usage(phase)
    return None if usage is None else usage.seconds


def _cpu(result: Result, phase: str) -> float | None:
    usage = result.usage(phase)
    return None if usage is None or not result.answers else usage.cpu_seconds / len(result.answers)
