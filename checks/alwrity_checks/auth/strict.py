"""Strict decoding: base64url with one spelling for each value, JSON with one meaning for each text.

RFC 7515 §2 allows neither padding nor characters outside the alphabet; §4 lets a parser refuse duplicate names, and a
verifier must: two parsers that keep different duplicates see two different tokens.
"""

from __future__ import annotations

import json
from binascii import Error as BinasciiError
from binascii import a2b_base64
from typing import Any, Final, NoReturn

__all__ = ["DuplicateKeyError", "decode_base64url", "decode_object"]

MOST_CONTAINERS: Final = 200
"""A session token holds a handful, a key set of a hundred keys twice as many."""
_PADDING: Final = (b"", None, b"==", b"=")
_STANDARD: Final = {ord("-"): ord("+"), ord("_"): ord("/")}
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_TO_STANDARD: Final = bytes(_STANDARD.get(byte, byte) if byte in _ALPHABET else ord("!") for byte in range(256))
"""base64url to base64; whatever is not in the alphabet becomes a character that strict mode refuses."""
_LAST_OF_TWO: Final = frozenset(b"AQgw")
_LAST_OF_THREE: Final = frozenset(b"AEIMQUYcgkosw048")
"""The last characters whose unused bits are zero (RFC 4648 §3.5), for groups of two and of three characters."""


class DuplicateKeyError(ValueError):
    """An object names a member twice."""


def decode_base64url(text: bytes) -> bytes:
    """Decode `text`: unpadded, canonical base64url. Raises ValueError."""
    rest = len(text) % 4
    padding = _PADDING[rest]
    if padding is None:
        raise ValueError("a length no base64url text has")
    if rest and text[-1] not in (_LAST_OF_TWO if rest == 2 else _LAST_OF_THREE):  # noqa: PLR2004 - RFC 4648 group size
        raise ValueError("unused bits are not zero")
    try:
        return a2b_base64(text.translate(_TO_STANDARD) + padding, strict_mode=True)
    except BinasciiError as error:
        raise ValueError(str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKeyError("an object names a member twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


_scan: Final = _decoder.scan_once  # type: ignore[attr-defined] # documented nowhere, there since 2.6


def decode_object(data: bytes, *, containers: int = MOST_CONTAINERS) -> dict[str, Any]:
    """Decode UTF-8 JSON text that is one object without duplicate members, NaN or Infinity.

    `containers` bounds its objects and lists, so that whoever walks or copies the result is safe from deep nesting.

    Raises DuplicateKeyError, or ValueError for everything else that is wrong, however deep the nesting.
    """
    if data.count(b"{") + data.count(b"[") > containers:
        raise ValueError(f"more than {containers} objects and lists")
    try:
        text = data.decode("utf-8")
        # A token holds its object and nothing else: then the two searches for white space around it are saved.
        value, end = _scan(text, 0) if text.startswith("{") else (None, -1)
        if end != len(text):
            value = _decoder.decode(text)
    except StopIteration:
        raise ValueError("not JSON") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one error type for every malformed text
    return value
