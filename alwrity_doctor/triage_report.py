"""What a log says -> the parts of a Report: the first failure in a sentence, causes as findings, the rest as tables."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.catalogue import rules
from alwrity_checks.logs.first_failure import subsystem_of
from alwrity_checks.logs.secret_shapes import CLASSES, Class
from alwrity_checks.model import CheckResult, Evidence, Finding, Location, LocationKind, Severity, Verdict
from alwrity_doctor import triage_words as words

if TYPE_CHECKING:
    from alwrity_checks.logs.streams import Unread as NotOpened
    from alwrity_checks.logs.triage import Cause, FirstFailure, Group, Triage, Unread
    from alwrity_checks.model import Rule

__all__ = ["ISSUES", "Places", "Read", "failing", "results", "secrets_by_kind", "summary"]

ISSUES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "the backend accepts the sessions of its own Clerk instance",
        2: "the Hugging Face router answers with text",
        3: "what is indexed is found again",
        4: "the server keeps running",
        5: "the local models load",
        6: "the start of the server waits for nothing",
    }
)
"""Issue -> the healthy condition that no line of a log speaks against."""

_TELLING: Final = frozenset({"cause", "configuration", "alarm"})
"""Kinds of lines that say by themselves what is wrong; a symptom without a cause does not."""
_KEPT_OUT: Final = "auth-forged"
"""Of the attacks, the one that was refused."""
_WITHOUT_REASON: Final = frozenset({"auth-stale", "auth-unexplained", "auth-optional"})
"""Causes that are told by this: no line gives a reason. One that does belongs to another request."""
Places = Mapping[tuple[str, str], Location]
"""Signature and variant -> where its first line stands; a cluster's template and module."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read, beside what it says."""

    triage: Triage
    streams: tuple[str, ...]
    size: int | None
    """Bytes; None where a pipe was among them."""
    unread: tuple[NotOpened, ...] = ()
    notes: tuple[str, ...] = ()
    places: Places = field(default_factory=dict)
    redacted: tuple[str, ...] = ()
    """Sentences about the copies that were written."""
    named: tuple[str, ...] = ()
    """The logs as they were named, for commands that can be copied."""
    strange: bool = False
    """Whether it holds no line of a known form as far as somebody looked; see `logs.places.looks_strange`."""

    def command(self, *options: str) -> str:
        """Return a command that reads the same logs."""
        return shlex.join(["alwrity-doctor", "triage", *(self.named or ("LOG",)), *options])


def summary(read: Read, *, issues: Sequence[int] = ()) -> str:
    """Return what somebody wants to know at three in the morning, in one sentence; of `issues` only, if any is named.

    What fails although nobody asked is said behind it, in few words.
    """
    if issues:
        return _of_issues(read, issues)
    triage = read.triage
    first = triage.first_failure
    attacks = [one for one in triage.causes if one.nature == "attack"]
    if first is None:
        told = [_told(one) for one in attacks]
    else:
        rest = [one for one in attacks if one.id != _KEPT_OUT and not _leads(one)]
        told = [*map(_told, filter(_leads, attacks)), _failure(first, triage), *map(_told, rest)]
    if told:
        return " ".join([told[0], *(f"{one[0].upper()}{one[1:]}" for one in told[1:])])
    if not read.streams:
        return "no log could be read."
    unknown = f"; {_unknown(triage)}" if triage.unknown_lines else ""
    count = sum(one.count for one in triage.groups)
    if count:
        return f"nothing is known to have failed, though {words.lines(count)} {_speak(count)}{unknown}."
    if harmless := sum(one.count for one in triage.harmless):
        said = "nothing is known to have failed"
        return f"{said}: {words.lines(harmless)} {_speak(harmless)}, all harmless{unknown}."
    if read.size == 0 and not read.unread:
        return f"{words.logs(read.streams)} {'is' if len(read.streams) == 1 else 'are'} empty."
    strange = ", and it does not begin as a backend's log does" if read.strange else ""
    return f"no line of {words.logs(read.streams)} speaks of a known issue{strange}{unknown}."


def _of_issues(read: Read, issues: Sequence[int]) -> str:
    triage = read.triage
    named = f"issue {issues[0]}" if len(issues) == 1 else f"issues {', '.join(str(one) for one in sorted(issues))}"
    causes = [one for one in triage.causes if one.issue in issues and one.nature != "none"]
    count = sum(one.count for one in (*triage.groups, *triage.harmless) if one.issue in issues)
    if causes:
        said = f"{named}: {_told(causes[0])}" + (f" {len(causes) - 1} more below." if len(causes) > 1 else "")
    elif count:
        said = f"nothing is known to have failed, though {words.lines(count)} {_speak(count, named)}."
    elif read.streams:
        said = f"no line of {words.logs(read.streams)} speaks of {named}."
    else:
        return "no log could be read."
    others = sorted({one.issue for one in triage.causes if one.nature != "none"} - set(issues))
    besides = f"issue {others[0]}" if len(others) == 1 else f"issues {', '.join(str(one) for one in others)}"
    return said + (f" Not looked at, though it failed: {besides}." if others else "")


def _speak(count: int, of: str = "known issues") -> str:
    return f"{'speaks' if count == 1 else 'speak'} of {of}"


def _failure(first: FirstFailure, triage: Triage) -> str:
    when = f" at {words.moment(first.first)}" if first.first else ""
    said = f"{words.subsystem(first.subsystem)} failed first{when}"
    cause = next((one for one in triage.causes if one.id == first.cause), None)
    if cause is None:
        said += "; the log does not tell why."
    else:
        reasons = len(failing(triage, first.subsystem))
        said += f", for {reasons} reasons, above all: {_told(cause)}" if reasons > 1 else f": {_told(cause)}"
    for word, depends in (("After it, and because of it", True), ("Also failed, by itself", False)):
        named = [words.subsystem(one.subsystem) for one in first.followed if one.depends is depends]
        said += f" {word}: {', '.join(named)}." if named else ""
    return said


def failing(triage: Triage, subsystem: str) -> tuple[Cause, ...]:
    """Return the causes for which a subsystem failed."""
    return tuple(
        one for one in triage.causes if one.nature not in {"none", "attack"} and subsystem_of(one) == subsystem
    )


def _leads(cause: Cause) -> bool:
    """Return whether somebody is inside, as far as a log can tell: that comes before what does not work."""
    return cause.nature == "attack" and cause.id != _KEPT_OUT and cause.sure != "possible"


def _told(cause: Cause) -> str:
    """Return a cause as (the end of) a sentence."""
    sure = {"certain": "", "likely": "probably ", "possible": "perhaps "}[cause.sure]
    return f"{sure}{cause.title} ({_counted(cause)})."


def _counted(cause: Cause) -> str:
    """Return how often, in the singular where it was once."""
    if cause.incidents == 1:
        first, space, rest = cause.counted.partition(" ")
        several = not cause.counted.endswith("s")
        return f"1 {first.removesuffix('s')}{space}{rest}" if several else f"1 {cause.counted.removesuffix('s')}"
    return f"{cause.incidents:,} {cause.counted}"


def _unknown(triage: Triage) -> str:
    match = "matches" if triage.unknown_lines == 1 else "match"
    return f"{words.lines(triage.unknown_lines)} of trouble in {words.forms(len(triage.clusters))} {match} no signature"


def results(read: Read, *, issues: Sequence[int] = ()) -> tuple[CheckResult, ...]:
    """Return a result for each issue that the log speaks of, then those about the log itself."""
    triage = read.triage
    spoken = {one.issue for one in triage.causes} | {one.issue for one in triage.groups}
    found = sorted(spoken | ({4} if triage.harmless else set()))
    known = [_issue(read, issue) for issue in found if not issues or issue in issues]
    own = [_unread(read), _trouble(read), _secrets(read)]
    return (*known, *(one for one in own if one is not None))


def _issue(read: Read, issue: int) -> CheckResult:
    triage = read.triage
    causes = [one for one in triage.causes if one.issue == issue]
    groups = [one for one in triage.groups if one.issue == issue]
    harmless = [one for one in triage.harmless if one.issue == issue]
    findings = [_of_cause(read, one, groups) for one in causes]
    if not causes:
        findings += [_of_group(read, one) for one in groups if one.kind in _TELLING and one.rule in rules()]
    findings += list(_notes(read, harmless))
    count = sum(one.count for one in groups)
    evidence = tuple(
        Evidence(words.name(one), f"{words.times(one.count)}, {words.span(one.first, one.last)}") for one in groups
    )
    reason = (
        f"{words.lines(count)} {_speak(count, 'it')}"
        if count
        else f"{words.lines(sum(one.count for one in harmless))}, harmless"
        if harmless
        else "what the start said, or did not say, speaks of it"
    )
    name, title = f"triage.issue-{issue}", ISSUES.get(issue, f"no line speaks of issue {issue}")
    if groups and not causes and not any(finding.rule.severity is not Severity.NOTE for finding in findings):
        remedy = "start the backend with --verbose, and triage that log: it names what is hidden by default"
        why = f"{reason}, and they do not tell why"
        return CheckResult(
            name, title, issue, Verdict.UNKNOWN, tuple(findings), reason=why, remedy=remedy, evidence=evidence
        )
    return CheckResult(name, title, issue, Verdict.of(findings), tuple(findings), reason=reason, evidence=evidence)


def _of_cause(read: Read, cause: Cause, groups: Sequence[Group]) -> Finding:
    rule = rules()[cause.rule]
    if cause.nature == "none":
        # The lines look like the fault's, and nothing failed.
        rule = _as_note(rule)
    first = read.triage.first_failure
    if _leads(cause):
        rule = replace(rule, precedence=min(rule.precedence, -1))
    elif first is not None and first.cause == cause.id:
        # What comes first in this log is told by the log, not by what usually comes first.
        rule = replace(rule, precedence=min(rule.precedence, 0))
    times = f"; {_counted(cause)}" if cause.incidents else ""
    facts = [Evidence("how sure", f"{cause.sure}{f': {cause.settle} would settle it' if cause.settle else ''}")]
    facts += [Evidence("because", why) for why in cause.why]
    facts += words.period(cause.first, cause.last, cause.bins)
    mine = _telling(cause, groups, read.triage.causes)
    if mine is not None:
        facts += words.things(mine.entities)
        facts.append(Evidence("for example", mine.sample))
    if cause.nature in words.NATURES:
        facts.append(Evidence("has to change", words.NATURES[cause.nature]))
    facts.append(Evidence("what to do", cause.remedy))
    where = None if mine is None else read.places.get((mine.signature, mine.variant))
    identity = f"{cause.rule} {cause.id}"
    return Finding(rule, f"{cause.title}{times}", tuple(facts), where, cause.commands, identity)


def _telling(cause: Cause, groups: Sequence[Group], causes: Sequence[Cause]) -> Group | None:
    """Return the lines that speak for a cause most clearly: those of its own rule, else those that name causes.

    A line that names another cause comes last: it would tell against the finding in which it stands.
    """
    weight = {"cause": 0, "alarm": 0, "configuration": 1, "symptom": 2, "downstream": 3}
    others = {one.rule for one in causes if one.id != cause.id}

    def order(one: Group) -> tuple[bool, bool, int, int]:
        reason = one.kind == "cause" and (one.rule in others or cause.id in _WITHOUT_REASON)
        return one.rule != cause.rule, reason, weight.get(one.kind, 4), -one.count

    return min(groups, key=order, default=None)


def _of_group(read: Read, group: Group) -> Finding:
    rule = rules()[str(group.rule)]
    facts = [
        *words.period(group.first, group.last, group.bins),
        *words.things(group.entities),
        Evidence("for example", group.sample),
    ]
    message = f"{group.meaning}; {words.lines(group.count)}"
    return Finding(rule, message, tuple(facts), read.places.get((group.signature, group.variant)), (), group.signature)


def _notes(read: Read, harmless: Sequence[Group]) -> Iterator[Finding]:
    for code in dict.fromkeys(one.rule for one in harmless if one.rule in rules()):
        same = [one for one in harmless if one.rule == code]
        rule = _as_note(rules()[str(code)])
        facts = [Evidence("for example", same[0].sample), *words.period(same[0].first, same[0].last, same[0].bins)]
        where = read.places.get((same[0].signature, same[0].variant))
        message = f"harmless, {words.lines(sum(one.count for one in same))}: {same[0].meaning}"
        yield Finding(rule, message, tuple(facts), where, (), str(code))


def _as_note(rule: Rule) -> Rule:
    return replace(rule, severity=Severity.NOTE)


def _unread(read: Read) -> CheckResult | None:
    """Return what became of the logs as such; None where there is nothing to say."""
    title = "the logs could be read whole"
    if read.unread:
        facts = tuple(
            Evidence(one.name, f"{one.reason}{f'; {one.remedy}' if one.remedy else ''}") for one in read.unread
        )
        first = read.unread[0]
        reason = f"{first.name} {first.reason}" + (f", and {len(read.unread) - 1} more" if len(read.unread) > 1 else "")
        findings = _skipped(read.triage.skipped)
        return CheckResult(
            "triage.logs", title, 0, Verdict.UNKNOWN, findings, reason=reason, remedy=first.remedy, evidence=facts
        )
    findings = _skipped(read.triage.skipped)
    size = "" if read.size is None else f", {words.size(read.size)}"
    reason = f"{words.logs(read.streams)}{size}"
    return CheckResult("triage.logs", title, 0, Verdict.of(findings), findings, reason=reason)


def _skipped(skipped: Sequence[Unread]) -> tuple[Finding, ...]:
    rule = rules()["LOG005"]
    made = []
    for one in skipped:
        much = f", {words.size(one.length)}" if one.length else ""
        many = f" {one.parts} times" if one.parts > 1 else ""
        facts = (
            Evidence("first at", f"byte {one.first:,} of the log"),
            *([Evidence("detail", one.detail)] if one.detail else ()),
        )
        where = Location(LocationKind.FILE, one.stream) if one.stream != "-" else None
        made.append(
            Finding(rule, f"{one.stream}: {one.reason}{many}{much}", facts, where, (), f"{one.stream} {one.reason}")
        )
    return tuple(made)


def _trouble(read: Read) -> CheckResult | None:
    triage = read.triage
    rule = rules()["LOG003"]
    if not triage.clusters:
        return None
    first = triage.clusters[0]
    facts = [
        Evidence(words.times(one.count), f"{one.level} {one.module}: {one.template}".strip())
        for one in triage.clusters[: words.FEW]
    ]
    facts.append(Evidence("for example", first.sample))
    where = read.places.get((first.template, first.module))
    commands = (read.command("--suggest"),)
    finding = Finding(rule, _unknown(triage), tuple(facts), where, commands, "unknown lines")
    return CheckResult("triage.unknown", rule.title, 0, Verdict.of([finding]), (finding,))


def _secrets(read: Read) -> CheckResult | None:
    rule = rules()["LOG004"]
    counts = dict(read.triage.secrets)
    by_class = {
        of: {kind: count for kind, count in counts.items() if CLASSES.get(kind, Class.SECRET) is of} for of in Class
    }
    facts = [Evidence(kind, words.times(count)) for kind, count in by_class[Class.SECRET].items()]
    personal = [Evidence(f"{kind}, personal", words.times(count)) for kind, count in by_class[Class.PERSONAL].items()]
    public = [
        Evidence(f"{kind}, which is public", words.times(count)) for kind, count in by_class[Class.PUBLIC].items()
    ]
    redacted = [Evidence("cleaned copy", one) for one in read.redacted]
    rest = (*personal, *public, *redacted)
    if not facts:
        if not rest:
            return None
        return CheckResult(
            "triage.secrets", rule.title, 0, Verdict.PASS, reason="; ".join(words.said(one) for one in rest)
        )
    total = sum(by_class[Class.SECRET].values())
    message = f"{total} {'secrets' if total > 1 else 'secret'} can be read in the log; none is shown here"
    clean = "clean.log" if len(read.streams) == 1 else "DIRECTORY"
    commands = () if read.redacted else (read.command("--redact", clean),)
    finding = Finding(rule, message, (*facts, *rest), None, commands, "secrets")
    return CheckResult("triage.secrets", rule.title, 0, Verdict.of([finding]), (finding,))


def secrets_by_kind(counts: Mapping[str, int]) -> str:
    """Return a sentence of what a copy was cleaned of."""
    listed = Counter({kind: count for kind, count in counts.items() if CLASSES.get(kind) is not Class.PUBLIC})
    if not listed:
        return "nothing had to be masked"
    return "masked: " + ", ".join(f"{count} {kind}" for kind, count in listed.most_common())
