"""The summary of all streams in one view: absolute times, tallies and incidents added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from alwrity_checks.logs.formats import PSEUDO_YEAR
from alwrity_checks.logs.piece import Tally
from alwrity_checks.logs.times import DAY, NOWHERE, WIDTHS, Shift, Times
from alwrity_checks.logs.triage import Bins

if TYPE_CHECKING:
    from alwrity_checks.logs.clusters import Template
    from alwrity_checks.logs.machines import Incident
    from alwrity_checks.logs.piece import Piece
    from alwrity_checks.logs.summary import Summary

__all__ = ["Held", "Seen", "bins_of", "ends_of", "moment_of", "seen"]

_SAME = Shift(NOWHERE, 0, absolute=True)


@dataclass(slots=True)
class Held:
    """A tally over all streams."""

    tally: Tally = field(default_factory=Tally)
    streams: list[str] = field(default_factory=list)
    by_stream: dict[str, Times] = field(default_factory=dict)
    """Stream -> its times, absolute."""
    samples: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """All streams in one view."""

    tallies: dict[tuple[str, str], Held] = field(default_factory=dict)
    incidents: dict[Incident, Times] = field(default_factory=dict)
    clusters: dict[Template, Held] = field(default_factory=dict)
    levels: Counter[str] = field(default_factory=Counter)
    secrets: Counter[str] = field(default_factory=Counter)
    verbose: bool = False
    inferred: dict[str, bool] = field(default_factory=dict)
    """Stream -> whether its dates were inferred."""
    untimed: list[str] = field(default_factory=list)
    """Streams in which no line has a time."""
    pieces: dict[str, Piece] = field(default_factory=dict)

    def count(self, signature: str, variant: str | None = None) -> int:
        """Return how many lines a signature has, in all variants or in one."""
        return sum(
            held.tally.times.count
            for (one, what), held in self.tallies.items()
            if one == signature and variant in {None, what}
        )

    def times(self, signature: str, variant: str | None = None) -> Times:
        """Return when."""
        whole = Times()
        for (one, what), held in self.tallies.items():
            if one == signature and variant in {None, what}:
                whole.join(held.tally.times, _SAME)
        return whole

    def entities(self, signature: str, kind: str) -> dict[str, int]:
        """Return the values that lines of a signature named, as far as they were kept, with their counts."""
        found: Counter[str] = Counter()
        for (one, _), held in self.tallies.items():
            if one == signature and kind in held.tally.entities:
                found.update(dict(held.tally.entities[kind].most()))
        return dict(found)

    def told(self, kind: str, wanted: Callable[[Incident], bool] = lambda _: True) -> tuple[int, Times]:
        """Return how many incidents of a kind there were of those that are wanted, and when."""
        whole, count = Times(), 0
        for incident, times in self.incidents.items():
            if incident[0] == kind and wanted(incident):
                whole.join(times, _SAME)
                count += times.count
        return count, whole


def seen(summary: Summary, ends: Mapping[str, datetime] | None = None) -> Seen:
    """Return the view of all streams; `ends` says when each was last written to (a file's mtime), in local time."""
    whole = Seen()
    for stream, piece in summary.streams().items():
        whole.pieces[stream] = piece
        end = (ends or {}).get(stream)
        last = None if end is None else end.toordinal() * DAY + end.hour * 3600 + end.minute * 60 + end.second
        shift, inferred = piece.clock.resolved(last)
        known_date = piece.clock.anchor is not None or last is not None
        whole.inferred[stream] = inferred
        if piece.clock.now == NOWHERE:
            whole.untimed.append(stream)
        settle = _years(last) if known_date else None
        _add(whole, stream, piece, shift, settle)
    return whole


def _add(whole: Seen, stream: str, piece: Piece, shift: Shift, years: Shift | None) -> None:
    def absolute(times: Times) -> Times:
        settled = times.settled(shift)
        if years is None or settled.absolute_span is None or settled.absolute_span[1] >= _PSEUDO_END:
            return settled
        return _dated(settled, years)

    for key, tally in piece.tallies.items():
        held = whole.tallies.setdefault(key, Held())
        _hold(held, stream, absolute(tally.times), tally.sample)
        for kind, sample in tally.entities.items():
            from alwrity_checks.logs.sketches import Sample

            held.tally.entities.setdefault(kind, Sample()).join(sample)
        held.tally.levels += tally.levels
    for story in piece.stories.values():
        for incident, times in story.told().items():
            whole.incidents.setdefault(incident, Times()).join(absolute(times), _SAME)
    for template, cluster in piece.clusters.items():
        _hold(whole.clusters.setdefault(template, Held()), stream, absolute(cluster.times), cluster.sample)
    whole.levels += piece.levels
    whole.secrets += piece.secrets
    whole.verbose |= piece.verbose


def _hold(held: Held, stream: str, times: Times, sample: str) -> None:
    held.tally.times.join(times, _SAME)
    held.by_stream[stream] = times
    held.streams.append(stream)
    held.samples[stream] = sample
    held.tally.sample = held.tally.sample or sample


_PSEUDO_END = date(PSEUDO_YEAR + 1, 1, 1).toordinal() * DAY


def _years(end: int | None) -> Shift:
    """Return how a day of PSEUDO_YEAR becomes one of the year that ends at `end`, or of this one."""
    day = date.fromordinal(end // DAY) if end is not None else datetime.now(UTC).date()
    return Shift(NOWHERE, day.toordinal() * DAY, absolute=True)


def _dated(times: Times, years: Shift) -> Times:
    """Give the days of a log without years their year: the last one in which they lie before its end."""
    end = date.fromordinal(years.seconds // DAY)
    whole = Times(before=times.before, coarse=times.coarse)
    width = WIDTHS[times.coarse]
    for second, count in times.absolute.items():
        moved = _in_year(second, end) if width else 0
        key = moved - moved % width if width else 0
        whole.absolute[key] = whole.absolute.get(key, 0) + count
    if times.absolute_span is not None:
        span = sorted(_in_year(second, end) for second in times.absolute_span)
        whole.absolute_span = (span[0], span[-1])
    return whole


def _in_year(second: int, end: date) -> int:
    day, of_day = divmod(second, DAY)
    pseudo = date.fromordinal(day)
    for year in range(end.year, end.year - 8, -1):
        try:
            found = pseudo.replace(year=year)
        except ValueError:
            continue
        if found <= end:
            return found.toordinal() * DAY + of_day
    return second


def moment_of(second: int) -> datetime | None:
    """Return an absolute second as a moment without a zone: logs have their host's time."""
    day, of_day = divmod(second, DAY)
    if day < 1:
        return None
    return datetime.fromordinal(day).replace(hour=of_day // 3600, minute=of_day // 60 % 60, second=of_day % 60)


def ends_of(times: Times) -> tuple[datetime | None, datetime | None]:
    """Return when it was seen first and last."""
    if times.absolute_span is None:
        return None, None
    return moment_of(times.absolute_span[0]), moment_of(times.absolute_span[1])


def bins_of(times: Times) -> Bins:
    """Return the rate."""
    width = WIDTHS[times.coarse]
    first = ends_of(times)[0]
    if width == 0:
        return Bins(0, () if first is None else ((first, sum(times.absolute.values())),))
    found = ((moment_of(second), count) for second, count in sorted(times.absolute.items()))
    return Bins(width, tuple((moment, count) for moment, count in found if moment is not None))
