"""From a summary to a diagnosis: groups, causes, what failed first, a timeline, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from alwrity_checks.logs.causes import causes, counting
from alwrity_checks.logs.causes_generation import states as generation_states
from alwrity_checks.logs.first_failure import first_failure, graph, subsystem_of
from alwrity_checks.logs.seen import bins_of, ends_of, seen
from alwrity_checks.logs.signatures import Kind, by_id
from alwrity_checks.logs.triage import Cause, ClusterFound, EntityCount, Event, Group, Nature, Triage, Unread

if TYPE_CHECKING:
    from alwrity_checks.logs.seen import Held, Seen
    from alwrity_checks.logs.signatures import Signature
    from alwrity_checks.logs.summary import Summary

__all__ = ["diagnose", "rule_said"]

_MOST_SHOWN: Final = 8
_MOST_EVENTS: Final = 60
_MOST_NAMED: Final = 4
_LAST: Final = 9
"""The phase of what has none."""
_LONGEST_EVENT: Final = 160


def diagnose(summary: Summary, ends: Mapping[str, datetime] | None = None) -> Triage:
    """Return what the logs say.

    `ends`: stream -> when it was last written to, in its host's local time (a file's mtime). It dates lines that have
    no date, and that is said; a stream without an entry is taken to end now.
    """
    now = datetime.now().astimezone().replace(tzinfo=None)
    whole = seen(summary, {stream: (ends or {}).get(stream, now) for stream, _ in summary.pieces})
    found = causes(whole)
    groups = tuple(_groups(whole))
    clusters = tuple(_clusters(whole))
    return Triage(
        groups=tuple(one for one in groups if one.kind not in {Kind.HARMLESS, Kind.EVIDENCE}),
        harmless=tuple(one for one in groups if one.kind == Kind.HARMLESS),
        facts=tuple(one for one in groups if one.kind == Kind.EVIDENCE),
        causes=found,
        first_failure=first_failure(whole, found),
        timeline=tuple(_timeline(whole, found, groups)),
        clusters=clusters,
        unknown_lines=sum(one.count for one in clusters),
        secrets=tuple(sorted(whole.secrets.items())),
        skipped=tuple(_unread(whole)),
        states=tuple(dict.fromkeys(_states(whole))),
        notes=tuple(_notes(whole)),
        verbose=whole.verbose,
    )


def _groups(whole: Seen) -> Iterator[Group]:
    order = sorted(
        whole.tallies.items(), key=lambda pair: (by_id()[pair[0][0]].issue, -pair[1].tally.times.count, pair[0])
    )
    for (name, variant), held in order:
        signature = by_id()[name]
        what = next((one for one in signature.variants if one.name == variant), None)
        rule = rule_said(signature, variant, held)
        meaning = what.meaning or signature.meaning if what is not None else signature.meaning
        first, last = ends_of(held.tally.times)
        levels = sorted(held.tally.levels.items(), key=lambda pair: (-pair[1], pair[0]))
        yield Group(
            name,
            variant,
            signature.issue,
            rule,
            signature.kind.value,
            signature.subsystem,
            next((level for level, _ in levels if level), signature.level),
            meaning,
            held.tally.times.count,
            first,
            last,
            bins_of(held.tally.times),
            tuple(_entities(held)),
            held.tally.sample,
            tuple(sorted(held.streams)),
        )


def rule_said(signature: Signature, variant: str, held: Held) -> str | None:
    """Return the rule of which lines of a signature and variant speak; None where they speak of none."""
    what = next((one for one in signature.variants if one.name == variant), None)
    if what is not None:
        return what.rule or signature.rule
    if signature.reader is not None and variant:
        return _read_rule(held, signature.reader, signature.entities.get("text", "")) or signature.rule
    return signature.rule


def _read_rule(held: Held, reader: str, expression: str) -> str | None:
    import re

    from alwrity_checks.logs.readings import READERS

    match = re.search(expression, held.tally.sample) if expression else None
    return READERS[reader](match.group(1))[1] if match else None


def _entities(held: Held) -> Iterator[EntityCount]:
    for kind, sample in sorted(held.tally.entities.items()):
        yield EntityCount(kind, sample.distinct, not sample.full, tuple(sample.most()[:_MOST_SHOWN]))


def _clusters(whole: Seen) -> Iterator[ClusterFound]:
    order = sorted(
        whole.clusters.items(),
        key=lambda pair: (-pair[1].tally.times.count, pair[0].level, pair[0].module, pair[0].text),
    )
    for template, held in order:
        first, last = ends_of(held.tally.times)
        yield ClusterFound(
            template.level,
            template.module,
            template.text,
            held.tally.times.count,
            first,
            last,
            bins_of(held.tally.times),
            held.tally.sample,
            tuple(sorted(held.streams)),
        )


_MARKS: Final = frozenset(
    {"logs.reload", "startup.process", "startup.launched", "startup.serving", "startup.server-process"}
)


def _timeline(whole: Seen, found: tuple[Cause, ...], groups: tuple[Group, ...]) -> list[Event]:
    """Return when each cause, each kind of failing line and each restart was seen first."""
    inferred = any(whole.inferred.values())
    events = [
        Event(cause.first, inferred, "", subsystem_of(cause), cause.title, "")
        for cause in found
        if cause.nature is not Nature.NONE
    ]
    for group in groups:
        if group.kind in {Kind.CAUSE, Kind.SYMPTOM, Kind.CONFIGURATION, Kind.ALARM} or group.signature in _MARKS:
            held = whole.tallies[group.signature, group.variant]
            for stream, times in sorted(held.by_stream.items()):
                first, last = ends_of(times)
                until = "" if last is None else f", until {last}"
                text = group.meaning if times.count == 1 else f"{group.meaning} ({times.count} times{until})"
                sample = held.samples[stream][:_LONGEST_EVENT]
                guessed = whole.inferred.get(stream, False)
                events.append(Event(first, guessed, stream, group.subsystem, text, sample))
    return sorted(events, key=_in_order)[:_MOST_EVENTS]


def _in_order(event: Event) -> tuple[bool, str, int, bool, str]:
    moment = "" if event.moment is None else event.moment.isoformat()
    return event.moment is not None, moment, graph().phases.get(event.subsystem, _LAST), event.stream == "", event.text


def _unread(whole: Seen) -> Iterator[Unread]:
    from alwrity_checks.logs.probe import SkipReason

    for stream, piece in sorted(whole.pieces.items()):
        for (reason, detail), unseen in sorted(piece.skipped.items()):
            text = SkipReason[reason].value if reason in SkipReason.__members__ else reason
            yield Unread(stream, text, detail, unseen.parts, unseen.first, unseen.length)


def _states(whole: Seen) -> Iterator[str]:
    if whole.count("auth.rejected-production"):
        yield "8c2d88ef or before (from 08a1f4a1): rejections say `(production)`, whatever the environment is"
    if whole.count("auth.rejected-env"):
        yield "01881bb4 or later: rejections name the environment; unverified tokens are let in unless it is production"
    if whole.count("auth.issuer-mismatch"):
        yield "b894bc0a or later: the issuer is compared"
    yield from generation_states(whole)
    if whole.count("hf.preflight") or whole.count("hf.progress"):
        yield "ce9bf293 or near it: ordinary progress is written at WARNING"
    if whole.count("txtai.deferred"):
        yield "098424f6: indexing is promised for later"
    if whole.count("startup.process") or whole.count("startup.summary"):
        yield "ce9bf293 or near it: the start script prints [STARTUP] and a summary"


def _notes(whole: Seen) -> Iterator[str]:
    inferred = sorted(stream for stream, guessed in whole.inferred.items() if guessed)
    if inferred:
        named = ", ".join(inferred[:_MOST_NAMED]) + (" and others" if len(inferred) > _MOST_NAMED else "")
        yield (
            f"the lines of {named} have no date: it was inferred from"
            "  when the log was last written to, and midnights were counted"
        )
    told = sorted(stream for stream in whole.untimed if whole.pieces[stream].levels)
    if told:
        yield f"no line of {', '.join(told[:_MOST_NAMED])} that matters has a time"
    # Where no line was worth a look, nobody knows which levels there are.
    if whole.levels and not whole.verbose:
        yield "the log is not verbose: a missing line at DEBUG or INFO says nothing (start the backend with --verbose)"
    if len(whole.pieces) > 1:
        yield "order is certain within one stream only"
    if reloads := whole.count("logs.reload"):
        yield (
            f"{counting(reloads, 'reload')} emptied the memory of the process: index services, loaded models, caches,"
            " and what was running in the background; that is no cause of anything else"
        )
    if whole.count("hf.structured-not-found") and "%s" in whole.entities("hf.structured-not-found", "model"):
        yield "printf-style calls of loguru print a literal %s: the models' names are lost"
