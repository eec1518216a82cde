"""The page and the trace of a start: well formed, self-contained, and the same moments as in the analysis."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from alwrity_checks.model import Verdict
from alwrity_checks.pictures import Lanes
from alwrity_checks.startup.pictured import trace_picture
from alwrity_checks.startup.trace_findings import examine
from alwrity_checks.startup.trace_phases import Phase
from alwrity_checks.startup.trace_picture import chrome_trace, page, timeline
from tests.support.startup_servers import THRESHOLD, program, python, traced

if TYPE_CHECKING:
    from alwrity_checks.startup.trace_analysis import Analysis

SVG = "{http://www.w3.org/2000/svg}"
BODY = """
import threading, time
threading.Thread(target=time.sleep, args=(60,), name="<b>&'napper", daemon=True).start()
time.sleep(0.5)
serve()
"""


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Return the start of a server that sleeps, with a thread whose name is no name."""
    return traced(python(program(tmp_path_factory.mktemp("<i>"), BODY)))


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


def test_the_page_is_self_contained(sleeper: Analysis) -> None:
    """No script, nothing that is fetched, no handler; a thread's or folder's name cannot become markup."""
    text = page(sleeper, examine(sleeper, THRESHOLD))
    parser = Tags()
    parser.feed(text)
    assert not parser.tags & {"script", "link", "img", "iframe", "object", "b", "i"}
    assert not {name for name in parser.attributes if name.startswith("on") or name in {"src", "href"}}
    assert not re.search(r"url\(|@import", text)
    assert "STA017" in text


def test_the_timeline_shows_the_way_and_every_thread(sleeper: Analysis) -> None:
    """The drawing is XML; its first lane is the way, the sleep on it is as long as it was; both moments are marked."""
    root = ET.fromstring(timeline(sleeper))  # noqa: S314 - our own drawing
    lanes = [one for one in root.iter(f"{SVG}rect") if one.get("class") == "lane"]
    words = [str(one.text) for one in root.iter(f"{SVG}text")]
    assert len(lanes) == 3
    assert words[0] == "the start's way"
    assert any("<b>&'napper" in one for one in words)
    assert {"listens", "answers"} <= set(words)
    bars = [
        float(str(bar.get("width")))
        for group in root.iter(f"{SVG}g")
        if (title := group.find(f"{SVG}title")) is not None
        and (bar := group.find(f"{SVG}rect")) is not None
        and str(title.text).startswith(Phase.SLEEP)
        and float(str(bar.get("y"))) < 30
    ]
    scale = (1120 - 190 - 10) / sleeper.seconds
    assert sum(bars) == pytest.approx(sleeper.totals[Phase.SLEEP] * scale, abs=1)


def test_the_chrome_trace_is_complete(sleeper: Analysis) -> None:
    """It is JSON; the way's events cover the start without a gap; threads carry their names."""
    document = json.loads(json.dumps(chrome_trace(sleeper)))
    events = document["traceEvents"]
    way = [one for one in events if one["ph"] == "X" and one["pid"] == 0]
    assert sum(one["dur"] for one in way) == pytest.approx(sleeper.seconds * 1e6, abs=len(way) + 1)
    assert all(one["ts"] >= 0 for one in events if one["ph"] == "X" and one["pid"] == 0)
    assert {one["name"] for one in events if one["ph"] == "i"} == {"listens", "answers"}
    names = {one["args"]["name"] for one in events if one["name"] == "thread_name"}
    assert names == {"MainThread", "<b>&'napper"}


def test_a_start_that_never_listened(tmp_path_factory: pytest.TempPathFactory) -> None:
    """There is a page of it too."""
    path = program(tmp_path_factory.mktemp("dies"), "raise SystemExit(3)")
    analysis = traced(python(path))
    assert "never listened" in page(analysis, examine(analysis))
    assert not [one for one in chrome_trace(analysis)["traceEvents"] if one["ph"] == "i"]


def test_the_start_as_data(sleeper: Analysis) -> None:
    """The report's picture: the way first, with the sleep as long as it was, both moments marked, every thread."""
    picture = trace_picture(sleeper, Verdict.FAIL)
    assert isinstance(picture, Lanes)
    way, *threads = picture.lanes
    assert way.name == "the start's way"
    assert [mark.name for mark in way.marks] == ["listens", "answers"]
    slept = sum((one.end - one.start).total_seconds() for one in way.spans if one.subject == Phase.SLEEP)
    assert slept == pytest.approx(sleeper.totals[Phase.SLEEP], abs=0.01)
    assert any("<b>&'napper" in lane.name for lane in threads)
    assert picture.verdict is Verdict.FAIL
    assert picture.until.total_seconds() == pytest.approx(sleeper.seconds, abs=1e-6)
