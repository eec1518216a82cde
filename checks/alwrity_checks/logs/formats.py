"""From a line to its record: what wraps it, its time, its level, where it was written, and the message.

F1, F2, F7   06:36:48 | ERROR    | [req=- job=- user=- | ]module:function:191 - message
F3           2026-03-10 07:32:57.855 | INFO     | app:<module>:2 - message
F4           WARNING:  message                                            (uvicorn)
F5           [2026-03-10 12:00:00,422-INFO-_client-1038]- message         (logging.basicConfig of the backend)
F6, F8       message                                                      (logging's last resort; prints)
F9           07:51:49 | WARNING  | __main__:10 | message, or with a date and `rid=- jid=- uid=- |`

Around them stand the prefixes of docker compose, docker --timestamps, Kubernetes (CRI), journald and JSON-file logs;
where those have a time it counts, because it has a date. Sources: ALwrity 8c2d88ef and ce9bf293, logging_config.py and
services/llm_providers/gemini_provider.py:98, uvicorn 0.54.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

__all__ = ["PSEUDO_YEAR", "Record", "Stamp", "message_of", "read_record"]

PSEUDO_YEAR: Final = 4
"""The year of a date that has none (journald); a leap year. The finalisation puts the real one in its place."""

_ANSI: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CLOCK: Final = rb"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_DAY: Final = rb"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_COMPOSE: Final = re.compile(rb"[\w.-]+[-_][0-9]+ +\| ?")
_ISO: Final = re.compile(
    _DAY + rb"T" + _CLOCK + rb"(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})? (?:(?:stdout|stderr) [FP] )?"
    rb"(?:[\w.-]+ [\w.@/-]+(?:\[[0-9]+\])?: )?"
)
_JOURNAL: Final = re.compile(
    rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +([0-9]{1,2}) " + _CLOCK + rb" [^ ]+ [^ ]+?(?:\[[0-9]+\])?: "
)
_MONTHS: Final = {
    name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_JSON: Final = b'{"log":'
_JSON_TIME: Final = re.compile(rb'"time": ?"' + _DAY + rb"T" + _CLOCK)
_JSON_TEXT: Final = re.compile(rb'\{"log": ?"((?:[^"\\]|\\.)*)"')

_F1: Final = re.compile(_CLOCK + rb" \| ([A-Z]+) *\| (?:req=\S+ job=\S+ user=\S+ \| )?([\w.<>]+):([\w<>]+):([0-9]+) - ")
_F3: Final = re.compile(_DAY + rb" " + _CLOCK + rb"(?:\.[0-9]{3}) \| ([A-Z]+) *\| ([\w.<>]+):([\w<>]+):([0-9]+) - ")
_F4: Final = re.compile(rb"(DEBUG|INFO|WARNING|ERROR|CRITICAL): +")
_F5: Final = re.compile(rb"\[" + _DAY + rb" " + _CLOCK + rb",[0-9]{3}-([A-Z]+)-(\w+)-([0-9]+)\]- ")
_F9: Final = re.compile(rb"(?:[\w.-]+ \| )?" + _CLOCK + rb" \| ([A-Z]+) *\| ([\w.<>]+)(?::[\w<>]+)?:([0-9]+) (?:\||-) ")
_F9_VERBOSE: Final = re.compile(
    _DAY + rb" " + _CLOCK + rb"\.[0-9]{3} \| ([A-Z]+) *\| ([\w.<>]+):([\w<>]+):([0-9]+) \| rid=\S+ jid=\S+ uid=\S+ \| "
)
_DIGITS: Final = frozenset(b"0123456789")
_HOURS: Final = 24
_SIXTY: Final = 60


@dataclass(frozen=True, slots=True)
class Stamp:
    """The time that stands in a line."""

    second: int
    """Of the day, 0 to 86,399 (a leap second counts as the one before)."""
    day: int | None = None
    """Proleptic Gregorian ordinal; in PSEUDO_YEAR where the year lacks; None where the date lacks."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line, taken apart."""

    format: str
    """F1 to F5, F9, or empty for a bare line (F6, F8, the further lines of a record)."""
    stamp: Stamp | None
    level: str
    """Empty where the line has none."""
    place: str
    """`module:line`, as far as the line tells it."""
    message: bytes


def read_record(line: bytes) -> Record:
    """Take a line apart. Never raises: what is not known is a bare line."""
    if b"\x1b" in line:
        line = _ANSI.sub(b"", line)
    wrapped, line = _unwrapped(line.rstrip(b"\r"))
    record = _bare(line)
    if wrapped is None:
        return record
    return Record(record.format, wrapped, record.level, record.place, record.message)


def message_of(line: bytes) -> bytes:
    """Return the message of a line, without time, level and place."""
    return read_record(line).message


def _unwrapped(line: bytes) -> tuple[Stamp | None, bytes]:
    """Take off what a container runtime or a journal has put in front of a line."""
    if line.startswith(_JSON):
        found, time = _JSON_TEXT.match(line), _JSON_TIME.search(line)
        inner = _unescaped(found.group(1)) if found else line
        return (_dated(time, 1) if time else None), inner
    first = line[:1]
    if first.isalpha() or first == b"_":
        if match := _JOURNAL.match(line):
            month, day = _MONTHS[match.group(1)], int(match.group(2))
            return _stamp(PSEUDO_YEAR, month, day, match.groups()[2:5]), line[match.end() :]
        if match := _COMPOSE.match(line):
            rest = line[match.end() :]
            # F9 of one commit begins with the application's name, which may look the same: it needs a clock behind it.
            return _unwrapped(rest) if rest[:4].isdigit() and rest[4:5] == b"-" else (None, rest)
    elif line[:4].isdigit() and (match := _ISO.match(line)):
        return _dated(match, 1), line[match.end() :]
    return None, line


def _unescaped(text: bytes) -> bytes:
    import json

    try:
        return str(json.loads(b'"' + text + b'"')).encode("utf-8", "replace").rstrip(b"\n")
    except ValueError:
        return text


def _bare(line: bytes) -> Record:
    first = line[:1]
    if first and first[0] in _DIGITS:
        if line[2:3] == b":":
            if match := _F1.match(line):
                h, m, s, level, module, _, number = match.groups()
                return _record("F1", _undated((h, m, s)), level, module, number, line[match.end() :])
            if match := _F9.match(line):
                h, m, s, level, module, number = match.groups()
                return _record("F9", _undated((h, m, s)), level, module, number, line[match.end() :])
        elif match := _F3.match(line) or _F9_VERBOSE.match(line):
            level, module, _, number = match.groups()[6:]
            name = "F3" if match.re is _F3 else "F9"
            return _record(name, _dated(match, 1), level, module, number, line[match.end() :])
    elif first == b"[":
        if match := _F5.match(line):
            level, module, number = match.groups()[6:]
            return _record("F5", _dated(match, 1), level, module, number, line[match.end() :])
    elif match := _F4.match(line):
        return Record("F4", None, match.group(1).decode(), "", line[match.end() :])
    elif b" | " in line[:64] and (match := _F9.match(line)):
        h, m, s, level, module, number = match.groups()
        return _record("F9", _undated((h, m, s)), level, module, number, line[match.end() :])
    return Record("", None, "", "", line)


def _record(  # noqa: PLR0913, PLR0917 - the parts of a line
    name: str, stamp: Stamp | None, level: bytes, module: bytes, number: bytes, message: bytes
) -> Record:
    place = f"{module.decode('utf-8', 'replace')}:{number.decode()}"
    return Record(name, stamp, level.decode(), place, message)


def _undated(clock: tuple[bytes, bytes, bytes]) -> Stamp | None:
    second = _second(clock)
    return None if second is None else Stamp(second)


def _dated(match: re.Match[bytes], first: int) -> Stamp | None:
    year, month, day = (int(match.group(first + at)) for at in range(3))
    return _stamp(year, month, day, match.groups()[first + 2 : first + 5])


def _stamp(year: int, month: int, day: int, clock: tuple[bytes, ...]) -> Stamp | None:
    second = _second(clock)
    if second is None:
        return None
    try:
        return Stamp(second, date(year, month, day).toordinal())
    except ValueError:
        return None


def _second(clock: tuple[bytes, ...]) -> int | None:
    hour, minute, second = (int(part) for part in clock)
    if hour >= _HOURS or minute >= _SIXTY or second > _SIXTY:
        return None
    return hour * 3600 + minute * 60 + min(second, 59)
