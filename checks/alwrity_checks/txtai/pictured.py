"""A race as pictures: the recordings of one rule's scenario as swim lanes, the faulty run above the sound ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Outcome, TargetKind
from alwrity_checks.picture_parts import seconds, sentence, side_by_side, thinned, verdict_of
from alwrity_checks.pictures import Lane, Lanes, Mark, Span
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.pictures import Picture
    from alwrity_checks.txtai.experiment import Played
    from alwrity_checks.txtai.recorder import Recording

__all__ = ["TELLING", "race_pictures"]

TELLING: Final = "TXT004"
"""The rule whose recording explains the fault best."""
_ISSUE: Final = 3
_MOST_RULES: Final = 4
"""More pictures are no help; a page of its own (`txtai race --html`) shows all."""


def race_pictures(played: Sequence[Played]) -> tuple[Picture, ...]:
    """Return swim lanes of the telling rule, and of those whose fault shows on the component or on a checkout."""
    shipped = {
        one.scenario.code
        for one in played
        if one.target.target.kind is not TargetKind.LEGACY and one.telling.outcome is Outcome.REPRODUCED
    }
    recorded = {one.scenario.code for one in played if one.telling.recording is not None}
    codes = sorted(recorded & (shipped | {TELLING}), key=lambda code: (code != TELLING, code)) or sorted(recorded)[:1]
    return tuple(picture for code in codes[:_MOST_RULES] for picture in _of_rule(code, played))


def _of_rule(code: str, played: Sequence[Played]) -> list[Picture]:
    """Return the runs of one rule's scenario on one axis of time, so that they can be compared."""
    runs = side_by_side((one.observation, one) for one in played if one.scenario.code == code)
    recorded = [(seen, one, recording) for seen, one in runs if (recording := one.telling.recording) is not None]
    until = max((recording.duration for _, _, recording in recorded), default=0.0)
    made: list[Picture] = []
    for seen, one, recording in recorded:
        lanes, left_out = thinned(_lanes(recording))
        made.append(
            Lanes(
                title=f"{code} on {seen.target}: {one.scenario.name}",
                description=f"{sentence(seen.message)} {sentence(one.scenario.title)} A lane is a thread.",
                issue=_ISSUE,
                rule=code,
                verdict=verdict_of(one.telling.outcome),
                left_out=left_out,
                lanes=lanes,
                until=seconds(until),
            )
        )
    return made


def _lanes(recording: Recording) -> list[Lane]:
    return [
        Lane(
            scrub(thread),
            tuple(
                Span(
                    scrub(span.name),
                    seconds(span.start),
                    seconds(max(span.start, span.end)),
                    scrub(span.subject),
                    verdict_of(Outcome.REPRODUCED) if span.error else None,
                    held=span.held,
                    note=scrub(span.error),
                )
                for span in recording.spans
                if span.thread == thread
            ),
            tuple(
                Mark(scrub(mark.name), seconds(mark.at), verdict_of(Outcome.REPRODUCED) if mark.fault else None)
                for mark in recording.marks
                if mark.thread == thread
            ),
        )
        for thread in recording.threads
    ]
