"""The door of a bundle: whatever comes in is cleaned there, and what was taken out is written down, never the thing.

Two things are looked for: the values that this machine's settings are known to hold, in whatever spelling, and what
looks like a secret or a person (`logs.secrets`). What was masked before it came here is counted as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from alwrity_checks.catalogue import rules
from alwrity_checks.logs.cleaning import Cleaner
from alwrity_checks.logs.secret_shapes import CLASSES, MASK, Class, harmless
from alwrity_checks.logs.secrets import cleaned, sightings
from alwrity_checks.logs.views import unwrapped, views
from alwrity_checks.redaction import masked
from alwrity_checks.settings import PUBLIC

if TYPE_CHECKING:
    from alwrity_checks.redaction import Secret
    from alwrity_checks.settings import Settings

__all__ = ["MASKED_BEFORE", "VALUE", "Door", "Removed", "known_secrets"]

MASKED_BEFORE: Final = "masked where it was read"
"""The kind of what a check or a reader has masked already."""
VALUE: Final = "value of a setting"
_OPENS_SOMETHING: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH(?!OR(?!I))|DSN|SIGNATURE|SALT|COOKIE|SESSION|WEBHOOK|PRIVATE|CONNECTION"
    r"|DATABASE_URL|REDIS_URL|MONGO",
    re.IGNORECASE,
)
"""In a variable's name."""
_NAMES_A_SECRET: Final = re.compile(
    r"(?:(?i:(?:^|[^a-z])(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|jwt|otp|cookie|credentials?|authorization"
    r"|(?:api|access|private|secret|signing|encryption)[_ -]?key))|[a-z](?:Token|Secret|Password|Key))$"
)
"""The label of a piece of evidence, or a key, whose value is a secret whatever it looks like."""
_IDENTITY: Final = "identity"
"""The one field of a report that holds lines of a source as they are."""
_TOLD_BY_NAME: Final = frozenset({"named secret", "user id"})
"""Kinds that are told by the name before them."""
_QUOTES: Final = ("'", '"')
_OURS: Final = ("user_…", "`Bearer TOKEN`", "`Authorization: Bearer TOKEN`", "Bearer …; ", "`?token=`", "'PyJWT==2")
"""What the house itself writes: a triage's mask, and words of the catalogue that a log would hold a secret behind."""
_STAND_INS: Final = tuple((ours, f"…;{'.' * number};…") for number, ours in enumerate(_OURS, start=1))
"""Of signs that no secret is made of, so that what stands around them is still read in one piece."""
_SHORTEST: Final = 6
_SHORTEST_OTHER: Final = 8
"""A shorter value of a setting whose name says nothing would be cut out of ordinary words."""
_SHORTEST_LINE: Final = 16
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_DISGUISES: Final = (b"%", b"\\", b"\x1b", b"\n")
"""Without one of these a text is what it looks like."""


@dataclass(frozen=True, slots=True, order=True)
class Removed:
    """An entry of the ledger."""

    where: str
    """The bundle's file."""
    kind: str
    count: int


def known_secrets(settings: Settings) -> dict[str, Secret]:
    """Return name -> value of every setting that opens something, from the .env files and the process environment."""
    found: dict[str, Secret] = {}
    for layer in settings.dotenv:
        for name, setting in layer.items():
            if name not in PUBLIC and "PUBLISHABLE" not in name and _tells(name, setting.value.reveal()):
                found.setdefault(f"{name} ({setting.location})", setting.value)
    for name in settings.environment:
        if name not in PUBLIC and "PUBLISHABLE" not in name and _OPENS_SOMETHING.search(name):
            one = settings.get(name)
            if one is not None and _tells(name, one.value.reveal()):
                found.setdefault(name, one.value)
    return found


def _tells(name: str, value: str) -> bool:
    """Say whether a value has to be kept out of a text: a path, a number or a plain word says nothing."""
    if harmless(value) or value.startswith(("/", "./", "~")):
        return False
    if _OPENS_SOMETHING.search(name):
        return len(value) >= _SHORTEST and not value.isdigit()
    return len(value) >= _SHORTEST_OTHER and not value.replace("_", "").replace("-", "").isalpha()


class Door:
    """Cleans what comes into a bundle, and keeps the ledger."""

    def __init__(self, known: Mapping[str, Secret]) -> None:
        """`known` are the values that must not be seen, by the names of their settings."""
        self._counts: Counter[tuple[str, str]] = Counter()
        values = [value.reveal() for value in known.values()]
        self._spellings = _longest_first(one for value in values for one in _spellings(value))
        self._wrappings = _longest_first(one for value in values for one in _wrappings(value))
        self._plain = sorted({(part, masked(value)) for value in values for part in _parts(value)}, reverse=True)

    def removed(self) -> list[Removed]:
        """Return the ledger, sorted."""
        counted = ((where, kind, count) for (where, kind), count in self._counts.items() if count)
        return [Removed(*one) for one in sorted(counted)]

    def note(self, where: str, kind: str, count: int = 1) -> None:
        """Write down that `count` things of a kind were left out of a file of the bundle."""
        self._counts[where, kind] += count

    def text(self, text: str, where: str) -> str:
        """Return `text` clean; what was taken out is written down for the file `where`."""
        self.note(where, MASKED_BEFORE, len(MASK.findall(text)) if "…#" in text else 0)
        held = {stand_in: ours for ours, stand_in in _STAND_INS if ours in text and stand_in not in text}
        for stand_in, ours in held.items():
            text = text.replace(ours, stand_in)
        cleaner = Cleaner()
        data = self.without_known(self._without_cut_off(text, where).encode("utf-8", "backslashreplace"), where)
        clean = (cleaner.feed(data) + cleaner.finish()).decode("utf-8", "replace")
        self.note_all(where, cleaner.counts)
        for stand_in, ours in held.items():
            clean = clean.replace(stand_in, ours)
        return clean

    def note_all(self, where: str, counts: Mapping[str, int]) -> None:
        """Write down what a cleaner has found; what is public has stayed in its place."""
        for kind, count in counts.items():
            if CLASSES.get(kind) is not Class.PUBLIC:
                self.note(where, kind, count)

    def without_known(self, data: bytes, where: str = "") -> bytes:
        """Return `data` without the values of this machine's settings, written down for `where` if that is given."""
        count = 0
        for spelling, mask in self._spellings:
            if found := data.count(spelling):
                data, count = data.replace(spelling, mask), count + found
        for letters, mask in self._wrappings:
            while (at := data.find(letters)) >= 0:
                # What is left of the run at either end still speaks of the value.
                start, end = _run(data, at, at + len(letters))
                data, count = data[:start] + mask + data[end:], count + 1
        if self._plain and any(sign in data for sign in _DISGUISES):
            data, more = self._without_disguised(data)
            count += more
        if count and where:
            self.note(where, VALUE, count)
        return data

    def _without_cut_off(self, text: str, where: str) -> str:
        """Return `text` without the half of a value with which it ends: an example shows the beginning of a line."""
        body = text.rstrip(".…")
        for plain, mask in self._plain:
            at = body.rfind(plain[:_SHORTEST_OTHER])
            if at >= 0 and len(plain) > len(body) - at and plain.startswith(body[at:]):
                self.note(where, VALUE)
                return f"{body[:at]}{mask}{text[len(body) :]}"
        return text

    def _without_disguised(self, data: bytes) -> tuple[bytes, int]:
        """Return `data` without the values that colours, escapes or the ends of lines cut apart, and how many were."""
        text = data.decode("utf-8", "surrogateescape")
        spans: dict[tuple[int, int], str] = {}
        for view in (*views(text), unwrapped(text)):
            for plain, mask in self._plain:
                at = -1
                while (at := view.text.find(plain, at + 1)) >= 0:
                    spans.setdefault(view.span(at, at + len(plain)), mask)
        parts: list[str] = []
        last = count = 0
        for (start, end), mask in sorted(spans.items(), key=lambda one: (one[0][0], -one[0][1])):
            if start < last:
                continue
            # The lines stay as many as they were.
            parts += [text[last:start], mask, "\n" * text.count("\n", start, end)]
            last, count = end, count + 1
        return "".join([*parts, text[last:]]).encode("utf-8", "surrogateescape"), count

    def document(self, value: Any, where: str, label: str = "") -> Any:  # noqa: ANN401 - what JSON holds
        """Return a JSON document with every string clean, names included; the catalogue's own prose is left alone."""
        match value:
            case str() if label == _IDENTITY:
                return self._code(value, where)
            case str():
                clean = self.text(value, where)
                return self._named(label, clean, where) if clean == value else clean
            case list():
                return [self.document(one, where) for one in value]
            case dict() if _is_of_the_catalogue(value):
                return value
            case {"label": str(name), "value": str(said), **rest} if not rest:
                return {"label": self.text(name, where), "value": self.document(said, where, name)}
            case dict():
                return {self.text(name, where): self.document(one, where, name) for name, one in value.items()}
        return value

    def _code(self, text: str, where: str) -> str:
        """Return a line of a source, clean: there `user_id=user_id` names something, only what is quoted is a value."""
        data = text.encode("utf-8", "backslashreplace")
        self.note(where, MASKED_BEFORE, len(MASK.findall(text)))
        plain = self.without_known(data, where).decode("utf-8", "replace")
        seen = [
            one
            for one in sightings(plain)
            if one.kind not in _TOLD_BY_NAME or plain[one.start - 1 : one.start] in _QUOTES
        ]
        self.note_all(where, Counter(one.kind for one in seen))
        return cleaned(plain, seen)

    def _named(self, label: str, value: str, where: str) -> str:
        """Return `value` masked if the name beside it says that it is a secret, as a line `password=…` would."""
        if not _NAMES_A_SECRET.search(label) or not value or " " in value or value.isdigit():
            return value
        if harmless(value) or MASK.search(value):
            return value
        self.note(where, "named secret")
        return masked(value)


def _longest_first(found: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return sorted(set(found), key=lambda one: (-len(one[0]), one))


def _run(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return how far the base64 reaches of which `start` to `end` is a part."""
    while start and data[start - 1] in _BASE64:
        start -= 1
    while end < len(data) and data[end] in _BASE64:
        end += 1
    return start, end


def _is_of_the_catalogue(value: Mapping[str, Any]) -> bool:
    code = value.get("code")
    rule = rules().get(code) if isinstance(code, str) else None
    return rule is not None and all(getattr(rule, name, None) == one for name, one in value.items())


def _spellings(value: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield how a value may stand in a text, with what is shown in its place."""
    mask = masked(value).encode()
    for part in _parts(value):
        data = part.encode("utf-8", "surrogatepass")
        yield data, mask
        for told in (json.dumps(part), repr(part), ascii(part)):
            yield told[1:-1].encode("utf-8", "surrogatepass"), mask
        for encoded in (quote(part, safe="", errors="replace"), quote_plus(part, errors="replace"), escape(part)):
            yield encoded.encode("utf-8", "surrogatepass"), mask
        yield data.hex().encode(), mask
        yield data.hex().upper().encode(), mask


def _parts(value: str) -> Iterator[str]:
    """Yield a value, and of one of several lines each that says something: not the first, as other keys have it too."""
    yield value
    yield from (
        line
        for line in value.splitlines()
        if line != value and len(line) >= _SHORTEST_LINE and not line.startswith("-----")
    )


def _wrappings(value: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield what every base64 holds that a value went into, whatever stood before and behind it: `user:password`."""
    mask = masked(value).encode()
    for part in _parts(value):
        data = part.encode("utf-8", "surrogatepass")
        for before in range(3):
            shifted = bytes(before) + data
            # The first letters speak of what stands before as well, those of an incomplete last group of what follows.
            letters = base64.b64encode(shifted[: len(shifted) // 3 * 3])[before + 1 if before else 0 :]
            if len(letters) >= _SHORTEST_OTHER:
                yield letters, mask
                yield letters.replace(b"+", b"-").replace(b"/", b"_"), mask
