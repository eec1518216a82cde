"""The first two steps of a diagnosis: what the base URL looks like, and what stands behind it."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.classify import shown
from alwrity_checks.hf.findings import finding, finding_of
from alwrity_checks.hf.router import BASE_URL_NAMES
from alwrity_checks.hf.rules import rule_of
from alwrity_checks.model import Evidence, Location, LocationKind, Severity, Verdict
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.hf.base_url import BaseUrlFault
    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.hf.endpoint import Endpoint
    from alwrity_checks.hf.router import Router
    from alwrity_checks.hf.steps import Diagnosis
    from alwrity_checks.model import Finding
    from alwrity_checks.settings import Settings

__all__ = ["base_url_step", "endpoint_step", "right_commands"]

_SETTING: Final = BASE_URL_NAMES[0]


def base_url_step(diagnosis: Diagnosis, settings: Settings, router: Router, endpoint: Endpoint | None) -> None:
    """Judge the form of the base URL; `endpoint`, if it was asked, decides on what the form leaves open."""
    given = next((one for one in settings.every(*BASE_URL_NAMES) if one.value.reveal().strip()), None)
    where = None if given is None else given.location
    seen = f"{scrub(router.base_url)}, {'the default' if given is None else f'from {given.location}'}"
    sure = [one for one in router.problems if one.fatal or not _is_error(one)]
    open_ones = [one for one in router.problems if not one.fatal and _is_error(one)]
    if endpoint is not None and endpoint.fault is None:
        if open_ones:
            seen = f"{seen}; {open_ones[0].message}, and models are listed there all the same"
        open_ones = []
    findings = tuple(_finding(one, router, endpoint, where) for one in (*sure, *open_ones))
    undecided = endpoint is None and open_ones and not any(one.fatal for one in sure)
    diagnosis.add(
        "base-url",
        findings,
        seen=f"{seen}; only its answer decides" if undecided else seen,
        verdict=Verdict.UNKNOWN if undecided else None,
        took=0.0,
        remedy="run it without --offline" if undecided else "",
    )


def endpoint_step(diagnosis: Diagnosis, endpoint: Endpoint | None, took: float = 0.0) -> None:
    """Judge what the base URL answered within `took` seconds.

    What proves nothing is `unknown`, and a completion may still decide it.
    """
    if endpoint is None:
        diagnosis.skip("endpoint", seen="--offline was given", remedy="run it without --offline")
        return
    if endpoint.fault is None:
        diagnosis.add("endpoint", seen=_described(endpoint.catalogue), took=took)
        return
    blamed = diagnosis.verdict("base-url") is Verdict.FAIL
    # The commands stand with the cause, and once.
    commands = () if blamed or endpoint.right is None else right_commands(endpoint.right)
    where = Location(LocationKind.URL, scrub(endpoint.base_url))
    one = finding_of(endpoint.fault, where, _evidence(endpoint), commands)
    if endpoint.unusable:
        requests = "1 request" if endpoint.requests == 1 else f"{endpoint.requests} requests"
        # However light its rule weighs elsewhere: here nothing can work.
        diagnosis.add("endpoint", (one,), seen=f"told after {requests}", verdict=Verdict.FAIL, took=took)
        return
    diagnosis.add(
        "endpoint",
        (one,) * (endpoint.right is not None),
        seen=f"its list of models proves nothing: {endpoint.fault.message}",
        verdict=Verdict.UNKNOWN,
        remedy=f"use {endpoint.right}"
        if endpoint.right
        else "a completion settles it: run it with a token and a model",
        took=took,
    )


def right_commands(right: str, command: str = "hf probe") -> tuple[str, ...]:
    """Return how the right base URL is set, and tried by `command`."""
    return f"export {_SETTING}={quote(right)}", f"alwrity-doctor {command} --base-url {quote(right)}"


def _is_error(fault: BaseUrlFault) -> bool:
    return rule_of(fault.reason).severity is Severity.ERROR


def _finding(fault: BaseUrlFault, router: Router, endpoint: Endpoint | None, where: Location | None) -> Finding:
    right = fault.right
    advice = f"the right one is {right}"
    if endpoint is not None and endpoint.right is not None:
        right = endpoint.right
        advice = f"the right one is {right}, which lists models"
    message = f"{shown(router.base_url)}: {fault.message}; {advice}"
    return finding(fault.reason, message, where, (Evidence("right", right),), right_commands(right))


def _evidence(endpoint: Endpoint) -> tuple[Evidence, ...]:
    answer = endpoint.answer
    facts = {
        "asked": f"GET {endpoint.base_url}/models",
        "status": "none" if answer.status is None else str(answer.status),
        "content type": shown(answer.content_type),
        "body": shown(answer.body.decode("utf-8", "replace"), 120),
        "request id": shown(answer.headers.get("x-request-id", "")),
    }
    return tuple(Evidence(label, scrub(value)) for label, value in facts.items() if value)


def _described(catalogue: Catalogue | None) -> str:
    if catalogue is None:
        return ""
    models = f"{len(catalogue.models)} model{'s' * (len(catalogue.models) != 1)}"
    if not catalogue.names_providers:
        return f"{models}, served by this server itself"
    providers = {offer.provider for offers in catalogue.models.values() for offer in offers}
    return f"{models} of {len(providers)} provider{'s' * (len(providers) != 1)}"
