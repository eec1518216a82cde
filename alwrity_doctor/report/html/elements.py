"""The parts that every section of the page is made of. All text enters here, and none of it can become markup."""

from __future__ import annotations

import re
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.model import Evidence, Severity
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.pictures.canvas import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alwrity_checks.model import Verdict

__all__ = [
    "MANY",
    "MARKS",
    "WEIGHTS",
    "add",
    "badge",
    "command",
    "cut",
    "facts",
    "fold",
    "link",
    "path",
    "table",
    "text",
]

WEIGHTS: Final[Mapping[Severity, str]] = MappingProxyType(
    {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "note"}
)
"""The class that gives a severity its colour: that of the verdict that it leads to."""
MANY: Final = 8
"""What has more parts than these can be filtered."""
_PRINTED: Final = 25
"""A table with more rows than these scrolls within itself, and paper gets so many of them: see `page.css`."""
_WIDE: Final = 40
"""Characters of a cell that a phone gives room: a column as narrow as a word cuts words apart."""
_WORDS: Final = frozenset({"reproduced", "absent", "unknown", "better", "worse", "new"})
"""Cells that have a colour."""
_NUMBER: Final = re.compile(r"-?[0-9][0-9.,]*(?:\s*(?:%|x|s|ms|min|MiB|GiB|kB|MB|GB|B))?")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+Z?)?")
_LONG: Final = 400
"""Of a value with more characters than these the beginning is shown, and the rest on demand."""
_MANY_LINES: Final = 14
"""The same of a value in lines."""


def text(tag: str, content: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
    """Return an element with one line of text."""
    element = ET.Element(tag, dict(attributes or {}))
    element.text = one_line(content) + (" " if content.endswith(" ") else "")
    return element


def add(
    parent: ET.Element, tag: str, content: str = "", attributes: Mapping[str, str] | None = None, **more: str
) -> ET.Element:
    """Append an element with one line of text, and return it."""
    element = text(tag, content, {**(attributes or {}), **more})
    parent.append(element)
    return element


def cut(content: str, longest: int) -> str:
    """Return one line of `content`, with an ellipsis where it is longer than `longest` characters."""
    line = one_line(content)
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def badge(verdict: Verdict) -> ET.Element:
    """Return a verdict as it is shown everywhere: a mark, a word, a colour."""
    element = ET.Element("span", {"class": f"badge {verdict}"})
    add(element, "span", MARKS[verdict], {"aria-hidden": "true"}).tail = f" {verdict.upper()}"
    return element


def link(target: str, content: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
    """Return a link to an element of the page, by its id."""
    return text("a", content, {"href": f"#{target}", **(attributes or {})})


def fold(summary: str, *, name: str = "", attributes: Mapping[str, str] | None = None) -> ET.Element:
    """Return a part that opens on demand."""
    element = ET.Element("details", dict(attributes or {}))
    add(element, "summary", summary, {"aria-label": one_line(name)} if name else {})
    return element


def command(label: str, content: str) -> ET.Element:
    """Return a command that can be copied."""
    block = ET.Element("div", {"class": "command"})
    add(block, "span", label)
    add(ET.SubElement(block, "pre", tabindex="0"), "code").text = visible(content)
    # Shown by the script: without one it could do nothing.
    named = {"type": "button", "hidden": "hidden", "aria-label": f"Copy the command: {cut(content, 120)}"}
    add(block, "button", "Copy", named)
    return block


def facts(evidence: Iterable[Evidence]) -> ET.Element:
    """Return labels and values; a label that repeats is said once."""
    listed = ET.Element("dl")
    for label, same in groupby(evidence, key=lambda one: one_line(one.label)):
        add(listed, "dt", label)
        for one in same:
            _value(ET.SubElement(listed, "dd", {"class": "log"} if label == "log" else {}), one)
    return listed


def _value(place: ET.Element, one: Evidence) -> None:
    shown = visible(one.value).strip("\n")
    lines = shown.count("\n") + 1
    if lines > _MANY_LINES:
        place.append(fold(f"{lines} lines", name=f"{one.label}: {lines} lines"))
        ET.SubElement(place[-1], "pre", tabindex="0").text = shown
    elif lines > 1:
        ET.SubElement(place, "pre", tabindex="0").text = shown
    elif len(shown) > _LONG:
        beginning = cut(shown, _LONG // 2)
        add(place, "span", beginning)
        place.append(fold(f"all {len(shown):,} characters", name=f"{one.label}: all {len(shown):,} characters"))
        add(place[-1], "p", shown)
    else:
        place.text = shown


def path(content: str) -> ET.Element:
    """Return the path of a file, which may go on in the next line behind each of its slashes."""
    first, *rest = re.split("(?<=/)(?=[^/])", one_line(content))
    element = text("span", first)
    for part in rest:
        ET.SubElement(element, "wbr").tail = part
    return element


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str | ET.Element]],
    name: str,
    *,
    classes: Sequence[str] = (),
    head: int = 0,
) -> ET.Element:
    """Return a table that scrolls by itself where the page is too narrow for it, by keyboard, too.

    A cell is a line of text or an element; `classes` are those of the rows, and the cell numbered `head` names its row.
    """
    tall = len(rows) > _PRINTED
    frame = ET.Element("div", {"class": "frame tall" if tall else "frame"})
    if not rows:
        add(frame, "p", "It has no rows.", {"class": "quiet"})
        return frame
    if len(rows) > MANY:
        frame.append(_filter(f"Show only rows of: {one_line(name)}"))
    scroll = ET.SubElement(
        frame, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": one_line(name)}
    )
    made = ET.SubElement(scroll, "table")
    heads = ET.SubElement(ET.SubElement(made, "thead"), "tr")
    for column in columns:
        add(heads, "th", column, {"scope": "col"})
    body = ET.SubElement(made, "tbody")
    for index, row in enumerate(rows):
        line = ET.SubElement(body, "tr", {"class": classes[index]} if classes else {})
        for number, cell in enumerate(row):
            line.append(_cell(cell, head=number == head))
    if tall:
        add(frame, "p", f"Printed: {_PRINTED} of {len(rows):,} rows. The file holds all.", {"class": "printed"})
    return frame


def _filter(label: str) -> ET.Element:
    place = ET.Element("div", {"class": "filter", "hidden": "hidden"})
    ET.SubElement(add(place, "label", "Filter "), "input", {"type": "search", "aria-label": label})
    add(place, "span", "", {"role": "status"})
    return place


def _cell(content: str | ET.Element, *, head: bool) -> ET.Element:
    attributes = {"scope": "row"} if head else {}
    tag = "th" if head else "td"
    if isinstance(content, str):
        shown = one_line(content)
        kind = "number" if not head and _NUMBER.fullmatch(shown) else "word" if _MOMENT.fullmatch(shown) else ""
        kind = shown if shown in _WORDS else kind or ("long" if len(shown) > _WIDE and not head else "")
        return text(tag, shown, {**attributes, **({"class": kind} if kind else {})})
    cell = ET.Element(tag, attributes)
    cell.append(content)
    return cell
