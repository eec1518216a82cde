"""A rule that is seen broken: where, by what evidence, what to do, and by which command it is seen to be cured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.model import Evidence
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.html.elements import WEIGHTS, add, command, facts, fold, path, table, text
from alwrity_doctor.report.phrases import counted, fact, occasions, place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from alwrity_checks.model import Finding
    from alwrity_doctor.report.following import Broken

__all__ = ["article"]

_TOLD_ONE_BY_ONE: Final = 3
"""More findings of a rule than these are a table."""
_BLANK_LINE: Final = re.compile(r"\n\s*\n")


def article(
    one: Broken,
    name: str,
    *,
    told: Collection[Evidence] = (),
    pictures: Sequence[ET.Element] = (),
    is_open: bool = False,
) -> ET.Element:
    """Return all that is known of a broken rule, under the id `name`.

    `told` is evidence that stands elsewhere; `is_open` says whether more than the first line is seen at once.
    """
    rule = one.rule
    element = ET.Element("article", {"class": f"finding {WEIGHTS[rule.severity]}", "id": name})
    body = ET.SubElement(element, "details", {"open": "open"} if is_open else {})
    title = ET.SubElement(ET.SubElement(body, "summary"), "h3")
    add(title, "span", f"{rule.severity.upper()} {rule.code}", {"class": "code"})
    count = len(one.findings)
    said = one.findings[0].message if count == 1 else f"{rule.title}: not so in {occasions(one.findings)}"
    title[-1].tail = f" {one_line(said)}"
    if pictures:
        title[-1].tail += " "
        add(title, "span", f"({counted(len(pictures), 'picture')})", {"class": "quiet"})
    expected = text("p", "Expected: ", {"class": "expected"})
    add(expected, "b", rule.title)
    body.append(expected)
    body.extend(pictures)
    body.extend(_sightings(one.findings, told))
    body.append(_remedy(one))
    if why := _BLANK_LINE.split(rule.explanation.strip()):
        more = fold("Why this matters, and how it is reproduced", name=f"Why {rule.code} matters")
        for paragraph in why:
            add(more, "p", paragraph)
        more.append(command("Reproduce", rule.reproduction))
        body.append(more)
    return element


def _remedy(one: Broken) -> ET.Element:
    box = ET.Element("div", {"class": "remedy"})
    line = add(box, "p")
    add(line, "b", "Remedy: ").tail = one_line(one.rule.remedy)
    if len(one.findings) <= _TOLD_ONE_BY_ONE:
        for run in dict.fromkeys(run for finding in one.findings for run in finding.commands):
            box.append(command("Run", run))
    box.append(command("Validate", one.rule.validation))
    return box


def _sightings(findings: Sequence[Finding], told: Collection[Evidence]) -> Iterator[ET.Element]:
    if len(findings) > _TOLD_ONE_BY_ONE:
        yield _rows(findings, told)
        return
    for finding in findings:
        if len(findings) > 1:
            yield text("h4", finding.message)
        if listed := [*_where(finding), *(seen for seen in finding.evidence if seen not in told)]:
            yield facts(listed)


def _where(finding: Finding) -> Iterator[Evidence]:
    if finding.location is not None:
        yield Evidence("where", place(finding.location))


def _rows(findings: Sequence[Finding], told: Collection[Evidence]) -> ET.Element:
    """Return a table of what differs from one finding to the next: no column for what none of them has."""
    rows = [
        (
            place(finding.location) if finding.location else "",
            finding.message,
            "; ".join(fact(seen) for seen in finding.evidence if seen not in told),
            "; ".join(finding.commands),
        )
        for finding in findings
    ]
    heads = ("where", "what was seen", "evidence", "run")
    kept = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    shown = [[path(row[index]) if heads[index] == "where" else row[index] for index in kept] for row in rows]
    frame = table([heads[index] for index in kept], shown, f"where {findings[0].rule.code} is broken")
    frame.set("class", f"places {frame.get('class')}")
    return frame
