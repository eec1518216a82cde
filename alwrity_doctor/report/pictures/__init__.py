"""The pictures of a report, drawn: inline SVG, its words for those who do not see it, and its data as a table.

Drawn by our own hand, because a drawing here must live under a policy that allows neither a script nor a style
attribute, must keep to the page's colours in light, dark and print, and must be the same text for the same data. The
well-kept libraries that draw in Python (matplotlib, pygal, plotly, altair) write styles into every element, make ids
at random, bring a script, or are many times as large as the rest of the base install.

`pictures.css` in the assets holds the looks; nothing is told by colour alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.pictures import Lanes, Matrix, Series, Timeline, Waterfall
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.pictures import lanes, matrix, series, timeline, waterfall
from alwrity_doctor.report.pictures.canvas import MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alwrity_checks.pictures import Picture
    from alwrity_doctor.report.pictures.canvas import Drawing

__all__ = ["STYLE", "draw"]

STYLE = "pictures.css"
"""The asset that a page with pictures needs."""


def draw(picture: Picture) -> ET.Element:
    """Return the picture as a `figure`: caption, key, drawing, and the same data as a table to be opened.

    It holds no id, no style and no script, so that any number of them can stand in one page.
    """
    drawing = _drawing(picture)
    figure = ET.Element("figure", {"class": "picture"})
    _caption(figure, picture)
    if drawing.key:
        listed = ET.SubElement(figure, "ul", {"class": "key"})
        for kind, words in drawing.key:
            entry = ET.SubElement(listed, "li")
            swatch = ET.SubElement(
                entry, "svg", {"viewBox": "0 0 18 12", "width": "18", "height": "12", "aria-hidden": "true"}
            )
            ET.SubElement(swatch, "rect", {"class": kind, "x": "1", "y": "1", "width": "16", "height": "10", "rx": "2"})
            swatch.tail = f" {one_line(words)}"
    if drawing.image is not None:
        _described(drawing.image, picture)
        _scrolling(figure, picture.title, drawing.image)
    if picture.left_out:
        ET.SubElement(figure, "p", {"class": "quiet"}).text = one_line(picture.left_out)
    if drawing.rows:
        more = ET.SubElement(figure, "details")
        ET.SubElement(more, "summary").text = f"As a table: {one_line(picture.title)}"
        _scrolling(more, f"{picture.title}, as a table", _table(drawing.columns, drawing.rows))
    return figure


def _drawing(picture: Picture) -> Drawing:
    match picture:
        case Lanes():
            return lanes.drawing(picture)
        case Waterfall():
            return waterfall.drawing(picture)
        case Matrix():
            return matrix.drawing(picture)
        case Series():
            return series.drawing(picture)
        case Timeline():
            return timeline.drawing(picture)


def _caption(figure: ET.Element, picture: Picture) -> None:
    caption = ET.SubElement(figure, "figcaption")
    title = ET.SubElement(caption, "p", {"class": "picture-title"})
    name = ET.SubElement(title, "b")
    name.text = one_line(picture.title)
    if picture.verdict is not None:
        name.tail = " "
        badge = ET.SubElement(title, "span", {"class": f"badge {picture.verdict}"})
        badge.text = f"{MARKS[picture.verdict]} {picture.verdict.upper()}"
    if picture.description:
        ET.SubElement(caption, "p").text = one_line(picture.description)


def _described(image: ET.Element, picture: Picture) -> None:
    title, description = ET.Element("title"), ET.Element("desc")
    title.text, description.text = one_line(picture.title), one_line(picture.description)
    image.insert(0, title)
    image.insert(1, description)


def _scrolling(parent: ET.Element, name: str, content: ET.Element) -> None:
    """Put `content` into a frame that scrolls by itself where the page is narrow, by keyboard, too."""
    frame = ET.SubElement(
        parent, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": one_line(name) or "picture"}
    )
    frame.append(content)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> ET.Element:
    table = ET.Element("table")
    heads = ET.SubElement(ET.SubElement(table, "thead"), "tr")
    for column in columns:
        ET.SubElement(heads, "th", {"scope": "col"}).text = one_line(column)
    body = ET.SubElement(table, "tbody")
    for row in rows:
        line = ET.SubElement(body, "tr")
        ET.SubElement(line, "th", {"scope": "row"}).text = one_line(row[0])
        for cell in row[1:]:
            ET.SubElement(line, "td").text = one_line(cell)
    return table
