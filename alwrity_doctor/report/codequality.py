"""GitLab's Code Quality: findings on the lines of a merge request.

A list of issues in the form of the CodeClimate specification, of which GitLab reads the five fields that are written
here (docs.gitlab.com, "Code Quality report format"). Each of them needs a file: a finding about a setting or a service,
and a check without a verdict, are in `junit`, which GitLab reads as well.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Finding, LocationKind, Report, Severity
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.sarif import fingerprints

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["render"]

_SEVERITIES: Final[Mapping[Severity, str]] = MappingProxyType(
    {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}
)


def render(report: Report) -> str:
    """Return the findings that have a file, the gravest first; an empty list if there are none."""
    identities = zip(report.findings, fingerprints(report.findings), strict=True)
    issues = [_issue(finding, identity) for finding, identity in identities if _path(finding)]
    return json.dumps(issues, indent=2) + "\n"


def _issue(finding: Finding, identity: str) -> dict[str, object]:
    rule = finding.rule
    line = finding.location.line if finding.location else None
    return {
        "description": one_line(f"{rule.code}: {finding.message}. {rule.remedy}"),
        "check_name": visible(rule.code),
        "fingerprint": identity,
        "severity": _SEVERITIES[rule.severity],
        "location": {"path": _path(finding), "lines": {"begin": line or 1}},
    }


def _path(finding: Finding) -> str:
    """Return the finding's file as GitLab names it, from the root of the repository; empty if it has none."""
    location = finding.location
    if location is None or location.kind is not LocationKind.FILE:
        return ""
    return visible(location.name).replace("\\", "/").removeprefix("./")
