"""What the kinds of picture share: a sheet to draw on, shapes with classes, and how much room words take.

Lengths are user units, which are pixels where the page is wide enough for the drawing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.verdict import Verdict
from alwrity_doctor.report.characters import one_line

__all__ = ["MARKS", "WIDTH", "Drawing", "Sheet", "clipped", "judged", "room_for", "swatches"]

WIDTH: Final = 960.0
MARKS: Final[Mapping[Verdict, str]] = MappingProxyType(
    {Verdict.PASS: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗", Verdict.SKIP: "-", Verdict.UNKNOWN: "?"}
)
_CHARACTER: Final = 6.6
"""Of the font that the style asks for, on average; a little more than that, so that nothing is cut."""
_BOLD: Final = 7.7
_NARROWEST: Final = 3.0
_WIDE: Final = frozenset("WF")
_LOOKS: Final = 6


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a kind of picture makes of its data."""

    image: ET.Element | None
    """None where there is nothing to draw."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The same data, a cell for each column."""
    key: tuple[tuple[str, str], ...] = ()
    """Classes of a swatch, and what looks like it."""


def room_for(text: str, *, bold: bool = False) -> float:
    """Return how wide `text` is at most, near enough."""
    one = _BOLD if bold else _CHARACTER
    return one * sum(2 if unicodedata.east_asian_width(character) in _WIDE else 1 for character in text)


def clipped(text: str, room: float, *, bold: bool = False) -> str:
    """Return `text` in one line, as far as there is room for it."""
    text = one_line(text)
    if room_for(text, bold=bold) <= room:
        return text
    # A hostile text may be long: what no room could hold is not measured.
    text = text[: max(int(room / _NARROWEST), 0)]
    while text and room_for(f"{text}…", bold=bold) > room:
        text = text[:-1]
    return f"{text.rstrip()}…" if text else ""


def judged(verdict: Verdict | None, words: str) -> str:
    """Return `words` behind the sign of the verdict, which tells it without colour."""
    return words if verdict is None else f"{MARKS[verdict]} {words}".rstrip()


def swatches(subjects: Sequence[str]) -> Mapping[str, str]:
    """Return the class in which each subject is drawn; from the seventh on the looks begin anew."""
    return {subject: f"s{number % _LOOKS}" for number, subject in enumerate(dict.fromkeys(subjects))}


class Sheet:
    """An SVG under construction; it ends up as high as what was drawn."""

    def __init__(self, width: float = WIDTH) -> None:
        self.width = width
        self._back = ET.Element("g")
        self._front = ET.Element("g")

    def band(self, top: float, height: float) -> None:
        """Draw the ground of a row, behind everything."""
        ET.SubElement(self._back, "rect", _numbers("ground", x=0, y=top, width=self.width, height=height, rx=4))

    def rule(self, kind: str, start: tuple[float, float], end: tuple[float, float], *, behind: bool = True) -> None:
        """Draw a straight line."""
        parent = self._back if behind else self._front
        ET.SubElement(parent, "line", _numbers(kind, x1=start[0], y1=start[1], x2=end[0], y2=end[1]))

    def box(self, kind: str, place: tuple[float, float, float, float], told: str = "") -> None:
        """Draw a rectangle at x, y, width, height; `told` is shown by a pointer that rests on it."""
        x, y, width, height = place
        _told(ET.SubElement(self._front, "rect", _numbers(kind, x=x, y=y, width=width, height=height, rx=2)), told)

    def dot(self, kind: str, centre: tuple[float, float], told: str = "") -> None:
        """Draw a moment: a diamond, which no bar can be taken for."""
        x, y = centre
        points = f"{x:.1f},{y - 6:.1f} {x + 5:.1f},{y:.1f} {x:.1f},{y + 6:.1f} {x - 5:.1f},{y:.1f}"
        _told(ET.SubElement(self._front, "polygon", {"class": kind, "points": points}), told)

    def path(self, kind: str, way: str, *, behind: bool = False) -> None:
        """Draw a path."""
        ET.SubElement(self._back if behind else self._front, "path", {"class": kind, "d": way})

    def text(self, place: tuple[float, float], words: str, kind: str = "", *, anchor: str = "start") -> None:
        """Write `words`, which are made visible, with their baseline at `place`."""
        attributes = _numbers(kind, x=place[0], y=place[1])
        if anchor != "start":
            attributes["text-anchor"] = anchor
        ET.SubElement(self._front, "text", attributes).text = one_line(words)

    def image(self, height: float) -> ET.Element:
        """Return the SVG."""
        # Its elements carry no namespace: an HTML parser gives an inline SVG its own.
        image = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {self.width:g} {height:g}",
                "width": f"{self.width:g}",
                "height": f"{height:g}",
                "role": "img",
            },
        )
        image.extend((self._back, self._front))
        return image


def _numbers(kind: str, **numbers: float) -> dict[str, str]:
    return ({"class": kind} if kind else {}) | {
        name: f"{number:.1f}".removesuffix(".0") for name, number in numbers.items()
    }


def _told(element: ET.Element, told: str) -> None:
    if told:
        ET.SubElement(element, "title").text = one_line(told)
