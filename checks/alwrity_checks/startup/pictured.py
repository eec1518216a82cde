"""A start as pictures: what its way led through, and who answers when before a hub that is slow or broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Outcome, Verdict
from alwrity_checks.picture_parts import seconds, sentence, side_by_side, thinned, verdict_of
from alwrity_checks.pictures import Lane, Lanes, Limit, Line, Mark, Point, Series, Span
from alwrity_checks.redaction import scrub
from alwrity_checks.startup.trace_phases import Phase

if TYPE_CHECKING:
    from alwrity_checks.pictures import Picture
    from alwrity_checks.startup.experiment import Played
    from alwrity_checks.startup.race import Start
    from alwrity_checks.startup.trace_analysis import Analysis
    from alwrity_checks.startup.trace_lanes import Interval

__all__ = ["memory_picture", "race_pictures", "trace_picture"]

_ISSUE: Final = 6
_MEBI: Final = 1 << 20
_MOST_POINTS: Final = 240
"""Of a line; a peak is kept."""
_MOST_THREADS: Final = 8
_LEAST: Final = 0.002
"""Of the whole time: a shorter bar could not be seen."""
_BLAMED: Final = frozenset({Phase.DOWNLOAD, Phase.RETRIES})
"""What no start should wait for."""
_MOST_SCENARIOS: Final = 3
_MARKS: Final = {
    "answered": ("answers", Verdict.PASS),
    "usable": ("the model can be used", None),
    "download-troubled": ("the failure is told", None),
}


def trace_picture(analysis: Analysis, verdict: Verdict | None = None) -> Picture:
    """Return the way of a start, and below it the threads that did most; `verdict` is the trace's."""
    began = analysis.recorded.began
    least = _LEAST * analysis.seconds
    threads = [
        (f"{one.process.pid} {one.process.name_of(thread)}", intervals)
        for one in analysis.lanes
        for thread, intervals in one.intervals.items()
    ]
    threads.sort(key=lambda lane: -sum(one.seconds for one in lane[1] if one.phase is not Phase.WAIT))
    marks = tuple(
        Mark(name, seconds(at), Verdict.PASS if name == "answers" else None)
        for name, at in (("listens", analysis.listened), ("answers", analysis.answered))
        if at is not None
    )
    lanes, left_out = thinned(
        [
            Lane("the start's way", _spans(analysis.path, began, least, way=True), marks),
            *(Lane(scrub(name), _spans(intervals, began, least)) for name, intervals in threads[:_MOST_THREADS]),
        ]
    )
    return Lanes(
        title=f"The start of {scrub(analysis.recorded.program)}, over time",
        description=f"{_answer(analysis)} The first lane is what the start waited for, the others are threads.",
        issue=_ISSUE,
        verdict=verdict,
        left_out=left_out,
        lanes=lanes,
        until=seconds(analysis.seconds),
    )


def memory_picture(analysis: Analysis) -> tuple[Picture, ...]:
    """Return what all processes of a start held until it answered, with what could be had; none where none was seen."""
    recorded = analysis.recorded
    values = [(at - recorded.began, held) for at, held in recorded.memory if held]
    if not values:
        return ()
    peak = max(held for _, held in values) / _MEBI
    step = -(-len(values) // _MOST_POINTS)
    parts = [values[start : start + step] for start in range(0, len(values), step)]
    points = tuple(Point(seconds(part[0][0]), max(held for _, held in part) / _MEBI) for part in parts)
    least = recorded.available
    limits = (Limit(f"could be had when it began ({least.limited_by})", least.bytes / _MEBI),) if least.parts else ()
    moments = [("until it listens", analysis.listened), ("until it answers", analysis.answered)]
    ends = [(name, at) for name, at in moments if at is not None]
    return (
        Series(
            title=f"Memory of the start of {scrub(recorded.program)}",
            description=f"At most {peak:,.0f} MiB resident in all its processes together; shared pages count for each.",
            issue=_ISSUE,
            unit="MiB",
            lines=(Line("resident, all processes", points),),
            limits=limits,
            phases=tuple(
                Span(name, seconds(start), max(seconds(start), seconds(at)))
                for (name, at), start in zip(ends, (0.0, *(at for _, at in ends)), strict=False)
            ),
            until=seconds(analysis.seconds),
        ),
    )


def _answer(analysis: Analysis) -> str:
    listened = "It never listened" if analysis.listened is None else f"It listened after {analysis.listened:.2f} s"
    if analysis.answered is None:
        return f"{listened}, and did not answer in {analysis.seconds:.2f} s."
    return f"{listened}, and answered after {analysis.answered:.2f} s."


def _spans(intervals: Sequence[Interval], began: float, least: float, *, way: bool = False) -> tuple[Span, ...]:
    return tuple(
        Span(
            scrub(one.subject or str(one.phase)),
            seconds(one.start - began),
            max(seconds(one.start - began), seconds(one.end - began)),
            str(one.phase),
            Verdict.FAIL if way and one.phase in _BLAMED else None,
            note=scrub(f"on the thread {one.thread}") if one.on_behalf else "",
        )
        for one in intervals
        if one.seconds >= least and one.phase is not Phase.WAIT
    )


def race_pictures(played: Sequence[Played]) -> tuple[Picture, ...]:
    """Return who answers when, a lane for each target, of the scenarios that show a fault; a checkout's come first."""
    by_scenario: dict[str, list[Played]] = {}
    for one in played:
        if one.seen.start is not None:
            by_scenario.setdefault(one.scenario.name, []).append(one)
    made = [_race(of_one) for of_one in by_scenario.values()]
    faulty = [one for one in made if one.verdict is Verdict.FAIL]
    faulty.sort(key=lambda one: not any("yours" in lane.name for lane in one.lanes))
    return tuple(faulty[:_MOST_SCENARIOS])


def _race(played: Sequence[Played]) -> Lanes:
    shown = side_by_side((one.observation, one.seen.start) for one in played)
    faulty = any(seen.outcome is Outcome.REPRODUCED for seen, _ in shown)
    scenario = played[0].scenario
    ends = [moment.at for _, start in shown if start is not None for moment in start.moments]
    end = max(ends, default=0.0)
    return Lanes(
        title=f"{scenario.code}: {scenario.title}",
        description=" ".join(sentence(f"{seen.target}: {seen.message}") for seen, _ in shown),
        issue=_ISSUE,
        rule=scenario.code,
        verdict=Verdict.FAIL if faulty else Verdict.PASS,
        lanes=tuple(
            _lane(f"{seen.target}: {verdict_of(seen.outcome)}", start, end)
            for seen, start in shown
            if start is not None
        ),
        until=seconds(end),
    )


def _lane(name: str, start: Start, end: float) -> Lane:
    """Return a start: its download, in two parts where the server began to answer in the middle of it."""
    began, ended, answered = (start.at(event) for event in ("download-began", "download-ended", "answered"))
    spans: list[Span] = []
    if began is not None:
        watched = start.at("watched")
        last = max(began, ended if ended is not None else end if watched is None else watched)
        turn = min(max(last if answered is None else answered, began), last)
        parts = (
            ("download, nobody is answered", began, turn, Verdict.FAIL),
            ("download, beside a server that answers", turn, last, Verdict.PASS),
        )
        spans = [
            Span(
                told,
                seconds(first),
                seconds(until),
                verdict=verdict,
                note="" if ended is not None else "it never ended",
            )
            for told, first, until, verdict in parts
            if until > first
        ]
    marks = tuple(
        Mark(told, seconds(at), verdict)
        for event, (told, verdict) in _MARKS.items()
        if (at := start.at(event)) is not None
    )
    return Lane(name, tuple(spans), marks)
