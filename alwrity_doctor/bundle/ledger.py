"""The door of a bundle: whatever comes in is cleaned there, and what was taken out is written down, never the thing.

Two things are looked for: the values that this machine's settings are known to hold, in whatever spelling, and what
looks like a secret or a person (`logs.secrets`). What was masked before it came here is counted as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from alwrity_checks.catalogue import rules
from alwrity_checks.logs.cleaning import Cleaner
from alwrity_checks.logs.secret_shapes import CLASSES, MASK, Class, harmless
from alwrity_checks.logs.secrets import cleaned, sightings
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
        self._spellings = sorted(
            {spelling for value in known.values() for spelling in _spellings(value.reveal())},
            key=lambda one: (-len(one[0]), one),
        )

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
        data = self.without_known(text.encode("utf-8", "backslashreplace"), where)
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
        for spelling, mask in self._spellings:
            if count := data.count(spelling):
                data = data.replace(spelling, mask)
                if where:
                    self.note(where, VALUE, count)
        return data

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


def _is_of_the_catalogue(value: Mapping[str, Any]) -> bool:
    code = value.get("code")
    rule = rules().get(code) if isinstance(code, str) else None
    return rule is not None and all(getattr(rule, name, None) == one for name, one in value.items())


def _spellings(value: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield how a value may stand in a text, with what is shown in its place."""
    mask = masked(value).encode()
    # Whoever reads a key over several lines sees each of them. Not its first one, by which other keys are told as well.
    lines = [line for line in value.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    parts = [value, *(line for line in lines if line != value)]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        whole = base64.b64encode(data[: len(data) // 3 * 3])
        for spelling in (
            data,
            json.dumps(part)[1:-1].encode(),
            quote(part, safe="", errors="replace").encode(),
            whole if len(whole) >= _SHORTEST_LINE else data,
        ):
            yield spelling, mask
