"""Lines that belong together, wherever the log was cut between them.

Story   what a machine made of a piece of a log: what is over, what is going on, and what waits for the piece before it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from alwrity_checks.logs.machines import MACHINES, Incident, State, Step, Token
from alwrity_checks.logs.times import Place, Shift, Times

__all__ = ["Entry", "Story"]


class Entry(NamedTuple):
    """A token that waits for what comes before it."""

    token: Token
    timed: bool
    """Whether the line has a time of its own."""
    place: Place


@dataclass(slots=True)
class Story:
    """What a machine made of a piece."""

    machine: str
    head: list[Entry] = field(default_factory=list)
    """What came before the state was known, and how it became known."""
    waiting: dict[Token, Times] = field(default_factory=dict)
    """Idle tokens that came before those."""
    settled: bool = False
    state: State = ()
    began: Place | None = None
    """Where what is going on began."""
    timed: bool = False
    """Whether that line has a time of its own."""
    fresh: bool = False
    """Whether it came after the state was known."""
    incidents: dict[Incident, Times] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Read the next token."""
        machine = MACHINES[self.machine]
        if not self.settled:
            if entry.token[0] == machine.idle:
                self.waiting.setdefault(entry.token, Times()).add(entry.place)
                return
            self.head.append(entry)
            if machine.settles([one.token for one in self.head]):
                self.settled = True
                state: State = ()
                for one in self.head:
                    state = machine.step(state, one.token, None).state
                self.state, self.began, self.timed = state, entry.place, entry.timed
            return
        self._step(entry)

    def _idle(self, token: Token, times: Times, shift: Shift) -> None:
        for incident in MACHINES[self.machine].step(self.state, token, None).incidents:
            self.incidents.setdefault(incident, Times()).join(times, shift)

    def _step(self, entry: Entry) -> None:
        before, machine = self.state, MACHINES[self.machine]
        since = self.began if before else None
        gap = None
        if entry.timed and since is not None and self.timed and since.domain == entry.place.domain:
            gap = entry.place.second - since.second
        key = (self.machine, before, entry.token)
        step = _STEPS.get(key) if gap is None else None
        if step is None:
            step = machine.step(before, entry.token, gap)
            if gap is None and len(_STEPS) < _MOST_STEPS:
                _STEPS[key] = step
        self.state, over = step
        if entry.token[0] == machine.idle:
            for incident in over:
                self._count(incident, entry.place)
            return
        began = self.began if before and self.began is not None else entry.place
        for incident in over:
            self._count(incident, began if incident is over[0] else entry.place)
        if not before or over or machine.renews:
            self.began, self.timed, self.fresh = entry.place, entry.timed, True

    def _count(self, incident: Incident, place: Place) -> None:
        times = self.incidents.get(incident)
        if times is None:
            if len(self.incidents) >= _MOST_INCIDENTS:
                incident = (incident[0], "other")
            times = self.incidents.setdefault(incident, Times())
        times.add(place)

    def join(self, after: Story, shift: Shift) -> None:
        """Read on in the piece behind this one."""
        for token, times in after.waiting.items():
            if self.settled:
                self._idle(token, times, shift)
            else:
                self.waiting.setdefault(token, Times()).join(times, shift)
        for entry in after.head:
            self.take(Entry(entry.token, entry.timed, shift(entry.place)))
        if after.settled:
            self.settled, self.state = True, after.state
            if after.fresh and after.began is not None:
                self.began, self.timed, self.fresh = shift(after.began), after.timed, True
        for incident, times in after.incidents.items():
            self.incidents.setdefault(incident, Times()).join(times, shift)

    def told(self) -> dict[Incident, Times]:
        """Return every incident of a stream that begins and ends here."""
        whole = Story(self.machine, settled=True)
        for token, waited in self.waiting.items():
            whole._idle(token, waited, _SAME)
        for entry in self.head:
            whole._step(entry)
        if self.settled:
            whole.state, whole.began, whole.timed = self.state, self.began, self.timed
        found = {incident: _copied(times) for incident, times in whole.incidents.items()}
        for incident, times in self.incidents.items():
            found.setdefault(incident, Times()).join(times, _SAME)
        for incident in MACHINES[self.machine].end(whole.state):
            found.setdefault(incident, Times()).add(whole.began or _SAME.before)
        return found

    def as_data(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {
            "head": [[list(one.token), one.timed, list(one.place)] for one in self.head],
            "waiting": [[list(token), times.as_data()] for token, times in sorted(self.waiting.items())],
            "settled": self.settled,
            "state": list(self.state),
            "began": None if self.began is None else list(self.began),
            "timed": self.timed,
            "fresh": self.fresh,
            "incidents": [[list(one), times.as_data()] for one, times in sorted(self.incidents.items())],
        }

    @classmethod
    def from_data(cls, machine: str, data: dict[str, Any]) -> Story:
        """Return what `as_data` wrote."""
        return cls(
            machine,
            [Entry((token[0], token[1]), timed, Place(*place)) for token, timed, place in data["head"]],
            {(token[0], token[1]): Times.from_data(times) for token, times in data["waiting"]},
            data["settled"],
            tuple(data["state"]),
            None if data["began"] is None else Place(*data["began"]),
            data["timed"],
            data["fresh"],
            {tuple(one): Times.from_data(times) for one, times in data["incidents"]},
        )


_STEPS: Final[dict[tuple[str, State, Token], Step]] = {}
"""Steps that were taken before: there are few, and a log takes them over and over."""
_MOST_STEPS: Final = 4096
_MOST_INCIDENTS: Final = 1024
_SAME: Final = Shift(Place(0, 0), 0, absolute=False)


def _copied(times: Times) -> Times:
    whole = Times()
    whole.join(times, _SAME)
    return whole
