"""One self-contained page for a person who was not there: nothing is fetched, and nothing runs but our own script.

The page is built as a tree, so that no text of a server or a log can become markup. A content security policy names the
style and the script by their hashes and forbids everything else, requests above all.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.model import Severity, Verdict
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.matrix import by_issue, remarkable
from alwrity_doctor.report.phrases import (
    cause,
    consequences,
    elapsed,
    exit_line,
    findings_title,
    gist,
    headline,
    place,
    run_line,
    sighting,
    utc,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alwrity_checks.model import (
        CheckResult,
        Finding,
        Observation,
        Report,
        SuppressedFinding,
    )

__all__ = ["render"]

_ASSETS: Final = Path(__file__).with_name("assets")
_MARKS: Final = {Verdict.PASS: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗", Verdict.SKIP: "-", Verdict.UNKNOWN: "?"}
_SEVERITIES: Final = {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "skip"}
"""A severity is coloured as the verdict that it leads to."""
_WORDS: Final = frozenset({"reproduced", "absent", "unknown", "better", "worse", "new"})
"""Cells that have a colour."""
_MANY: Final = 8
"""A table with more rows than these can be filtered."""
_NUMBER: Final = re.compile(r"-?[0-9][0-9.,]*(?:\s*(?:%|x|s|ms|min|MiB|GiB|kB|MB|GB|B))?")
_BLANK_LINE: Final = re.compile(r"\n\s*\n")


@cache
def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8").strip()


def render(report: Report) -> str:
    """Return the report as a page. What it is made of is in the JSON: an old report gives the same page."""
    page = ET.Element("html", lang="en")
    head = ET.SubElement(page, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    ET.SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _policy()})
    ET.SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    ET.SubElement(head, "meta", name="referrer", content="no-referrer")
    _add(head, "title", f"{report.verdict.upper()}: alwrity-doctor {report.command}, {utc(report.started)}")
    ET.SubElement(head, "style").text = _asset("page.css")
    body = ET.SubElement(page, "body")
    _top(body, report)
    main = ET.SubElement(body, "main")
    for number, (title, parts) in enumerate(_sections(report)):
        section = ET.SubElement(main, "section", {"aria-labelledby": f"part-{number}"})
        _add(section, "h2", title, id=f"part-{number}")
        section.extend(parts)
    foot = ET.SubElement(body, "footer")
    _add(foot, "p", exit_line(report))
    _add(foot, "p", run_line(report))
    # The tree's writer leaves the text of a style and a script as it is, as HTML wants it.
    ET.SubElement(body, "script").text = _asset("page.js")
    return f"<!doctype html>\n{ET.tostring(page, encoding='unicode', method='html')}\n"


def _policy() -> str:
    style, script = (_hash(_asset(name)) for name in ("page.css", "page.js"))
    return f"default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _top(body: ET.Element, report: Report) -> None:
    head = ET.SubElement(body, "header")
    line = _add(head, "h1", "")
    line.append(_badge(report.verdict))
    line[-1].tail = " " + one_line(headline(report).partition(": ")[2] or headline(report))
    if named := cause(report):
        _add(head, "p", named, {"class": "cause"})
    for sentence in consequences(report):
        _add(head, "p", sentence)
    _add(head, "p", run_line(report), {"class": "quiet"})


def _sections(report: Report) -> Iterator[tuple[str, list[ET.Element]]]:
    """Yield what is below the verdict, the most urgent first."""
    if report.findings:
        yield findings_title(report), [_finding(number, one) for number, one in enumerate(report.findings, 1)]
    if told := remarkable(report.observations):
        yield "What an experiment showed that it should not", [_sighting(one) for one in told]
    for issue in sorted({result.issue for result in report.results}):
        results = [result for result in report.results if result.issue == issue]
        yield f"Issue {issue}: checks" if issue else "Checks", _checks(results)
    for table in report.tables:
        yield one_line(table.title), [_table(table.columns, table.rows, table.title)]
    for matrix in by_issue(report.observations):
        rows = [
            (f"{rule.code} {rule.title}", *(matrix.cell(rule, target) for target in matrix.targets))
            for rule in matrix.rules
        ]
        title = f"Issue {matrix.rules[0].issue}: is the rule's fault reproduced?"
        described = [_text("p", f"{one}: {one.description}") for one in matrix.targets if one.description]
        yield title, [_table(("rule", *map(str, matrix.targets)), rows, title), *described]
    if report.suppressed:
        yield "Suppressed: found, and accepted for now", [_suppressed(report.suppressed)]
    if report.settings:
        yield "Settings", [_facts(report.settings.items())]
    if report.environment:
        yield "Environment", [_facts(report.environment.items())]


def _finding(number: int, finding: Finding) -> ET.Element:
    rule = finding.rule
    article = ET.Element("article", {"class": f"finding {_SEVERITIES[rule.severity]}", "id": f"finding-{number}"})
    title = _add(article, "h3", "")
    _add(title, "span", f"{rule.severity.upper()} {rule.code}", {"class": "code"})
    title[-1].tail = f" {one_line(finding.message)}"
    facts = [("expected", rule.title), ("issue", str(rule.issue))]
    if finding.location is not None:
        facts.insert(0, ("where", place(finding.location)))
    article.append(_facts([*facts, *((one.label, one.value) for one in finding.evidence)]))
    _add(article, "p", "", {"class": "remedy"})
    article[-1].append(_text("b", "Remedy: "))
    article[-1][-1].tail = one_line(rule.remedy)
    for command in finding.commands:
        article.append(_command("Run", command))
    article.append(_command("Validate", rule.validation))
    more = ET.SubElement(article, "details")
    _add(more, "summary", "Why this matters, and how it is reproduced")
    for paragraph in _BLANK_LINE.split(rule.explanation):
        _add(more, "p", paragraph)
    more.append(_command("Reproduce", rule.reproduction))
    return article


def _command(label: str, command: str) -> ET.Element:
    block = ET.Element("div", {"class": "command"})
    _add(block, "span", label)
    _add(ET.SubElement(block, "pre", tabindex="0"), "code", "").text = visible(command)
    # Shown by the script: without one it could do nothing.
    _add(
        block,
        "button",
        "Copy",
        {"type": "button", "hidden": "hidden", "aria-label": f"Copy the command: {one_line(command)}"},
    )
    return block


def _checks(results: Sequence[CheckResult]) -> list[ET.Element]:
    rows = [
        (f"{_MARKS[one.verdict]} {one.verdict.upper()}", one_line(one.title), gist(one), elapsed(one.duration))
        for one in results
    ]
    classes = [str(one.verdict) for one in results]
    parts = [_table(("verdict", "check", "what was seen", "duration"), rows, "the checks", classes)]
    for one in results:
        if one.verdict is Verdict.PASS or not (one.remedy or one.evidence):
            continue
        more = ET.Element("details")
        _add(more, "summary", f"{one.verdict.upper()} {one.title}")
        if one.remedy:
            _add(more, "p", f"To change this: {one.remedy}")
        if one.evidence:
            more.append(_facts((fact.label, fact.value) for fact in one.evidence))
        parts.append(more)
    return parts


def _sighting(seen: Observation) -> ET.Element:
    article = ET.Element("article", {"class": f"finding {seen.outcome}"})
    _add(article, "p", sighting(seen))
    article.append(_facts((one.label, one.value) for one in seen.evidence))
    return article


def _suppressed(accepted: Sequence[SuppressedFinding]) -> ET.Element:
    rows = [(one.finding.rule.code, one.finding.message, one.reason, one.expires.isoformat()) for one in accepted]
    return _table(("rule", "finding", "accepted because", "until"), rows, "what was accepted")


def _facts(pairs: Iterable[tuple[str, str]]) -> ET.Element:
    listed = ET.Element("dl")
    for label, value in pairs:
        _add(listed, "dt", label)
        shown = visible(value).strip("\n")
        if "\n" in shown:
            ET.SubElement(ET.SubElement(listed, "dd"), "pre", tabindex="0").text = shown
        else:
            _add(listed, "dd", shown)
    return listed


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str, classes: Sequence[str] = ()) -> ET.Element:
    """Return a table that scrolls by itself where the page is too narrow for it, by keyboard, too."""
    frame = ET.Element("div", {"class": "frame"})
    if len(rows) > _MANY:
        label = _add(frame, "label", "Filter ", {"class": "filter", "hidden": "hidden"})
        ET.SubElement(label, "input", {"type": "search", "aria-label": f"Show only rows of: {one_line(name)}"})
    scroll = ET.SubElement(
        frame, "div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": one_line(name)}
    )
    table = ET.SubElement(scroll, "table")
    heads = ET.SubElement(ET.SubElement(table, "thead"), "tr")
    for column in columns:
        _add(heads, "th", column, {"scope": "col"})
    body = ET.SubElement(table, "tbody")
    for index, row in enumerate(rows):
        line = ET.SubElement(body, "tr", {"class": classes[index]} if classes else {})
        for number, cell in enumerate(row):
            shown = one_line(cell)
            kind = "number" if number and _NUMBER.fullmatch(shown) else shown if shown in _WORDS else ""
            attributes = {"class": kind} if kind else {}
            if number:
                _add(line, "td", shown, attributes)
            else:
                _add(line, "th", shown, {"scope": "row", **attributes})
    return frame


def _badge(verdict: Verdict) -> ET.Element:
    return _text("span", f"{_MARKS[verdict]} {verdict.upper()}", {"class": f"badge {verdict}"})


def _text(tag: str, text: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
    element = ET.Element(tag, dict(attributes or {}))
    element.text = one_line(text) + (" " if text.endswith(" ") else "")
    return element


def _add(
    parent: ET.Element, tag: str, text: str, attributes: Mapping[str, str] | None = None, **more: str
) -> ET.Element:
    element = _text(tag, text, {**(attributes or {}), **more})
    parent.append(element)
    return element
