"""SARIF 2.1.0 for code scanning: findings as results, checks without a verdict as notifications of the invocation."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from alwrity_checks.model import (
    CheckResult,
    Evidence,
    Finding,
    Location,
    LocationKind,
    Observation,
    Report,
    Rule,
    SuppressedFinding,
    Verdict,
)
from alwrity_doctor.report.characters import one_line, visible
from alwrity_doctor.report.markdown import fenced, prose
from alwrity_doctor.report.phrases import exit_line, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["fingerprints", "render"]

_LEVELS: Final[Mapping[Verdict, str]] = MappingProxyType({Verdict.UNKNOWN: "error", Verdict.SKIP: "note"})
"""Of notifications; `error` says that the results are incomplete (section 3.58.6)."""

_VOLATILE: Final = re.compile(r"…#[0-9a-f]{8}|\d+")
"""What differs between two runs that saw the same fault: a secret's mask, times, counts."""

_ROOT: Final = "%SRCROOT%"
_MOST_RESULTS: Final = 25_000
"""Results of a run that code scanning takes; a file with more is refused whole."""
_LONGEST_DESCRIPTION: Final = 1024
"""Characters of a rule's description that code scanning takes; the help holds the whole."""

_LINK: Final = re.compile(r"\](?=\()")
"""A plain text message may hold links (section 3.11.6); what a server sent shall not become one."""


def render(report: Report) -> str:
    """Return the report as a SARIF log with one run; observations are in the run's property bag."""
    found: list[tuple[Finding, SuppressedFinding | None]] = [(finding, None) for finding in report.findings]
    found += [(one.finding, one) for one in report.suppressed]
    left_out = len(found) - _MOST_RESULTS
    # The gravest come first.
    found = found[:_MOST_RESULTS]
    rules = {finding.rule.code: finding.rule for finding, _ in found}
    codes = sorted(rules)
    findings = [finding for finding, _ in found]
    results = [
        _result(finding, codes.index(finding.rule.code), fingerprint)
        for finding, fingerprint in zip(findings, fingerprints(findings), strict=True)
    ]
    if report.suppressed:
        # All results carry the array, or none does (section 3.27.23).
        for result, (_, suppressed) in zip(results, found, strict=True):
            result["suppressions"] = [] if suppressed is None else [_suppression(suppressed)]
    run = {
        "tool": {
            "driver": {
                "name": "alwrity-doctor",
                "version": visible(report.version),
                "rules": [_rule(rules[code]) for code in codes],
            }
        },
        "invocations": [_invocation(report, left_out)],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "results": results,
        "properties": {"observations": [_observation(seen) for seen in report.observations]},
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, object]:
    explanation, remedy, validation = map(visible, (rule.explanation, rule.remedy, rule.validation))
    words = re.findall(r"[A-Za-z0-9]+", rule.title)
    return {
        "id": visible(rule.code),
        "name": "".join(word[0].upper() + word[1:] for word in words) or visible(rule.code),
        "shortDescription": {"text": one_line(rule.title)},
        "fullDescription": {"text": _cut(visible(rule.explanation))},
        "help": {
            "text": f"{explanation}\n\n{remedy}\nValidate: {validation}",
            "markdown": f"{prose(rule.explanation)}\n\n{prose(rule.remedy)}\n\nValidate:\n\n"
            f"{fenced(validation, 'sh')}\n",
        },
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": [f"issue-{rule.issue}"] if rule.issue else []},
    }


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


def _result(finding: Finding, index: int, fingerprint: str) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": visible(finding.rule.code),
        "ruleIndex": index,
        "level": finding.rule.severity.value,
        "message": {"text": _message(finding.message)},
        "partialFingerprints": {"alwrityDoctor/v1": fingerprint},
        "properties": {"evidence": _facts(finding.evidence), "commands": [*map(visible, finding.commands)]},
    }
    if finding.location is not None:
        result["locations"] = [_location(finding.location)]
    return result


def _message(text: str) -> str:
    return _LINK.sub(r"\]", visible(text))


def fingerprints(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield what is the same for the same fault in the next run, wherever in its file it has moved to.

    The number after the colon tells findings apart that are otherwise alike: code scanning would show them as one.
    """
    seen: Counter[str] = Counter()
    for finding in findings:
        where = ("", "") if finding.location is None else (finding.location.kind, finding.location.name)
        identity = "\n".join(map(one_line, (finding.rule.code, *where)))
        # A finding that says what it is about is told by that: its message may count or list what changes.
        message = one_line(finding.identity) or _VOLATILE.sub("#", one_line(finding.message))
        digest = hashlib.sha256(f"{identity}\n{message}".encode()).hexdigest()[:32]
        seen[digest] += 1
        yield f"{digest}:{seen[digest]}"


def _location(location: Location) -> dict[str, object]:
    if location.kind is not LocationKind.FILE:
        return {"logicalLocations": [{"name": visible(location.name), "kind": location.kind.value}]}
    physical: dict[str, object] = {"artifactLocation": _artifact(location.name)}
    if location.line is not None:
        physical["region"] = {"startLine": location.line}
    return {"physicalLocation": physical}


def _artifact(path: str) -> dict[str, str]:
    """Return a reference relative to the checkout's root, or a `file` URI for an absolute path."""
    path = path.replace("\\", "/").removeprefix("./")
    if re.match(r"/|[A-Za-z]:/", path):
        return {"uri": f"file:///{quote(path.removeprefix('/'), safe='/:', errors='surrogatepass')}"}
    return {"uri": quote(path, errors="surrogatepass"), "uriBaseId": _ROOT}


def _suppression(suppressed: SuppressedFinding) -> dict[str, str]:
    return {"kind": "external", "justification": f"{visible(suppressed.reason)} (until {suppressed.expires})"}


def _ended(report: Report) -> datetime:
    """Return when the run ended; the last moment that there is where a file tells of one that outlasts time."""
    latest = datetime.max.replace(tzinfo=UTC)
    return report.started + min(report.duration, latest - report.started)


def _invocation(report: Report, left_out: int) -> dict[str, object]:
    verdicts = {result.verdict for result in report.results}
    return {
        "executionSuccessful": Verdict.UNKNOWN not in verdicts and report.verdict is not Verdict.SKIP,
        "exitCode": int(report.exit_code),
        "exitCodeDescription": exit_line(report),
        "startTimeUtc": utc(report.started),
        "endTimeUtc": utc(_ended(report)),
        "toolExecutionNotifications": [
            *(_notification(one) for one in report.results if one.verdict in _LEVELS),
            *([_shortened(left_out)] if left_out > 0 else []),
        ],
        "properties": {
            "verdict": report.verdict.value,
            "environment": {visible(name): visible(value) for name, value in report.environment.items()},
        },
    }


def _shortened(left_out: int) -> dict[str, object]:
    total = _MOST_RESULTS + left_out
    text = f"{left_out} of {total} results were left out: code scanning takes {_MOST_RESULTS} of a run"
    return {"level": "warning", "message": {"text": text}}


def _notification(result: CheckResult) -> dict[str, object]:
    text = f"{result.verdict}: {result.title}: {result.reason}"
    return {
        "level": _LEVELS[result.verdict],
        "message": {"text": _message(f"{text}\n{result.remedy}" if result.remedy else text)},
        "properties": {"check": visible(result.name), "evidence": _facts(result.evidence)},
    }


def _observation(seen: Observation) -> dict[str, object]:
    return {
        "rule": visible(seen.rule.code),
        "target": visible(str(seen.target)),
        "scenario": visible(seen.scenario),
        "outcome": seen.outcome.value,
        "message": visible(seen.message),
        "evidence": _facts(seen.evidence),
    }


def _facts(evidence: Iterable[Evidence]) -> list[dict[str, str]]:
    return [{"label": visible(one.label), "value": visible(one.value)} for one in evidence]
