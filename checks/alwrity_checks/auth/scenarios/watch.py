"""What callers, the key server and the event loop were at while a scenario played: the lanes of its picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.scenarios.targets import Ruling
from alwrity_checks.model import Verdict
from alwrity_checks.picture_parts import seconds
from alwrity_checks.pictures import Lane, Span

if TYPE_CHECKING:
    from alwrity_checks.auth.loopback import LoopbackServer
    from alwrity_checks.auth.scenarios.targets import Answer, Deployment

__all__ = ["Watch"]

_MOST_CALLERS: Final = 6
"""Are told one by one; with hundreds, each looks like another."""
_MOST_FETCHES: Final = 200
_STALL: Final = 0.1
"""Seconds from which on an event loop that does not turn is shown: less may be a busy machine."""
_VERDICTS: Final = {Ruling.ACCEPTED: Verdict.PASS, Ruling.REFUSED: Verdict.WARN, Ruling.UNDECIDED: Verdict.UNKNOWN}


@dataclass(slots=True)
class Watch:
    """Notes times on one clock, from whichever thread."""

    began: float = field(default_factory=time.perf_counter)
    _calls: list[tuple[float, float, Answer]] = field(default_factory=list)
    _ticked: bool = False
    _stalls: list[tuple[float, float]] = field(default_factory=list)

    async def judge(self, deployment: Deployment, token: str) -> Answer:
        """Have a token judged, and note when."""
        start = time.perf_counter()
        answer = await deployment.judge(token)
        self._calls.append((start, time.perf_counter(), answer))
        return answer

    def tick(self, start: float, end: float) -> None:
        """Note that the event loop turned at these two moments, and not between them."""
        self._ticked = True
        if end - start >= _STALL:
            self._stalls.append((start, end))

    def lanes(self, server: LoopbackServer) -> tuple[Lane, ...]:
        """Return who was at what: some of the callers, the event loop where it was watched, and the key server."""
        calls = sorted(self._calls, key=lambda one: one[0])
        step = -(-len(calls) // _MOST_CALLERS) or 1
        shown = [(number, calls[number - 1]) for number in range(1, len(calls) + 1, step)]
        lanes = [
            Lane(
                f"caller {number} of {len(calls)}" if len(calls) > 1 else "caller",
                (self._span("is judged", start, end, _VERDICTS[answer.ruling], answer.ruling),),
            )
            for number, (start, end, answer) in shown
        ]
        if self._ticked:
            stalls = tuple(self._span("stands still", start, end, Verdict.FAIL) for start, end in self._stalls)
            lanes.append(Lane("event loop", stalls))
        fetched = [one for one in server.fetches if one.ended >= self.began]
        name = "key server" if len(fetched) <= _MOST_FETCHES else f"key server, {_MOST_FETCHES} of {len(fetched)}"
        lanes.append(Lane(name, tuple(self._fetches([(one.began, one.ended) for one in fetched]))))
        return tuple(lanes)

    def _fetches(self, fetched: Sequence[tuple[float, float]]) -> list[Span]:
        return [self._span("fetch", start, end) for start, end in fetched[:_MOST_FETCHES]]

    def _span(self, name: str, start: float, end: float, verdict: Verdict | None = None, note: str = "") -> Span:
        first = seconds(start - self.began)
        return Span(name, first, max(first, seconds(end - self.began)), verdict=verdict, note=note)
