"""What a grammar cannot say of JSON: a name occurs once in an object, and a number is finite.

A grammar of names that are not told beforehand lets the same one come twice, and a number grow without end;
`json.loads` then drops a value or makes infinity of it. So the text is followed byte by byte, and a token that would do
either is not taken.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import isfinite
from typing import Final

__all__ = ["LONGEST", "JsonScanner"]

LONGEST: Final = 32
"""Characters of a number, where the schema names no longer one: twice what a float64 can tell apart."""
_NUMERIC: Final = frozenset(b"+-.eE0123456789")
_STARTING: Final = frozenset(b"-0123456789")
_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_OPENING_OBJECT, _CLOSING_OBJECT, _OPENING_ARRAY, _CLOSING_ARRAY = b"{}[]"


@dataclass(frozen=True, slots=True)
class _Level:
    """An object or an array that is open."""

    names: frozenset[str] | None
    """The names that an object has so far; None for an array."""
    outer: _Level | None


@dataclass(frozen=True, slots=True)
class JsonScanner:
    """A place in a JSON text, which a grammar has already found to be in order. Immutable."""

    level: _Level | None = None
    in_string: bool = False
    escaped: bool = False
    naming: bool = False
    """Whether a name comes next, or is being written."""
    name: bytes = b""
    number: bytes = b""
    longest: int = LONGEST
    """The most characters of a number."""

    def push(self, text: bytes) -> JsonScanner | None:
        """Return the place after `text`; None if a name comes twice or a number is too great."""
        place: JsonScanner | None = self
        for byte in text:
            if place is None:
                return None
            place = place._in_string(byte) if place.in_string else place._outside(byte)  # noqa: SLF001 - our own
        return place

    def _in_string(self, byte: int) -> JsonScanner | None:
        if not self.escaped and byte == _QUOTE:
            return self._named() if self.naming else replace(self, in_string=False)
        escaped = not self.escaped and byte == _BACKSLASH
        if not self.naming:
            return self if escaped == self.escaped else replace(self, escaped=escaped)
        return replace(self, escaped=escaped, name=self.name + bytes((byte,)))

    def _named(self) -> JsonScanner | None:
        level = self.level
        name = json.loads(b'"' + self.name + b'"')
        if level is None or level.names is None or name in level.names:
            return None
        return replace(self, level=_Level(level.names | {name}, level.outer), in_string=False, naming=False, name=b"")

    def _outside(self, byte: int) -> JsonScanner | None:
        if byte in (_NUMERIC if self.number else _STARTING):
            number = self.number + bytes((byte,))
            return replace(self, number=number) if len(number) <= self.longest and _is_finite(number) else None
        place = replace(self, number=b"") if self.number else self
        level = place.level
        if byte == _QUOTE:
            return replace(place, in_string=True)
        if byte in {_OPENING_OBJECT, _OPENING_ARRAY}:
            is_object = byte == _OPENING_OBJECT
            return replace(place, level=_Level(frozenset() if is_object else None, level), naming=is_object)
        if byte in {_CLOSING_OBJECT, _CLOSING_ARRAY}:
            return replace(place, level=level.outer if level else None, naming=False)
        if byte == _COMMA:
            return replace(place, naming=level is not None and level.names is not None)
        return place


def _is_finite(number: bytes) -> bool:
    try:
        return number.lstrip(b"-").isdigit() or isfinite(float(number))
    except ValueError:  # not at its end yet: `-`, `1e`
        return True
