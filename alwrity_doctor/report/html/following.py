"""First cause -> effects, as the page shows them: one chain for each issue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.model import Outcome, TargetKind, Verdict
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.html.elements import MARKS, WEIGHTS, add, badge, command, cut, fold, link
from alwrity_doctor.report.html.subjects import subject
from alwrity_doctor.report.phrases import occasions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alwrity_checks.model import Observation, Report
    from alwrity_doctor.report.following import Broken, Chain, Unchecked

__all__ = ["section"]

_CURE: Final = "adopt"
"""The command that writes the components into a checkout."""
_FEW: Final = 6
"""Of several causes or effects so many are seen at once."""
_LONGEST: Final = 220
"""Of a message so many characters: it is told whole where its link leads."""


def section(report: Report, found: Sequence[Chain], name: Callable[[Broken], str]) -> Iterator[ET.Element]:
    """Yield what stands under the heading: how to read it, and a chain for each issue.

    `name` gives the id under which a broken rule is told.
    """
    shown_alone = bool(report.observations)
    if shown_alone:
        yield _lead(
            "Each of these faults was shown by itself. They stand in the order in which to cure them: what is lower "
            "may go away with what is above it."
        )
    else:
        yield _lead(
            "Within an issue causes stand above their effects: what is lower may go away when what is above it is "
            "cured. Cure the first, then look again."
        )
    boxes = ET.Element("div", {"class": "chains"})
    boxes.extend(_chain(one, name, "Then" if shown_alone else "Then, perhaps because of it") for one in found)
    yield boxes
    faulty = {one.rule.issue for one in report.observations if _in_a_checkout(one)}
    if faulty and report.command != _CURE:
        yield _lead(
            "The components can take the place of the faulty modules. This prints the change, and proves it in a copy:"
        )
        yield command("Cure", f"alwrity-doctor {_CURE} --backend DIR {' '.join(map(str, sorted(faulty)))}")


def _in_a_checkout(seen: Observation) -> bool:
    return seen.target.kind is TargetKind.BACKEND and seen.outcome is Outcome.REPRODUCED


def _lead(sentence: str) -> ET.Element:
    element = ET.Element("p", {"class": "quiet"})
    element.text = sentence
    return element


def _chain(one: Chain, name: Callable[[Broken], str], then: str) -> ET.Element:
    box = ET.Element("div", {"class": f"chain {one.verdict}"})
    title = add(box, "h3")
    title.append(badge(one.verdict))
    title[-1].tail = f" {subject(one.issue)}"
    if one.first is not None:
        box.append(_label("First cause"))
        box.append(_list([_cause(one.first, name, whole=True)]))
    for label, items in (
        ("Beside it", [_cause(each, name) for each in one.beside]),
        (then, [_cause(each, name) for each in one.later]),
        ("Not known", [_unchecked(each) for each in one.unchecked]),
    ):
        if not items:
            continue
        box.append(_label(label))
        box.append(_list(items[:_FEW]))
        if rest := items[_FEW:]:
            more = fold(f"{len(rest)} more", name=f"{subject(one.issue)}, {label}: {len(rest)} more")
            more.append(_list(rest))
            box.append(more)
    return box


def _label(words: str) -> ET.Element:
    element = ET.Element("p", {"class": "step"})
    element.text = words
    return element


def _list(items: Sequence[ET.Element]) -> ET.Element:
    listed = ET.Element("ul")
    listed.extend(items)
    return listed


def _cause(one: Broken, name: Callable[[Broken], str], *, whole: bool = False) -> ET.Element:
    """Return a broken rule as an item: of the first cause what was seen, of the others what does not hold."""
    item = ET.Element("li", {"class": WEIGHTS[one.rule.severity]})
    verdict = Verdict.of(one.findings)
    add(item, "span", MARKS[verdict], {"class": "mark", "aria-hidden": "true"}).tail = " "
    item.append(link(name(one), one.rule.code))
    count = f" ({occasions(one.findings)})" if len(one.findings) > 1 else ""
    if whole and not count:
        item[-1].tail = f" {cut(one.findings[0].message, _LONGEST)}"
    else:
        item[-1].tail = f" not so: {one_line(one.rule.title)}{count}"
    _hindered(item, one.hindered)
    return item


def _unchecked(one: Unchecked) -> ET.Element:
    verdict = Verdict.SKIP if one.result is None else one.result.verdict
    item = ET.Element("li", {"class": str(verdict)})
    add(item, "span", MARKS[verdict], {"class": "mark", "aria-hidden": "true"}).tail = " "
    if one.result is None:
        add(item, "span", f"{one.name} did not run")
    else:
        add(item, "b", one.result.title).tail = f" {cut(one.result.reason, _LONGEST)}"
        if one.result.remedy:
            add(item, "p", f"To change this: {one.result.remedy}", {"class": "quiet"})
    _hindered(item, one.hindered)
    return item


def _hindered(item: ET.Element, names: Sequence[str]) -> None:
    if names:
        add(item, "p", f"Skipped because of it: {', '.join(map(one_line, names))}", {"class": "quiet"})
