"""The words of this house as types. Standard library only: every room and every renderer speaks in these.

Rule        one thing that can be wrong
Finding     a rule seen broken
Check       examines this machine, a live service, a log or a checkout; yields findings
Experiment  puts a target through a scenario and says of each rule whether its fault is reproduced, absent or unknown
Report      what a run came to, and the one exit code
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

from alwrity_checks.exit_code import ExitCode
from alwrity_checks.verdict import Severity, Verdict

if TYPE_CHECKING:
    from alwrity_checks.pictures import Picture
    from alwrity_checks.settings import Settings

__all__ = [
    "Check",
    "CheckResult",
    "Context",
    "Event",
    "Evidence",
    "ExitCode",
    "Experiment",
    "Finding",
    "Location",
    "LocationKind",
    "Observation",
    "Observer",
    "Outcome",
    "Report",
    "Requirement",
    "RequirementKind",
    "Rule",
    "Severity",
    "SuppressedFinding",
    "Table",
    "Target",
    "TargetKind",
    "Verdict",
]

SCHEMA = "alwrity-doctor/report/1"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong."""

    code: str
    """Room and number, `AUTH003`; never reused."""
    title: str
    """The healthy condition as a statement: "the issuer is pinned"."""
    severity: Severity
    issue: int
    """The entry of `tracker.md` it belongs to, 1 to 6."""
    explanation: str
    """What it means when the condition does not hold, and where that is known from."""
    remedy: str
    """What to do, in one or two sentences."""
    reproduction: str
    """The command that shows the fault, or how to bring it about."""
    validation: str
    """The command that shows that the fault is gone."""
    precedence: int = 100
    """Of several findings in one report the lowest is named as the likely cause: causes are below their effects."""


class LocationKind(StrEnum):
    """What a location's name denotes."""

    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"
    URL = "url"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a finding was made."""

    kind: LocationKind
    name: str
    """A path, a variable's or flag's name, a URL without credentials, or a distribution's name."""
    line: int | None = None
    """1-based; only for files."""

    def __str__(self) -> str:
        if self.kind is LocationKind.ENVIRONMENT:
            return f"${self.name}"
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact behind a finding, redacted before it gets here."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, seen broken."""

    rule: Rule
    message: str
    """The observed fact, in one sentence."""
    evidence: tuple[Evidence, ...] = ()
    location: Location | None = None
    """None where there is none (SARIF then gets no fake one)."""
    commands: tuple[str, ...] = ()
    """Commands of the remedy, ready to be copied; none holds a secret."""
    identity: str = ""
    """What it is about, in words that stay when lines move and numbers change; where it is empty, the message is."""


@dataclass(frozen=True, slots=True)
class SuppressedFinding:
    """A finding that somebody has accepted, for a reason and until a date."""

    finding: Finding
    reason: str
    expires: date


class RequirementKind(StrEnum):
    """The kinds of fact a check can depend on."""

    NETWORK = "network"
    CREDENTIAL = "credential"
    SETTING = "setting"
    EXTRA = "extra"
    CHECKOUT = "checkout"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A fact that must hold for a check to apply."""

    kind: RequirementKind
    names: tuple[str, ...] = ()
    """A credential's or setting's alternative names (one suffices), the extra's or the other check's name."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a check may look at."""

    settings: Settings
    offline: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    backend: str | None = None
    """The root of the user's checkout, where one was named."""
    since: str | None = None
    """The revision from which on the checkout's changes count; None if everything does."""


class Check(Protocol):
    """Examines one subject; yields findings, or raises `CannotCheck`."""

    @property
    def name(self) -> str:
        """`room.subject`, unique."""

    @property
    def title(self) -> str:
        """The healthy condition, as a statement."""

    @property
    def issue(self) -> int:
        """The entry of the tracker it belongs to."""

    @property
    def requires(self) -> frozenset[Requirement]:
        """Facts, not order."""

    @property
    def timeout(self) -> timedelta:
        """After this the check is `unknown`."""

    async def run(self, context: Context) -> Sequence[Finding]:
        """Examine; an empty sequence means that every rule looked at holds."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check (or one step of a diagnosis) came to."""

    name: str
    title: str
    issue: int
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[SuppressedFinding, ...] = ()
    reason: str = ""
    """Why the verdict is `skip` or `unknown`; otherwise what was seen, in a few words."""
    remedy: str = ""
    """For `skip` and `unknown`: the command or setting that changes it."""
    because: str = ""
    """For a `skip` that follows from another check: that check's name."""
    evidence: tuple[Evidence, ...] = ()
    duration: timedelta = timedelta()


class TargetKind(StrEnum):
    """What an experiment is done to."""

    LEGACY = "legacy"
    """The fault, modelled faithfully."""
    FIXED = "fixed"
    """Our component."""
    BACKEND = "backend"
    """The user's real checkout."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target of an experiment; legacy code has several historical states, which `variant` tells apart."""

    kind: TargetKind
    variant: str = ""
    description: str = ""

    def __str__(self) -> str:
        # Whoever reads a table is the one whose backend it is.
        name = "yours" if self.kind is TargetKind.BACKEND else self.kind
        return f"{name} {self.variant}".rstrip()


class Outcome(StrEnum):
    """What an experiment says of a rule."""

    REPRODUCED = "reproduced"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """What one scenario showed of one rule on one target."""

    rule: Rule
    target: Target
    scenario: str
    """What was done, in a few words."""
    outcome: Outcome
    message: str
    """What was seen."""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a run, for whoever shows progress."""

    kind: str
    """`started`, `progress`, `finished` or `observed`."""
    name: str
    """The check's or experiment's name."""
    message: str = ""
    result: CheckResult | None = None
    observation: Observation | None = None


class Observer(Protocol):
    """Hears of events; must return quickly and never raise."""

    def notify(self, event: Event) -> None:
        """Take note of `event`."""


T_contra = TypeVar("T_contra", contravariant=True)


class Experiment(Protocol[T_contra]):
    """A scenario that legacy, fixed and backend are all put through."""

    @property
    def issue(self) -> int:
        """The entry of the tracker it reproduces."""

    async def run(self, target: T_contra, observer: Observer) -> Sequence[Observation]:
        """Put `target` through every scenario."""


@dataclass(frozen=True, slots=True)
class Table:
    """Measurements side by side, for a person: no verdict is drawn from them."""

    title: str
    columns: tuple[str, ...]
    """The heads; the first column names the row."""
    rows: tuple[tuple[str, ...], ...] = ()
    """A cell for each column, redacted before it gets here; empty where there is nothing to say."""

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a table has at least one column")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(self.columns)} columns")


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    command: str
    """The command line's subcommand, without arguments (they may hold secrets)."""
    version: str
    """Of alwrity-doctor."""
    started: datetime
    duration: timedelta
    results: tuple[CheckResult, ...] = ()
    observations: tuple[Observation, ...] = ()
    fail_on: Severity = Severity.ERROR
    """Findings of this severity and above make the exit code 1."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions and facts of the machine that bear on the verdict."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings that were looked at: name -> what is effective, redacted, and where it came from."""
    tables: tuple[Table, ...] = ()
    summary: str = ""
    """What the run came to, in one sentence; empty where counting the checks says it."""
    pictures: tuple[Picture, ...] = ()
    """What is seen sooner than read, as data."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding that counts, the likeliest cause first; what hindered a check comes after what one found."""
        weight = list(Severity)
        found = [
            ((weight.index(finding.rule.severity), result.verdict is Verdict.UNKNOWN, finding.rule.precedence), finding)
            for result in self.results
            for finding in result.findings
        ]
        return tuple(finding for _, finding in sorted(found, key=lambda one: one[0]))

    @property
    def suppressed(self) -> tuple[SuppressedFinding, ...]:
        """Every finding that somebody has accepted for now."""
        return tuple(one for result in self.results for one in result.suppressed)

    @property
    def first_cause(self) -> Finding | None:
        """The finding the others most likely follow from; None if nothing is wrong."""
        return next((f for f in self.findings if f.rule.severity is not Severity.NOTE), None)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict; `skip` only if nothing was checked."""
        return Verdict.worst(result.verdict for result in self.results)

    @property
    def exit_code(self) -> ExitCode:
        """The one exit code, the same whatever the format.

        A run in which nothing was checked is not healthy: it ends like one in which something could not be checked.
        """
        seen = {result.verdict for result in self.results}
        if Verdict.FAIL in seen or (Verdict.WARN in seen and self.fail_on is not Severity.ERROR):
            return ExitCode.FINDING
        if Verdict.UNKNOWN in seen or not seen - {Verdict.SKIP}:
            return ExitCode.UNKNOWN
        return ExitCode.HEALTHY
