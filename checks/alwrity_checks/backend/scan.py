"""A checkout, scanned: each file read once, every room's traces, and what only the whole shows. Nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.declarations import DeclaredPython, Line, declared_python, lines
from alwrity_checks.backend.newer import Newer, newest, translate
from alwrity_checks.backend.parsing import Flaw, FlawKind
from alwrity_checks.backend.reading import Order, Reading, Trouble, examine
from alwrity_checks.backend.rooms import rooms
from alwrity_checks.backend.workers import read_all
from alwrity_checks.liveness import Graph, Import, imports

if TYPE_CHECKING:
    from alwrity_checks.backend.files import LeftOut, Snapshot
    from alwrity_checks.source import Trace

__all__ = ["Scan", "orders_of", "scan"]

_FOR_NEWER: Final = frozenset({FlawKind.ERROR, FlawKind.UNDECIDED})


@dataclass(frozen=True, slots=True)
class Scan:
    """What a checkout came to."""

    snapshot: Snapshot
    readings: Mapping[str, Reading]
    """By the file's path."""
    across: tuple[tuple[str, Trace], ...]
    """Room, and what it saw by comparing files."""
    troubles: tuple[Trouble, ...]
    """Rooms that could not compare the files; those that could not read one are in its reading."""
    graph: Graph
    imports: Mapping[str, tuple[Import, ...]]
    lines: tuple[Line, ...]
    declared: DeclaredPython | None
    newer: Newer | None
    """The interpreter that read what is too new for this one."""

    @property
    def traces(self) -> Iterator[tuple[str, Trace]]:
        """Yield every trace, with its room: those of live files and of dead copies."""
        for reading in self.readings.values():
            yield from reading.traces
        yield from self.across

    @property
    def blind(self) -> Iterator[Reading]:
        """Yield what runs and could not be read: it may hold anything."""
        return (one for one in self.readings.values() if one.live and not one.parsed and _may_run(one.flaw))

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was not even opened."""
        return self.snapshot.left_out


def _may_run(flaw: Flaw | None) -> bool:
    return flaw is None or flaw.kind in {FlawKind.UNDECIDED, FlawKind.NEWER}


def scan(snapshot: Snapshot, *, workers: int | None = None, known: Mapping[Order, Reading] | None = None) -> Scan:
    """Scan what was read of a checkout.

    `workers`: so many processes; without it as many as are worth it. `known`: what files came to in another scan.
    """
    wanted = {path: imports(path, data) for path, data in snapshot.sources.items()}
    graph = Graph.of(wanted)
    declared = declared_python(snapshot.declarations)
    older = declared.version if declared and declared.version < sys.version_info[:2] else None
    orders = [Order(path, data, path in graph.live, older) for path, data in snapshot.sources.items()]
    fresh = [order for order in orders if known is None or order not in known]
    read = {reading.path: reading for reading in read_all(fresh, workers)}
    newer = _with_newer(read, fresh)
    if known is not None:
        read |= {order.path: known[order] for order in orders if order.path not in read}
    readings = {order.path: read[order.path] for order in orders}
    across, troubles = _across(readings)
    return Scan(
        snapshot, readings, across, troubles, graph, wanted, tuple(lines(snapshot.declarations)), declared, newer
    )


def orders_of(scan: Scan) -> dict[Order, Reading]:
    """Return what the files of a scan came to, for another scan that may hold the same."""
    older = scan.declared.version if scan.declared and scan.declared.version < sys.version_info[:2] else None
    return {
        Order(path, data, path in scan.graph.live, older): scan.readings[path]
        for path, data in scan.snapshot.sources.items()
    }


def _with_newer(read: dict[str, Reading], orders: list[Order]) -> Newer | None:
    """Have the newest interpreter read what does not compile with this one; return it if it could read something."""
    by_path = {order.path: order for order in orders}
    asking = {path: by_path[path].data for path, one in read.items() if one.flaw and one.flaw.kind in _FOR_NEWER}
    newer = newest() if asking else None
    if newer is None:
        return None
    used = False
    for path, told in translate(newer.path, asking).items():
        flaw = read[path].flaw
        if flaw is None:
            continue
        if told.tree is not None:
            read[path] = examine(by_path[path], told.tree, replace(flaw, kind=FlawKind.NEWER))
            used = True
        elif told.error and flaw.kind is FlawKind.UNDECIDED:
            read[path] = replace(read[path], flaw=Flaw(FlawKind.ERROR, told.line, told.error))
    return newer if used else None


def _across(readings: Mapping[str, Reading]) -> tuple[tuple[tuple[str, Trace], ...], tuple[Trouble, ...]]:
    facts: dict[str, list[object]] = {}
    for reading in readings.values():
        for name, fact in reading.facts:
            facts.setdefault(name, []).append(fact)
    found: list[tuple[str, Trace]] = []
    troubles: list[Trouble] = []
    for room in rooms():
        if room.across is not None and room.name in facts:
            try:
                found.extend((room.name, trace) for trace in room.across(facts[room.name]))
            except Exception as error:  # noqa: BLE001 - as in a single file: the other rooms go on
                troubles.append(Trouble(room.name, "", f"raised {type(error).__name__}: {error}"[:200]))
    return tuple(found), tuple(troubles)
