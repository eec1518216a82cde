"""Reads a browser capture (HAR 1.2) as a stream of entries, a few fields each, in bounded memory.

Format: http://www.softwareishard.com/blog/har-12-spec/; fields that begin with an underscore are Chrome's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final, TypeAlias

from alwrity_checks.auth.har.text import EXPORT, capture_text
from alwrity_checks.errors import ConfigurationError, DoctorError
from alwrity_checks.redaction import Secret

__all__ = ["CaptureCut", "Entry", "read_entries"]

_LONGEST_TEXT: Final = 1 << 14
"""Characters kept of a field: twice what a token may have."""
_MOST_ITEMS: Final = 500
"""Items kept of an entry's list of headers."""
_LAST_MOMENT: Final = 253402214400
"""The last day of the year 9999: a later time is no date."""

_FOREIGN: Final = (
    ({"info", "item"}, "a Postman collection"),
    ({"values", "_postman_variable_scope"}, "a Postman environment"),
    ({"constants", "events"}, "a Chrome net-export log"),
    ({"traceEvents"}, "a performance trace"),
    ({"_type", "resources"}, "an Insomnia export"),
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Event: TypeAlias = tuple[str, Any]
"""What ijson makes of JSON: `start_map`, `map_key`, `string`, …, and the value of a scalar."""

_BEGINNINGS: Final = frozenset({"start_map", "start_array"})
_ENDS: Final = frozenset({"end_map", "end_array"})

_LEAF: Final = None
_HEADERS: Final = [{"name": _LEAF, "value": _LEAF}]
_WANTED: Final = {
    "startedDateTime": _LEAF,
    "time": _LEAF,
    "pageref": _LEAF,
    "_resourceType": _LEAF,
    "request": {"method": _LEAF, "url": _LEAF, "headers": _HEADERS},
    "response": {"status": _LEAF, "headers": _HEADERS},
}
"""What is kept of an entry: an object is the members to keep, a list its one kind of item."""


class CaptureCut(DoctorError):  # noqa: N818 - what happened to the file
    """The capture cannot be read to its end; the entries before that are good."""


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """The JSON text ends early or is none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One exchange of a capture. A field that is absent or of the wrong type is empty, 0 or None."""

    index: int
    """Its place in `log.entries`, from 0."""
    moment: float | None
    """When the request was sent by the browser's clock, in seconds since the epoch; None without a time zone."""
    elapsed: float
    """Seconds until the answer was complete."""
    method: str
    url: str = field(repr=False)
    """May hold a token."""
    status: int
    """0 if there was no answer."""
    page: str
    """Which load of a page it belongs to."""
    resource_type: str
    """Chrome's: `fetch`, `xhr`, `preflight`, `websocket`, …"""
    authorization: tuple[Secret, ...]
    """Every Authorization header of the request."""
    has_cookie: bool
    fetch_destination: str
    """The header Sec-Fetch-Dest: `empty` for what a script sent."""
    date: str
    """The answer's Date header."""
    reasons: tuple[tuple[str, str], ...]
    """The answer's WWW-Authenticate and X-Auth-Reason headers: the name in lower case, and the value."""


def read_entries(stream: BinaryIO) -> Iterator[Entry]:
    """Yield the entries of a capture: JSON in UTF-8, plain or compressed with gzip.

    Raises ConfigurationError if it is no capture at all, and CaptureCut if it becomes unreadable after its list of
    entries has begun.
    """
    document = _Document(_events(capture_text(stream)))
    try:
        for index, members in enumerate(document.entries()):
            yield _entry(index, members if isinstance(members, dict) else {})
    except _Unreadable as error:
        if document.begun:
            raise CaptureCut(f"the capture cannot be read to its end: {error}", f"{EXPORT} again") from None
        raise ConfigurationError(f"this is not a capture: {error}", EXPORT) from None
    if not document.begun:
        what = next((what for keys, what in _FOREIGN if keys <= document.names), "JSON without a list log.entries")
        raise ConfigurationError(f"this is not a capture but {what}", EXPORT)


def _events(blocks: Iterable[bytes]) -> Iterator[_Event]:
    import ijson  # type: ignore[import-untyped] # it ships no types

    batch = ijson.sendable_list()
    parser = ijson.basic_parse_coro(batch)
    try:
        for block in blocks:
            parser.send(block)
            yield from batch
            batch.clear()
        parser.close()
    # Beyond its own errors, ijson lets through ValueError for control characters (python backend) and SystemError for
    # numbers of more than 4,300 digits (C backend).
    except (ijson.JSONError, ValueError, SystemError) as error:
        yield from batch
        ends_early = "premature EOF" in str(error) or "ncomplete" in str(error)
        raise _Unreadable("its JSON text ends early" if ends_early else "its text is not JSON") from None
    yield from batch


class _Document:
    """Walks through the JSON text of a capture once.

    A value is handed on by its first event; whoever gets it consumes the rest.
    """

    def __init__(self, events: Iterator[_Event]) -> None:
        self._events = events
        self.names: set[str] = set()
        """The first members of the outermost object."""
        self.begun = False
        """Whether the list of entries has been reached."""

    def entries(self) -> Iterator[object]:
        """Yield of each item of `log.entries` what is wanted of it."""
        for name, value in self._members(next(self._events, ("", None))):
            if len(self.names) < _MOST_ITEMS:
                self.names.add(name[:_LONGEST_TEXT])
            if name != "log":
                self._skip(value)
                continue
            for inner, inside in self._members(value):
                if inner == "entries" and inside[0] == "start_array":
                    self.begun = True
                    for item in self._items():
                        yield self._pruned(item, _WANTED)
                else:
                    self._skip(inside)

    def _members(self, value: _Event) -> Iterator[tuple[str, _Event]]:
        if value[0] != "start_map":
            self._skip(value)
            return
        for event, name in self._events:
            if event == "end_map":
                return
            yield name, next(self._events)

    def _items(self) -> Iterator[_Event]:
        for event in self._events:
            if event[0] == "end_array":
                return
            yield event

    def _skip(self, value: _Event) -> None:
        depth = int(value[0] in _BEGINNINGS)
        while depth:
            event = next(self._events)[0]
            if event in _BEGINNINGS:
                depth += 1
            elif event in _ENDS:
                depth -= 1

    def _pruned(self, value: _Event, wanted: object) -> object:
        """Build what is wanted of a value; recursion goes as deep as `wanted` does."""
        if isinstance(wanted, dict) and value[0] == "start_map":
            return self._pruned_object(wanted)
        if isinstance(wanted, list) and value[0] == "start_array":
            items: list[object] = []
            for item in self._items():
                if len(items) < _MOST_ITEMS:
                    items.append(self._pruned(item, wanted[0]))
                else:
                    self._skip(item)
            return items
        self._skip(value)
        return None

    def _pruned_object(self, wanted: dict[str, object]) -> dict[str, object]:
        """Build what is wanted of the object that has begun. Most events of a capture pass through this one loop."""
        kept: dict[str, object] = {}
        events = self._events
        for event, name in events:
            if event == "end_map":
                break
            value = next(events)
            if value[0] in _BEGINNINGS:
                if name in wanted:
                    kept[name] = self._pruned(value, wanted[name])
                else:
                    self._skip(value)
            elif name in wanted and wanted[name] is _LEAF:
                content = value[1]
                kept[name] = content[:_LONGEST_TEXT] if isinstance(content, str) else content
        return kept


def _entry(index: int, members: dict[str, Any]) -> Entry:
    request, response = (_object(members.get(name)) for name in ("request", "response"))
    sent, answered = (_headers(part.get("headers")) for part in (request, response))
    status = response.get("status")
    elapsed = members.get("time")
    return Entry(
        index=index,
        moment=_moment(members.get("startedDateTime")),
        elapsed=float(elapsed) / 1000 if isinstance(elapsed, int | Decimal) and 0 < elapsed < _LAST_MOMENT else 0.0,
        method=_text(request.get("method")),
        url=_text(request.get("url")),
        status=status if type(status) is int else 0,
        page=_text(members.get("pageref")),
        resource_type=_text(members.get("_resourceType")).lower(),
        authorization=tuple(Secret(value, scrubbed=False) for name, value in sent if name == "authorization"),
        has_cookie=any(name == "cookie" for name, _ in sent),
        fetch_destination=next((value for name, value in sent if name == "sec-fetch-dest"), ""),
        date=next((value for name, value in answered if name == "date"), ""),
        reasons=tuple((n, v) for n, v in answered if n in {"www-authenticate", "x-auth-reason"}),
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _headers(found: object) -> list[tuple[str, str]]:
    """Return name, in lower case, and value of each well-formed header."""
    headers = [_object(item) for item in found] if isinstance(found, list) else []
    return [
        (header["name"].strip().lower(), _text(header.get("value")))
        for header in headers
        if isinstance(header.get("name"), str)
    ]


def _moment(text: object) -> float | None:
    """Return the seconds since the epoch of an ISO 8601 time; None without a time zone, or if it is no time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        seconds = (moment - _EPOCH).total_seconds() if moment.tzinfo is not None else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < _LAST_MOMENT else None
