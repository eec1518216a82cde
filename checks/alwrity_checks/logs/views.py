"""A line as a person reads it: without colours, and with percent signs and escapes resolved, each with a way back.

A secret that is coloured in the middle, or percent-encoded in an access line, is still one; it is looked for in the
view, and cut out of the line.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["ANSI", "View", "unwrapped", "views"]

ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
"""What colours a terminal, moves its cursor or names its window (ECMA-48, sections 5.3 to 5.6)."""
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})|\\([\"'/])")
_WRAP: Final = re.compile(r"\r?\n[ \t]{0,200}")
_ROUNDS: Final = 2
"""A token in a redirect's URL is percent-encoded twice."""


@dataclass(frozen=True, slots=True)
class View:
    """A text, and where its characters stand in the line."""

    text: str
    starts: array[int] | None = None
    """Of each character; None where text and line are the same."""
    ends: array[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return what `start` to `end`, which is not empty, covers in the line."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def views(line: str) -> Iterator[View]:
    """Yield the line without ANSI codes and then, as long as that differs, with its escapes resolved."""
    view = View(line)
    if "\x1b" in line:
        view = _rewritten(view, ANSI)
    yield view
    for _ in range(_ROUNDS):
        if not _ESCAPE.search(view.text):
            return
        view = _rewritten(view, _ESCAPE)
        yield view


def unwrapped(text: str) -> View:
    """Return several lines as the one that a terminal or an editor has wrapped, without what indents the later ones."""
    return _rewritten(View(text), _WRAP) if "\n" in text else View(text)


def _rewritten(view: View, pattern: re.Pattern[str]) -> View:
    """Return `view` with each match replaced by what it stands for: an escape's character, or nothing."""
    parts: list[str] = []
    starts, ends = array("Q"), array("Q")
    at = 0
    for match in pattern.finditer(view.text):
        _keep(view, at, match.start(), starts, ends)
        parts.append(view.text[at : match.start()])
        meant = _meant(match)
        if meant:
            start, end = view.span(*match.span())
            parts.append(meant)
            starts.append(start)
            ends.append(end)
        at = match.end()
    _keep(view, at, len(view.text), starts, ends)
    parts.append(view.text[at:])
    return View("".join(parts), starts, ends)


def _keep(view: View, start: int, end: int, starts: array[int], ends: array[int]) -> None:
    if view.starts is None or view.ends is None:
        starts.extend(range(start, end))
        ends.extend(range(start + 1, end + 1))
    else:
        starts.extend(view.starts[start:end])
        ends.extend(view.ends[start:end])


def _meant(match: re.Match[str]) -> str:
    digits = next((group for group in match.groups()[:3] if group), "") if match.re is _ESCAPE else ""
    if digits:
        # What is no printable ASCII stays one character, whichever: no secret is made of it.
        code = int(digits, 16)
        return chr(code) if 0x20 <= code < 0x7F else " "  # noqa: PLR2004 - printable ASCII
    return match.group(4) if match.re is _ESCAPE else ""
