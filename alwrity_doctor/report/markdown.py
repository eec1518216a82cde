"""Markdown (GitHub's) for a pull request's summary and for a hand-over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Verdict
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.groups import SHOWN, groups
from alwrity_doctor.report.matrix import by_issue, remarkable, untold
from alwrity_doctor.report.phrases import (
    cause,
    consequences,
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
    from collections.abc import Iterator, Sequence

    from alwrity_checks.model import CheckResult, Evidence, Finding, Observation, Report, SuppressedFinding

__all__ = ["code", "fenced", "prose", "render"]

_MARKUP: Final = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
"""An underscore between letters or digits is none: `CLERK_ISSUER` stays readable in the source."""
_BLOCK: Final = re.compile(r"^(\d+)(?=[.)](?: |$))|^(?=[#+=-])")
"""What would begin a list, a heading or a rule."""
_MENTION: Final = re.compile(r"(?<!\w)@(?=\w)")


_LARGEST: Final = 1_000_000
"""Bytes. GitHub refuses a step's summary of more than 1 MiB as a whole (actions/runner 258d6c85,
`CreateStepSummaryCommand`); its runner may end each line with another byte."""
_LONGEST_FENCE: Final = 20_000
"""Characters of one block of evidence; of more, nobody reads the middle."""
_CUT: Final = "The report goes on: what a job summary can hold ends here, and `--format json` has all of it."


def render(report: Report) -> str:
    """Return the report as Markdown; what was observed is shown as text, never as markup, link or mention.

    It has at most 1,000,000 bytes, and says so where it leaves something out.
    """
    ending = [*map(prose, consequences(report)), f"**{prose(exit_line(report))}**"]
    room = _LARGEST - sum(map(_size, (*ending, _CUT)))
    shown: list[str] = []
    for block in _blocks(report):
        room -= _size(block)
        if room < 0:
            shown.append(_CUT)
            break
        shown.append(block)
    return "\n\n".join((*shown, *ending)) + "\n"


def _size(block: str) -> int:
    return len(block.encode("utf-8", "replace")) + len("\n\n")


def prose(text: str) -> str:
    """Return `text` as one line of Markdown that shows it literally."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _BLOCK.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", line))
    # GitHub looks for mentions after it has parsed the text: neither a backslash nor an entity stops it.
    return _MENTION.sub("@<!-- -->", line)


def code(text: str) -> str:
    """Return `text` as one line of code."""
    line = one_line(text)
    if not line:
        return ""
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{padding}{line}{padding}{ticks}"


def fenced(text: str, language: str) -> str:
    """Return `text` as a block of code with a fence that nothing in it can close."""
    body = visible(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"


def _blocks(report: Report) -> Iterator[str]:
    yield f"# alwrity-doctor: {report.verdict.upper()}"
    yield f"**{prose(headline(report))}** {prose(cause(report))}".rstrip()
    yield prose(run_line(report))
    if report.settings:
        yield "## Settings"
        yield "\n".join(f"- {prose(name)}: {code(value)}" for name, value in report.settings.items())
    if report.results:
        yield from _checks(report.results)
    for table in report.tables:
        yield f"## {prose(table.title)}"
        yield _table([*map(prose, table.columns)], [[*map(prose, row)] for row in table.rows])
    if report.findings:
        yield f"## {findings_title(report)}"
        for number, same in enumerate(groups(report.findings), start=1):
            yield from _finding(number, same[0], report.observations) if len(same) == 1 else _findings(number, same)
    if report.suppressed:
        yield "## Suppressed: found, and accepted for now"
        yield "\n".join(_suppressed(one) for one in report.suppressed)
    if report.observations:
        yield from _experiments(report.observations)
    if report.environment:
        yield "## Environment"
        yield "\n".join(f"- {prose(name)}: {code(value)}" for name, value in report.environment.items())


def _checks(results: Sequence[CheckResult]) -> Iterator[str]:
    yield "## Checks"
    rows = [
        (result.verdict.upper(), prose(result.title), prose(gist(result)), prose(elapsed(result.duration)))
        for result in results
    ]
    yield _table(("verdict", "check", "what was seen", "duration"), rows)
    for result in results:
        if result.verdict is Verdict.PASS or not (result.evidence or result.remedy):
            continue
        remedy = f" To change this: {prose(result.remedy)}" if result.remedy else ""
        yield f"{result.verdict.upper()} {prose(result.title)}.{remedy}"
        if result.evidence:
            yield _evidence(result.evidence)


def _finding(number: int, finding: Finding, observations: Sequence[Observation]) -> Iterator[str]:
    rule = finding.rule
    yield f"### {number}. {rule.severity.upper()} {prose(rule.code)} ({of_issue(rule)}): {prose(finding.message)}"
    facts = [f"- expected: {prose(rule.title)}"]
    if finding.location is not None:
        facts.append(f"- where: {code(place(finding.location))}")
    facts.append(f"- remedy: {prose(rule.remedy)}")
    yield "\n".join(facts)
    if evidence := untold(finding, observations):
        yield "Seen:\n\n" + _evidence(evidence)
    if finding.commands:
        yield "Run:\n\n" + fenced("\n".join(finding.commands), "sh")
    yield "Validate:\n\n" + fenced(rule.validation, "sh")


def _findings(number: int, same: Sequence[Finding]) -> Iterator[str]:
    rule = same[0].rule
    head = f"### {number}. {rule.severity.upper()} {prose(rule.code)} ({of_issue(rule)}): {prose(rule.title)}"
    yield f"{head}: not so in {len(same)} places"
    yield f"- remedy: {prose(rule.remedy)}"
    lines = []
    for finding in same[:SHOWN]:
        where = "" if finding.location is None else f"{code(place(finding.location))}: "
        lines.append(f"- {where}{prose(finding.message)}")
    if len(same) > SHOWN:
        lines.append(f"- and {len(same) - SHOWN} more, which `--format json` names")
    yield "\n".join(lines)
    yield "Validate:\n\n" + fenced(rule.validation, "sh")


def _suppressed(one: SuppressedFinding) -> str:
    finding = one.finding
    where = "" if finding.location is None else f" ({code(place(finding.location))})"
    accepted = f"{prose(finding.rule.code)} until {one.expires}"
    return f"- {accepted}: {prose(finding.message)}{where}. Because: {prose(one.reason)}"


def _experiments(observations: Sequence[Observation]) -> Iterator[str]:
    yield "## Experiments: is the rule's fault reproduced?"
    for matrix in by_issue(observations):
        head = ("rule", *(prose(str(target)) for target in matrix.targets))
        yield _table(
            head,
            [
                (prose(f"{rule.code} {rule.title}"), *(matrix.cell(rule, target) for target in matrix.targets))
                for rule in matrix.rules
            ],
        )
        described = [target for target in matrix.targets if target.description]
        if described:
            yield "\n".join(f"- {prose(f'{target}: {target.description}')}" for target in described)
    for seen in remarkable(observations):
        yield prose(sighting(seen))
        if seen.evidence:
            yield _evidence(seen.evidence)


def _evidence(evidence: Sequence[Evidence]) -> str:
    text = "\n".join(map(fact, evidence))
    over = len(text) - _LONGEST_FENCE
    return fenced(text if over <= 0 else f"{text[:_LONGEST_FENCE]}…\n({over} more characters)", "text")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
