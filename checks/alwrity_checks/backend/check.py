"""What the source of the checkout that `--backend` names betrays, as checks of the gate: one scan for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from alwrity_checks.backend.subjects import SUBJECTS, name_of
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Requirement, RequirementKind, Verdict

if TYPE_CHECKING:
    from alwrity_checks.backend.whole import Outcome
    from alwrity_checks.model import Context, Finding

__all__ = ["CHECKS"]

_CHECKOUT: Final = frozenset({Requirement(RequirementKind.CHECKOUT)})


class _Once:
    """The scan that the checks of one run share; the next run scans again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: object = None
        self._outcome: Outcome | None = None

    def outcome(self, context: Context) -> Outcome:
        """Return what the checkout came to. Blocks while another check scans it. Raises as `scan_checkout` does."""
        from pathlib import Path

        from alwrity_checks.backend.whole import scan_checkout

        asked = context.backend, context.since, context.now
        with self._lock:
            if self._of != asked or self._outcome is None:
                self._outcome = scan_checkout(Path(context.backend or "."), context.since)
                self._of = asked
            return self._outcome


_ONCE: Final = _Once()


@dataclass(frozen=True, slots=True)
class _ScanCheck:
    subject: str
    title: str
    issue: int
    requires: frozenset[Requirement] = _CHECKOUT
    timeout: timedelta = timedelta(seconds=120)

    @property
    def name(self) -> str:
        return name_of(self.subject)

    async def run(self, context: Context) -> Sequence[Finding]:
        """Return the subject's findings. Raises CannotCheck, with them, where something could not be looked into."""
        from alwrity_checks.backend.verdicts import result

        outcome = await asyncio.to_thread(_ONCE.outcome, context)
        told = result(outcome.scan, outcome.found, self.subject)
        if told.verdict is Verdict.UNKNOWN:
            unseen = "; ".join(one.value for one in told.evidence if one.label == "not looked into")
            raise CannotCheck(f"{told.reason}: {unseen}", told.remedy, told.findings)
        return told.findings


CHECKS: Final = tuple(_ScanCheck(subject, title, issue) for subject, (title, issue) in SUBJECTS.items())
"""A check for each subject of a scan."""
