"""Secrets are wrapped where they enter, and foreign text is scrubbed where it enters.

A `Secret` shows its class prefix and a fingerprint keyed with a random key of this process: two equal secrets can be
told to be equal within one run, and a fingerprint from a report cannot be looked up in a table of guesses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, NoReturn

__all__ = ["Secret", "adopt_key", "credentials", "fingerprint", "masked", "scrub", "shared_key"]

_process_key = os.urandom(16)
_registered: set[str] = set()
"""Every secret wrapped so far; long-lived components do not wrap what they are handed."""
_SHORTEST_REGISTERED: Final = 8
"""A shorter value ("true", "8000") would be cut out of ordinary words."""

_PREFIXES: Final = re.compile(
    r"(?:[ps]k_(?:test|live)_|whsec_|ak_|oat_|mt_|m2m_|hf_|sess_|user_|ins_|client_|mch_|dvb_|eyJ"
    r"|gh[pousr]_|github_pat_|AKIA|ASIA|AIza|sk-|gsk_|xox[a-z]-|-----BEGIN [A-Z ]+-----)"
)
_SHAPES: Final = re.compile(
    r"""
      eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_=-]*)*            # anything that begins like a JOSE object
    | (?:sk_(?:test|live)_|whsec_|oat_|m2m_|mt_|ak_|hf_|dvb_)[A-Za-z0-9_+/=-]{6,}
    | (?<![A-Za-z0-9_-])(?:sk-|gsk_|csk-|r8_|fw_|nvapi-|AIza|gh[pousr]_|github_pat_)  # other vendors' keys
      (?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}                  # which hold digits, as hyphenated words do not
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?!…).*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | (?<=://)[^\s/?\#"'<>]+(?=@)                             # userinfo in a URL
    """,
    re.VERBOSE | re.DOTALL,
)
_BEARER: Final = re.compile(
    r"""
    (?<![A-Za-z]) ((?i:bearer|basic)) ((?:\s|%20|\+|:)+)
    (?![a-z.,;:!?]*[a-z][.,;:!?)\]}]*(?!\S)) ([^\s"',;…]{6,}) (?![^\s"',;]*…)     # an ordinary word is no credential
    """,
    re.VERBOSE,
)


def fingerprint(value: str | bytes) -> str:
    """Return 8 hexadecimal digits that are equal for equal values within this process, and mean nothing elsewhere."""
    import hashlib  # here, because OpenSSL takes 5 ms to load and most commands show no secret

    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return hashlib.blake2b(data, key=_process_key, digest_size=4).hexdigest()


def shared_key() -> bytes:
    """Return the key of this process's fingerprints, for another process that works on the same run."""
    return _process_key


def adopt_key(key: bytes) -> None:
    """Make this process's fingerprints those of the process that `key` is from."""
    global _process_key  # noqa: PLW0603 - one run has one key, in however many processes it is carried out
    _process_key = key


def masked(value: str) -> str:
    """Return what is shown in place of `value`: the prefix that tells its class, and its fingerprint."""
    prefix = _PREFIXES.match(value)
    return f"{prefix.group() if prefix else ''}…#{fingerprint(value)}"


class Secret:
    """A value that is shown only as its class prefix and fingerprint; `reveal()` gives it to the code that needs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str, *, scrubbed: bool = True) -> None:
        """Wrap `value`; `scrubbed=False` is for what is masked for caution only and may well be an ordinary word."""
        self._value = value
        if scrubbed and len(value) >= _SHORTEST_REGISTERED:
            _registered.add(value)

    def reveal(self) -> str:
        """Return the value itself. Every call site is a place to look at in a review."""
        return self._value

    def __repr__(self) -> str:
        return masked(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac

        ours, theirs = (one.reveal().encode("utf-8", "surrogatepass") for one in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not serialised")


def scrub(text: str) -> str:
    """Return `text` without any secret wrapped in this process and without anything shaped like a credential.

    For text that we did not write: an answer's body, a foreign exception, a traceback, a log line.
    """
    for value in sorted(_registered, key=len, reverse=True):
        if value in text:
            text = text.replace(value, masked(value))
    text = _BEARER.sub(lambda match: f"{match.group(1)}{match.group(2)}{masked(match.group(3))}", text)
    return _SHAPES.sub(lambda match: masked(match.group()), text)


def credentials(text: str) -> Iterator[tuple[int, int]]:
    """Yield where `scrub` would mask something in `text`, as start and end; spans may overlap."""
    for value in _registered:
        start = text.find(value)
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + len(value))
    yield from (match.span(3) for match in _BEARER.finditer(text))
    yield from (match.span() for match in _SHAPES.finditer(text))
