"""Workflow commands: GitHub Actions shows findings as annotations, on the line of the file where there is one.

A step shows ten annotations of each level, and 4096 characters of each: what is beyond is dropped without a word
(actions/runner 258d6c85, `ExecutionContext.AddIssue`). So the gravest are annotated, each rule once before any rule
twice; what is left out stands in the step's log, and one annotation says so.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import CheckResult, Finding, LocationKind, Report, Severity, Verdict
from alwrity_doctor.report.characters import inert, one_line, visible
from alwrity_doctor.report.phrases import cause, describe, exit_line, headline, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["render"]

_COMMANDS: Final[Mapping[Severity, str]] = MappingProxyType(
    {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
)
_SHOWN: Final = 10
"""Annotations of a level that a step shows."""
_LONGEST: Final = 4096
"""UTF-16 units of an annotation's message that are shown."""
_TOO_LONG: Final = "\n(the evidence is longer than an annotation: it is in the other formats)"


def render(report: Report) -> str:
    """Return the annotations, what GitHub would not show as one, and a summary in one line."""
    levels = {level: [one for one in report.findings if one.rule.severity is level] for level in Severity}
    unknown = [result for result in report.results if result.verdict is Verdict.UNKNOWN]
    notices = len(levels[Severity.NOTE]) + len(unknown)
    crowded = max(len(levels[Severity.ERROR]), len(levels[Severity.WARNING]), notices) > _SHOWN
    # One of the notices says that something was left out; what could not be checked weighs more than a note.
    room = _SHOWN - crowded
    rooms = {Severity.ERROR: _SHOWN, Severity.WARNING: _SHOWN, Severity.NOTE: max(0, room - len(unknown))}

    lines: list[str] = []
    rest: list[str] = []
    for level, findings in levels.items():
        chosen = _chosen(findings, rooms[level])
        lines += [_annotation(one) for number, one in enumerate(findings) if number in chosen]
        rest += [_in_a_line(one) for number, one in enumerate(findings) if number not in chosen]
    lines += map(_unknown, unknown[:room])
    rest += [one_line(f"unknown {result.title}: {result.reason}") for result in unknown[room:]]
    if rest:
        lines += _left_out(rest)
    total = len(report.findings)
    counts = f"{total} finding{'' if total == 1 else 's'}, {len(report.suppressed)} suppressed."
    lines.append(inert(" ".join(filter(None, (headline(report), counts, exit_line(report), cause(report))))))
    return "\n".join(lines) + "\n"


def _chosen(findings: Sequence[Finding], room: int) -> frozenset[int]:
    """Return which findings are annotated: the first of each rule, then the others in their order."""
    first: dict[str, int] = {}
    for number, finding in enumerate(findings):
        first.setdefault(finding.rule.code, number)
    order = [*first.values(), *sorted(set(range(len(findings))) - set(first.values()))]
    return frozenset(order[:room])


def _left_out(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines as a group of the log, and the annotation that tells of them."""
    one = len(lines) == 1
    title = f"{len(lines)} more {'is' if one else 'are'} not annotated"
    yield _command("notice", {"title": title}, f"GitHub shows {_SHOWN} of a level: the rest is in this step's log.")
    yield f"::group::{title}"
    yield from map(inert, lines)
    yield "::endgroup::"


def _in_a_line(finding: Finding) -> str:
    where = "" if finding.location is None else f"{place(finding.location)}: "
    return one_line(f"{finding.rule.severity} {finding.rule.code} {where}{finding.message}")


def _annotation(finding: Finding) -> str:
    properties: dict[str, str] = {}
    location = finding.location
    if location is not None and location.kind is LocationKind.FILE:
        properties["file"] = location.name.replace("\\", "/").removeprefix("./")
        if location.line is not None:
            properties["line"] = str(location.line)
    properties["title"] = one_line(f"{finding.rule.code} {finding.rule.title}")
    return _command(_COMMANDS[finding.rule.severity], properties, _fitting(finding))


def _fitting(finding: Finding) -> str:
    """Return the finding's text; the remedy comes behind the evidence, and shall not be what is cut off."""
    text = describe(finding)
    if _units(text) > _LONGEST:
        text = describe(replace(finding, evidence=())) + _TOO_LONG
    while _units(text) > _LONGEST:
        text = f"{text[: len(text) - (_units(text) - _LONGEST) - 1]}…"
    return text


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _unknown(result: CheckResult) -> str:
    title = one_line(f"UNKNOWN {result.title}")
    return _command("notice", {"title": title}, "\n".join(filter(None, (result.reason, result.remedy))))


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    """Escape as the runner unescapes (actions/toolkit, `command.ts`)."""
    escaped = ",".join(
        f"{key}={_data(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in properties.items()
    )
    return f"::{name} {escaped}::{_data(message)}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
