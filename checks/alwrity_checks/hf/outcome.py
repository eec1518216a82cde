"""What a generation, or the search for a chain, came to: as the result of a check, and the requests as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.causes import Cause, Scope
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.classify import shown
from alwrity_checks.hf.endpoint_steps import right_commands
from alwrity_checks.hf.findings import consequence, finding_of
from alwrity_checks.hf.generation import Attempt, Generation, GenerationFailed
from alwrity_checks.hf.probe_findings import answer_findings, structure_findings
from alwrity_checks.hf.rules import rule_of
from alwrity_checks.model import CheckResult, Evidence, Table, Verdict
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.hf.causes import Classification
    from alwrity_checks.hf.prober import ChainNotVerified
    from alwrity_checks.model import Finding

__all__ = ["attempts_table", "chain_result", "generation_result"]

_NAME: Final = "generation"
_TITLE: Final = "the answer is valid against the schema"
_ISSUE: Final = 2
_LONGEST_NAME: Final = 40
"""Of a provider, as a server names itself."""


def generation_result(came: Generation | GenerationFailed, seconds: float) -> CheckResult:
    """Return the result of a generation that took `seconds`; the value, redacted, is evidence of a success.

    Without a valid value the verdict is `fail`, however light the fault of each request weighs.
    """
    duration = timedelta(seconds=seconds)
    if isinstance(came, Generation):
        value = Evidence("value", scrub(json.dumps(came.value, ensure_ascii=False)))
        seen = f"{came.model} at {came.provider or 'a provider that was not named'}, {came.mode}"
        reason = f"{seen}, {_requests(came.attempts)}"
        return CheckResult(_NAME, _TITLE, _ISSUE, Verdict.PASS, reason=reason, evidence=(value,), duration=duration)
    found = came.classification
    if found.cause is Cause.NOT_RECOGNISED:
        return _unknown(found, came.attempts, duration)
    commands = () if found.scope is Scope.REQUEST else ("alwrity-doctor hf probe",)
    one = finding_of(found, evidence=(Evidence("requests", str(len(came.attempts))),), commands=commands)
    reason = f"no valid answer after {_requests(came.attempts)}"
    return CheckResult(_NAME, _TITLE, _ISSUE, Verdict.FAIL, (one,), reason=reason, duration=duration)


def chain_result(
    came: Chain | ChainNotVerified, catalogue: Catalogue | None = None, *, written: Path | None = None
) -> CheckResult:
    """Return the result of the search for a chain: who honours a schema, or why nobody does.

    `written` is the file that holds the chain now.
    """
    name, title = "chain", "deployments that honour a schema make a chain"
    if isinstance(came, Chain):
        providers = len({link.deployment.provider for link in came.links})
        deployments = f"{len(came.links)} deployment{'s' * (len(came.links) != 1)}"
        spread = f"{providers} provider{'s' * (providers != 1)}"
        until = "" if came.lapses_at is None else f", until {came.lapses_at:%Y-%m-%d %H:%M} UTC"
        kept = "" if written is None else f"; written to {written}"
        reason = f"{deployments} at {spread}{until}{kept}"
        return CheckResult(name, title, _ISSUE, Verdict.PASS, reason=reason)
    findings: tuple[Finding, ...] = ()
    if came.classification is not None:
        commands = () if came.right is None else right_commands(came.right, "hf chain")
        findings = (finding_of(came.classification, commands=commands),)
    elif came.result is not None:
        findings = (*answer_findings(came.result, {}, catalogue), *structure_findings(came.result, catalogue))
    return CheckResult(
        name,
        title,
        _ISSUE,
        Verdict.FAIL,
        findings,
        reason=f"{came.diagnosis}; what was written before is left as it is",
    )


def attempts_table(attempts: Sequence[Attempt]) -> Table:
    """Return a row for each request, in the order in which they were made."""
    rows = tuple(
        (
            str(one.deployment),
            str(one.mode),
            "valid" if one.classification.cause is Cause.OK else str(one.classification.cause),
            "none" if one.status is None else str(one.status),
            f"{one.seconds:.2f} s",
            shown(one.provider or "", _LONGEST_NAME),
            "" if one.classification.cause is Cause.OK else one.classification.message,
        )
        for one in attempts
    )
    return Table("Requests", ("deployment", "asked by", "came to", "status", "took", "served by", "seen"), rows)


def _requests(attempts: Sequence[Attempt]) -> str:
    return "1 request" if len(attempts) == 1 else f"{len(attempts)} requests"


def _unknown(found: Classification, attempts: Sequence[Attempt], duration: timedelta) -> CheckResult:
    return CheckResult(
        _NAME,
        _TITLE,
        _ISSUE,
        Verdict.UNKNOWN,
        reason=f"no valid answer after {_requests(attempts)}, and what came is not recognised: {found.message}",
        remedy=rule_of(found.cause).remedy,
        evidence=(Evidence("reason", str(found.cause)), *consequence(found)),
        duration=duration,
    )
