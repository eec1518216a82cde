"""One issue on the page: what experiments showed of it, what is wrong, its pictures, its checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # only writes here

from alwrity_checks.model import Evidence, Outcome, Severity, TargetKind, Verdict
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.following import broken, chains
from alwrity_doctor.report.html.elements import add, badge, facts, fold, link, table, text
from alwrity_doctor.report.html.findings import article
from alwrity_doctor.report.html.subjects import ISSUES, subject
from alwrity_doctor.report.matrix import by_issue, remarkable
from alwrity_doctor.report.phrases import counted, elapsed, gist, sighting
from alwrity_doctor.report.pictures import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alwrity_checks.model import CheckResult, Finding, Observation, Report, Target
    from alwrity_checks.pictures import Picture
    from alwrity_doctor.report.following import Broken, Chain
    from alwrity_doctor.report.matrix import Matrix

__all__ = ["Issue", "checks", "issues", "opens_whole"]

_NEAREST: Final = (TargetKind.BACKEND, TargetKind.FIXED, TargetKind.LEGACY)
"""The order of the columns: what a reader asks for first stands where a phone shows it."""
_QUIET: Final = frozenset({Verdict.PASS, Verdict.SKIP})
_FEW: Final = 6
"""Up to so many broken rules are seen whole at once; of more, the first one of each issue."""


@dataclass(frozen=True, slots=True)
class Issue:
    """All that a report holds of one entry of the catalogue."""

    number: int
    verdict: Verdict | None
    """None where nothing was judged."""
    broken: tuple[Broken, ...]
    results: tuple[CheckResult, ...]
    matrix: Matrix | None
    sightings: tuple[Observation, ...]
    pictures: tuple[Picture, ...]
    """Those that illustrate no broken rule; the others stand with theirs."""
    illustrations: Mapping[str, tuple[Picture, ...]]
    """By the rule's code."""

    @property
    def title(self) -> str:
        """What it is about."""
        return subject(self.number)

    @property
    def tally(self) -> str:
        """How much is wrong, in a few words; empty where nothing is."""
        wrong = sum(one.rule.severity is not Severity.NOTE for one in self.broken)
        unknown = sum(one.verdict is Verdict.UNKNOWN for one in self.results)
        told = [counted(wrong, "broken rule")] if wrong else []
        return ", ".join([*told, f"{unknown} unknown"] if unknown else told)

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell of it but its checks, none of which found anything."""
        return self.verdict in _QUIET and not (self.broken or self.matrix or self.pictures)

    def parts(self, name: Callable[[Broken], str], *, whole: bool) -> Iterator[ET.Element]:
        """Yield what stands under the heading; `whole` opens everything."""
        if self.number in ISSUES:
            told = text("p", "In the catalogue: ", {"class": "quiet"})
            told.append(text("cite", ISSUES[self.number]))
            yield told
        if self.matrix is not None:
            yield from _experiments(self.matrix, {one.rule.code: name(one) for one in self.broken})
        shared = _shared([finding for one in self.broken for finding in one.findings])
        if shared:
            more = fold("What holds for each of these findings", name=f"{self.title}: what holds for each finding")
            more.append(facts(shared))
            yield more
        for index, one in enumerate(self.broken):
            pictures = [draw(picture) for picture in self.illustrations.get(one.rule.code, ())]
            yield article(one, name(one), told=shared, pictures=pictures, is_open=whole or not index)
        yield from map(_sighting, self.sightings)
        yield from map(draw, self.pictures)
        if self.results:
            yield text("h3", "Checks")
            yield checks(self.results, f"{self.title}: checks")


def issues(report: Report) -> tuple[Issue, ...]:
    """Return the issues of a report, the most urgent first, then those in which nothing is wrong by their number."""
    found = broken(report)
    urgent = {chain.issue: chain for chain in chains(report)}
    numbers = {one.rule.issue for one in found} | {one.issue for one in report.results}
    numbers |= {one.rule.issue for one in report.observations} | {one.issue for one in report.pictures if one.issue}
    order = [*urgent, *sorted(numbers - set(urgent))]
    return tuple(_issue(report, number, urgent.get(number), found) for number in order)


def opens_whole(found: Sequence[Broken]) -> bool:
    """Say whether a report has so few broken rules that all of them are shown at once."""
    return len(found) <= _FEW


def _issue(report: Report, number: int, chain: Chain | None, found: Sequence[Broken]) -> Issue:
    mine = tuple(one for one in found if one.rule.issue == number)
    observed = [seen for seen in report.observations if seen.rule.issue == number]
    pictures = [one for one in report.pictures if number and one.issue == number]
    codes = {one.rule.code for one in mine}
    tried = {seen.rule.code for seen in observed}
    results = [one for one in report.results if one.issue == number]
    verdicts = {one.verdict for one in results}
    order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS, Verdict.SKIP)
    return Issue(
        number,
        chain.verdict if chain else min(verdicts, key=order.index, default=None),
        mine,
        # What the experiments' table says, and what a finding says, needs no second line.
        tuple(one for one in results if not (one.name in tried and (one.verdict is Verdict.PASS or one.findings))),
        next(iter(by_issue(observed)), None),
        tuple(one for one in remarkable(observed) if not _told(one, mine)),
        tuple(one for one in pictures if one.rule not in codes),
        {code: tuple(one for one in pictures if one.rule == code) for code in codes},
    )


def _told(seen: Observation, found: Sequence[Broken]) -> bool:
    """Say whether a finding tells what was observed."""
    return any(
        one.rule.code == seen.rule.code and finding.message.endswith(seen.message)
        for one in found
        for finding in one.findings
    )


def _shared(findings: Sequence[Finding]) -> tuple[Evidence, ...]:
    """Return the evidence that every one of several findings has: versions, and how a checkout was driven."""
    if len(findings) <= 1:
        return ()
    everywhere = set(findings[0].evidence).intersection(*(finding.evidence for finding in findings))
    return tuple(one for one in findings[0].evidence if one in everywhere)


def _experiments(matrix: Matrix, names: Mapping[str, str]) -> Iterator[ET.Element]:
    targets = sorted(matrix.targets, key=lambda one: _NEAREST.index(one.kind))
    rows: list[tuple[str | ET.Element, ...]] = []
    for rule in matrix.rules:
        head = ET.Element("span")
        head.append(link(names[rule.code], rule.code) if rule.code in names else text("b", rule.code))
        head[0].tail = f" {one_line(rule.title)}"
        rows.append((head, *(_outcome(matrix.cell(rule, target), target) for target in targets)))
    title = f"Issue {matrix.rules[0].issue}: is the rule's fault reproduced?"
    yield text("h3", "Is the rule's fault reproduced?")
    frame = table(("rule", *map(str, targets)), rows, title)
    frame.set("class", f"experiments {frame.get('class')}")
    yield frame
    if described := [Evidence(str(one), one.description) for one in targets if one.description]:
        more = fold("What the columns are", name=f"{title} What the columns are")
        more.append(facts(described))
        yield more


def _outcome(word: str, target: Target) -> ET.Element:
    """Return a cell's word; that historical code shows a fault is what it is there for, and has no colour."""
    return text("span", word, {"class": "word" if target.kind is TargetKind.LEGACY else f"word {word}"})


def _sighting(seen: Observation) -> ET.Element:
    """Return what an experiment showed, or could not show, without being a finding."""
    element = ET.Element("article", {"class": f"finding {_colour(seen.outcome)}"})
    add(element, "p", sighting(seen))
    if seen.evidence:
        element.append(facts(seen.evidence))
    return element


def _colour(outcome: Outcome) -> str:
    return "unknown" if outcome is Outcome.UNKNOWN else "fail"


def checks(results: Sequence[CheckResult], title: str, *, mixed: bool = False) -> ET.Element:
    """Return a table of checks; where they are of several issues, `mixed`, it names the issue of each."""
    columns: dict[str, list[str | ET.Element]] = {
        "verdict": [badge(one.verdict) for one in results],
        "check": [_named(one) for one in results],
        "what was seen": [_seen(one) for one in results],
    }
    if mixed:
        columns["issue"] = [subject(one.issue) for one in results]
    if any(one.duration for one in results):
        columns["duration"] = [elapsed(one.duration) for one in results]
    rows = list(zip(*columns.values(), strict=True))
    return table(tuple(columns), rows, title, classes=[str(one.verdict) for one in results], head=1)


def _named(one: CheckResult) -> ET.Element:
    cell = ET.Element("div")
    add(cell, "span", one.title)
    if one.name != one.title:
        add(cell, "p", one.name, {"class": "quiet"})
    return cell


def _seen(one: CheckResult) -> ET.Element:
    cell = ET.Element("div")
    add(cell, "span", gist(one))
    if one.verdict is Verdict.PASS:
        return cell
    if one.remedy:
        add(cell, "p", f"To change this: {one.remedy}")
    if one.evidence:
        more = fold("Evidence", name=f"Evidence of: {one.title}")
        more.append(facts(one.evidence))
        cell.append(more)
    return cell
