"""The last two steps of a diagnosis: which deployments answer, and whether a schema is honoured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from alwrity_checks.hf.causes import Cause, Scope
from alwrity_checks.hf.classify import shown
from alwrity_checks.hf.endpoint_steps import right_commands
from alwrity_checks.hf.findings import finding_of
from alwrity_checks.hf.probe_findings import answer_findings, structure_findings
from alwrity_checks.model import Evidence, Verdict

if TYPE_CHECKING:
    from alwrity_checks.hf.advertised import Objection
    from alwrity_checks.hf.causes import Classification
    from alwrity_checks.hf.deployment import Deployment
    from alwrity_checks.hf.endpoint import Endpoint
    from alwrity_checks.hf.probe_result import Cell, ProbeResult
    from alwrity_checks.hf.steps import Diagnosis
    from alwrity_checks.model import Finding

__all__ = ["deployments_step", "structure_step"]


def deployments_step(
    diagnosis: Diagnosis,
    endpoint: Endpoint,
    result: ProbeResult,
    objections: Mapping[Deployment, Objection],
    malformed: tuple[Finding, ...],
) -> None:
    """Judge who answers plain text; `malformed` are names that nobody could be asked for."""
    if result.stopped is not None:
        _stopped(diagnosis, endpoint, result, result.stopped)
        return
    known = {one.message for step in diagnosis.results for one in step.findings}
    findings = (
        *answer_findings(result, objections, endpoint.catalogue),
        *(one for one in malformed if one.message not in known),
    )
    plain = [cell for cell in result.cells if cell.mode is None]
    alive, unasked = sum(cell.ok for cell in plain), [cell for cell in plain if cell.skipped]
    cost = "" if result.cost is None else f", {result.cost:.4f} USD"
    seen = f"{alive} of {len(plain)}; {_requests(result)} in {result.seconds:.1f} s{cost}"
    if unasked:
        seen = f"{seen}; {len(unasked)} not asked: {unasked[0].skipped}"
    verdict = _verdict(findings, plain, unasked)
    remedy = (
        "see the table; ask for fewer at once, or raise the limit" if verdict is Verdict.UNKNOWN and unasked else ""
    )
    diagnosis.add("deployments", findings, seen=seen, verdict=verdict, remedy=remedy)


def structure_step(diagnosis: Diagnosis, endpoint: Endpoint, result: ProbeResult) -> None:
    """Judge what became of the structure that was asked for."""
    alive = {cell.deployment for cell in result.cells if cell.mode is None and cell.ok}
    cells = [cell for cell in result.cells if cell.mode is not None]
    asked = [cell for cell in cells if cell.classification is not None]
    unasked = [cell for cell in cells if cell.skipped and cell.deployment in alive]
    if result.stopped is not None or not (asked or unasked):
        diagnosis.skip("structure", because="deployments")
        return
    findings = structure_findings(result, endpoint.catalogue)
    deployments = {cell.deployment for cell in asked}
    honoured = {cell.deployment for cell in asked if cell.ok}
    verdict = Verdict.of(findings)
    if verdict is Verdict.PASS and (findings or unasked):
        verdict = (
            Verdict.UNKNOWN
        )  # what is not recognised is a note, and neither that nor a question left out is health
    seen = f"{len(honoured)} of {len(deployments)} deployments honour a mode"
    if unasked:
        seen = f"{seen}; {len(unasked)} questions not asked: {unasked[0].skipped}"
    remedy = "ask for less at once, or raise the limit" if verdict is Verdict.UNKNOWN and unasked else ""
    diagnosis.add("structure", findings, seen=seen, verdict=verdict, remedy=remedy)


def _stopped(diagnosis: Diagnosis, endpoint: Endpoint, result: ProbeResult, because: Classification) -> None:
    """Judge a probe that a fault of the endpoint or the account ended: no deployment is to blame."""
    seen = f"ended after {_requests(result)}: {because.cause}"
    last = next(cell for cell in result.cells if cell.classification is because)
    facts: tuple[Evidence, ...] = (Evidence("asked", f"{last.deployment}, {last.mode or 'plain text'}"),)
    facts += (Evidence("request id", shown(last.request_id)),) if last.request_id else ()
    commands = right_commands(endpoint.right) if because.scope is Scope.ENDPOINT and endpoint.right else ()
    found = finding_of(because, None, facts, commands)
    said = {one.rule.code for step in diagnosis.results for one in step.findings}
    if found.rule.code in said:
        if because.scope is Scope.ENDPOINT and diagnosis.verdict("endpoint") is Verdict.UNKNOWN:
            lists = f"; {endpoint.right} lists models" if endpoint.right else ""
            settled = replace(found, message=f"{found.message}{lists}")
            diagnosis.overrule("endpoint", "a completion has settled it", (settled,), verdict=Verdict.FAIL)
        step = "account" if because.scope is Scope.ACCOUNT else "endpoint"
        diagnosis.skip("deployments", seen=seen, because=step)
        return
    # However light the rule weighs elsewhere: here it ended everything.
    diagnosis.add("deployments", (found,), seen=seen, verdict=Verdict.FAIL)


def _requests(result: ProbeResult) -> str:
    return "1 request" if result.requests == 1 else f"{result.requests} requests"


def _verdict(findings: Sequence[Finding], plain: Sequence[Cell], unasked: Sequence[Cell]) -> Verdict:
    """Return the verdict: no deployment that answers is a failure, one that could not be judged is unknown."""
    verdict = Verdict.of(findings)
    if verdict is Verdict.FAIL:
        return verdict
    causes = {cell.classification.cause for cell in plain if cell.classification is not None and not cell.ok}
    if causes - {Cause.NOT_RECOGNISED} and not any(cell.ok for cell in plain):
        return Verdict.FAIL
    return Verdict.UNKNOWN if unasked or Cause.NOT_RECOGNISED in causes or not plain else verdict
