"""A start's analysis as check results: one for each thing that a start can wait for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import CheckResult, Evidence, Finding, Location, LocationKind, Verdict
from alwrity_checks.startup.rules import rule_of
from alwrity_checks.startup.trace_child.alwrity_startup_tracer import VERBS
from alwrity_checks.startup.trace_phases import Phase
from alwrity_checks.startup.trace_stacks import own_frame, short_stack

if TYPE_CHECKING:
    from alwrity_checks.startup.trace_analysis import Analysis
    from alwrity_checks.startup.trace_events import Frame
    from alwrity_checks.startup.trace_lanes import Interval

__all__ = ["THRESHOLD", "examine"]

THRESHOLD: Final = 1.0
"""Seconds from which on a wait is a finding."""
_ISSUE: Final = 6
_IMPORT_SHARE: Final = 0.5
_IMPORT_SECONDS: Final = 2.0
_TAIL: Final = 15
"""Lines of a command that died."""
_FETCHES: Final = frozenset(f"{name} {verb}".strip() for name, verb in VERBS)

_REASONS: Final = {
    Phase.DOWNLOAD: "start-waits-for-download",
    Phase.RETRIES: "start-retries-hub",
    Phase.NETWORK: "start-waits-for-host",
    Phase.DNS: "start-waits-for-names",
    Phase.CHILD: "start-waits-for-child",
    Phase.MODEL: "start-loads-model",
    Phase.SLEEP: "start-sleeps",
}
_DOING: Final = {
    Phase.DOWNLOAD: "a download",
    Phase.RETRIES: "attempts to reach the hub",
    Phase.NETWORK: "another host",
    Phase.DNS: "the lookup of a name",
    Phase.CHILD: "a child process",
    Phase.MODEL: "the loading of a model",
    Phase.SLEEP: "a sleep",
}


@dataclass(frozen=True, slots=True)
class _Subject:
    """A check: what it says where all is well, and the phases that break it."""

    name: str
    title: str
    phases: tuple[Phase, ...]


_SUBJECTS: Final = (
    _Subject("startup.no-blocking-download", "no download keeps it waiting", (Phase.DOWNLOAD, Phase.RETRIES)),
    _Subject("startup.no-blocking-network", "no other host keeps it waiting", (Phase.NETWORK, Phase.DNS)),
    _Subject("startup.no-blocking-child", "no other program keeps it waiting", (Phase.CHILD,)),
    _Subject("startup.no-blocking-model", "no model is loaded before it serves", (Phase.MODEL,)),
    _Subject("startup.no-long-sleep", "it does not sleep", (Phase.SLEEP,)),
)


def examine(analysis: Analysis, threshold: float = THRESHOLD, *, timeout: float = 60.0) -> tuple[CheckResult, ...]:
    """Return what a start came to. A wait of `threshold` seconds or more in one place of the user's code is a finding.

    `timeout` is what the start was given.
    """
    listens = _listens(analysis, timeout)
    waited = [_waited(analysis, subject, threshold) for subject in _SUBJECTS]
    return (listens, _answers(analysis, listens, timeout), *waited, _imports(analysis))


def _listens(analysis: Analysis, timeout: float) -> CheckResult:
    name, title = "startup.listens", "the server listens"
    listened = analysis.recorded.listened
    if listened is not None and analysis.listened is not None:
        told = f"on {listened.address} after {analysis.listened:.2f} s"
        return _result(name, title, Verdict.PASS, reason=told, seconds=analysis.listened)
    if analysis.recorded.died:
        return _result(name, title, Verdict.FAIL, [_death(analysis)], seconds=analysis.seconds)
    return _result(
        name,
        title,
        Verdict.UNKNOWN,
        reason=f"it did not listen on a TCP port within {_limit(analysis, timeout)}",
        remedy="give it longer with --timeout, or name the address with --url",
        evidence=_said(analysis),
        seconds=analysis.seconds,
    )


def _answers(analysis: Analysis, listens: CheckResult, timeout: float) -> CheckResult:
    name, title = "startup.answers", "the server answers"
    answered = analysis.recorded.answered
    if answered is not None and analysis.answered is not None:
        told = f"HTTP {answered.status} after {analysis.answered:.2f} s"
        return _result(name, title, Verdict.PASS, reason=told, seconds=analysis.answered)
    if listens.verdict is not Verdict.PASS:
        reason = "because it does not listen"
        return CheckResult(name, title, _ISSUE, Verdict.SKIP, reason=reason, because=listens.name)
    if analysis.recorded.died:
        return _result(name, title, Verdict.FAIL, [_death(analysis)], seconds=analysis.seconds)
    return _result(
        name,
        title,
        Verdict.UNKNOWN,
        reason=f"it listens, and has answered no HTTP request within {_limit(analysis, timeout)}",
        remedy="give it longer with --timeout, or name what it answers with --path or --url",
        evidence=_said(analysis),
        seconds=analysis.seconds,
    )


def _limit(analysis: Analysis, timeout: float) -> str:
    # Ctrl-C ends the watch earlier.
    return f"{min(timeout, analysis.seconds):.3g} s"


def _death(analysis: Analysis) -> Finding:
    recorded = analysis.recorded
    code = recorded.exit_code
    if code is not None and code < 0:
        try:
            told = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            told = f"was killed by signal {-code}"
    else:
        told = f"ended with exit code {code}"
    message = f"{recorded.program} {told} after {analysis.seconds:.2f} s, before it answered"
    return Finding(rule_of("start-died"), message, (Evidence("reason", "start-died"), *_said(analysis)))


def _said(analysis: Analysis) -> tuple[Evidence, ...]:
    lines = analysis.recorded.output[-_TAIL:]
    return (Evidence("its last lines", "\n".join(lines)),) if lines else ()


def _waited(analysis: Analysis, subject: _Subject, threshold: float) -> CheckResult:
    findings = [
        _finding(analysis, spent)
        for spent in _by_place(one for one in analysis.path if one.phase in subject.phases)
        if sum(one.seconds for one in spent) >= threshold
    ]
    if findings:
        return _result(subject.name, subject.title, Verdict.of(findings), findings)
    doubt = _doubt(analysis, threshold)
    if doubt is not None:
        reason, remedy = doubt
        return _result(subject.name, subject.title, Verdict.UNKNOWN, reason=reason, remedy=remedy)
    seconds = sum(analysis.totals.get(phase, 0.0) for phase in subject.phases)
    return _result(subject.name, subject.title, Verdict.PASS, reason=f"{seconds:.2f} s" if seconds >= 0.005 else "")  # noqa: PLR2004 - would show as 0.00 s


def _doubt(analysis: Analysis, threshold: float) -> tuple[str, str] | None:
    """Return why what was not found may be there all the same, and what changes that."""
    unseen = analysis.totals.get(Phase.UNSEEN, 0.0)
    if analysis.blind:
        return (
            f"{', '.join(analysis.blind)} ran without the tracer (-S, -I or -E, or older than Python 3.8)",
            "start it without these options",
        )
    if analysis.foreign:
        return "what serves is no Python program: it is seen from outside only", "trace a server written in Python"
    if analysis.truncated:
        return "a process had more to tell than the tracer writes", "report it, with the command's form"
    if unseen >= threshold:
        return f"{unseen:.2f} s of the start were not seen", "run it again on a quieter machine"
    if analysis.listened is None and not analysis.recorded.died:
        return "the server did not listen: what it would have waited for later is not known", "give it longer"
    if analysis.listened is None:
        return "the command ended before the server listened", "let it start first: see startup.listens"
    return None


def _imports(analysis: Analysis) -> CheckResult:
    name, title = "startup.imports", "imports are not most of the start"
    seconds = analysis.totals.get(Phase.IMPORTS, 0.0)
    until = analysis.listened or analysis.seconds
    heavy = analysis.subjects(Phase.IMPORTS)[:5]
    listed = ", ".join(f"{package} {spent:.2f} s" for package, spent in heavy)
    if seconds > _IMPORT_SECONDS and seconds > _IMPORT_SHARE * until:
        told = f"imports took {seconds:.2f} s, {seconds / until:.0%} of the time until the server listened"
        evidence = (Evidence("reason", "start-imports"), Evidence("most of it", listed))
        finding = Finding(rule_of("start-imports"), told, evidence)
        return _result(name, title, Verdict.PASS, [finding], reason=f"{seconds:.2f} s")
    doubt = _doubt(analysis, _IMPORT_SECONDS)
    if doubt is not None:
        return _result(name, title, Verdict.UNKNOWN, reason=doubt[0], remedy=doubt[1])
    return _result(name, title, Verdict.PASS, reason=f"{seconds:.2f} s")


def _by_place(intervals: Iterable[Interval]) -> list[list[Interval]]:
    """Return the intervals by phase and by the line of the user's code that led to them, the longest place first."""
    places: dict[tuple[object, ...], list[Interval]] = {}
    for one in intervals:
        frame = own_frame(one)
        subject = one.subject if one.phase is Phase.CHILD or frame is None else ""
        key = (_reason(one), frame and (frame.file, frame.line), subject, one.on_behalf)
        places.setdefault(key, []).append(one)
    return sorted(places.values(), key=lambda spent: -sum(one.seconds for one in spent))


def _reason(one: Interval) -> str:
    if one.phase is Phase.CHILD and one.subject in _FETCHES:
        return "start-installs"
    return _REASONS[one.phase]


def _finding(analysis: Analysis, spent: Sequence[Interval]) -> Finding:
    first = max(spent, key=lambda one: one.seconds)
    seconds = sum(one.seconds for one in spent)
    reason, frame = _reason(first), own_frame(first)
    listened = analysis.recorded.listened
    # By the greater part: that a port is open is seen from outside, a moment later.
    open_port = (
        listened is not None and 2 * sum(max(one.end - max(one.start, listened.at), 0) for one in spent) > seconds
    )
    until = "answering" if open_port else "listening"
    doing = _DOING[first.phase] + (f" ({first.subject})" if first.subject else "")
    message = f"{doing} kept the server from {until} for {seconds:.2f} s, {seconds / analysis.seconds:.0%} of its start"
    if first.on_behalf:
        message += f": its thread waited for the thread {first.thread}"
    facts = [Evidence("reason", reason)]
    received = analysis.received(spent, hub_only=first.phase is Phase.DOWNLOAD)
    if received and first.phase in {Phase.DOWNLOAD, Phase.NETWORK}:
        facts.append(Evidence("received meanwhile", f"at least {received / 1e6:.1f} MB"))
    process = analysis.recorded.processes.get(first.pid)
    if process is not None:
        facts.append(Evidence("process", f"{process.program}, thread {first.thread or 'unknown'}"))
    stack = short_stack(first)
    if stack:
        facts.append(Evidence("stack", stack))
    return Finding(rule_of(reason), message, tuple(facts), _location(frame))


def _location(frame: Frame | None) -> Location | None:
    if frame is None:
        return None
    here = os.getcwd() + os.sep  # noqa: PTH109 - compared as text
    return Location(LocationKind.FILE, frame.file.removeprefix(here), frame.line)


def _result(  # noqa: PLR0913 - the fields of a result that vary here
    name: str,
    title: str,
    verdict: Verdict,
    findings: Sequence[Finding] = (),
    *,
    reason: str = "",
    remedy: str = "",
    evidence: tuple[Evidence, ...] = (),
    seconds: float = 0.0,
) -> CheckResult:
    return CheckResult(
        name,
        title,
        _ISSUE,
        verdict,
        tuple(findings),
        reason=reason,
        remedy=remedy,
        evidence=evidence,
        duration=timedelta(seconds=seconds),
    )
