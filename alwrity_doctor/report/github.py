"""Workflow commands: GitHub Actions shows findings as annotations, on the line of the file where there is one.

Ten annotations of each level are shown for a step; the log holds all of them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import CheckResult, Finding, LocationKind, Report, Severity, Verdict
from alwrity_doctor.report.characters import inert, one_line, visible
from alwrity_doctor.report.phrases import cause, describe, exit_line, headline

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["render"]

_COMMANDS: Final[Mapping[Severity, str]] = MappingProxyType(
    {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
)


def render(report: Report) -> str:
    """Return an annotation for each finding and each check without a verdict, and a summary in one line."""
    lines = [_annotation(finding) for finding in report.findings]
    lines += [_unknown(result) for result in report.results if result.verdict is Verdict.UNKNOWN]
    counts = f"{len(report.findings)} findings, {len(report.suppressed)} suppressed."
    lines.append(inert(" ".join(filter(None, (headline(report), counts, exit_line(report), cause(report))))))
    return "\n".join(lines) + "\n"


def _annotation(finding: Finding) -> str:
    properties: dict[str, str] = {}
    location = finding.location
    if location is not None and location.kind is LocationKind.FILE:
        properties["file"] = location.name.replace("\\", "/").removeprefix("./")
        if location.line is not None:
            properties["line"] = str(location.line)
    properties["title"] = one_line(f"{finding.rule.code} {finding.rule.title}")
    return _command(_COMMANDS[finding.rule.severity], properties, describe(finding))


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
