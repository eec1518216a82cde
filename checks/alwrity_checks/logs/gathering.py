"""From the lines that the engine found to the summary of a segment.

Most hits of a log say what others have said before, at another time. So the time is cut off, the rest is understood
once and remembered, and what is left for a repetition is a look into a table and a count; times are booked once a
minute.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from alwrity_checks.logs.clusters import EXCEPTION, Template, template_of
from alwrity_checks.logs.entities import value_of
from alwrity_checks.logs.formats import Record, Stamp, read_record
from alwrity_checks.logs.incidents import Entry, Story
from alwrity_checks.logs.machines import TOKENS
from alwrity_checks.logs.piece import Piece, Tally
from alwrity_checks.logs.probe import Probe
from alwrity_checks.logs.readings import READERS
from alwrity_checks.logs.signatures import Signature, signatures
from alwrity_checks.logs.sketches import Sample, hashed
from alwrity_checks.logs.summary import Summary
from alwrity_checks.logs.times import DAY, NOWHERE, Place

if TYPE_CHECKING:
    from alwrity_checks.logs.probe import Hit, Skipped, Window

__all__ = ["INTERNAL", "Gathering", "gatherer", "probes"]

INTERNAL: Final = (
    Probe("trouble.warning", b"WARNING", rb"WARNING *([^ ]*m)? ?\||(^|[| ])WARNING: |-WARNING-"),
    Probe("trouble.error", b"ERROR", rb"ERROR *([^ ]*m)? ?\||(^|[| ])ERROR: |-ERROR-"),
    Probe("trouble.critical", b"CRITICAL", rb"CRITICAL *([^ ]*m)? ?\||(^|[| ])CRITICAL: |-CRITICAL-"),
    Probe("exception.error", b"Error: ", rb"(^|[ZF|:] )([A-Za-z_0-9]+[.])*[A-Z][A-Za-z_0-9]*Error: "),
    Probe("exception.exception", b"Exception: ", rb"(^|[ZF|:] )([A-Za-z_0-9]+[.])*[A-Za-z_0-9]*Exception: "),
    Probe("exception.assertion", b"AssertionError", rb"(^|[ZF|:] )AssertionError"),
    Probe("clock.midnight", b"00:0", rb"(^|[| ])00:0[0-9]:[0-9][0-9] \|"),
)
"""Unknown trouble, and the ten minutes after midnight, without which a quiet night would hide that a day has passed."""

_TROUBLE: Final = frozenset({"WARNING", "ERROR", "CRITICAL"})
_VERBOSE: Final = frozenset({"DEBUG", "INFO"})
_OWN_FORMATS: Final = frozenset({"F1", "F9"})
"""The application's own sink, whose level is the log's: what was logged before it was set up shows every level."""
_MOST_KNOWN: Final = 4096
_LONGEST_SAMPLE: Final = 600
_LOOKED_BACK: Final = 12
_UNDATED: Final = re.compile(rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]) \| [A-Z]+ *\| [^ ]+[:=]")
"""How a record of F1, F2 or F9 begins."""
_MIDDLE: Final = len(" | WARNING  | ")
_MIDDLE_END: Final = _MIDDLE + len("req=")
_TIME: Final = re.compile(rb"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?")
_FRONT: Final = 96
"""Bytes within which a line's times stand."""
_FINGERPRINT: Final = re.compile(r"…#[0-9a-f]{8}")
_CLIENT: Final = re.compile(r"(client_ip=)[^ ,)]+")
"""A sample is handed on with the report, where clients are hashes."""
_DIGITS_AS_ONE: Final = bytes.maketrans(b"123456789", b"000000000")


@cache
def probes() -> tuple[Probe, ...]:
    """Return what the engine has to look for: the signatures' probes, our own, those of secrets; in this order."""
    from alwrity_checks.logs.secrets import PROBES
    from alwrity_checks.logs.signatures import probes as of_signatures

    return (*of_signatures(), *INTERNAL, *PROBES)


def gatherer(salt: bytes | None = None) -> partial[Gathering]:
    """Return what makes the gatherer of a segment; it can be pickled.

    Users and clients are kept as keyed hashes; `salt` is the key, the same for all who share a report, else a new one.
    """
    return partial(Gathering, salt=os.urandom(16) if salt is None else salt)


class _Named(NamedTuple):
    """A signature, ready for use."""

    signature: Signature
    entities: tuple[tuple[str, str], ...]
    """Kind and expression; compiled, and kept by `re`, when a line needs it: most logs need few."""
    variants: tuple[tuple[str, str], ...]


@cache
def _named() -> tuple[_Named, ...]:
    return tuple(
        _Named(
            one,
            tuple(one.entities.items()),
            tuple((variant.name, variant.pattern) for variant in one.variants),
        )
        for one in signatures()
    )


class _Sign(NamedTuple):
    """What one signature makes of a line."""

    tally: Tally
    entities: tuple[tuple[str, int, str], ...]
    """Kind, hash and value."""
    token: tuple[Story, tuple[str, str]] | None


@dataclass(slots=True, eq=False)
class _Known:
    """A line without its time, understood."""

    signs: tuple[_Sign, ...]
    cluster: Template | None
    level: tuple[str, str]
    tokens: bool
    secret: bool
    count: int = 0
    first: Place = NOWHERE
    last: Place = NOWHERE
    at: int = 0
    line: bytes = b""


class _Told(NamedTuple):
    """What a line tells by one signature, whichever segment it stands in."""

    key: tuple[str, str]
    """The signature's id, and the variant."""
    entities: tuple[tuple[str, int, str], ...]
    token: tuple[str, tuple[str, str]] | None
    """Machine and token."""


class _Meaning(NamedTuple):
    """What a line without its time means, whichever segment it stands in."""

    told: tuple[_Told, ...]
    cluster: Template | None
    level: tuple[str, str]


_MEANINGS: Final[dict[tuple[bytes, bytes, tuple[int, ...]], _Meaning]] = {}
"""Of this process: most lines of a segment were said in the one before. (Salt, line without its time, probes)."""


def _meaning(line: bytes, found: tuple[int, ...], salt: bytes) -> _Meaning:
    record, names = read_record(line), _named()
    told = tuple([_told(names[number], record, salt) for number in found if number < len(names)])
    cluster = None
    if not told and (record.level in _TROUBLE or (not record.level and EXCEPTION.match(record.message))):
        cluster = template_of(record, _FINGERPRINT.sub("…", _clean(record.message)))
    return _Meaning(told, cluster, (record.format, record.level))


def _told(named: _Named, record: Record, salt: bytes) -> _Told:
    signature = named.signature
    text = record.message.decode("utf-8", "replace")
    values = {kind: match.group(1) for kind, pattern in named.entities if (match := re.search(pattern, text))}
    variant = next((name for name, pattern in named.variants if re.search(pattern, text)), "")
    if signature.reader is not None and "text" in values:
        variant = READERS[signature.reader](values["text"])[0]
    entities = []
    for kind, value in values.items():
        shown = value_of(kind, value, salt)
        entities.append((kind, hashed(shown.encode("utf-8", "replace"), salt), shown))
    token = None
    if (machine := TOKENS.get(signature.id)) is not None:
        filled = machine[2].format(
            variant=variant,
            literal="literal" if values.get("model") == "%s" else "",
            provider=values.get("provider", ""),
            level=record.level,
        )
        token = (machine[0], (machine[1], filled))
    return _Told((signature.id, variant), tuple(entities), token)


class Gathering:
    """The gatherer of one segment; see `probe.Gatherer`."""

    def __init__(self, stream: str, start: int, *, salt: bytes = b"") -> None:
        self._stream = stream
        self._piece = Piece(start)
        self._salt = salt
        self._known: dict[tuple[bytes, tuple[int, ...]], _Known] = {}
        self._touched: list[_Known] = []
        self._minute: tuple[int, int] = (-1, -1)
        self._seconds: dict[bytes, int] = {}
        self._first_secret = len(_named()) + len(INTERNAL)
        self._clock_only = (self._first_secret - 1,)
        self._verbose = False

    def take(self, hits: Sequence[Hit], window: Window) -> None:  # noqa: C901, PLR0912 - a call costs more than a branch
        """Count the hits of the segment, in order."""
        clock, known, seconds = self._piece.clock, self._known, self._seconds
        clock_only, first_internal, first_secret = self._clock_only, len(_named()), self._first_secret
        if not self._verbose and hits:
            self._look_back(window.before(hits[0].offset, _LOOKED_BACK))
        last_second: int | None = None
        place = clock.now
        for offset, line, found in hits:
            second = seconds.get(line[:8])
            if second is not None:
                rest = line[8:]
                if second != last_second:
                    place = clock.at(Stamp(second))
                    last_second = second
                stamp: Stamp | None = None
                timed = True
            else:
                stamp, rest = self._slowly(line)
                place = clock.at(stamp)
                last_second = None
                timed = stamp is not None
            minute = (place[0], place[1] // 60)
            if minute != self._minute:
                self._book()
                self._minute = minute
            if found == clock_only:
                # The time was all that was wanted of it.
                continue
            if rest[_MIDDLE:_MIDDLE_END] == b"req=" and (behind := rest.find(b" | ", _MIDDLE_END)) > 0:
                # Which request it was says nothing of what is said, and each has its own.
                rest = rest[:_MIDDLE] + rest[behind + 3 :]
            one = known.get((rest, found))
            if one is None:
                if first_internal <= found[0] and found[-1] < first_secret:
                    # A template's holes are whatever holds a digit: other digits make no other template.
                    masked = rest.translate(_DIGITS_AS_ONE)
                    one = known.get((masked, found)) or self._understood(line, masked, found)
                else:
                    one = self._understood(line, rest, found)
            if not one.count:
                one.first, one.at, one.line = place, offset, line
                self._touched.append(one)
            one.count += 1
            one.last = place
            if one.tokens:
                for sign in one.signs:
                    if sign.token is not None:
                        sign.token[0].take(Entry(sign.token[1], timed, place))
            if one.secret:
                self._count_secrets(line)

    def beyond(self, hits: Sequence[Hit], window: Window) -> None:
        """Do nothing: what began in a segment is read to its end when the next segment's summary is joined to it."""

    def skip(self, part: Skipped) -> None:
        """Note a part that was not looked at."""
        self._piece.skip(part)

    def ends(self, offset: int) -> None:
        """Say where the segment ends; then its summary can be joined to the next one's at once."""
        self._piece.end = offset

    def result(self) -> Summary:
        """Return the segment's summary."""
        self._book()
        self._known.clear()
        return Summary.of(self._stream, self._piece)

    def _slowly(self, line: bytes) -> tuple[Stamp | None, bytes]:
        """Return the time of a line whose first eight bytes are no time that was seen before, and what is behind it."""
        if (undated := _UNDATED.match(line)) is not None:
            second = int(undated[1]) * 3600 + int(undated[2]) * 60 + int(undated[3])
            if len(self._seconds) > DAY:
                self._seconds.clear()
            self._seconds[line[:8]] = second
            return Stamp(second), line[8:]
        stamp = read_record(line[:_FRONT] if line[:1] != b"{" else line).stamp
        if stamp is None:
            return None, line
        end = 0
        for match in _TIME.finditer(line, 0, _FRONT):
            end = match.end()
        # A byte that no line begins with: the same text behind a time of another form is another format.
        return stamp, b"\n" + line[end:] if end else line

    def _understood(self, line: bytes, rest: bytes, found: tuple[int, ...]) -> _Known:
        """Understand a line that was not seen before but for its time."""
        if len(self._known) >= _MOST_KNOWN:
            self._book()
            self._known.clear()
        key = self._salt, rest, found
        meaning = _MEANINGS.get(key)
        if meaning is None:
            if len(_MEANINGS) >= _MOST_KNOWN:
                _MEANINGS.clear()
            meaning = _MEANINGS[key] = _meaning(line, found, self._salt)
        if not self._verbose and meaning.level[0] in _OWN_FORMATS and meaning.level[1] in _VERBOSE:
            self._look_back((line,))
        signs = tuple([self._sign(one) for one in meaning.told])
        secret = found[-1] >= self._first_secret
        known = _Known(signs, meaning.cluster, meaning.level, any(sign.token for sign in signs), secret)
        self._known[rest, found] = known
        return known

    def _sign(self, told: _Told) -> _Sign:
        tally = self._piece.tallies.get(told.key)
        if tally is None:
            tally = self._piece.tallies[told.key] = Tally()
        token = None if told.token is None else (self._piece.stories[told.token[0]], told.token[1])
        return _Sign(tally, told.entities, token)

    def _book(self) -> None:
        """Enter what was counted since the last time; all of it is of one minute."""
        piece = self._piece
        for one in self._touched:
            count, first, last = one.count, one.first, one.last
            one.count = 0
            piece.levels[" ".join(one.level)] += count
            for sign in one.signs:
                tally = sign.tally
                tally.times.add(first, count, last)
                tally.levels[one.level[1]] += count
                for kind, number, value in sign.entities:
                    sample = tally.entities.get(kind)
                    if sample is None:
                        sample = tally.entities[kind] = Sample()
                    sample.add(number, value, count)
                if tally.at < 0 or one.at < tally.at:
                    tally.sample, tally.at = _shown(one.line), one.at
            if one.cluster is not None:
                self._cluster(one.cluster, one, count)
        self._touched.clear()

    def _cluster(self, template: Template, one: _Known, times: int) -> None:
        clusters = self._piece.clusters
        cluster = clusters.cluster(template)
        new = cluster.at < 0
        cluster.times.add(one.first, times, one.last)
        if cluster.at < 0 or one.at < cluster.at:
            cluster.sample, cluster.at = _shown(one.line), one.at
        if new:
            clusters.trim()

    def _look_back(self, lines: Sequence[bytes]) -> None:
        """See whether the log is verbose: its own records at INFO or DEBUG, but for those of video generation."""
        for line in lines:
            if b"INFO" not in line and b"DEBUG" not in line:
                continue
            record = read_record(line)
            if record.format in _OWN_FORMATS and record.level in _VERBOSE and "video" not in record.place:
                self._verbose = self._piece.verbose = True
                return

    def _count_secrets(self, line: bytes) -> None:
        from alwrity_checks.logs.secrets import found

        self._piece.secrets.update(found(line))


def _clean(line: bytes) -> str:
    from alwrity_checks.logs.secrets import clean

    return clean(line).decode("utf-8", "replace")


def _shown(line: bytes) -> str:
    text = _FINGERPRINT.sub("…", _clean(line[: 4 * _LONGEST_SAMPLE]))
    return _CLIENT.sub(r"\1…", text)[:_LONGEST_SAMPLE]
