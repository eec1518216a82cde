"""A diagnosis that goes step by step, as a waterfall: where it broke, and what each step took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from alwrity_checks.model import Verdict
from alwrity_checks.pictures import Step, Waterfall

if TYPE_CHECKING:
    from alwrity_checks.model import CheckResult
    from alwrity_checks.pictures import Picture

__all__ = ["chain_picture"]


def chain_picture(results: Sequence[CheckResult], *, prefix: str, title: str) -> tuple[Picture, ...]:
    """Return the results whose names begin with `prefix` as steps, one after the other; none where there are none."""
    chain = [one for one in results if one.name.startswith(prefix)]
    if not chain:
        return ()
    steps, at = [], timedelta()
    for one in chain:
        end = at + max(one.duration, timedelta())
        # What was not carried out took no time: what was measured of it is the deciding.
        steps.append(Step(one.title, at, at if one.verdict is Verdict.SKIP else end, one.verdict, _note(one)))
        at = end
    return (
        Waterfall(
            title=title,
            description=_told(chain),
            issue=chain[0].issue,
            verdict=Verdict.worst(one.verdict for one in chain),
            steps=tuple(steps),
        ),
    )


def _told(chain: Sequence[CheckResult]) -> str:
    broken = next((one for one in chain if one.verdict is Verdict.FAIL), None)
    doubted = next((one for one in chain if one.verdict is Verdict.UNKNOWN), None)
    held = sum(one.verdict in {Verdict.PASS, Verdict.WARN} for one in chain)
    said = f"{held} of {len(chain)} steps hold"
    if broken is not None:
        return f"{said}; the first that does not: {broken.title}."
    return f"{said}; the first that is not known: {doubted.title}." if doubted is not None else f"{said}."


def _note(result: CheckResult) -> str:
    """Return what was seen, in the finding's own words where there is one."""
    found = result.findings[0].message if result.findings else ""
    more = f" (and {len(result.findings) - 1} more)" if len(result.findings) > 1 else ""
    return f"{found}{more}" if found else result.reason
