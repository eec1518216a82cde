"""What a team has accepted for now, finding by finding: a file that `gate --write-baseline` writes, for `--baseline`.

schema = "alwrity-doctor/baseline/1"

[[accept]]
check = "scan.hf"
rule = "HF100"
where = "backend/services/story.py"      # absent where the finding has no place; a file's line is no part of it
what = "https://router.huggingface.co"   # the finding's identity, or its message with every number as 0
count = 2                                # absent: 1
reason = "the provider is rewritten in March"
expires = 2027-03-31                     # to the end of that day, UTC

An entry accepts so many findings and no more: one that is added beside them counts.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from alwrity_checks.model import CheckResult, Evidence, Finding, SuppressedFinding, Verdict
from alwrity_doctor.entries import Form, entries
from alwrity_doctor.report.characters import DECEPTIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from alwrity_checks.model import Report

__all__ = ["SCHEMA", "Acceptance", "Accepted", "Baseline", "Recorder", "Subject", "load", "render", "subject_of"]

SCHEMA: Final = "alwrity-doctor/baseline/1"
_FORM: Final = Form(
    "accept",
    {"check": str, "rule": str, "what": str, "reason": str, "expires": date},
    {"where": str, "count": int},
    SCHEMA,
    "write one: alwrity-doctor gate --write-baseline FILE --reason TEXT --expires DATE",
)
_JUDGED: Final = frozenset({Verdict.PASS, Verdict.WARN, Verdict.FAIL})
_FINGERPRINT: Final = re.compile(r"(?<=…#)[0-9a-f]{8}(?![0-9a-f])")
_NUMBER: Final = re.compile(r"[0-9]+")
_HEAD: Final = (
    "# What `alwrity-doctor gate --baseline` accepts for now. Reasons and dates may be edited, entries removed.\n"
)


class Subject(NamedTuple):
    """What a finding is about, in words that the next run uses as well."""

    check: str
    rule: str
    where: str
    what: str


def subject_of(check: str, finding: Finding) -> Subject:
    """Return what `finding` of the check `check` is about: no line, no number that changes, no fingerprint of a run."""
    where = "" if finding.location is None else str(replace(finding.location, line=None))
    what = finding.identity or _NUMBER.sub("0", _lasting(finding.message)) or finding.rule.title
    return Subject(check, finding.rule.code, _lasting(where), _lasting(what))


def _lasting(text: str) -> str:
    """Return `text` as a file holds it: a secret's mask has a fingerprint that is another one in every run."""
    return _FINGERPRINT.sub("", text.encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True, slots=True)
class Accepted:
    """An entry of the file."""

    subject: Subject
    reason: str
    expires: date
    """The last day, in UTC, on which it holds."""
    count: int = 1
    """How many findings of this subject are accepted."""

    def has_lapsed(self, now: datetime) -> bool:
        """Say whether the last day is over."""
        return now.astimezone(UTC).date() > self.expires


@dataclass(slots=True)
class _Left:
    entry: Accepted
    count: int
    """How many findings it still accepts."""


class Acceptance(Protocol):
    """Sets findings of a result apart that somebody has accepted."""

    def apply(self, result: CheckResult, now: datetime) -> CheckResult:
        """Return `result` without them, its verdict judged anew."""


class Baseline:
    """The entries of one file, held against the results of a run."""

    def __init__(self, accepted: Iterable[Accepted]) -> None:
        self._accepted: defaultdict[Subject, list[Accepted]] = defaultdict(list)
        for one in accepted:
            self._accepted[one.subject].append(one)

    def __len__(self) -> int:
        return sum(map(len, self._accepted.values()))

    def __iter__(self) -> Iterator[Accepted]:
        for entries_ in self._accepted.values():
            yield from entries_

    def apply(self, result: CheckResult, now: datetime) -> CheckResult:
        """Return `result` with the accepted findings set apart; what a lapsed entry had accepted counts, and says so.

        A result that was not judged by its findings (`skip`, `unknown`) keeps its verdict.
        """
        left = {
            subject: [_Left(one, one.count) for one in known]
            for subject, known in self._accepted.items()
            if subject.check == result.name
        }
        counting: list[Finding] = []
        apart: list[SuppressedFinding] = []
        for finding in result.findings:
            one = _taken(left.get(subject_of(result.name, finding), []), now)
            if one is None:
                counting.append(finding)
            elif one.has_lapsed(now):
                told = f"lapsed on {one.expires.isoformat()}; its reason was: {one.reason}"
                counting.append(replace(finding, evidence=(*finding.evidence, Evidence("baseline", told))))
            else:
                apart.append(SuppressedFinding(finding, one.reason, one.expires))
        return _judged(result, counting, apart)

    def lapsed(self, now: datetime) -> list[Accepted]:
        """Return the entries whose last day is over."""
        return [one for one in self if one.has_lapsed(now)]

    def gone(self, report: Report) -> list[Accepted]:
        """Return the entries that accept more than `report` found, with the surplus as their count.

        Nothing is said of a check that came to no verdict in it, or is not in it: what it would find is not known.
        """
        judged = {result.name for result in report.results if result.verdict in _JUDGED}
        seen = Counter(
            subject_of(result.name, finding)
            for result in report.results
            for finding in (*result.findings, *(one.finding for one in result.suppressed))
        )
        surplus = []
        for one in self:
            used = min(one.count, seen[one.subject])
            seen[one.subject] -= used
            if one.subject.check in judged and used < one.count:
                surplus.append(replace(one, count=one.count - used))
        return surplus


class Recorder:
    """Accepts whatever is found, and remembers it for a file; what `kept` accepts already stays as it is there."""

    def __init__(self, reason: str, expires: date, kept: Baseline | None = None) -> None:
        self._reason = reason
        self._expires = expires
        self._kept = kept or Baseline(())
        self._found: dict[str, CheckResult] = {}

    def apply(self, result: CheckResult, now: datetime) -> CheckResult:
        """Return `result` with every finding set apart."""
        known = self._kept.apply(result, now)
        fresh = [SuppressedFinding(one, self._reason, self._expires) for one in known.findings]
        before = len(result.suppressed)
        whole = _judged(known, [], fresh)
        self._found[result.name] = replace(whole, suppressed=whole.suppressed[before:])
        return whole

    def accepted(self) -> list[Accepted]:
        """Return an entry for each subject that was found, in the order of their subjects."""
        counts = Counter(
            (subject_of(name, one.finding), one.reason, one.expires)
            for name, result in self._found.items()
            for one in result.suppressed
        )
        return [Accepted(*key, count) for key, count in sorted(counts.items())]


def _taken(known: Sequence[_Left], now: datetime) -> Accepted | None:
    """Return the entry that accepts one finding more, and count it there: one that holds before one that lapsed."""
    for lapsed in (False, True):
        for one in known:
            if one.count and one.entry.has_lapsed(now) is lapsed:
                one.count -= 1
                return one.entry
    return None


def _judged(result: CheckResult, counting: Sequence[Finding], apart: Sequence[SuppressedFinding]) -> CheckResult:
    return replace(
        result,
        findings=tuple(counting),
        suppressed=(*result.suppressed, *apart),
        verdict=Verdict.of(counting) if apart and result.verdict in _JUDGED else result.verdict,
    )


def load(path: Path) -> Baseline:
    """Read the file at `path`. Raises ConfigurationError for anything that `render` does not write."""
    return Baseline(
        Accepted(
            Subject(entry["check"], entry["rule"], entry.get("where", ""), entry["what"]),
            entry["reason"],
            entry["expires"],
            entry.get("count", 1),
        )
        for _, entry in entries(path, _FORM)
    )


def render(accepted: Iterable[Accepted]) -> str:
    """Return the file's text: the same entries give the same bytes."""
    blocks = [f'{_HEAD}schema = "{SCHEMA}"\n']
    for one in accepted:
        check, rule, where, what = one.subject
        lines = [("check", _quoted(check)), ("rule", _quoted(rule)), ("where", _quoted(where)), ("what", _quoted(what))]
        lines += [("count", str(one.count)), ("reason", _quoted(one.reason)), ("expires", one.expires.isoformat())]
        kept = [f"{key} = {value}\n" for key, value in lines if (key, value) not in {("where", '""'), ("count", "1")}]
        blocks.append("".join(["[[accept]]\n", *kept]))
    return "\n".join(blocks)


def _quoted(text: str) -> str:
    """Return a basic string of TOML: JSON's, with what would deceive somebody who reads the file as its escape."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return DECEPTIVE.sub(_escape, json.dumps(whole, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - of four digits and of eight
