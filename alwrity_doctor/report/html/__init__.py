"""One self-contained page for a person who was not there: nothing is fetched, and nothing runs but our own script.

The page is built as a tree, so that no text of a server or a log can become markup. A content security policy names the
style and the script by their hashes and forbids everything else, requests above all.

The order is that of the questions: is it healthy; what comes first, and what follows from it; then issue by issue what
is wrong, by what evidence, what to do, and which command shows that it is done.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.model import Evidence, Verdict
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.following import broken, chains
from alwrity_doctor.report.html import following
from alwrity_doctor.report.html.elements import MANY, MARKS, WEIGHTS, add, badge, facts, fold, link, table
from alwrity_doctor.report.html.issues import Issue, checks, issues, opens_whole
from alwrity_doctor.report.html.subjects import done, shown, words
from alwrity_doctor.report.phrases import cause, exit_line, headline, place, run_line, utc
from alwrity_doctor.report.pictures import STYLE, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alwrity_checks.model import Report, SuppressedFinding, Table
    from alwrity_doctor.report.following import Broken

__all__ = ["render"]

_ASSETS: Final = Path(__file__).parents[1] / "assets"
_STYLES: Final = ("page.css", STYLE)
_SCRIPT: Final = "page.js"
_LEADING: Final = ("What failed first", "What changed between")
"""How the titles of those tables begin that say what a triage or a comparison came to; others hold measurements."""
_COUNTED: Final = {
    Verdict.FAIL: "failed",
    Verdict.UNKNOWN: "could not be checked",
    Verdict.WARN: "with a warning",
    Verdict.PASS: "passed",
    Verdict.SKIP: "skipped",
}


@cache
def _style() -> str:
    return "\n".join(_ASSETS.joinpath(name).read_text(encoding="utf-8").strip() for name in _STYLES)


@cache
def _script() -> str:
    return _ASSETS.joinpath(_SCRIPT).read_text(encoding="utf-8").strip()


def render(report: Report) -> str:
    """Return the report as a page. What it is made of is in the JSON: an old report gives the same page."""
    page = ET.Element("html", lang="en")
    head = ET.SubElement(page, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    ET.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _policy()})
    ET.SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    ET.SubElement(head, "meta", {"name": "color-scheme", "content": "light dark"})
    ET.SubElement(head, "meta", name="referrer", content="no-referrer")
    add(head, "title", f"{report.verdict.upper()}: alwrity-doctor {report.command}, {utc(report.started)}")
    ET.SubElement(head, "style").text = _style()
    body = ET.SubElement(page, "body")
    body.append(link("content", "To the content", {"class": "jump"}))
    name = {one: f"finding-{number}" for number, one in enumerate(broken(report), 1)}.__getitem__
    parts = tuple(_parts(report, name))
    _top(body, report, name)
    _contents(body, parts)
    main = ET.SubElement(body, "main", id="content")
    for part in parts:
        section = ET.SubElement(main, "section", {"aria-labelledby": part.id})
        title = add(section, "h2", part.title, id=part.id)
        if part.verdict is not None:
            title.text = ""
            title.append(badge(part.verdict))
            title[-1].tail = f" {one_line(part.title)}"
        section.extend(part.elements)
    foot = ET.SubElement(body, "footer")
    add(foot, "p", exit_line(report))
    add(foot, "p", run_line(report))
    _distinguish(body)
    # The tree's writer leaves the text of a style and a script as it is, as HTML wants it.
    ET.SubElement(body, "script").text = _script()
    return f"<!doctype html>\n{ET.tostring(page, encoding='unicode', method='html')}\n"


def _policy() -> str:
    style, script = map(_hash, (_style(), _script()))
    return f"default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@dataclass(frozen=True, slots=True)
class _Part:
    """A section of the page."""

    id: str
    title: str
    elements: tuple[ET.Element, ...]
    verdict: Verdict | None = None
    tally: str = ""


def _distinguish(body: ET.Element) -> None:
    """Give each place that can be jumped to a name of its own, for those who jump by names."""
    names = Counter("".join(title.itertext()) for title in body.iter("h2"))
    for region in body.iter():
        if region.get("role") == "region":
            name = region.get("aria-label", "")
            names[name] += 1
            if names[name] > 1:
                region.set("aria-label", f"{name} ({names[name]})")


def _top(body: ET.Element, report: Report, name: Callable[[Broken], str]) -> None:
    head = ET.SubElement(body, "header", {"class": f"top {report.verdict}"})
    line = add(head, "h1")
    line.append(badge(report.verdict))
    line[-1].tail = " " + one_line(headline(report).partition(": ")[2] or headline(report))
    if named := cause(report):
        told = add(head, "p", named, {"class": "cause"})
        first = report.first_cause
        code = one_line(first.rule.code) if first else ""
        if first and code and code in named:
            found = next(one for one in broken(report) if first in one.findings)
            told.text, _, after = named.partition(code)
            told.append(link(name(found), code))
            told[-1].tail = after
    for sentence in filter(None, (done(report), shown(report))):
        add(head, "p", sentence)
    counts = Counter(result.verdict for result in report.results)
    if len(counts) > 1:
        listed = ET.SubElement(head, "ul", {"class": "counts", "aria-label": "The checks, counted"})
        for verdict, meaning in _COUNTED.items():
            if counts[verdict]:
                entry = ET.SubElement(listed, "li", {"class": str(verdict)})
                add(entry, "span", MARKS[verdict], {"class": "mark", "aria-hidden": "true"}).tail = " "
                add(entry, "b", f"{counts[verdict]:,}").tail = f" {meaning}"
    add(head, "p", run_line(report), {"class": "quiet"})
    if explained := [Evidence(word, meaning) for word, meaning in words(report)]:
        more = fold("The words of this page", attributes={"class": "words"})
        more.append(facts(explained))
        head.append(more)


def _contents(body: ET.Element, parts: Sequence[_Part]) -> None:
    """Add a list of the sections, for those who look for one."""
    if len(parts) <= 1:
        return
    listed = ET.SubElement(ET.SubElement(body, "nav", {"aria-label": "Contents"}), "ol")
    for part in parts:
        entry = ET.SubElement(listed, "li", {"class": str(part.verdict or "")})
        target = link(part.id, "")
        if part.verdict is not None:
            add(target, "span", MARKS[part.verdict], {"class": "mark", "aria-hidden": "true"}).tail = " "
        add(target, "span", part.title)
        entry.append(target)
        if part.tally:
            add(entry, "span", part.tally, {"class": "quiet"})


def _parts(report: Report, name: Callable[[Broken], str]) -> Iterator[_Part]:
    """Yield what is below the verdict, the most urgent first."""
    found = broken(report)
    if chained := chains(report):
        elements = (*following.section(report, chained, name), *_tools(len(found)))
        yield _Part("first", "What comes first, and what follows", elements)
    if drawn := [draw(one) for one in report.pictures if not one.issue]:
        yield _Part("pictures", "The whole in pictures", tuple(drawn))
    tables = [
        _Part(f"table-{number}", one_line(one.title), _measured(one)) for number, one in enumerate(report.tables, 1)
    ]
    yield from (one for one in tables if one.title.startswith(_LEADING))
    whole = opens_whole(found)
    told = issues(report)
    yield from (_issue(one, name, whole=whole) for one in told if not one.quiet)
    if quiet := [result for one in told if one.quiet for result in one.results]:
        title = "Where nothing was found" if len(quiet) < len(report.results) else "The checks"
        yield _Part("quiet", title, (checks(quiet, title, mixed=True),))
    yield from (one for one in tables if not one.title.startswith(_LEADING))
    if report.suppressed:
        yield _Part("suppressed", "Suppressed: found, and accepted for now", (_suppressed(report.suppressed),))
    if report.settings:
        yield _Part("settings", "Settings", (facts(Evidence(*pair) for pair in report.settings.items()),))
    if report.environment:
        yield _Part("environment", "Environment", (facts(Evidence(*pair) for pair in report.environment.items()),))


def _measured(one: Table) -> tuple[ET.Element, ...]:
    return (table(one.columns, one.rows, one_line(one.title)),)


def _issue(one: Issue, name: Callable[[Broken], str], *, whole: bool) -> _Part:
    elements = tuple(one.parts(name, whole=whole))
    return _Part(f"issue-{one.number}", one.title, elements, one.verdict, one.tally)


def _tools(count: int) -> Iterator[ET.Element]:
    """Yield the means to look for one of many broken rules; the script shows them."""
    if count <= MANY:
        return
    box = ET.Element("div", {"class": "tools", "hidden": "hidden", "role": "group", "aria-label": "Broken rules"})
    label = add(box, "label", "Find a broken rule ")
    ET.SubElement(label, "input", {"type": "search"})
    for severity, kind in WEIGHTS.items():
        attributes = {"type": "button", "aria-pressed": "true", "data-kind": kind}
        add(box, "button", f"{severity}s", attributes)
    add(box, "button", "Open all", {"type": "button", "data-all": "open"})
    add(box, "button", "Close all", {"type": "button", "data-all": "close"})
    add(box, "span", "", {"role": "status"})
    yield box


def _suppressed(accepted: Sequence[SuppressedFinding]) -> ET.Element:
    rows = [
        (
            one.finding.rule.code,
            one.finding.message,
            "" if one.finding.location is None else place(one.finding.location),
            one.reason,
            one.expires.isoformat(),
        )
        for one in accepted
    ]
    return table(("rule", "finding", "where", "accepted because", "until"), rows, "what was accepted")
