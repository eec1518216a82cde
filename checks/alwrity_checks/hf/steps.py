"""A diagnosis under way: its steps with their verdicts, and the tables and the chain that came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.model import CheckResult, Evidence, Finding, Table, Verdict

if TYPE_CHECKING:
    from alwrity_checks.hf.chain import Chain
    from alwrity_checks.pictures import Picture

__all__ = ["TITLES", "Diagnosis"]

_ISSUE: Final = 2
TITLES: Final = {
    "base-url": "the base URL is one of the router's",
    "endpoint": "a router stands behind the base URL",
    "token": "the token has the form of a Hugging Face token",
    "account": "the token is valid and may call models",
    "models": "the catalogue lists the models that are asked for",
    "deployments": "every deployment answers",
    "structure": "the structure that is asked for is honoured",
}
"""Step -> the healthy condition, in the order in which one explains the next."""


@dataclass(slots=True)
class Diagnosis:
    """What has been found so far: whoever interrupts it still has that."""

    results: list[CheckResult] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    chain: Chain | None = None
    """The recommended one; None if nothing answered."""
    _since: float = field(default_factory=time.perf_counter)

    def add(  # noqa: PLR0913 - the fields of a result
        self,
        step: str,
        findings: tuple[Finding, ...] = (),
        *,
        seen: str = "",
        evidence: tuple[Evidence, ...] = (),
        verdict: Verdict | None = None,
        because: str = "",
        remedy: str = "",
        took: float | None = None,
    ) -> None:
        """Add the result of a step; without a `verdict` it is that of the findings.

        It `took` so many seconds, or those since the step before.
        """
        now = time.perf_counter()
        self.results.append(
            CheckResult(
                name=f"probe.{step}",
                title=TITLES[step],
                issue=_ISSUE,
                verdict=verdict or Verdict.of(findings),
                findings=findings,
                reason=seen,
                remedy=remedy,
                because=because and f"probe.{because}",
                evidence=evidence,
                duration=timedelta(seconds=now - self._since if took is None else took),
            )
        )
        self._since = time.perf_counter()

    def skip(self, *steps: str, seen: str = "not reached", because: str = "", remedy: str = "") -> None:
        """Add steps that do not apply: for a reason, or `because` of another step."""
        for step in steps:
            self.add(step, verdict=Verdict.SKIP, seen=seen, because=because, remedy=remedy, took=0.0)

    def verdict(self, step: str) -> Verdict | None:
        """Return the verdict of a step; None if it has none yet."""
        return next((one.verdict for one in self.results if one.name == f"probe.{step}"), None)

    def overrule(
        self, step: str, seen: str, findings: tuple[Finding, ...] = (), *, verdict: Verdict | None = None
    ) -> None:
        """Correct a step after later ones have shown better: these `findings` are left, and `seen` is why."""
        for position, one in enumerate(self.results):
            if one.name == f"probe.{step}":
                judged = verdict or Verdict.of(findings)
                self.results[position] = replace(one, findings=findings, verdict=judged, reason=seen, remedy="")
