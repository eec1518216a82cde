"""The words that a reader who was not there needs: what the issues are about, what was done, what the words mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import Outcome, TargetKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.model import Report

__all__ = ["ISSUES", "SUBSYSTEMS", "done", "shown", "subject", "words"]

SUBSYSTEMS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "authentication",
        2: "LLM provider",
        3: "semantic index",
        4: "development reload",
        5: "local models of the SIF agents",
        6: "start-up",
    }
)
"""Issue -> where it is at home: the field `Subsystem` of its entry in `tracker.md`."""

ISSUES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "Authenticated endpoints reject or wrongly accept Clerk tokens",
        2: 'Structured JSON from the Hugging Face router ends in "Not Found"',
        3: "txtai indexing runs into its own initialisation",
        4: "The development server reloads while the workflow endpoint is edited",
        5: "The local model of the SIF agents changed",
        6: "The start waits for a model download, and model names are scattered",
    }
)
"""Issue -> the title of its entry in `tracker.md`."""

_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "adopt": "A checkout's cure was worked out: thin modules that keep the old names and import the components.",
        "auth verify": "One session token was taken apart, step by step, by the functions that the component uses in "
        "production.",
        "bundle": "The checks were carried out on this machine, and what they saw was packed to be handed over.",
        "diff": "Two reports of one command were compared: only what became worse is a finding.",
        "gate": "The checks looked at this machine: its settings, its libraries, the services it needs and, where one "
        "was named, a checkout.",
        "hf probe": "Deployments behind the Hugging Face router were asked in every mode, to see which one honours a "
        "schema.",
        "models bench": "Local models were loaded in processes of their own, and their memory and speed were measured.",
        "scan": "A checkout was read and not run: every finding names a file and a line.",
        "startup trace": "A start of the backend was watched from inside and from outside, to see what it waits for.",
        "triage": "Logs were read, and their lines grouped under the causes that they speak of.",
    }
)
"""Command -> what it did, in a sentence."""

_VERDICTS: Final[Mapping[Verdict, str]] = MappingProxyType(
    {
        Verdict.FAIL: "something is wrong",
        Verdict.UNKNOWN: "it could not be checked: neither good nor bad",
        Verdict.WARN: "something deserves attention",
        Verdict.PASS: "what was looked at holds",
        Verdict.SKIP: "it does not apply here, for the reason given",
    }
)
_PLAYED: Final[Mapping[TargetKind, str]] = MappingProxyType(
    {
        TargetKind.BACKEND: "the checkout",
        TargetKind.FIXED: "the component that replaces it",
        TargetKind.LEGACY: "the historical code",
    }
)
_TARGETS: Final[Mapping[TargetKind, str]] = MappingProxyType(
    {
        TargetKind.LEGACY: "the historical code, rebuilt: it must show the fault, or the experiment proves nothing",
        TargetKind.FIXED: "the component that replaces it",
        TargetKind.BACKEND: "the checkout's own modules, run as they are",
    }
)

_OUTCOMES: Final[Mapping[Outcome, str]] = MappingProxyType(
    {
        Outcome.REPRODUCED: "the fault showed on this target",
        Outcome.ABSENT: "the same scenario was played, and the fault did not show",
        Outcome.UNKNOWN: "the scenario was played, and does not decide it on this target",
    }
)


def subject(issue: int) -> str:
    """Return an issue by its number and what it is about; 0 is what belongs to no single one."""
    if not issue:
        return "No single issue"
    named = SUBSYSTEMS.get(issue)
    return f"Issue {issue}: {named}" if named else f"Issue {issue}"


def done(report: Report) -> str:
    """Return what the command did, in a sentence; empty where its name says it."""
    kinds = {one.target.kind for one in report.observations}
    if kinds and report.command not in _COMMANDS:
        played = [name for kind, name in _PLAYED.items() if kind in kinds]
        return f"Catalogued faults were brought about on purpose: the same scenarios were played to {_listed(played)}."
    return _COMMANDS.get(report.command, "")


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def shown(report: Report) -> str:
    """Return for how many rules the fault showed, by the kind of target; empty without an experiment."""
    tried: dict[TargetKind, set[str]] = {}
    faulty: dict[TargetKind, set[str]] = {}
    for seen in report.observations:
        tried.setdefault(seen.target.kind, set()).add(seen.rule.code)
        if seen.outcome is Outcome.REPRODUCED:
            faulty.setdefault(seen.target.kind, set()).add(seen.rule.code)
    told = [
        f"{len(faulty[kind]) if kind in faulty else 'none'} of {len(tried[kind])} in {name}"
        for kind, name in _PLAYED.items()
        if kind in tried
    ]
    return f"Faults that showed: {', '.join(told)}." if told else ""


def words(report: Report) -> Iterator[tuple[str, str]]:
    """Yield each word that the report uses with its meaning."""
    seen = {result.verdict for result in report.results}
    yield from ((verdict.upper(), meaning) for verdict, meaning in _VERDICTS.items() if verdict in seen)
    kinds = {one.target.kind for one in report.observations}
    for kind, meaning in _TARGETS.items():
        if kind in kinds:
            yield "yours" if kind is TargetKind.BACKEND else str(kind), meaning
    outcomes = {one.outcome for one in report.observations}
    yield from ((str(outcome), meaning) for outcome, meaning in _OUTCOMES.items() if outcome in outcomes)
