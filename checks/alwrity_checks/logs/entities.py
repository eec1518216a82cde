"""What a line names (an endpoint, a user, a model), in the form in which it is counted and shown.

Nothing secret is left in it.
Users and clients become keyed hashes. An endpoint's ids are masked, so that a thousand documents are one endpoint.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from alwrity_checks.logs.sketches import hashed

__all__ = ["HASHED", "value_of"]

HASHED: Final = frozenset({"user", "client"})
"""Kinds of which only a keyed hash is kept."""
_LONGEST: Final = 160
_FINGERPRINT: Final = re.compile(r"…#[0-9a-f]{8}")
_ID: Final = re.compile(
    r"(?<=/)(?:[0-9]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|(?:user|sess|org)_[\w…-]+|[^/?#]*[@…%][^/?#]*|(?=[^/]*[0-9])[\w-]{20,})(?=/|$)"
)
_VARYING: Final = re.compile(r"0x[0-9a-fA-F]+|\b[0-9]{3,}\b|'[^']{60,}'")
_URLS: Final = frozenset({"url", "issuer", "expected"})


@lru_cache(2048)
def value_of(kind: str, value: str, salt: bytes) -> str:
    """Return what is kept of a value that a line names."""
    value = value.strip()
    if kind in HASHED:
        return f"{kind} {hashed(value.encode('utf-8', 'replace'), salt):016x}"[: len(kind) + 9]
    from alwrity_checks.logs.secrets import clean

    shown = _FINGERPRINT.sub("…", clean(value[: 4 * _LONGEST].encode("utf-8", "replace")).decode("utf-8", "replace"))
    if kind == "endpoint":
        method, _, path = shown.partition(" ")
        return f"{method} {_ID.sub('<id>', path.partition('?')[0])}"[:_LONGEST]
    if kind in _URLS:
        return _address(shown)[:_LONGEST]
    if kind == "text":
        return _VARYING.sub("<*>", shown)[:_LONGEST]
    return shown[:_LONGEST]


def _address(text: str) -> str:
    """Return a URL without user, query and fragment; what is no URL as it is."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    if not parts.scheme or not parts.netloc:
        return text.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
