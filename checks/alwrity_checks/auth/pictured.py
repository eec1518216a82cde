"""Who fetches the keys, how often, and who waits meanwhile: lanes of the scenarios in which the keys are the weapon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Observation, Outcome
from alwrity_checks.picture_parts import sentence, side_by_side, verdict_of
from alwrity_checks.pictures import Lanes

if TYPE_CHECKING:
    from alwrity_checks.pictures import Lane, Picture

__all__ = ["fetch_pictures"]

_ISSUE: Final = 1


def fetch_pictures(watched: Sequence[tuple[Observation, tuple[Lane, ...]]]) -> tuple[Picture, ...]:
    """Return the lanes of each watched scenario that shows a fault, the faulty target above the sound.

    Those of one scenario share one axis of time.
    """
    made: list[Picture] = []
    for code, scenario in dict.fromkeys((seen.rule.code, seen.scenario) for seen, _ in watched):
        shown = side_by_side(one for one in watched if (one[0].rule.code, one[0].scenario) == (code, scenario))
        if all(seen.outcome is not Outcome.REPRODUCED for seen, _ in shown):
            continue  # nothing happens in it that should be seen
        ends = [span.end for _, lanes in shown for lane in lanes for span in lane.spans]
        made += [
            Lanes(
                title=f"{code} on {seen.target}: {scenario}",
                description=sentence(seen.message),
                issue=_ISSUE,
                rule=code,
                verdict=verdict_of(seen.outcome),
                lanes=lanes,
                until=max(ends),
            )
            for seen, lanes in shown
            if ends
        ]
    return tuple(made)
