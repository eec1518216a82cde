"""Checks and rules to try the gate with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from alwrity_checks.model import Context, Finding, Requirement, RequirementKind, Rule, Severity
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from alwrity_checks.model import Event, Location

GENEROUS = timedelta(seconds=30)


def rule(code: str = "TEST001", severity: Severity = Severity.ERROR, issue: int = 1) -> Rule:
    """Return a rule with every text filled in."""
    return Rule(
        code=code,
        title=f"{code} holds",
        severity=severity,
        issue=issue,
        explanation=f"why {code}",
        remedy=f"mend {code}",
        reproduction="alwrity-doctor reproduce 1",
        validation="alwrity-doctor gate",
    )


def finding(code: str = "TEST001", severity: Severity = Severity.ERROR, location: Location | None = None) -> Finding:
    """Return a finding of such a rule."""
    return Finding(rule(code, severity), f"{code} does not hold", location=location)


@dataclass(frozen=True)
class StubCheck:
    """A check that does what it is given."""

    name: str
    act: Callable[[Context], Awaitable[Sequence[Finding]]] | None = None
    findings: tuple[Finding, ...] = ()
    requires: frozenset[Requirement] = frozenset()
    timeout: timedelta = GENEROUS
    issue: int = 1

    @property
    def title(self) -> str:
        """The healthy condition."""
        return f"{self.name} is well"

    async def run(self, context: Context) -> Sequence[Finding]:
        """Act, or return the findings."""
        return await self.act(context) if self.act else self.findings


class Record:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Keep `event`."""
        self.events.append(event)

    def kinds(self) -> list[tuple[str, str]]:
        """Return (kind, name) of every event."""
        return [(event.kind, event.name) for event in self.events]


def after(*names: str) -> frozenset[Requirement]:
    """Return the requirement of other checks."""
    return frozenset(Requirement(RequirementKind.CHECK, (name,)) for name in names)


def context(*, offline: bool = False, backend: str | None = None, **settings: str) -> Context:
    """Return a context with no settings but those given."""
    return Context(Settings.load(environment={}, flags=settings), offline=offline, backend=backend)
