"""Secrets in a log: found, counted by kind, never shown.

found   what a line holds, by kind
clean   the line without it: each secret as the prefix of its class and a fingerprint, equal for equal values
PROBES  how the engine finds the lines that are worth a look

A line is looked at with and without colours, percent signs and base64. What only several lines together show, such as
a private key, `cleaning` knows.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from alwrity_checks.logs.probe import Probe
from alwrity_checks.logs.secret_shapes import CREDENTIAL, MASK, SHAPES, VARIABLE, WRAPPED, Class, harmless, listed
from alwrity_checks.logs.views import ANSI, View, views
from alwrity_checks.redaction import credentials, fingerprint, masked

__all__ = ["PROBES", "Sighting", "clean", "cleaned", "found", "sightings", "suspicious", "suspicious_lines"]

PROBES: Final = tuple(
    Probe(f"secret.{name}", literal, pattern)
    for name, literal, pattern in (
        ("token", b"eyJ", b"eyJ[A-Za-z0-9_-]{5,}"),
        ("bearer", b"earer ", b"[Bb]earer [A-Za-z0-9._-]{6,}"),
        ("query", b"oken=", b"[Tt]oken=[^& ]"),
        ("header", b"auth_header_value=", b"auth_header_value=[^N]"),
        ("cookie", b"ookie: ", b"[Cc]ookie: [^ ]+="),
        ("clerk-test", b"sk_test_", b""),
        ("clerk-live", b"sk_live_", b""),
        ("publishable-test", b"pk_test_", b""),
        ("publishable-live", b"pk_live_", b""),
        ("hugging-face", b"hf_", b"hf_[A-Za-z]*[0-9A-Z][A-Za-z0-9]{6,}"),
        ("openai", b"sk-", b"sk-[A-Za-z0-9_-]{16,}"),
        ("google", b"AIza", b"AIza[A-Za-z0-9_-]{20,}"),
        ("aws", b"AKIA", b"AKIA[A-Z0-9]{16}"),
        ("groq", b"gsk_", b"gsk_[A-Za-z0-9]{16,}"),
        ("github", b"ghp_", b"ghp_[A-Za-z0-9]{16,}"),
        ("private-key", b"PRIVATE KEY-----", b"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
        ("url-password", b"@", b"://[^ /@]*:[^ /@]+@"),
        ("password", b"assword", b"[Pp]assword['\"]?[:=]"),
        ("secret", b"ecret", b"[Ss]ecret(_key)?['\"]?[:=]"),
        ("api-key", b"api_key", b"api_key['\"]?[:=]"),
        ("variable", "└ ".encode(), b""),
    )
)
"""Lines that may hold a secret, for the engine; those that are common in such logs. `found` decides."""

_TRIGGERS: Final = tuple(
    word.encode()
    for word in (
        *listed(
            """
            \x1b % \\ @ └ key token pass secret auth bearer basic pwd cookie credential signature jwt otp session
            eyj _test_ _live_ hf_ sec_ oat_ m2m_ mt_ ak_ sk- rk- gsk_ csk- r8_ fw_ nvapi- xai- pplx- tvly- fc-
            akia asia aroa aida abia acca aiza ya29 gocspx- ghp_ gho_ ghu_ ghs_ ghr_ github_pat glpat- npm_ pypi-
            xox dvb_ sg. sbp_ :aa slack.com __client connection _url code_v code= state= sig= access= refresh= pw=
            user_ user- user: user' user" userid uid sess_ org_ client_ mem_ sua_ idn_ sub= sub' sub" tenant owner
            author_ workspace_
            """
        ),
        *("id: ", "user ", "-> "),
    )
)
"""In lower case: what hides something, what names of secrets hold, what keys begin with, what identifies somebody."""
_NO_USER: Final = b"user=-"
"""Stands in every record of ALwrity ce9bf293 that belongs to no request."""
_LONG_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{24}")
_CREDENTIALS: Final = (
    *listed("eyj sk_ hf_ mt_ ak_ oat_ m2m_ dvb_ whsec_ gsk_ r8_ fw_ _pat_ ghp_ gho_ ghu_ ghs_ ghr_ bearer basic"),
    *("sk-", "csk-", "nvapi-", "aiza", "private key", "://"),
)
"""What `redaction.credentials` needs, in lower case."""
_WORD: Final = re.compile(r"(?:hf|ak|mt|oat|fw)_[a-z_/=-]+")
"""`hf_response_api` is a provider's name."""
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
_LONGEST_BASE64: Final = 64 * 1024
"""Of a longer one the beginning is looked at; a key or token stands there."""
_READABLE: Final = re.compile(rb"[\t\n\r\x20-\x7e]{12,}")
_DEEPEST: Final = 2
"""Base64 within base64 is looked into so often."""

VALUE_LINE: Final = re.compile(r"^(?P<before>[ │|]*)(?P<cap>└|(?<=[ |]{4})->) (?P<value>.*)$", re.DOTALL)
"""loguru with `diagnose=True` writes the value of each variable below the source line, after this corner; `->` where
the terminal has no box-drawing characters (loguru 0.7.3, `_better_exceptions.py:165`)."""
_OBJECT: Final = r"<[A-Za-z_][\w.]*(?: object)?(?: at 0x[0-9a-fA-F]+)?>"
_HARMLESS_VALUE: Final = re.compile(
    rf"""
      None | True | False | Ellipsis | NotImplemented | -?[0-9]{{1,5}} | -?[0-9]{{1,4}}\.[0-9]{{1,3}}
    | \[\] | \{{\}} | \(\) | '' | "" | b'' | b"" | set\(\)
    | <(?:async\ )?(?:function|coroutine\ object|generator\ object)\ [\w.<>]+\ at\ 0x[0-9a-fA-F]+>
    | <class\ '[\w.<>]+'> | <module\ '[\w.]+'(?:\ from\ '[^']*'|\ \(built-in\))?> | <built-in\ function\ \w+>
    | <(?:bound\ method|built-in\ method|method-wrapper)\ '?[\w.<>]+'?\ of\ {_OBJECT}(?:\ at\ 0x[0-9a-fA-F]+)?>
    | {_OBJECT} | \.\.\. | …
    """,
    re.VERBOSE,
)


class Sighting(NamedTuple):
    """Something that must not be shown, or that is to be told of."""

    start: int
    """In the line's text."""
    end: int
    kind: str
    of: Class
    value: str
    """What is fingerprinted: the secret without colours and escapes."""


def suspicious(data: bytes) -> bool:
    """Say whether `data` may hold anything at all; most lines do not, and are told in no time."""
    lower = data.lower()
    if any(word in lower for word in _TRIGGERS) or _LONG_RUN.search(data):
        return True
    return b"user=" in lower and b"user=" in lower.replace(_NO_USER, b"")


def suspicious_lines(data: bytes) -> list[int]:
    """Return where the lines of `data` begin of which `suspicious` holds: of a block, much faster than line by line."""
    lower = data.lower()
    starts: set[int] = set()

    def note(position: int) -> int:
        """Note the line of `position`, and return where the next one begins."""
        starts.add(data.rfind(b"\n", 0, position) + 1)
        return data.find(b"\n", position) + 1 or len(data)

    for word in _TRIGGERS:
        position = lower.find(word)
        while position >= 0:
            position = lower.find(word, note(position))
    position = lower.find(b"user=")
    while position >= 0:
        known = lower.startswith(_NO_USER, position)
        position = lower.find(b"user=", position + 5 if known else note(position))
    run = _LONG_RUN.search(data)
    while run is not None:
        run = _LONG_RUN.search(data, note(run.start()))
    return sorted(starts)


def found(line: bytes) -> Mapping[str, int]:
    """Return how many secrets of each kind the line holds, publishable keys, which are public, among them."""
    if not suspicious(line):
        return {}
    return Counter(one.kind for one in sightings(_text(line)))


def clean(line: bytes) -> bytes:
    """Return the line with every secret, e-mail address and user id masked; what was masked before stays as it is."""
    if not suspicious(line):
        return line
    text = _text(line)
    return _data(cleaned(text, sightings(text)))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def cleaned(text: str, seen: list[Sighting]) -> str:
    """Return `text` with the sightings masked; colours that began or ended within one are kept behind it."""
    parts: list[str] = []
    at = 0
    for one in seen:
        if one.of is Class.PUBLIC:
            continue
        parts += (text[at : one.start], mask(one), *ANSI.findall(text[one.start : one.end]))
        at = one.end
    parts.append(text[at:])
    return "".join(parts)


def mask(one: Sighting) -> str:
    """Return what is shown in place of a sighting."""
    if "@" in one.value and one.kind == "e-mail address":
        # One person, however the address was written.
        return f"…@…#{fingerprint(one.value.lower())}"
    return masked(one.value)


def sightings(line: str) -> list[Sighting]:
    """Return what the line holds, in order and without overlap."""
    return _merged(line, [one for view in views(line) for one in _in_view(view, 0)])


def _in_view(view: View, depth: int) -> Iterator[Sighting]:
    text = view.text
    masks = [match.span() for match in MASK.finditer(text)] if "…#" in text else []
    for first, last, kind, of in _in_text(text, depth):
        start, end = _with_masks(first, last, masks)
        value = text[start:end]
        if value and not harmless(value):
            yield Sighting(*view.span(start, end), kind, of, value)


def _with_masks(start: int, end: int, masks: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the span with the whole of every mask that it touches: half a mask would look like a secret."""
    for first, last in masks:
        if first < end and start < last:
            start, end = min(start, first), max(end, last)
    return start, end


def _in_text(text: str, depth: int) -> Iterator[tuple[int, int, str, Class]]:
    lower = _lowered(text)
    for shape in SHAPES:
        if any(need in lower for need in shape.needs):
            for match in shape.pattern.finditer(lower if shape.lower else text):
                yield *_valued(match), shape.kind, shape.of
    if any(word in lower for word in _CREDENTIALS):
        spans = credentials(text)
        yield from ((*span, CREDENTIAL, Class.SECRET) for span in spans if not _WORD.fullmatch(text, *span))
    if depth < _DEEPEST:
        runs = _BASE64.finditer(text)
        yield from ((*run.span(), WRAPPED, Class.SECRET) for run in runs if _wraps(run.group(), depth))
    value = VALUE_LINE.match(text)
    if value is not None and not harmless_value(value["value"]):
        yield *value.span("value"), VARIABLE, Class.SECRET


def _lowered(text: str) -> str:
    lower = text.lower()
    # A few letters have a lower case of two characters, and positions have to agree.
    return lower if len(lower) == len(text) else "".join(one.lower() if one.isascii() else one for one in text)


def harmless_value(value: str) -> bool:
    """Say whether the value of a variable, as a traceback shows it, is known to tell nothing."""
    return _HARMLESS_VALUE.fullmatch(value.rstrip()) is not None


def _valued(match: re.Match[str]) -> tuple[int, int]:
    for name, value in match.groupdict().items():
        if value is not None and name.startswith("value"):
            return match.span(name)
    return match.span()


def _wraps(run: str, depth: int) -> bool:
    """Say whether something that must not be shown comes out when `run` is read as base64, from any of its bytes on."""
    letters = run[:_LONGEST_BASE64].rstrip("=").replace("-", "+").replace("_", "/")
    return any(_tells(inner, depth) for skipped in range(4) for inner in _read(letters[skipped:]))


def _read(letters: str) -> list[str]:
    whole = letters[:-1] if len(letters) % 4 == 1 else letters
    data = base64.b64decode(whole + "=" * (-len(whole) % 4))
    return [readable.decode("ascii") for readable in _READABLE.findall(data)]


def _tells(inner: str, depth: int) -> bool:
    seen = _in_text(inner, depth + 1)
    return any(of is not Class.PUBLIC and not harmless(inner[start:end]) for start, end, _, of in seen)


def _merged(line: str, seen: list[Sighting]) -> list[Sighting]:
    """Return one sighting for all that overlap: the widest speaks for them, and of equal ones the first."""
    merged: list[Sighting] = []
    for one in sorted(seen, key=lambda one: (one.start, -one.end)):
        if not merged or one.start >= merged[-1].end:
            merged.append(one)
            continue
        last = merged[-1]
        if last.of is Class.PUBLIC and one.of is not Class.PUBLIC:
            last = last._replace(kind=one.kind, of=one.of)
        if one.end > last.end:
            last = last._replace(end=one.end, value=ANSI.sub("", line[last.start : one.end]))
        merged[-1] = last
    return merged
