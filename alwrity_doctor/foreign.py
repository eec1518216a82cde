"""What others wrote, scrubbed where it enters a report: exceptions as evidence, and the findings of any check."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Final

from alwrity_checks.model import Evidence, Finding
from alwrity_checks.redaction import scrub

__all__ = ["in_one_line", "scrubbed", "traceback_of"]

_LONGEST_TRACEBACK: Final = 8000
_LONGEST_LINE: Final = 300


def traceback_of(error: BaseException) -> Evidence:
    """Return the traceback of `error` and of its causes; of a long one the end, where the error is named."""
    text = scrub("".join(traceback.format_exception(error))).rstrip()
    return Evidence("traceback", text if len(text) <= _LONGEST_TRACEBACK else f"…{text[-_LONGEST_TRACEBACK:]}")


def in_one_line(error: BaseException) -> str:
    """Return the type of `error` and the first line of its message."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - `__str__` is foreign code as well
        message = ""
    # Scrubbed before it is cut: half a secret would no longer be recognised.
    first = next(iter(scrub(message).strip().splitlines()), "")
    line = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def scrubbed(finding: Finding) -> Finding:
    """Return `finding` with its texts scrubbed: a third party's check need not know our rules of redaction."""
    location = finding.location
    return replace(
        finding,
        message=scrub(finding.message),
        evidence=tuple(Evidence(scrub(one.label), scrub(one.value)) for one in finding.evidence),
        location=None if location is None else replace(location, name=scrub(location.name)),
        commands=tuple(scrub(command) for command in finding.commands),
    )
