"""The page: well formed, self-contained, and true to what was recorded."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from alwrity_checks.txtai.picture import Chapter, page, swim_lanes
from alwrity_checks.txtai.recorder import Mark, Recording, Span

SVG = "{http://www.w3.org/2000/svg}"
FAULTY = Recording(
    "legacy <HEAD>",
    (
        Span("load", "background", "Index 1", 0.0, 0.1),
        Span("index", "event loop", "Index 2", 0.02, 0.09),
        Span("held until done", "event loop", "", 0.03, 0.08, held=True),
        Span("save", "event loop", "Index 1", 0.1, 0.12, error="OSError"),
    ),
    (Mark("restarted: 0 of 5 found", "event loop", 0.13, fault=True),),
)
SOUND = Recording("fixed", (Span("applying", "worker", "Store", 0.0, 0.5),), ())


def drawn(recording: Recording, duration: float) -> ET.Element:
    """Return the drawing, parsed: it is XML."""
    return ET.fromstring(swim_lanes(recording, duration))  # noqa: S314 - our own drawing


def bars(root: ET.Element) -> dict[str, tuple[ET.Element, ET.Element]]:
    """Return each bar with its group, by what it tells of itself."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        title, bar = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is not None and bar is not None:
            found[str(title.text)] = (group, bar)
    return found


def test_a_lane_for_each_thread() -> None:
    """Every thread has a lane with its name."""
    root = drawn(FAULTY, 0.13)
    lanes = [element for element in root.iter(f"{SVG}rect") if element.get("class") == "lane"]
    words = {element.text for element in root.iter(f"{SVG}text")}
    assert len(lanes) == 2
    assert {"background", "event loop"} <= words


def test_one_colour_for_each_object() -> None:
    """The save on the other object has that object's colour: this is the fault, seen."""
    drawing = bars(drawn(FAULTY, 0.13))
    colour = {told.partition(":")[0]: bar.get("fill") for told, (_, bar) in drawing.items()}
    assert colour["save Index 1"] == colour["load Index 1"] != colour["index Index 2"]


def test_holds_and_errors_look_different() -> None:
    """A wait that the experiment imposed is hatched, a call that raised is framed and says what."""
    drawing = bars(drawn(FAULTY, 0.13))
    held = next(bar for told, (_, bar) in drawing.items() if told.startswith("held"))
    group, _ = next(entry for told, entry in drawing.items() if told.startswith("save"))
    assert held.get("class") == "held"
    assert group.get("class") == "raised"
    assert any("OSError" in told for told in drawing)


def test_nested_spans_lie_below_each_other() -> None:
    """A span within another one is drawn one row below it."""
    drawing = bars(drawn(FAULTY, 0.13))
    top = {told.partition(" ")[0]: float(str(bar.get("y"))) for told, (_, bar) in drawing.items()}
    assert top["held"] > top["index"] == top["save"]


def test_recordings_of_a_chapter_share_the_axis() -> None:
    """The shorter run takes as much less room as it took less time."""
    text = page("t", "i", [Chapter("c", "x", ((FAULTY, "lost", True), (SOUND, "kept", False)))])
    first, second = (ET.fromstring(one) for one in re.findall(r"<svg.*?</svg>", text, re.DOTALL))  # noqa: S314 - ours
    load = next(bar for told, (_, bar) in bars(first).items() if told.startswith("load"))
    applying = next(bar for told, (_, bar) in bars(second).items())
    assert float(str(applying.get("width"))) / float(str(load.get("width"))) == 5.0


class Tags(HTMLParser):
    """Collects what a page consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_page_is_self_contained() -> None:
    """No script, nothing that is fetched, no handler; what was recorded cannot become markup."""
    hostile = Recording("<script>alert(1)</script>", (Span("<b>", "a&b", '"x"', 0.0, 1.0),), (Mark("<i>", "t", 0.5),))
    text = page("<title>", "</p>", [Chapter("<h1>", "&", ((hostile, "<u>", True),))])
    parser = Tags()
    parser.feed(text)
    assert not parser.tags & {"script", "link", "img", "iframe", "object", "b", "i", "u"}
    assert not {name for name in parser.attributes if name.startswith("on") or name in {"src", "href"}}
    assert "url(#held)" in text
    assert not re.search(r"url\((?!#)|@import", text)


def test_nothing_recorded_is_no_error() -> None:
    """An empty recording is an empty drawing."""
    assert drawn(Recording("nothing", (), ()), 0.0).tag == f"{SVG}svg"
