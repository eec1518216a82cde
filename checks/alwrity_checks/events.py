"""What a component logs: a sentence for a person, and behind it an event's name and its fields for a machine.

    the key set could not be fetched event=auth.keys-fetch-failed reason=jwks-dns failures=3 error="no such host"

The tail is logfmt, so that `grep event=auth.keys-fetch-failed` and every log store can read it; a handler that writes
JSON finds the same in the record's attributes `event` and `event_fields`. An event's name never changes its meaning,
and `alwrity-doctor triage` knows each: it has a signature of the same name in the `signatures.toml` of its room.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Final

from alwrity_checks.redaction import scrub

__all__ = ["emit"]

_LONGEST: Final = 300
_BARE: Final = re.compile(r"[A-Za-z0-9_.:/@+-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""What ends a line, speaks to a terminal, or reorders what is read."""
_MARK: Final = "event="
_NO_MARK: Final = r"event\u003d"
"""The same to whoever decodes a quoted field, and to `triage` no event."""


def emit(
    log: logging.Logger,
    level: int,
    event: str,
    sentence: str,
    *,
    exc_info: bool = False,
    **fields: object,
) -> None:
    """Log `sentence`, and behind it `event` with `fields`; a field that is None is left out.

    Whatever comes from elsewhere is redacted and kept to one line: nobody's text can forge a line of the log, and none
    can end a field and begin another, or an event.
    """
    if not log.isEnabledFor(level):
        return
    told = {name: _plain(value) for name, value in fields.items() if value is not None}
    tail = "".join(f" {name}={_quoted(value)}" for name, value in told.items())
    log.log(
        level,
        "%s",
        f"{_one_line(sentence).replace(_MARK, _NO_MARK)} {_MARK}{event}{tail}",
        exc_info=exc_info,
        extra={"event": event, "event_fields": told},
        stacklevel=2,
    )


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 3)
    return _one_line(str(value))[:_LONGEST]


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", scrub(text)).encode("utf-8", "backslashreplace").decode()


def _quoted(value: str | float | bool) -> str:  # noqa: FBT001 - a field's value
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False).replace(_MARK, _NO_MARK)
