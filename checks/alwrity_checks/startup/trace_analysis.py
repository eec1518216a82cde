"""What the time until the first answer went on.

The way of a start leads through processes (make, a reloader, the server) and in each of them through one thread: the
one that is to serve. What that thread is at is what the start waits for. Where it waits for another thread, it is what
that thread is at. Other threads take no time of the start: a download beside a server that listens is none of its.
Every moment belongs to one phase; what nobody saw is "not seen", never nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from alwrity_checks.startup.trace_lanes import Hub, Interval, Lanes, merged
from alwrity_checks.startup.trace_phases import Phase

if TYPE_CHECKING:
    from alwrity_checks.startup.trace import Recorded
    from alwrity_checks.startup.trace_events import Heard
    from alwrity_checks.startup.trace_processes import SeenProcess

__all__ = ["Analysis", "analyse"]

_LEAST_WAIT: Final = 0.2
"""Seconds from which on it is asked what a wait is for."""
_BREATH: Final = 0.06
"""Seconds: a wait that is interrupted for less goes on; so long after the end of what it is for it may end."""
_COVERED: Final = 0.7
"""Of a wait, what another thread's work must take for the wait to be for it."""
_LEAST_BYTES: Final = 256 << 10
"""Received during a wait of an event loop: it waits for that connection."""
_BUSY: Final = (Phase.DOWNLOAD, Phase.RETRIES, Phase.CHILD, Phase.MODEL, Phase.NETWORK, Phase.DNS, Phase.SLEEP)
"""What another thread may be waited for, the most telling first."""


@dataclass(frozen=True)
class Analysis:
    """A start as a row of intervals without gaps."""

    recorded: Recorded
    path: tuple[Interval, ...]
    """From the command's start to its first answer, or as far as it came."""
    lanes: tuple[Lanes, ...]
    """Every traced process, all of its threads."""
    blind: tuple[str, ...]
    """The Python programs on the way that did not let us look into them."""
    foreign: bool
    """Whether what serves (or was to serve) is no Python at all."""
    truncated: bool
    """Whether a process on the way had more to tell than it may write."""
    listened: float | None
    """Seconds after the command's start."""
    answered: float | None

    @property
    def seconds(self) -> float:
        """The length of the path."""
        return self.recorded.ended - self.recorded.began

    @cached_property
    def totals(self) -> dict[Phase, float]:
        """Phase -> its seconds; they add up to the path's."""
        found = dict.fromkeys(Phase, 0.0)
        for one in self.path:
            found[one.phase] += one.seconds
        return {phase: seconds for phase, seconds in found.items() if seconds > 0}

    def subjects(self, phase: Phase) -> list[tuple[str, float]]:
        """Return what a phase's seconds went on, the most first."""
        found: dict[str, float] = {}
        for one in self.path:
            if one.phase is phase and one.subject:
                found[one.subject] = found.get(one.subject, 0.0) + one.seconds
        return sorted(found.items(), key=lambda entry: -entry[1])

    def received(self, intervals: Sequence[Interval], *, hub_only: bool = False) -> int:
        """Return the bytes that came during the intervals to the processes they belong to."""
        hub = Hub(self.recorded.endpoint)
        total = 0
        for connection in self.recorded.connections:
            if hub_only and str(connection.remote) not in hub and not _named(self.lanes, connection.remote.host, hub):
                continue
            total += sum(connection.during(one.start, one.end) for one in intervals if one.pid in connection.owners)
        return total


def analyse(recorded: Recorded) -> Analysis:
    """Return what the time of a start went on."""
    hub = Hub(recorded.endpoint)
    lanes = tuple(Lanes(one, hub, recorded.ended) for one in recorded.traced)
    way = _Way(recorded, lanes)
    began, ended = recorded.began, recorded.ended
    pieces: list[Interval] = []
    listened = recorded.listened
    if listened is None:
        pieces += way.through(way.likeliest(), began, ended)
        members = set(recorded.lineages.get(way.likeliest(), ()))
    else:
        server = way.deepest(listened.holders)
        answerer = way.deepest(recorded.answerers) if recorded.answerers else server
        pieces += way.through(server, began, min(listened.at, ended))
        pieces += way.through(answerer, listened.at, ended)
        members = {*recorded.lineages.get(server, ()), *recorded.lineages.get(answerer, ())}
    traced = {one.pid for one in recorded.traced}
    seen = [recorded.processes[pid] for pid in sorted(members) if pid in recorded.processes]
    last = recorded.processes.get(way.deepest(recorded.answerers or (listened.holders if listened else frozenset())))
    return Analysis(
        recorded,
        tuple(merged(pieces)),
        lanes,
        tuple(dict.fromkeys(one.program for one in seen if one.python and one.pid not in traced)),
        foreign=not any(one.python for one in seen) if last is None else not last.python,
        truncated=any(one.full is not None and one.pid in members for one in recorded.traced),
        listened=listened.at - began if listened else None,
        answered=recorded.answered.at - began if recorded.answered else None,
    )


class _Way:
    """Finds the way from the command to its server."""

    def __init__(self, recorded: Recorded, lanes: Sequence[Lanes]) -> None:
        self._recorded = recorded
        self._lanes = lanes

    def deepest(self, pids: frozenset[int]) -> int:
        """Return the process that stands furthest from the command; of several the one that began first."""
        processes, lineages = self._recorded.processes, self._recorded.lineages
        known = [pid for pid in pids if pid in processes]
        if not known:
            return self.likeliest()
        return min(known, key=lambda pid: (-len(lineages.get(pid, ())), processes[pid].began))

    def likeliest(self) -> int:
        """Return the process that was to serve, where none did: the last one to come of those that stayed."""
        recorded = self._recorded
        if not recorded.processes:
            return 0
        stayed = max(one.last for one in recorded.processes.values()) - 0.1
        traced = {one.pid for one in recorded.traced}
        able = [one for one in recorded.processes.values() if one.last >= stayed]
        return max(able, key=lambda one: (one.pid in traced, one.python, len(recorded.lineages[one.pid]))).pid

    def through(self, pid: int, start: float, end: float) -> Iterator[Interval]:
        """Yield what the start was at between two moments, on its way to `pid`."""
        members = [self._recorded.processes[one] for one in self._recorded.lineages.get(pid, ())]
        if not members:
            yield Interval(start, end, Phase.UNSEEN)
            return
        at = start
        if members[0].began > at:
            at = min(members[0].began, end)
            yield Interval(start, at, Phase.INTERPRETER, "", pid=members[0].pid)
        for index, one in enumerate(members):
            # The kernel tells a beginning to a hundredth of a second: a child's can come out before its parent's.
            last = min(end, members[index + 1].began) if index + 1 < len(members) else end
            if last > at:
                yield from self._in(one, at, last)
                at = last

    def _in(self, one: SeenProcess, start: float, end: float) -> Iterator[Interval]:
        own = [lanes for lanes in self._lanes if lanes.process.pid == one.pid]
        at = start
        for index, lanes in enumerate(own):
            began = max(lanes.process.began, at)
            until = min(own[index + 1].process.began if index + 1 < len(own) else end, end)
            if began > at:
                yield from self._outside(one, at, min(began, end), before=True)
                at = began
            if until > at:
                yield from self._inside(lanes, at, until)
                at = until
        if at < end:
            yield from self._outside(one, at, end, before=False)

    def _outside(self, one: SeenProcess, start: float, end: float, *, before: bool) -> Iterator[Interval]:
        """Yield what can be said without having looked into a process: its program, and its children's."""
        if before and one.python:
            yield Interval(start, end, Phase.INTERPRETER, "", pid=one.pid)
            return
        children = sorted(
            (child for child in self._recorded.processes.values() if child.parent == one.pid),
            key=lambda child: child.began,
        )
        at = start
        for child in children:
            part = Interval(child.began, child.last, Phase.CHILD, child.program, pid=one.pid).within(at, end)
            if part is not None and not one.python:
                if part.start > at:
                    yield self._alone(one, at, part.start)
                yield part
                at = part.end
        if at < end:
            yield self._alone(one, at, end)

    @staticmethod
    def _alone(one: SeenProcess, start: float, end: float) -> Interval:
        seen = not one.python and len(one.programs) > 0 and one.program in _SHELLS
        return Interval(start, end, Phase.OTHER if seen else Phase.UNSEEN, one.program, pid=one.pid)

    def _inside(self, lanes: Lanes, start: float, end: float) -> Iterator[Interval]:
        thread = self._serving(lanes)
        main = lanes.process.main
        at = start
        if thread != main:
            # Until the serving thread is there, the main one is on its way to it.
            first = next((one.start for one in lanes.intervals.get(thread, ())), start)
            for one in lanes.of(main, start, min(first, end)):
                yield from self._gap(lanes, at, one.start)
                yield one
                at = one.end
        for one in _explained(lanes, thread, at, end, self._recorded):
            yield from self._gap(lanes, at, one.start)
            yield one
            at = one.end
        yield from self._gap(lanes, at, end)

    @staticmethod
    def _gap(lanes: Lanes, start: float, end: float) -> Iterator[Interval]:
        if end > start:
            yield Interval(start, end, Phase.UNSEEN, "", pid=lanes.process.pid)

    def _serving(self, lanes: Lanes) -> int:
        """Return the thread that made the listening socket, else the main one."""
        listened = self._recorded.listened
        for one in lanes.process.events:
            if listened and one.kind == "listen" and one.at <= listened.at + 1:
                return one.thread
        return lanes.process.main


_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "make", "gmake", "env", "nice", "timeout", "tini", "xargs"})
"""Programs that do nothing of their own but start others."""


def _explained(lanes: Lanes, thread: int, start: float, end: float, recorded: Recorded) -> list[Interval]:
    """Return what a thread was at, its waits told by what they were for."""
    found = lanes.of(thread, start, end)
    listened = recorded.listened.at if recorded.listened else end
    result: list[Interval] = []
    index = 0
    while index < len(found):
        one = found[index]
        if one.phase is not Phase.WAIT or one.start >= listened:
            result.append(one)
            index += 1
            continue
        stop = index + 1
        while stop < len(found) and (
            found[stop].phase is Phase.WAIT
            or (found[stop].seconds < _BREATH and stop + 1 < len(found) and found[stop + 1].phase is Phase.WAIT)
        ):
            stop += 1
        wait = replace(one, end=found[stop - 1].end)
        told = _for_thread(lanes, thread, wait) or _for_connection(lanes, thread, wait, recorded)
        result += found[index:stop] if told is None else [told]
        index = stop
    return result


def _for_thread(lanes: Lanes, thread: int, wait: Interval) -> Interval | None:
    """Return the wait as what another thread was at, if that took most of it and ended with it."""
    if wait.seconds < _LEAST_WAIT:
        return None
    for phase in _BUSY:
        for other in lanes.intervals:
            if other == thread:
                continue
            work = [one for one in lanes.of(other, wait.start, wait.end) if one.phase is phase]
            going_on = any(one.phase is phase for one in lanes.of(other, wait.end + _BREATH, wait.end + 2 * _BREATH))
            if sum(one.seconds for one in work) < _COVERED * wait.seconds or going_on:
                continue
            longest = max(work, key=lambda one: one.seconds)
            return replace(longest, start=wait.start, end=wait.end, on_behalf=True)
    return None


def _for_connection(lanes: Lanes, thread: int, wait: Interval, recorded: Recorded) -> Interval | None:
    """Return an event loop's wait as that for the connection of its own on which much came meanwhile."""
    if wait.seconds < _LEAST_WAIT:
        return None
    hub = Hub(recorded.endpoint)
    for connection in recorded.connections:
        if lanes.process.pid not in connection.owners or connection.during(wait.start, wait.end) < _LEAST_BYTES:
            continue
        address = f"{connection.remote.host} {connection.remote.port}"
        heard = _connect(lanes, thread, address, wait.end)
        if heard is not None:
            host = lanes.host(thread, heard.at)
            phase = Phase.DOWNLOAD if address in hub or host in hub else Phase.NETWORK
            return replace(wait, phase=phase, subject=host, stack=heard.stack)
    return None


def _connect(lanes: Lanes, thread: int, address: str, until: float) -> Heard | None:
    return next(
        (
            one
            for one in reversed(lanes.process.events)
            if one.kind == "connect" and one.thread == thread and one.detail.startswith(address) and one.at <= until
        ),
        None,
    )


def _named(lanes: Sequence[Lanes], host: str, hub: Hub) -> bool:
    """Say whether an address is one that a process turned to right after it had looked up the hub's name."""
    for one in lanes:
        for heard in one.process.events:
            if heard.kind == "connect" and heard.detail.partition(" ")[0] == host:
                return one.host(heard.thread, heard.at) in hub
    return False
