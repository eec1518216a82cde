"""Which subsystem failed first, and what followed from it.

The order is that of the start: what a process comes to use first is looked at first, never what has the most lines.
That something followed is only said where the graph in `dependencies.toml` says that it can.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from alwrity_checks.logs.signatures import Kind, by_id
from alwrity_checks.logs.triage import Cause, FirstFailure, Followed, Nature, Sureness

if TYPE_CHECKING:
    from alwrity_checks.logs.seen import Seen

__all__ = ["Graph", "first_failure", "graph", "subsystem_of"]


@dataclass(frozen=True, slots=True)
class Graph:
    """What depends on what."""

    phases: Mapping[str, int]
    titles: Mapping[str, str]
    issues: Mapping[int, str]
    """Issue -> subsystem."""
    edges: Mapping[tuple[str, str], str]
    """(of, on) -> why `of` depends on `on`."""
    independent: Mapping[tuple[str, str], str]
    configuration: frozenset[str]
    """Causes that are the configuration's."""


@cache
def graph() -> Graph:
    """Return the graph of `dependencies.toml`."""
    document = tomllib.loads(files("alwrity_checks.logs").joinpath("dependencies.toml").read_text("utf-8"))
    subsystems = document["subsystem"]
    return Graph(
        MappingProxyType({one["name"]: one["phase"] for one in subsystems}),
        MappingProxyType({one["name"]: one["title"] for one in subsystems}),
        MappingProxyType({one["issue"]: one["name"] for one in subsystems if "issue" in one}),
        MappingProxyType({(one["of"], one["on"]): one["because"] for one in document["edge"]}),
        MappingProxyType({(one["of"], one["on"]): one["because"] for one in document["independent"]}),
        frozenset(document["configuration"]["causes"]),
    )


def subsystem_of(cause: Cause) -> str:
    """Return the subsystem that a cause belongs to."""
    return "configuration" if cause.id in graph().configuration else graph().issues[cause.issue]


@dataclass(frozen=True, slots=True)
class _Failed:
    """A subsystem that failed."""

    name: str
    causes: tuple[Cause, ...]
    streams: frozenset[str]

    @property
    def first(self) -> datetime | None:
        return min((one.first for one in self.causes if one.first is not None), default=None)

    @property
    def count(self) -> int:
        return sum(one.incidents for one in self.causes)


_FAILURES = frozenset({Kind.CAUSE, Kind.SYMPTOM, Kind.CONFIGURATION})


def _streams(seen: Seen, name: str, issues: set[int]) -> frozenset[str]:
    found: set[str] = set()
    for (signature, _), held in seen.tallies.items():
        known = by_id().get(signature)
        if (
            known is not None
            and known.kind in _FAILURES
            and known.issue in issues
            and (known.subsystem == name or name != "configuration")
        ):
            found.update(held.streams)
    return frozenset(found)


def first_failure(seen: Seen, causes: Sequence[Cause]) -> FirstFailure | None:
    """Return the subsystem that failed first, None where none did. A reload never is one."""
    by_name: dict[str, list[Cause]] = {}
    for cause in causes:
        if cause.nature not in {Nature.NONE, Nature.ATTACK}:
            by_name.setdefault(subsystem_of(cause), []).append(cause)
    failed = [
        _Failed(name, tuple(found), _streams(seen, name, {one.issue for one in found}))
        for name, found in by_name.items()
    ]
    if not failed:
        return None
    failed.sort(key=lambda one: graph().phases[one.name])
    first, others = failed[0], failed[1:]
    sure, evidence = _evidence(seen, first, others)
    # What is only possible leads where nothing else was found, however often it may have been.
    leading = min(first.causes, key=lambda one: (one.sure is Sureness.POSSIBLE, -one.incidents, one.id))
    return FirstFailure(
        first.name,
        leading.id,
        leading.nature,
        graph().titles[first.name],
        first.first,
        sure,
        tuple(evidence),
        tuple(_followed(first, other) for other in others),
    )


def _followed(first: _Failed, other: _Failed) -> Followed:
    depends = _depends(first, other.name, {one.issue for one in other.causes})
    if depends is not None:
        late = other.first is not None and first.first is not None and other.first < first.first
        if late:
            return Followed(
                other.name, other.first, other.count, f"it began earlier, although {depends}", depends=False
            )
        return Followed(other.name, other.first, other.count, depends, depends=True)
    because = graph().independent.get(
        (other.name, first.name), "it does not depend on the first one: a fault of its own"
    )
    return Followed(other.name, other.first, other.count, because, depends=False)


def _depends(first: _Failed, name: str, issues: set[int]) -> str | None:
    edges = graph().edges
    if (name, first.name) in edges:
        # A missing key of one issue does not stop another issue's subsystem.
        related = first.name != "configuration" or bool(issues & {one.issue for one in first.causes})
        return edges[name, first.name] if related else None
    for of, on in edges:
        if of == name and on != "configuration" and _depends(first, on, issues) is not None:
            return edges[of, on]
    return None


def _evidence(seen: Seen, first: _Failed, others: Sequence[_Failed]) -> tuple[Sureness, list[str]]:
    title = graph().titles[first.name]
    total = first.count + sum(one.count for one in others)
    share = f"{100 * first.count / total:.0f} %" if total else "none"
    evidence = [
        f"{title}: {first.count} of {total} failures ({share}); the order is that of the start, not of the counts"
    ]
    sure = Sureness.CERTAIN
    if first.first is not None:
        evidence.append(f"its first failure: {first.first.isoformat(sep=' ')}")
    for other in others:
        same = bool(first.streams & other.streams)
        if first.first is None or other.first is None:
            evidence.append(f"{graph().titles[other.name]}: the lines have no times that could be compared")
            sure = max(sure, Sureness.LIKELY, key=list(Sureness).index)
        elif other.first < first.first:
            earlier = other.first.isoformat(sep=" ")
            evidence.append(f"{graph().titles[other.name]} failed earlier, at {earlier}: it does not depend on it")
            sure = max(sure, Sureness.LIKELY if same else Sureness.POSSIBLE, key=list(Sureness).index)
        else:
            evidence.append(f"{graph().titles[other.name]} failed from {other.first.isoformat(sep=' ')} on")
        if not same and any(seen.inferred.get(stream) for stream in first.streams | other.streams):
            evidence.append(
                f"{graph().titles[other.name]} is in another stream, and a date was inferred: their order is uncertain"
            )
            sure = max(sure, Sureness.LIKELY, key=list(Sureness).index)
    if all(cause.sure is Sureness.POSSIBLE for cause in first.causes):
        sure = Sureness.POSSIBLE
    return sure, evidence
