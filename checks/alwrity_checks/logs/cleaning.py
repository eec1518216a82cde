"""A log, cleaned as it flows by: the same lines, the same line ends, nothing secret, a few megabytes of memory.

What one line shows, `secrets` finds. Here is what needs the lines before: a private key over several lines, a token
that a terminal has wrapped, the further lines of a variable's value in a traceback; and lines too long to be held.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from alwrity_checks.logs.secret_shapes import VARIABLE, Class, harmless
from alwrity_checks.logs.secrets import (
    VALUE_LINE,
    Sighting,
    cleaned,
    harmless_value,
    mask,
    sightings,
    suspicious,
    suspicious_lines,
)
from alwrity_checks.logs.views import ANSI

__all__ = ["Cleaner"]

_LONGEST: Final = 256 * 1024
"""Bytes: a longer line is cleaned in pieces."""
_HELD: Final = 32 * 1024
"""Characters at the end of a piece that are looked at again together with the next one."""
_BEFORE: Final = 512
"""Characters before a piece that tell what it goes on from, such as `Bearer `."""
_KEY_LINES: Final = 200
"""A private key has fewer; other lines may lie between its own."""
_KEY_BEGIN: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?!…#)")
_KEY_END: Final = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE: Final = re.compile(r"[\s│|>]*(?P<value>[A-Za-z0-9+/=]{1,100})[\s\"',\\]*$")
_KEY_BODY: Final = re.compile(r"(?<![A-Za-z0-9+/=])(?P<value>[A-Za-z0-9+/=]{16,})(?=[\s\"',\\]*$)")
"""The base64 of a key, alone in its line or at the end of a record."""
_WRAPPED: Final = re.compile(r"[ \t]{0,40}(?P<value>[A-Za-z0-9_.+/=-]{4,})(?P<rest>.?)", re.DOTALL)
_ENDING: Final = frozenset(" \t\r\"'\\")
"""What may stand behind a wrapped token on its first line."""
_OPEN: Final = re.compile(r"[^\s\"'<>,;]*")
"""What a secret that is longer than a piece consists of."""
_INDENT: Final = re.compile(r"[ │|]*")


class Cleaner:
    """Takes the bytes of one log in blocks of any size and returns them clean; `counts` says what was found, by kind.

    What it returns lags behind by one line at most, by _LONGEST within a long one.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.lines = 0
        """Line ends seen."""
        self._pending = b""
        self._long: _LongLine | None = None
        self._key_lines = 0
        """So many lines may still belong to a private key."""
        self._wrapped = False
        """Whether the last line ended with a secret."""
        self._column: int | None = None
        """Where the last variable's value began, as long as further lines of it may follow."""

    def feed(self, block: bytes) -> bytes:
        """Return what can be given back of everything fed so far."""
        self.lines += block.count(b"\n")
        data = self._pending + block
        out: list[bytes] = []
        if self._long is not None:
            end = data.find(b"\n")
            piece, data = (data, b"") if end < 0 else (data[: end + 1], data[end + 1 :])
            out.append(self._in_pieces(piece, last=end >= 0))
        whole = data.rfind(b"\n") + 1
        self._whole_lines(data[:whole], out)
        self._pending = data[whole:]
        if len(self._pending) > _LONGEST:
            self._long = self._long or _LongLine(self.counts)
            out.append(self._in_pieces(self._pending, last=False))
            self._pending = b""
        return b"".join(out)

    def finish(self) -> bytes:
        """Return the rest: a last line without an end."""
        rest, self._pending = self._pending, b""
        if self._long is not None:
            return self._in_pieces(rest, last=True)
        return self._line(rest) if rest else b""

    def _in_pieces(self, data: bytes, *, last: bool) -> bytes:
        assert self._long is not None  # noqa: S101 - the callers have looked
        out = self._long.feed(data, last=last)
        if last:
            self._long = None
            self._wrapped, self._column = False, None
        return out

    def _whole_lines(self, data: bytes, out: list[bytes]) -> None:
        """Clean the lines that need it; what lies between them is given back in one piece."""
        given = 0
        for start in suspicious_lines(data):
            # Behind a line with a secret the next ones may belong to it.
            while given < start and self._attentive:
                given = self._one(data, given, out)
            if given <= start:
                out.append(data[given:start])
                given = self._one(data, start, out)
        while given < len(data) and self._attentive:
            given = self._one(data, given, out)
        out.append(data[given:])

    def _one(self, data: bytes, start: int, out: list[bytes]) -> int:
        end = data.index(b"\n", start) + 1
        out.append(self._line(data[start:end]))
        return end

    @property
    def _attentive(self) -> bool:
        """Whether the next line may belong to what was seen before."""
        return bool(self._key_lines or self._wrapped or self._column is not None)

    def _line(self, line: bytes) -> bytes:
        attentive = self._attentive
        if not attentive and not suspicious(line):
            return line
        body = line.rstrip(b"\r\n")
        text = body.decode("utf-8", "surrogateescape")
        end = line[len(body) :]
        seen = _seen(text)
        going_on = self._going_on(text) if attentive else []
        seen = _with(seen, going_on)
        # What goes on was counted where it began.
        self.counts.update(one.kind for one in seen if one not in going_on)
        self._remember(text, seen)
        return cleaned(text, seen).encode("utf-8", "surrogateescape") + end

    def _going_on(self, text: str) -> list[Sighting]:
        """Return what of this line belongs to a secret that began on a line before."""
        if self._column is not None and (value := self._further_value(text)):
            return [value]
        if self._key_lines:
            if match := _KEY_END.search(text):
                self._key_lines = 0
                return [Sighting(0, match.start(), "private key", Class.SECRET, text[: match.start()])]
            self._key_lines -= 1
            body = _KEY_LINE.match(text) or _KEY_BODY.search(text)
            return [Sighting(*body.span("value"), "private key", Class.SECRET, body["value"])] if body else []
        if self._wrapped and (match := _WRAPPED.match(text)) and _goes_on(match):
            return [Sighting(*match.span("value"), "token", Class.SECRET, match["value"])]
        return []

    def _further_value(self, text: str) -> Sighting | None:
        plain = ANSI.sub("", text)
        indent = _INDENT.match(plain)
        width = indent.end() if indent else 0
        if self._column is None or width < self._column or VALUE_LINE.match(plain) or not plain.strip():
            return None
        start = len(text) - len(text.lstrip(" │|"))
        return Sighting(start, len(text), VARIABLE, Class.SECRET, text[start:])

    def _remember(self, text: str, seen: list[Sighting]) -> None:
        begun = [match.end() for match in _KEY_BEGIN.finditer(text)]
        if begun and not _KEY_END.search(text, begun[-1]):
            self._key_lines = _KEY_LINES
        last = seen[-1] if seen else None
        self._wrapped = (
            last is not None and last.of is Class.SECRET and last.kind != VARIABLE
            and not self._key_lines and not set(ANSI.sub("", text[last.end :])) - _ENDING
        )  # fmt: skip
        value = VALUE_LINE.match(ANSI.sub("", text))
        if value is not None:
            # One line of an unharmful value is followed by none.
            self._column = None if harmless_value(value["value"]) else value.start("value")
        elif last is None or last.kind != VARIABLE:
            self._column = None


def _with(seen: list[Sighting], more: list[Sighting]) -> list[Sighting]:
    """Return `more` in place of what of `seen` overlaps it, in order."""
    if not more:
        return seen
    kept = [one for one in seen if not any(one.start < other.end and other.start < one.end for other in more)]
    return sorted([*kept, *(one for one in more if one.value and not harmless(one.value))])


def _goes_on(match: re.Match[str]) -> bool:
    """Say whether the beginning of a line is the rest of a token that the line before ended with."""
    run, rest = match["value"], match["rest"]
    if rest and rest not in _ENDING and rest not in ",;)]}":
        return False
    mixed = any(one.isdigit() for one in run) and any(one.isalpha() for one in run)
    if not rest or rest in "\"'":
        return mixed or len(run) >= 32  # noqa: PLR2004 - no word is so long
    # A sentence follows, perhaps: then it has to look like nothing else.
    return len(run) >= 16 and mixed and run.lower() != run and run.upper() != run  # noqa: PLR2004 - longer than a name or a time


class _LongLine:
    """One line of any length, in pieces whose ends overlap."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._data = b""
        self._before = ""
        """What was given back last."""
        self._within = False
        """Whether the piece before ended within a secret that is longer than a piece."""

    def feed(self, data: bytes, *, last: bool) -> bytes:
        """Return what can be given back; with `last`, all."""
        self._data += data
        out: list[bytes] = []
        while self._data and (last or len(self._data) > _LONGEST):
            piece, self._data = self._data[:_LONGEST], self._data[_LONGEST:]
            text, rest = self._piece(piece.decode("utf-8", "surrogateescape"), final=last and not self._data)
            out.append(text.encode("utf-8", "surrogateescape"))
            self._data = rest.encode("utf-8", "surrogateescape") + self._data
        return b"".join(out)

    def _piece(self, text: str, *, final: bool) -> tuple[str, str]:
        """Return the beginning of `text`, clean, and what is kept for the next piece."""
        if self._within:
            text = text[_OPEN.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing as well
            self._within = not text
            self._before = " "
        whole = self._before + text
        begin = len(self._before)
        body = whole.rstrip("\r\n") if final else whole
        seen = [_clipped(one, begin) for one in _seen(body) if one.end > begin]
        cut = len(whole) if final else self._cut(len(whole), seen)
        if cut <= begin and not final:
            if not seen or len(text) <= _HELD:
                return "", text
            # One secret fills the piece: it is told once, and the rest of it is dropped.
            first = seen[0]
            self._counts[first.kind] += 1
            self._within = True
            return whole[begin : first.start] + mask(first), ""
        kept = [one for one in seen if one.end <= cut]
        self._counts.update(one.kind for one in kept)
        shifted = [one._replace(start=one.start - begin, end=one.end - begin) for one in kept]
        self._before = whole[max(0, cut - _BEFORE) : cut]
        return cleaned(whole[begin:cut], shifted), whole[cut:]

    @staticmethod
    def _cut(length: int, seen: list[Sighting]) -> int:
        """Return up to where a piece can be given back: what reaches its end may go on behind it."""
        cut = length - _HELD
        for one in seen:
            if one.start < cut and (one.end > cut or one.end == length):
                cut = one.start
        return cut


def _seen(text: str) -> list[Sighting]:
    return sightings(text) if suspicious(text.encode("utf-8", "surrogateescape")) else []


def _clipped(one: Sighting, begin: int) -> Sighting:
    return one if one.start >= begin else one._replace(start=begin)
