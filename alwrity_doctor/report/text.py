"""What a person on call reads: the verdict and its likely cause, the checks, what is wrong and what to do about it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import CheckResult, Finding, Observation, Outcome, Report, Severity, Verdict
from alwrity_doctor.report.characters import one_line
from alwrity_doctor.report.groups import SHOWN, groups
from alwrity_doctor.report.matrix import by_issue, remarkable, untold
from alwrity_doctor.report.page import Page
from alwrity_doctor.report.phrases import (
    cause,
    consequences,
    counted,
    elapsed,
    exit_line,
    fact,
    findings_title,
    gist,
    headline,
    of_issue,
    place,
    run_line,
    sighting,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from alwrity_checks.model import SuppressedFinding
    from alwrity_doctor.report.matrix import Matrix
    from alwrity_doctor.report.page import Styled

__all__ = ["render"]

_MARKS: Final[Mapping[Verdict, tuple[str, str]]] = MappingProxyType(
    {
        Verdict.PASS: ("✓ PASS", "green"),
        Verdict.WARN: ("! WARN", "yellow"),
        Verdict.FAIL: ("✗ FAIL", "bold red"),
        Verdict.SKIP: ("- SKIP", "dim"),
        Verdict.UNKNOWN: ("? UNKNOWN", "magenta"),
    }
)
_SEVERITIES: Final[Mapping[Severity, str]] = MappingProxyType(
    {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
)
_OUTCOMES: Final[Mapping[str, str]] = MappingProxyType({Outcome.REPRODUCED: "red", Outcome.UNKNOWN: "magenta"})

_MARK_WIDTH: Final = 9
_LABEL_WIDTH: Final = 8
_INDENT: Final = 3
_ACCEPTED_SHOWN: Final = 3
"""So many findings that were accepted alike are told one by one."""


def render(report: Report, *, colour: bool = False, width: int = 100) -> str:
    """Return the report for a terminal of `width` columns; without `colour` it is plain text."""
    page = Page(colour=colour, width=width)
    page.line((headline(report), _MARKS[report.verdict][1]), " ", cause(report))
    page.line((run_line(report), "dim"))
    _settings(page, report.settings)
    _observations(page, report)
    # What an experiment's table says needs no second line; what went wrong does.
    _checks(page, [one for one in report.results if not (report.observations and one.verdict is Verdict.PASS)])
    for table in report.tables:
        page.heading(one_line(table.title))
        page.table(table.columns, table.rows)
    _findings(page, report)
    _suppressed(page, report)
    page.blank()
    for sentence in consequences(report):
        page.line(sentence)
    page.line((exit_line(report), "bold"))
    return page.text()


def _settings(page: Page, settings: Mapping[str, str]) -> None:
    if not settings:
        return
    page.heading("Settings")
    page.columns(
        (((one_line(name),), (one_line(value),)) for name, value in settings.items()),
        first=max(len(one_line(name)) for name in settings),
    )


def _checks(page: Page, results: Sequence[CheckResult]) -> None:
    if not results:
        return
    page.heading("Checks")
    page.columns((row for result in results for row in _rows(result)), first=_MARK_WIDTH)


def _rows(result: CheckResult) -> Iterator[tuple[tuple[str | Styled, ...], ...]]:
    mark = _MARKS[result.verdict]
    seen = gist(result)
    yield (
        (mark,),
        (one_line(result.title), (f"  ({seen})" if seen else "", "dim")),
        ((elapsed(result.duration), "dim"),),
    )
    if result.verdict is Verdict.PASS:
        return
    for evidence in result.evidence:
        yield ("",), (fact(evidence),), ("",)
    if result.remedy:
        yield ("",), (f"To change this: {one_line(result.remedy)}",), ("",)


def _findings(page: Page, report: Report) -> None:
    if not report.findings:
        return
    page.heading(findings_title(report))
    entries = list(groups(report.findings))
    number_width = len(f"{len(entries)}.")
    indent = number_width + 2
    for number, same in enumerate(entries, start=1):
        finding, rule = same[0], same[0].rule
        if number > 1:
            page.blank()
        severity = (rule.severity.upper(), _SEVERITIES[rule.severity])
        told = one_line(finding.message) if len(same) == 1 else f"{one_line(rule.title)}: not so in {len(same)} places"
        said = f" {one_line(rule.code)} ({of_issue(rule)}): {told}"
        page.columns([((f"{number}.",), (severity, said))], first=number_width)
        if len(same) == 1:
            page.columns(_fields(finding, report.observations), indent=indent, first=_LABEL_WIDTH)
        else:
            _places(page, same, indent)
        for label, commands in (("run", same[0].commands if len(same) == 1 else ()), ("validate", (rule.validation,))):
            if any(commands):
                page.line((f"{label}:", "dim"), indent=indent)
            for command in commands:
                page.verbatim(command, indent=indent + _INDENT)


def _places(page: Page, same: Sequence[Finding], indent: int) -> None:
    """Say where a rule is broken; what it expects and what to do is the same for all."""
    page.columns([((("remedy", "dim"),), (one_line(same[0].rule.remedy),))], indent=indent, first=_LABEL_WIDTH)
    for finding in same[:SHOWN]:
        where = "" if finding.location is None else place(finding.location)
        page.line((where, "bold"), ": " if where else "", one_line(finding.message), indent=indent + _INDENT)
    if len(same) > SHOWN:
        page.line(f"and {len(same) - SHOWN} more, which --format json names", indent=indent + _INDENT)


def _fields(finding: Finding, observations: Sequence[Observation]) -> Iterator[tuple[tuple[str | Styled, ...], ...]]:
    yield (("expected", "dim"),), (one_line(finding.rule.title),)
    if finding.location is not None:
        yield (("where", "dim"),), (place(finding.location),)
    for evidence in untold(finding, observations):
        yield (("seen", "dim"),), (fact(evidence),)
    yield (("remedy", "dim"),), (one_line(finding.rule.remedy),)


def _suppressed(page: Page, report: Report) -> None:
    if not report.suppressed:
        return
    page.heading("Suppressed: found, and accepted for now")
    for same in _alike(report.suppressed):
        one, finding = same[0], same[0].finding
        many = f"{one_line(finding.rule.title)}: not so in {counted(len(same), 'place')}"
        told = one_line(finding.message) if len(same) == 1 else many
        page.line(f"{one_line(finding.rule.code)} until {one.expires}: {told}")
        places = [place(each.finding.location) for each in same if each.finding.location is not None]
        where = ", ".join(places[:_ACCEPTED_SHOWN])
        if len(places) > _ACCEPTED_SHOWN:
            where += f" and {len(places) - _ACCEPTED_SHOWN} more, which --format json names"
        rows = [((("where", "dim"),), (where,))] if where else []
        page.columns([*rows, ((("because", "dim"),), (one_line(one.reason),))], indent=_INDENT, first=_LABEL_WIDTH)


def _alike(accepted: Sequence[SuppressedFinding]) -> Iterator[Sequence[SuppressedFinding]]:
    """Yield what was accepted one by one, or all of a rule together that were accepted alike, where they are many."""
    by_kind: dict[tuple[str, date, str], list[SuppressedFinding]] = {}
    for one in accepted:
        by_kind.setdefault((one.finding.rule.code, one.expires, one.reason), []).append(one)
    for same in by_kind.values():
        if len(same) > _ACCEPTED_SHOWN:
            yield same
        else:
            yield from ([one] for one in same)


def _observations(page: Page, report: Report) -> None:
    if not report.observations:
        return
    page.heading("Experiments: is the rule's fault reproduced?")
    for number, matrix in enumerate(by_issue(report.observations)):
        if number:
            page.blank()
        _matrix(page, matrix)
    for seen in remarkable(report.observations):
        page.blank()
        page.line(sighting(seen))
        for evidence in seen.evidence:
            page.line(fact(evidence), indent=_INDENT)


def _matrix(page: Page, matrix: Matrix) -> None:
    rows: list[list[str | Styled]] = [
        [
            f"{rule.code} {rule.title}",
            *((cell, _OUTCOMES.get(cell, "")) for cell in (matrix.cell(rule, target) for target in matrix.targets)),
        ]
        for rule in matrix.rules
    ]
    page.table(["rule", *map(str, matrix.targets)], rows)
    described = [target for target in matrix.targets if target.description]
    if described:
        page.blank()
    for target in described:
        page.line((one_line(f"{target}: {target.description}"), "dim"))
