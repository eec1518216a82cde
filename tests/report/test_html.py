"""The page: one file, nothing fetched, nothing run but its own script, and readable by a machine that reads aloud."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given

from alwrity_doctor.report import render
from alwrity_doctor.report.json import load
from tests.report.random_reports import RANDOM, reports
from tests.support.shared_report import shared_report

if TYPE_CHECKING:
    from pathlib import Path

    from alwrity_checks.model import Report

_VOID: Final = frozenset({"meta", "input", "br"})
_TAGS: Final = frozenset(
    {"html", "head", "meta", "title", "style", "body", "header", "main", "section", "article", "footer", "script"}
    | {"h1", "h2", "h3", "p", "span", "b", "div", "pre", "code", "dl", "dt", "dd", "details", "summary"}
    | {"button", "label", "input", "table", "thead", "tbody", "tr", "th", "td"}
)
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    assert not {name for name in names if name.startswith("on") or name in {"href", "src", "style", "srcset", "action"}}
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


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("state", ["as it is", "nothing found", "empty"])
def test_a_real_browser_has_no_complaint(tmp_path: Path, state: str) -> None:
    """Chromium shows the page without a console message; its script brings filters, order and buttons to life."""
    report = shared_report()
    if state == "nothing found":
        report = replace(report, results=(), observations=())
    if state == "empty":
        report = replace(report, results=(), observations=(), tables=(), settings={}, environment={})
    page = tmp_path / "page.html"
    page.write_text(render(report, "html"), encoding="utf-8")
    assert CHROMIUM is not None
    shown = subprocess.run(  # noqa: S603 - a browser, on a page of ours
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--enable-logging=stderr", "--v=0", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in shown.stderr, shown.stderr
    if report.tables:
        assert re.search('<th scope="col"><button type="button">', shown.stdout)
    assert json.dumps(report.verdict.upper()).strip('"') in shown.stdout
