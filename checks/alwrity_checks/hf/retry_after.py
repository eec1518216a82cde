"""How long a server asks to wait."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["retry_after"]

_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `retry-after-ms` or `Retry-After` (RFC 9110: seconds, or a date), None without either.

    A date counts from the answer's own `Date`, because the two clocks need not agree. Never raises.
    """
    if (milliseconds := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _seconds(value)) is not None:
        return seconds
    if (until := _moment(value)) is None:
        return None
    since = _moment(headers.get("date", ""))
    return max(0.0, until - (time.time() if since is None else since))


def _seconds(value: str) -> float | None:
    return float(value) if _NUMBER.fullmatch(value := value.strip()) else None


def _moment(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None
