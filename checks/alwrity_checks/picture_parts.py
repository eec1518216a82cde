"""What the rooms share in filling pictures: times, which targets are told side by side, and how much is enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from alwrity_checks.model import Observation, Outcome, TargetKind, Verdict
from alwrity_checks.pictures import Lane, Mark, Span
from alwrity_checks.redaction import scrub

__all__ = ["heard_lanes", "seconds", "sentence", "side_by_side", "thinned", "told_lanes", "verdict_of"]

T = TypeVar("T")

MOST_SPANS: Final = 160
"""Of one picture: more cannot be told apart."""
_MOST_LANES: Final = 40
_MOST_HEARD: Final = 400
"""Spans of one lane, from a child that runs anybody's code."""
_LONGEST: Final = 200
_LONGEST_TIME: Final = 86_400.0
_BESIDE: Final = (TargetKind.BACKEND, TargetKind.FIXED)


def seconds(value: float) -> timedelta:
    """Return `value` in seconds as a time of a picture; what lies before its beginning is its beginning."""
    return timedelta(seconds=max(value, 0.0))


def sentence(text: str) -> str:
    """Return `text`, scrubbed, as a sentence."""
    said = scrub(text).strip().rstrip(".")
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def verdict_of(outcome: Outcome) -> Verdict:
    """Return what a picture of an experiment shows: the fault, its absence, or neither for sure."""
    return {Outcome.REPRODUCED: Verdict.FAIL, Outcome.ABSENT: Verdict.PASS, Outcome.UNKNOWN: Verdict.UNKNOWN}[outcome]


def side_by_side(shown: Iterable[tuple[Observation, T]]) -> list[tuple[Observation, T]]:
    """Return what is told of one rule, the faulty above the sound.

    These are the latest legacy state that shows the fault, then the checkout's own, then the component.
    """
    told = list(shown)
    faulty = [one for one in told if one[0].target.kind is TargetKind.LEGACY and one[0].outcome is Outcome.REPRODUCED]
    return [*faulty[-1:], *(one for kind in _BESIDE for one in told if one[0].target.kind is kind)]


def thinned(lanes: Sequence[Lane], most: int = MOST_SPANS) -> tuple[tuple[Lane, ...], str]:
    """Return the lanes with at most `most` spans, the longest and those with a verdict; and what was left out."""
    spans = [span for lane in lanes for span in lane.spans]
    if len(spans) <= most:
        return tuple(lanes), ""
    spans.sort(key=lambda span: (span.verdict is not None, span.held, span.end - span.start), reverse=True)
    kept = {id(span) for span in spans[:most]}
    left = tuple(replace(lane, spans=tuple(span for span in lane.spans if id(span) in kept)) for lane in lanes)
    return left, f"{len(spans) - most:,} shorter ones are left out."


def told_lanes(lanes: Iterable[Lane]) -> list[Any]:
    """Return lanes as plain data, for a child that says them line by line."""
    return [
        {
            "name": lane.name,
            "spans": [
                [one.name, one.start.total_seconds(), one.end.total_seconds(), one.subject, one.verdict, one.note]
                for one in lane.spans
            ],
            "marks": [[one.name, one.at.total_seconds(), one.verdict] for one in lane.marks],
        }
        for lane in lanes
    ]


def heard_lanes(told: object) -> tuple[Lane, ...]:
    """Return what `told_lanes` made of lanes, scrubbed and bounded: who says it may be anybody's code.

    What is no lane gives none.
    """
    try:
        return tuple(_lane(one) for one in _listed(told)[:_MOST_LANES])
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()


def _lane(told: Mapping[str, Any]) -> Lane:
    spans = tuple(
        Span(_text(name), _time(start), _time(end), _text(subject), _judged(verdict), note=_text(note))
        for name, start, end, subject, verdict, note in _listed(told["spans"])[:_MOST_HEARD]
    )
    marks = tuple(Mark(_text(name), _time(at), _judged(verdict)) for name, at, verdict in _listed(told["marks"]))
    return Lane(_text(told["name"]), spans, marks[:_MOST_HEARD])


def _listed(told: object) -> list[Any]:
    if not isinstance(told, list):
        raise TypeError("not a list")
    return told


def _text(told: object) -> str:
    return scrub(str(told)[: 4 * _LONGEST])[:_LONGEST]


def _time(told: object) -> timedelta:
    if not isinstance(told, int | float) or not 0 <= told <= _LONGEST_TIME:
        raise ValueError("not a time")
    return timedelta(seconds=told)


def _judged(told: object) -> Verdict | None:
    return None if told is None else Verdict(str(told))
