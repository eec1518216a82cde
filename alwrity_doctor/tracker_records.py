"""What validations came to, as entries of an issue's session log; and the one rule by which they move its status.

    - 2026-11-28: recorded by `alwrity-doctor reproduce 1`: `passed`; 14 of 14 faults ...; alwrity-doctor 0.1.0, ...

A later run that comes to the same adds its date to that entry, so that recording twice on one day changes nothing. What
a person wrote is never touched: an entry of ours that was edited by hand is theirs from then on.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Outcome, Target, TargetKind, Verdict
from alwrity_doctor.tracker import Entry, Issue, Problem, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alwrity_checks.model import Evidence, Observation, Report

__all__ = [
    "BACKEND",
    "Came",
    "Record",
    "backend_record",
    "component_record",
    "contradictions",
    "log_record",
    "moved",
    "recorded",
    "with_status",
    "written",
]

BACKEND: Final = "--backend DIR"
"""How a command that was put to a checkout is written down: where the checkout lay concerns nobody else."""
_FORM: Final = re.compile(
    r"recorded by `(?P<command>alwrity-doctor [^`]+)`: `(?P<came>passed|failed|undecided|seen|unseen)`; (?P<told>.+?)"
    r"(?:; the same on (?P<again>[0-9]{4}-[0-9]{2}-[0-9]{2}))?"
)
_VERSIONS: Final = {
    1: ("pyjwt", "cryptography"),
    2: ("openai", "httpx"),
    3: ("txtai", "faiss-cpu"),
    5: ("transformers", "torch", "onnxruntime-genai"),
    6: ("huggingface-hub",),
}
"""Issue -> the distributions whose version bears on its outcome."""
_WIDTH: Final = 120
_MOST_CODES: Final = 8
_DECIDED: Final = frozenset({"passed", "failed"})


class Came(StrEnum):
    """What a run came to."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    SEEN = "seen"
    """In a log, which proves neither that a fault is there today nor that it is gone."""
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Record:
    """One run, as the session log tells it."""

    command: str
    came: Came
    told: str
    """What was seen, and by which versions."""

    def __str__(self) -> str:
        return f"recorded by `{self.command}`: `{self.came}`; {self.told}"

    @property
    def of_backend(self) -> bool:
        """Whether it was done to a checkout, and not to the component."""
        return BACKEND in self.command


def component_record(command: str, issue: int, report: Report) -> Record:
    """Return what `report` says of the component: that its model shows each fault, and it none."""
    from alwrity_doctor.reproduction import judge

    seen = [one for one in report.observations if one.target.kind is not TargetKind.BACKEND]
    results = judge(seen)
    codes = {result.name for result in results}
    hindered = [
        result
        for result in report.results
        if result.verdict in {Verdict.UNKNOWN, Verdict.SKIP}
        and result.name not in {one.rule.code for one in report.observations}
        and not result.name.endswith(f": {Target(TargetKind.BACKEND)}")
    ]
    failed = [result.name for result in results if result.verdict is Verdict.FAIL]
    undecided = [result.name for result in results if result.verdict is not Verdict.PASS and result.name not in failed]
    passed = len(codes) - len(failed) - len(undecided)
    told = [f"{passed} of {len(codes)} faults reproduced on the legacy model and absent from the component"]
    if failed:
        told.append(f"not so: {_codes(failed)}")
    if undecided:
        told.append(f"undecided: {_codes(undecided)}")
    told += [f"hindered: {_plain(one.reason)}" for one in hindered[:1]]
    came = Came.FAILED if failed else Came.PASSED if passed and not undecided and not hindered else Came.UNDECIDED
    return Record(command, came, "; ".join([*told, _versions(issue, report)]))


def backend_record(command: str, report: Report, revision: str) -> Record:
    """Return what `report` says of the user's checkout, which stood at `revision`."""
    seen = [one for one in report.observations if one.target.kind is TargetKind.BACKEND]
    codes = sorted({one.rule.code for one in seen})
    reproduced = _of(seen, Outcome.REPRODUCED)
    undecided = [code for code in _of(seen, Outcome.UNKNOWN) if code not in reproduced]
    told = [f"at {revision}"]
    if not seen:
        hindered = next((one.reason for one in report.results if one.verdict is Verdict.UNKNOWN and one.reason), "")
        told.append(f"could not be driven: {_plain(hindered)}" if hindered else "could not be driven")
    elif reproduced:
        told.append(f"{len(reproduced)} of {len(codes)} faults reproduced: {_codes(reproduced)}")
    else:
        told.append(f"{len(codes) - len(undecided)} of {len(codes)} faults absent")
    if undecided:
        told.append(f"undecided: {_codes(undecided)}")
    told += [f"driven on {_plain(one.value)}" for one in _driven_on(seen)]
    came = Came.FAILED if reproduced else Came.UNDECIDED if undecided or not seen else Came.PASSED
    return Record(command, came, "; ".join([*told, f"alwrity-doctor {report.version}"]))


def log_record(command: str, issue: int, report: Report) -> Record:
    """Return what `report`, that of a triage, says of `issue`."""
    found = [finding for finding in report.findings if finding.rule.issue == issue]
    codes = list(dict.fromkeys(finding.rule.code for finding in found))
    told = f"{_codes(codes)}: {_plain(found[0].message)}" if found else "no line of this issue"
    return Record(command, Came.SEEN if found else Came.UNSEEN, f"{told}; alwrity-doctor {report.version}")


def _driven_on(seen: Sequence[Observation]) -> list[Evidence]:
    return [one for observation in seen[:1] for one in observation.evidence if one.label == "driven on"]


def _of(seen: Iterable[Observation], outcome: Outcome) -> list[str]:
    return sorted({one.rule.code for one in seen if one.outcome is outcome})


def _codes(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_CODES])
    return shown if len(names) <= _MOST_CODES else f"{shown} and {len(names) - _MOST_CODES} more"


def _versions(issue: int, report: Report) -> str:
    told = [f"{name} {known}" for name in _VERSIONS.get(issue, ()) if (known := report.environment.get(name))]
    return ", ".join([f"alwrity-doctor {report.version}", report.environment.get("python", ""), *told])


def _plain(text: str) -> str:
    """Return foreign text as an entry can hold it: one line, without the mark of a code span."""
    return " ".join(text.replace("`", "'").split()).rstrip(".")


def moved(status: str, records: Iterable[Record]) -> str:
    """Return the status that an issue has after `records`, oldest first, if it had `status` before.

    `fixed` needs a backend that was seen without the fault, and a component that is free of it. `regressed` is what a
    cured component or a fixed backend becomes when the fault shows again. What was undecided, and what a log shows,
    moves nothing.
    """
    told = list(records)
    component = _last(record for record in told if not record.of_backend)
    backend = _last(record for record in told if record.of_backend)
    if status not in {"open", "cured-here", "fixed", "regressed"} or component is None:
        return status
    if component is Came.FAILED:
        return "open" if status == "open" else "regressed"
    if backend is Came.PASSED:
        return "fixed"
    if backend is Came.FAILED and status in {"fixed", "regressed"}:
        return "regressed"
    return "cured-here"


def _last(records: Iterable[Record]) -> Came | None:
    decided = [record.came for record in records if record.came in _DECIDED]
    return decided[-1] if decided else None


def recorded(issue: Issue) -> Iterator[Record]:
    """Yield the records in the session log of `issue`, oldest first."""
    for _, record, _ in _recorded(issue):
        yield record


def _recorded(issue: Issue) -> Iterator[tuple[Entry, Record, date]]:
    """Yield each entry that is a record, and the day on which it was last seen so."""
    for entry in issue.field("Session log").entries:
        match = _FORM.fullmatch(entry.parts.get("text", ""))
        if match:
            day = date.fromisoformat(match["again"] or entry.parts["date"])
            yield entry, Record(match["command"], Came(match["came"]), match["told"]), day


def contradictions(tracker: Tracker) -> list[Problem]:
    """Return where a status claims what the last record denies, or what only a record may claim."""
    problems = []
    for issue in tracker.issues:
        status, known = issue.value("Status"), list(recorded(issue))
        line = issue.field("Status").line
        after = moved(status, known)
        if after != status:
            problems.append(Problem(line, f"the status is {status}, but by the last record it is {after}"))
        elif status in {"fixed", "regressed"} and not any(record.came in _DECIDED for record in known):
            problems.append(Problem(line, f"the status is {status}, but no record says so: see `tracker record`"))
    return problems


def written(lines: Sequence[str], issue: Issue, records: Iterable[Record], today: date) -> list[str]:
    """Return `lines`, those of the tracker's file, with `records` in the session log of `issue`, and its status moved.

    Nothing else is changed. Lines that end in a carriage return, as in a file of Windows, get company that does, too.
    """
    log = issue.field("Session log")
    known = {record.command: (entry, record, day) for entry, record, day in _recorded(issue)}
    edits: list[tuple[int, int, list[str]]] = []
    fresh: list[str] = []
    for record in records:
        entry, latest, day = known.get(record.command, (None, None, today))
        if entry is None or latest != record:
            fresh += _entry(today.isoformat(), str(record))
        elif day != today:
            again = _entry(entry.parts["date"], f"{record}; the same on {today}")
            edits.append((entry.line - 1, entry.last_line, again))
    end = log.entries[-1].last_line if log.entries else log.line + 1
    edits.append((end, end, fresh))
    changed = list(lines)
    ending = "\r" if lines[issue.line - 1].endswith("\r") else ""
    for start, stop, new in sorted(edits, reverse=True):
        changed[start:stop] = [line + ending for line in new]
    return changed


def with_status(lines: Sequence[str], issue: Issue, status: str) -> list[str]:
    """Return `lines` with another status of `issue`; what stands behind its code span stays."""
    changed = list(lines)
    number = issue.field("Status").line - 1
    changed[number] = changed[number].replace(f"`{issue.value('Status')}`", f"`{status}`", 1)
    return changed


def _entry(day: str, text: str) -> list[str]:
    """Return the lines of an entry; a code span ends on its own line, so that its spaces are no place to break."""
    held = re.sub(r"`[^`]*`", lambda span: span[0].replace(" ", "\0"), f"- {day}: {text}")
    wrapped = textwrap.wrap(held, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in wrapped]
