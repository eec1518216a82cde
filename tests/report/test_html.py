"""The page: one file, nothing fetched, nothing run but its own script, and readable by a machine that reads aloud."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hypothesis import given

from alwrity_checks.model import Table
from alwrity_doctor.report import render
from alwrity_doctor.report.html.subjects import ISSUES, SUBSYSTEMS
from alwrity_doctor.report.json import load
from tests.report.random_reports import RANDOM, reports
from tests.support.page_states import STATES
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from alwrity_checks.model import Report

_VOID: Final = frozenset({"meta", "input", "br", "wbr"})
_TAGS: Final = frozenset(
    {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "nav",
        "main",
        "section",
        "article",
        "footer",
        "script",
    }
    | {"h1", "h2", "h3", "h4", "p", "span", "b", "cite", "a", "div", "pre", "code", "ul", "ol", "li", "dl", "dt", "dd"}
    | {"details", "summary", "button", "label", "input", "table", "thead", "tbody", "tr", "th", "td", "wbr"}
    | {"figure", "figcaption", "svg", "g", "desc", "rect", "line", "path", "polygon", "text"}
)


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close a tag, which must be the last one open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text of a tag."""
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@RANDOM
@given(report=reports())
def test_no_report_makes_markup(report: Report) -> None:
    """Whatever a server sent, the page holds our elements alone, each closed; no address, no handler, no style."""
    page = Page(render(report, "html"))
    assert not page.open
    assert {tag for tag, _ in page.tags} <= _TAGS
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "style", "srcset", "action"}}
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {str(attributes["href"]) for _, attributes in page.tags if "href" in attributes} <= {
        f"#{one}" for one in ids
    }
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def test_the_policy_names_what_is_there() -> None:
    """The content security policy allows our style and script by their hashes, and nothing else, no request at all."""
    page = Page(render(shared_report(), "html"))
    policy = next(one["content"] for tag, one in page.tags if tag == "meta" and "http-equiv" in one) or ""
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256("".join(page.texts[tag]).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_page_is_made_from_the_json_alone() -> None:
    """An old report gives the same page."""
    report = shared_report()
    assert render(load(render(report, "json")), "html") == render(report, "html")


def test_headings_and_tables_can_be_read_aloud() -> None:
    """One first heading, no rank left out, a language, a name for each region, a scope for each head of a table."""
    page = Page(render(shared_report(), "html"))
    ranks = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert ranks[0] == 1
    assert ranks.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(ranks))
    assert page.tags[0] == ("html", {"lang": "en"})
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert all("aria-label" in one for _, one in page.tags if one.get("role") == "region")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_hundreds_of_findings_are_a_few_entries() -> None:
    """Of a rule that is broken in 460 places the remedy is told once, and every place is in the page."""
    page = Page(render(STATES["unknown"](), "html"))
    assert sum(tag == "article" for tag, _ in page.tags) == 3
    told = "".join(one for several in page.texts.values() for one in several)
    assert told.count("Call logger.exception(message) in the except block") == 1
    assert all(f"'Error in step {number}: …'" in told for number in range(460))


def test_a_picture_stands_with_the_rule_that_it_illustrates() -> None:
    """Within the article of a broken rule, else within its issue; none is lost."""
    report = STATES["failing"]()
    text = render(report, "html")
    for picture in report.pictures:
        before, caption, _ = text.partition(f'<p class="picture-title"><b>{picture.title}</b>')
        assert caption
        assert before.rpartition('<section aria-labelledby="')[2].startswith(f'issue-{picture.issue}"')
        assert (before.rfind("<article") > before.rfind("</article")) is bool(picture.rule)


def test_a_finding_that_is_told_is_not_told_again() -> None:
    """What an experiment showed of a checkout is an article of its rule, not a sighting besides."""
    page = Page(render(STATES["failing"](), "html"))
    report = STATES["failing"]()
    assert sum(tag == "article" for tag, _ in page.tags) == len(report.findings)


def test_a_cell_of_many_words_is_known_by_its_class() -> None:
    """A phone gives it room; the column of a word or a number stays narrow."""
    rows = (("a", "word", "a sentence of more words than one would like to see cut apart"),)
    page = render(replace(shared_report(), tables=(Table("t", ("x", "y", "z"), rows),)), "html")
    assert '<td class="long">a sentence of more words' in page
    assert "<td>word</td>" in page


def test_the_issues_are_called_as_in_the_catalogue() -> None:
    """What the page says of an issue is its entry's title and subsystem."""
    catalogue = Path(__file__).parents[2].joinpath("tracker.md").read_text(encoding="utf-8")
    entries = re.findall(r"(?ms)^## Issue (\d): ([^\n]+).*?^- \*\*Subsystem\*\*: ([^\n]+)$", catalogue)
    assert {int(number): title for number, title, _ in entries} == ISSUES
    assert {int(number): subsystem for number, _, subsystem in entries} == SUBSYSTEMS


def test_an_experiment_says_in_its_first_lines_whom_the_faults_are_in() -> None:
    """Somebody who was not there reads what was done, and in how many cases the checkout shows a fault."""
    page = Page(render(STATES["failing"](), "html"))
    told = " ".join(page.texts["p"])
    assert "5 of 6 in the checkout, none of 6 in the component that replaces it, 6 of 6 in the historical code" in told
    assert "Catalogued faults were brought about on purpose" in told
    assert "alwrity-doctor adopt --backend DIR 1 3" in page.texts["code"]
