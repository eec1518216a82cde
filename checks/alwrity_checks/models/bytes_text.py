"""Numbers of bytes as people write them."""

from __future__ import annotations

import re
from typing import Final

from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import scrub

__all__ = ["parse_bytes"]

_UNITS: Final = (
    {"": 1}
    | {
        f"{letter}{rest}".lower(): base**power
        for power, letter in enumerate("KMGT", 1)
        for rest, base in (("", 1000), ("B", 1000), ("i", 1024), ("iB", 1024))
    }
    | {"b": 1}
)
_WRITTEN: Final = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-z]{0,3})")
_LEAST: Final = 1 << 20
_MOST: Final = 1 << 50


def parse_bytes(text: str) -> int:
    """Return the bytes that `text` stands for: `8GiB`, `8 GB`, `8000M`, `8589934592`; K, M, G and T are decimal.

    Raises ModelError(SETTING_INVALID) for anything else, and for what no amount of memory is: less than a mebibyte,
    more than a pebibyte.
    """
    found = _WRITTEN.fullmatch(text.strip())
    shown = f"{scrub(text)!r:.60}"
    if found is None or found[2].lower() not in _UNITS:
        raise _invalid(f"{shown} is no amount of memory")
    amount = float(found[1]) * _UNITS[found[2].lower()]
    if amount <= 0:
        raise _invalid(f"{shown} is no amount of memory that a model could have")
    if amount < _LEAST:
        raise _invalid(f"{shown} is less than a mebibyte: is the unit missing?")
    if amount > _MOST:
        raise _invalid(f"{shown} is more than any machine has")
    return int(amount)


def _invalid(what: str) -> ModelError:
    return ModelError(Reason.SETTING_INVALID, what, "write a number and a unit, such as 8GiB, 8 GB or 8000M")
