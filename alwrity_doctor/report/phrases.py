"""The sentences that several formats share."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import (
    CheckResult,
    Evidence,
    ExitCode,
    Finding,
    Location,
    LocationKind,
    Observation,
    Report,
    Rule,
    Severity,
    TargetKind,
    Verdict,
)
from alwrity_doctor.report.characters import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "EXIT_MEANING",
    "cause",
    "consequences",
    "counted",
    "describe",
    "elapsed",
    "exit_line",
    "fact",
    "findings_title",
    "gist",
    "headline",
    "occasions",
    "of_issue",
    "place",
    "root",
    "run_line",
    "sighting",
    "utc",
]

EXIT_MEANING: Final[Mapping[ExitCode, str]] = MappingProxyType(
    {
        ExitCode.HEALTHY: "healthy: nothing at or above --fail-on was found",
        ExitCode.FINDING: "a finding at or above --fail-on",
        ExitCode.USAGE: "wrong usage or configuration",
        ExitCode.UNKNOWN: "something could not be checked, and nothing worse",
        ExitCode.INTERRUPTED: "interrupted",
    }
)

_ENDED: Final[Mapping[Verdict, str]] = MappingProxyType(
    {
        Verdict.PASS: "passed",
        Verdict.WARN: "ended with a warning",
        Verdict.FAIL: "failed",
        Verdict.SKIP: "was skipped",
        Verdict.UNKNOWN: "could not be carried out",
    }
)

_FAIL_ON: Final[Mapping[Severity, str]] = MappingProxyType(
    {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "note"}
)
_MINUTE: Final = 60


def headline(report: Report) -> str:
    """Return the verdict in one sentence."""
    verdict, total = report.verdict, len(report.results)
    if report.summary:
        return f"{verdict.upper()}: {one_line(report.summary)}"
    count = Counter(result.verdict for result in report.results)[verdict]
    checks = "1 check" if total == 1 else f"{total} checks"
    if verdict is Verdict.SKIP:
        why = f" (of {checks} none applies)" if total else ""
        return f"SKIP: nothing was checked{why}."
    if verdict is Verdict.PASS:
        if report.observations:
            yours = any(one.target.kind is TargetKind.BACKEND for one in report.observations)
            where = "the fixed one and from yours" if yours else "the fixed one"
            return f"PASS: {count} of {total} faults reproduced on the legacy code and absent from {where}."
        beside = _accepted(len(report.suppressed))
        if total > count:
            skipped = total - count
            return f"PASS: {count} of {checks} passed, {skipped} skipped; nothing{beside} is wrong in what was checked."
        return f"PASS: {count} of {checks} passed; nothing{beside} is wrong."
    return f"{verdict.upper()}: {count} of {checks} {_ENDED[verdict]}."


def _accepted(count: int) -> str:
    """Return what a healthy report must not keep quiet about."""
    return f" but {counted(count, 'accepted finding')}" if count else ""


def cause(report: Report) -> str:
    """Return what is named beside the verdict: the likeliest cause, and the first check that came to no verdict."""
    if report.summary:
        return ""
    found = report.first_cause
    named = f"{one_line(found.rule.code)}: {one_line(found.message)}" if found else ""
    if named and report.verdict is not Verdict.UNKNOWN:
        return f"Most likely cause: {named}"
    worst = next((result for result in report.results if result.verdict is report.verdict), None)
    if worst is None or worst.verdict in {Verdict.PASS, Verdict.SKIP}:
        return ""
    first = f"First of them: {one_line(worst.title)}: {one_line(worst.reason)}"
    return f"{first}. Also found: {named}" if named else first


def run_line(report: Report) -> str:
    """Return what ran, when and for how long."""
    took = f", took {elapsed(report.duration)}" if report.duration else ""
    return one_line(
        f"alwrity-doctor {report.version}, {report.command}, {utc(report.started.replace(microsecond=0))}{took}"
    )


def findings_title(report: Report) -> str:
    """Return the title above the findings; notes alone are nothing wrong."""
    return "Worth knowing" if report.first_cause is None else "What is wrong, the most likely cause first"


def exit_line(report: Report) -> str:
    """Return the exit code and what it means."""
    code = report.exit_code
    meaning = "nothing was checked" if report.verdict is Verdict.SKIP else EXIT_MEANING[code]
    if code in {ExitCode.HEALTHY, ExitCode.FINDING}:
        meaning = f"{meaning} ({_FAIL_ON[report.fail_on]})"
    return f"Exit code {int(code)}: {meaning}."


def consequences(report: Report) -> Iterator[str]:
    """Yield, for each check that made others skip, one sentence that names it and them."""
    by_name = {result.name: result for result in report.results}
    followers: dict[str, list[str]] = {}
    for result in report.results:
        if result.verdict is Verdict.SKIP and result.because:
            followers.setdefault(root(result, by_name), []).append(result.name)
    for first, names in followers.items():
        cause = by_name.get(first)
        why = "did not run" if cause is None else f"({one_line(cause.title)}) {_ENDED[cause.verdict]}"
        yield f"Skipped because {one_line(first)} {why}: {', '.join(map(one_line, names))}."


def root(result: CheckResult, by_name: Mapping[str, CheckResult]) -> str:
    """Follow `because` to the check that did not skip for another one's sake; a circle ends where it closes."""
    seen = {result.name}
    name = result.because
    while name in by_name and by_name[name].because and name not in seen:
        seen.add(name)
        name = by_name[name].because
    return name


def counted(number: int, thing: str) -> str:
    """Return a number of things: `1 place`, `2 places`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def elapsed(duration: timedelta) -> str:
    """Return a duration as a person says it, or nothing if none was measured."""
    if not duration:
        return ""
    seconds = duration.total_seconds()
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds} ms" if milliseconds else "<1 ms"
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest:02} s"


def utc(moment: datetime) -> str:
    """Return an aware moment as ISO 8601 in UTC, with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def fact(evidence: Evidence) -> str:
    """Return `label: value`; a value of several lines stands below its label."""
    label, value = one_line(evidence.label), visible(evidence.value).strip("\n")
    return f"{label}:\n{value}" if "\n" in value else f"{label}: {value}"


def gist(result: CheckResult) -> str:
    """Return a result's reason and the codes of its findings, in one line."""
    codes = ", ".join(dict.fromkeys(finding.rule.code for finding in result.findings))
    return one_line("; ".join(filter(None, (result.reason, codes))))


def occasions(findings: Sequence[Finding]) -> str:
    """Return how often one rule is broken: in so many places, or scenarios of an experiment, where they have none."""
    if any(finding.location for finding in findings):
        return counted(len(findings), "place")
    played = all(finding.evidence and finding.evidence[0].label == "scenario" for finding in findings)
    return counted(len(findings), "scenario" if played else "case")


def of_issue(rule: Rule) -> str:
    """Return which entry of the tracker a rule belongs to; a rule of the checkout as a whole belongs to none."""
    return f"issue {rule.issue}" if rule.issue else "no single issue"


def place(location: Location) -> str:
    """Return where a finding was made; a package's or flag's bare name would not say what it is."""
    named = location.kind in {LocationKind.PACKAGE, LocationKind.FLAG}
    return one_line(f"{location.kind} {location}" if named else str(location))


def sighting(seen: Observation) -> str:
    """Return what one scenario showed, in one line."""
    return one_line(f"{seen.rule.code} {seen.outcome} on {seen.target}, {seen.scenario}: {seen.message}")


def describe(finding: Finding) -> str:
    """Return a finding as lines of plain text, for formats that show a block of it."""
    rule = finding.rule
    lines = [f"{one_line(rule.code)}: {one_line(finding.message)}", f"expected: {one_line(rule.title)}"]
    if finding.location is not None:
        lines.append(f"where: {place(finding.location)}")
    lines.extend(fact(evidence) for evidence in finding.evidence)
    lines.append(f"remedy: {one_line(rule.remedy)}")
    lines.extend(f"run: {visible(command)}" for command in finding.commands)
    lines.append(f"validate: {visible(rule.validation)}")
    return "\n".join(lines)
