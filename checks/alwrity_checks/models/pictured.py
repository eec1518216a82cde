"""Memory over time as pictures: what each case of a bench held, in its phases, with the limits drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Verdict
from alwrity_checks.picture_parts import seconds, sentence
from alwrity_checks.pictures import Limit, Line, Point, Series, Span
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.bench_figures import Bench, Result, Sample
    from alwrity_checks.pictures import Picture

__all__ = ["memory_pictures"]

_ISSUE: Final = 5
_MEBI: Final = 1 << 20
_MOST_POINTS: Final = 240
"""Of a line; a peak is kept."""
_MOST_CASES: Final = 12


def memory_pictures(bench: Bench) -> tuple[Picture, ...]:
    """Return a series for each case that was sampled; all share one axis of memory, so that what is heavy looks so."""
    sampled = [one for one in bench.results if one.samples]
    top = max((one.peak_rss or 0 for one in sampled), default=0) / _MEBI
    left = len(sampled) - _MOST_CASES
    told = f"{left} more cases are in the tables alone." if left > 0 else ""
    return tuple(_series(one, bench, top, told) for one in sampled[:_MOST_CASES])


def _series(result: Result, bench: Bench, top: float, left_out: str) -> Series:
    limits = [Limit("the machine's memory", bench.surroundings.memory / _MEBI)]
    if result.peak_rss is not None:
        limits.append(Limit("peak, as the kernel counts it", result.peak_rss / _MEBI))
    return Series(
        title=f"Memory of {scrub(str(result.case))}",
        description=_told(result, bench),
        issue=_ISSUE,
        verdict=None if result.failure is None else Verdict.FAIL,
        left_out=left_out,
        unit="MiB",
        lines=tuple(_lines(result.samples)),
        limits=tuple(limits),
        phases=tuple(_phases(result)),
        top=top,
    )


def _told(result: Result, bench: Bench) -> str:
    machine = f"{bench.surroundings.memory / _MEBI:,.0f} MiB of this machine"
    weights = " Its weights are random, in the published shape." if bench.synthetic else ""
    if result.failure is not None:
        return (
            f"{sentence(result.failure.diagnosis)} The machine has {machine.removesuffix(' of this machine')}.{weights}"
        )
    peak = "not known" if result.peak_rss is None else f"{result.peak_rss / _MEBI:,.0f} MiB"
    return f"Its peak is {peak}, of {machine}.{weights}"


def _lines(samples: Sequence[Sample]) -> Iterator[Line]:
    yield Line("resident", _points([(one.at, one.resident) for one in samples]))
    anonymous = [(one.at, one.anonymous) for one in samples if one.anonymous is not None]
    if anonymous:
        yield Line("of it anonymous: it cannot be given back", _points(anonymous))


def _points(values: Sequence[tuple[float, int]]) -> tuple[Point, ...]:
    """Return the values as points, of so many that they can be told apart: of neighbours the highest."""
    ordered = sorted(values)
    step = -(-len(ordered) // _MOST_POINTS) or 1
    parts = [ordered[start : start + step] for start in range(0, len(ordered), step)]
    return tuple(Point(seconds(part[0][0]), max(value for _, value in part) / _MEBI) for part in parts)


def _phases(result: Result) -> Iterator[Span]:
    end = max(one.at for one in result.samples)
    starts = [*sorted((one.at, one.phase) for one in result.marks if one.at <= end), (end, "")]
    failed = None if result.failure is None else result.failure.phase
    for (start, phase), (following, _) in pairwise(starts):
        yield Span(phase, seconds(start), seconds(following), verdict=Verdict.FAIL if phase == failed else None)
