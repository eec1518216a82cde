"""A new entry of the catalogue, from lines of a log that no signature knows: every field, and nothing made up.

What a log cannot tell is said to be unknown, in the words that the catalogue has for it, so that the entry keeps the
rules of the document from its first day.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from alwrity_doctor.tracker import ISSUES, PROGRAM, Tracker

if TYPE_CHECKING:
    from alwrity_checks.logs.triage import ClusterFound

__all__ = ["entry_of", "holder_of", "next_number", "title_of", "with_entry"]

_WIDTH: Final = 120
_LONGEST_LITERAL: Final = 90
_LONGEST_TITLE: Final = 90
_HOLE: Final = "<*>"
_SEVERITIES: Final = {"CRITICAL": "high", "ERROR": "high", "exception": "high"}


def next_number(tracker: Tracker) -> int:
    """Return the number of the next issue: those of the catalogue are taken, whether they are there or not."""
    return max(ISSUES[-1], *(issue.number for issue in tracker.issues)) + 1


def holder_of(tracker: Tracker, cluster: ClusterFound) -> int | None:
    """Return the number of the issue that has the lines' form among its signatures, None where none has it."""
    literal = _literal(cluster)
    for issue in tracker.issues:
        for field in issue.fields:
            if field.name == "Signatures" and any(one.parts.get("literal") == literal for one in field.entries):
                return issue.number
    return None


def title_of(cluster: ClusterFound) -> str:
    """Return a title: the words that all the lines share."""
    words = " ".join(_plain(cluster.template.replace(_HOLE, " ")).split())
    return textwrap.shorten(words or f"{cluster.level} of {cluster.module}", _LONGEST_TITLE, placeholder=" ...")


def entry_of(number: int, title: str, cluster: ClusterFound, logs: Sequence[str], today: date) -> list[str]:
    """Return the lines of the entry, as the catalogue is written."""
    literal = _literal(cluster)
    where = _plain(cluster.module) or "an exception"
    named = ", ".join(_plain(log) for log in logs)
    command = f"`{PROGRAM} triage LOG --suggest`"
    lines = "1 line" if cluster.count == 1 else f"{cluster.count} lines"
    first, last = _when(cluster.first), _when(cluster.last)
    seen = f"{lines} at level {cluster.level}, {f'at {first}' if first == last else f'from {first} to {last}'}"
    return [
        f"## Issue {number}: {_plain(title)}",
        "",
        *_item("- **Status**: `open`"),
        *_item(f"- **Severity**: `{_SEVERITIES.get(cluster.level, 'medium')}`"),
        *_item(f"- **Subsystem**: {where}"),
        *_item("- **Confidence**: `low`"),
        *_item("- **Rules**: `none yet`: no check or experiment knows this fault"),
        *_item("- **Validation**: `none yet`: nothing shows yet that it is gone"),
        "",
        *_section("Signatures", f"- `{literal}` (log): what it means is not known yet"),
        *_section("Observed", f"In {named}: {seen}. One of them:"),
        # Shown as it was, without secrets; a code span, so that nothing in it is read as Markdown.
        f"`{_plain(cluster.sample)}`",
        "",
        *_section("Hypotheses", "None. Nobody has looked for the cause yet."),
        *_section("Root cause", "Not known."),
        *_section("Evidence", f"- `log`: {seen}, in {named}; {command} drafts a signature for them."),
        *_section("Files", f"Not known; the lines come from {where}."),
        *_section("Questions", "None. Nobody has asked one yet."),
        *_section("Fix", "None yet."),
        *_section("Session log", f"- {today}: opened from {lines} that no signature knows; status open."),
    ]


def _literal(cluster: ClusterFound) -> str:
    return textwrap.shorten(_plain(cluster.template.replace(_HOLE, "<...>")), _LONGEST_LITERAL, placeholder=" <...>")


def with_entry(lines: Sequence[str], entry: Sequence[str]) -> list[str]:
    """Return `lines`, those of the tracker's file, with an entry at their end."""
    ending = "\r" if lines[0].endswith("\r") else ""
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    added = list(entry)
    while not added[-1]:
        added.pop()
    return [*kept, ending, *(line + ending for line in added), ""]


def _section(name: str, text: str) -> list[str]:
    return [f"### {name}", "", *_item(text), *([""] if name != "Observed" else [])]


def _item(text: str) -> list[str]:
    """Return the lines of an item; a code span ends on its own line, so that its spaces are no place to break."""
    held = re.sub(r"`[^`]*`", lambda span: span[0].replace(" ", "\0"), text)
    indent = "  " if text.startswith("- ") else ""
    wrapped = textwrap.wrap(held, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in wrapped]


def _plain(text: str) -> str:
    """Return text of a log as one line that a code span can hold."""
    return " ".join(text.replace("`", "'").split())


def _when(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
