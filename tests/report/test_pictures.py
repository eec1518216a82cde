"""Pictures, drawn: what the drawing holds, that it tells nothing by colour alone, and that no text becomes markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # what is read here was written here

import pytest
from hypothesis import given

import alwrity_doctor.report
from alwrity_checks.model import Verdict
from alwrity_checks.pictures import (
    KINDS,
    Lane,
    Lanes,
    Limit,
    Line,
    Mark,
    Matrix,
    Point,
    Series,
    Span,
    Timeline,
    Waterfall,
)
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.pictures import STYLE, draw
from alwrity_doctor.report.pictures.canvas import MARKS
from tests.report.random_pictures import pictures
from tests.report.random_reports import RANDOM, TEXT
from tests.support.shared_pictures import shared_pictures

if TYPE_CHECKING:
    from alwrity_checks.pictures import Picture

_HTML: Final = frozenset(
    {"figure", "figcaption", "p", "b", "span", "ul", "li", "div", "details", "summary"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
)
_SVG: Final = frozenset({"svg", "title", "desc", "g", "rect", "line", "polygon", "path", "text"})
_ATTRIBUTES: Final = frozenset(
    {"class", "viewBox", "width", "height", "role", "aria-hidden", "aria-label", "tabindex", "scope"}
    | {"x", "y", "x1", "x2", "y1", "y2", "rx", "d", "points", "text-anchor"}
)
_LOST: Final = re.compile(r"nan|inf", re.IGNORECASE)


@cache
def styles() -> str:
    """Return the style of the pictures."""
    return Path(alwrity_doctor.report.__file__).with_name("assets").joinpath(STYLE).read_text(encoding="utf-8")


def text_of(element: ET.Element) -> str:
    """Return all text below an element."""
    return "".join(element.itertext())


def image(figure: ET.Element) -> ET.Element:
    """Return the drawing itself."""
    (found,) = [one for one in figure.iter("svg") if one.get("role") == "img"]
    return found


@RANDOM
@given(picture=pictures(TEXT))
def test_no_picture_makes_markup(picture: Picture) -> None:
    """Whatever is in a picture, its figure holds our elements and attributes alone, and can be parsed again."""
    figure = draw(picture)
    assert {one.tag for one in figure.iter()} <= _HTML | _SVG
    assert {name for one in figure.iter() for name in one.attrib} <= _ATTRIBUTES
    again = ET.fromstring(ET.tostring(figure, encoding="unicode"))  # noqa: S314 - it was written a line above
    assert text_of(again) == text_of(figure)


@RANDOM
@given(picture=pictures(TEXT))
def test_every_picture_stays_on_its_sheet(picture: Picture) -> None:
    """However long, short, large or negative: every shape is a number, of a size, within the sheet."""
    for drawn in draw(picture).iter("svg"):
        _, _, width, height = map(float, str(drawn.get("viewBox")).split())
        for one in drawn.iter():
            numbers = [value for name, value in one.attrib.items() if name not in {"class", "role", "text-anchor"}]
            assert not any(_LOST.search(value) for value in numbers)
            if one.tag == "rect":
                x, y, wide, high = (float(one.attrib[name]) for name in ("x", "y", "width", "height"))
                assert wide >= 0
                assert high >= 0
                assert -0.1 <= x <= x + wide <= width + 3
                assert -0.1 <= y <= y + high <= height


@RANDOM
@given(picture=pictures(TEXT))
def test_the_same_data_gives_the_same_drawing(picture: Picture) -> None:
    """A picture is a function of its data, so that an old report's page can be compared with today's."""
    assert ET.tostring(draw(picture)) == ET.tostring(draw(picture))


@pytest.mark.parametrize("picture", shared_pictures(), ids=lambda one: type(one).__name__)
def test_it_can_be_read_aloud(picture: Picture) -> None:
    """The drawing has a role, a name and a description; what scrolls has a name and can be reached by keyboard."""
    figure = draw(picture)
    drawn = image(figure)
    assert [one.tag for one in list(drawn)[:2]] == ["title", "desc"]
    assert (drawn[0].text, drawn[1].text) == (one_line(picture.title), one_line(picture.description))
    for frame in (one for one in figure.iter("div") if one.get("class") == "scroll"):
        assert frame.get("role") == "region"
        assert frame.get("tabindex") == "0"
        assert frame.get("aria-label")
    # Two regions of one name could not be told apart.
    names = [one.get("aria-label") for one in figure.iter("div")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("picture", shared_pictures(), ids=lambda one: type(one).__name__)
def test_the_table_says_what_the_drawing_shows(picture: Picture) -> None:
    """Each name and each note of the data stands in the table, whole, though the drawing may cut it short."""

    def names(value: object) -> list[str]:
        if isinstance(value, tuple):
            return [name for one in value for name in names(one)]
        held = [getattr(value, field, "") for field in ("name", "note", "text", "subject")]
        inner = [
            name
            for field in ("lanes", "spans", "marks", "steps", "rows", "cells", "lines", "limits", "phases", "courses")
            for name in names(getattr(value, field, ()))
        ]
        return [*filter(None, held), *inner]

    (table,) = draw(picture).iter("table")
    said = text_of(table)
    empty = {lane.name for lane in getattr(picture, "lanes", ()) if not lane.spans and not lane.marks}
    held = {span.subject for lane in getattr(picture, "lanes", ()) for span in lane.spans if span.held}
    missing = [name for name in names(picture) if one_line(name) not in said and name not in empty | held]
    assert not missing
    assert all("scope" in one.attrib for one in table.iter("th"))


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_told_without_colour(verdict: Verdict) -> None:
    """In print, and to an eye that sees no colours, the sign of the verdict stands before the words."""
    lane = Lane("a", (Span("work", timedelta(), timedelta(seconds=1), verdict=verdict),))
    drawn = image(draw(Lanes(title="t", description="d", verdict=verdict, lanes=(lane,))))
    assert f"{MARKS[verdict]} work" in [one.text for one in drawn.iter("text")]


@pytest.mark.parametrize("picture", shared_pictures(), ids=lambda one: type(one).__name__)
def test_every_look_is_defined(picture: Picture) -> None:
    """A shape of a class that the style does not know would be black, in the dark as well."""
    shapes = [one for one in draw(picture).iter() if one.tag in {"rect", "line", "polygon", "path"}]
    for one in shapes:
        classes = str(one.get("class")).split()
        assert any(re.search(rf"\.picture [^{{}}]*\.{name}\b", styles()) for name in classes), classes


def test_the_style_has_both_lights_and_paper() -> None:
    """Every colour of the light page has its counterpart in the dark and in print."""
    light, dark, paper = re.findall(r":root \{(.*?)\}", styles(), re.DOTALL)
    names = [set(re.findall(r"--[\w-]+(?=:)", part)) for part in (light, dark, paper)]
    assert names[0] == names[1] == names[2]


def test_a_mark_of_a_fault_is_on_top() -> None:
    """Of two moments at the same place, the one that is the fault is seen."""
    marks = (Mark("lost", timedelta(seconds=1), Verdict.FAIL), Mark("over", timedelta(seconds=1)))
    picture = Lanes(title="t", description="d", lanes=(Lane("a", (), marks),))
    dots = [one.get("class") for one in image(draw(picture)).iter("polygon")]
    assert dots == ["mark", "mark fail"]


def test_what_lies_within_stands_below() -> None:
    """A call within a call has a row of its own; what follows it has the first row again."""
    second = timedelta(seconds=1)
    spans = (
        Span("outer", 0 * second, 4 * second),
        Span("inner", second, 2 * second),
        Span("next", 5 * second, 6 * second),
    )
    picture = Lanes(title="t", description="d", lanes=(Lane("a", spans),))
    tops = [float(one.attrib["y"]) for one in image(draw(picture)).iter("rect") if "bar" in str(one.get("class"))]
    assert tops[0] < tops[1]
    assert tops[0] == tops[2]


def test_pictures_of_one_length_can_be_compared() -> None:
    """The same moment lies at the same place in two pictures with the same `until`."""
    second = timedelta(seconds=1)

    def at(end: float) -> str:
        lane = Lane("a", (Span("work", second, 2 * second), Span("rest", 2 * second, end * second)))
        drawn = image(draw(Lanes(title="t", description="d", lanes=(lane,), until=10 * second)))
        return next(one.attrib["x"] for one in drawn.iter("rect") if one.get("class") == "bar plain")

    assert at(3) == at(9)


def test_a_limit_far_above_does_not_flatten_what_is_measured() -> None:
    """A limit many times as high is told above the plot; one that is near is drawn where it lies."""
    line = Line("resident", (Point(timedelta(), 100.0), Point(timedelta(seconds=1), 900.0)))
    limits = (Limit("near", 1000.0), Limit("far", 64_000.0))
    drawn = image(draw(Series(title="t", description="d", unit="MiB", lines=(line,), limits=limits)))
    assert len([one for one in drawn.iter("line") if one.get("class") == "limit"]) == 1
    words = [one.text for one in drawn.iter("text")]
    assert "near, 1,000 MiB" in words
    assert "↑ far, 64,000 MiB" in words


@pytest.mark.parametrize(
    "picture",
    [
        Lanes(title="t", description="d", lanes=()),
        Waterfall(title="t", description="d", steps=()),
        Matrix(title="t", description="d", of="row", columns=(), rows=()),
        Series(title="t", description="d", unit="", lines=()),
        Timeline(title="t", description="d", began="0001-01-01T00:00:00", courses=()),
    ],
    ids=lambda one: type(one).__name__,
)
def test_nothing_to_draw_is_no_drawing(picture: Picture) -> None:
    """An empty picture is its caption, and no empty frame."""
    figure = draw(picture)
    assert not list(figure.iter("svg"))
    assert not list(figure.iter("table"))
    assert text_of(figure) == "td"


def test_every_kind_has_a_name_and_a_drawing() -> None:
    """A new kind of picture cannot be forgotten: it is shown, drawn and named in the schema."""
    assert {type(one) for one in shared_pictures()} == set(KINDS.values())
    path = Path(alwrity_doctor.report.__file__).with_name("report-1.schema.json")
    named = json.loads(path.read_text("utf-8"))["properties"]["pictures"]["items"]["oneOf"]
    assert {one["$ref"].rpartition("/")[2] for one in named} == set(KINDS)


def test_long_words_are_cut_in_the_drawing_alone() -> None:
    """A name of ten thousand characters costs no time and no place; the table has it whole."""
    name = "x" * 10_000
    first = shared_pictures()[1]
    assert isinstance(first, Lanes)
    figure = draw(replace(first, lanes=(replace(first.lanes[0], name=name),)))
    assert max(len(one.text or "") for one in image(figure).iter("text")) < 200
    (table,) = figure.iter("table")
    assert name in text_of(table)
