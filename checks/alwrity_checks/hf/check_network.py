"""What the router and the Hub say: whether a router answers, whose the token is, which models are listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from alwrity_checks.errors import CannotCheck, ConfigurationError
from alwrity_checks.hf.account import PERMISSION, examine_account
from alwrity_checks.hf.advertised import objection
from alwrity_checks.hf.answer import Answer
from alwrity_checks.hf.causes import Cause, Permanence, Scope
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.endpoint import Endpoint, examine_endpoint
from alwrity_checks.hf.findings import finding, finding_of
from alwrity_checks.hf.hub import ENDPOINT_NAME, hub_url, stray_destination
from alwrity_checks.hf.named_models import NamedModel, models_named
from alwrity_checks.hf.router import TOKEN_NAMES, Router
from alwrity_checks.hf.token_form import token_form
from alwrity_checks.model import Evidence, Finding, Location, LocationKind

if TYPE_CHECKING:
    from alwrity_checks.hf.account import Account
    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.settings import Settings

__all__ = ["account_faults", "account_findings", "endpoint_findings", "model_faults", "models_findings"]


async def endpoint_findings(settings: Settings) -> Sequence[Finding]:
    """Ask the base URL for its models."""
    found = await _examined(settings)
    if found.fault is None:
        return ()
    commands = () if found.right is None else (f"export HF_ROUTER_BASE_URL={quote(found.right)}",)
    fault = finding_of(found.fault, Location(LocationKind.URL, found.base_url), commands=commands)
    if found.fault.permanence is Permanence.PERMANENT:
        return (fault,)
    remedy = f"use {found.right}" if found.right else "alwrity-doctor hf probe, with a token: a completion settles it"
    raise CannotCheck(f"{found.base_url}/models proves nothing: {found.fault.message}", remedy, (fault,))


async def account_findings(settings: Settings) -> Sequence[Finding]:
    """Ask the Hub whose the token is."""
    stray = stray_destination(settings)
    if stray is not None:
        raise CannotCheck(
            f"{stray.name} comes from {stray.location}, the token from elsewhere: it is not sent there",
            f"set both in one place, or unset {stray.name}",
        )
    router = Router.from_settings(settings)
    hub = hub_url(router.base_url, settings.text(ENDPOINT_NAME))
    if router.token is not None:
        router.token = token_form(router.token.reveal()).token  # what is wrapped around it is another check's finding
    found = await examine_account(router, hub=hub)
    where = next(one for one in settings.every(*TOKEN_NAMES) if one.value.reveal().strip()).location
    if isinstance(found, Answer):
        return (_refusal(found, hub, where),)
    return tuple(account_faults(found, where))


async def models_findings(settings: Settings) -> Sequence[Finding]:
    """Look for the models that the backend asks for in the router's catalogue."""
    found = await _examined(settings)
    if found.catalogue is None:
        said = found.fault.message if found.fault else ""
        raise CannotCheck(f"there is no catalogue to look in: {said}", "see the check hf.endpoint")
    where = f"{found.base_url}/models"
    return tuple(one for named in models_named(settings) for one in model_faults(found.catalogue, named, where))


async def _examined(settings: Settings) -> Endpoint:
    router = Router.from_settings(settings)
    if stray_destination(settings) is not None:
        router.token = None
    return await examine_endpoint(router)


def _refusal(answer: Answer, hub: str, where: Location) -> Finding:
    """Return what an answer that names nobody says of the token. Raises CannotCheck where it says nothing."""
    found = classify(answer)
    if found.scope is Scope.ACCOUNT and found.permanence is Permanence.PERMANENT:
        return finding_of(found, where)
    raise CannotCheck(
        f"{hub} did not say whose the token is: {found.message}",
        "try again; a Hub elsewhere is named with HF_ENDPOINT",
        (finding_of(found, Location(LocationKind.URL, hub)),) if found.cause is not Cause.OK else (),
    )


def account_faults(account: Account, where: Location) -> Iterator[Finding]:
    """Yield why calls with this account's token will be refused. Raises CannotCheck where the Hub does not say."""
    facts = (Evidence("account", f"{account.name} ({account.kind})"), Evidence("role", account.role or "unknown"))
    if account.may_infer is None:
        raise CannotCheck(
            f"the Hub does not say whether the token of {account.name} may call models",
            "alwrity-doctor hf probe: a completion settles it",
        )
    if not account.may_infer:
        message = f"the token of {account.name} lacks the permission {PERMISSION}"
        yield finding(Cause.PERMISSION_MISSING, message, where, facts)
    if account.credits_gone:
        until = f" until {account.period_end:%Y-%m-%d}" if account.period_end else ""
        message = f"{account.name} has used up the included credits{until}, and has no way to pay"
        yield finding(Cause.CREDITS_GONE, message, where, facts)


def model_faults(catalogue: Catalogue, named: NamedModel, listed_at: str) -> Iterator[Finding]:
    """Yield what the catalogue, which was had from `listed_at`, says against a deployment."""
    facts: tuple[Evidence, ...] = (Evidence("named in", str(named.where)), Evidence("catalogue", listed_at))
    where = named.where if isinstance(named.where, Location) else None
    try:
        deployment = Deployment.parse(named.deployment)
    except ConfigurationError as error:
        yield finding(Cause.MODEL_NOT_FOUND, error.diagnosis, where, facts)
        return
    against = objection(catalogue, deployment)
    if against is not None:
        if against.suggestions:
            facts = (*facts, Evidence("listed instead", ", ".join(against.suggestions)))
        yield finding(against.cause, against.message, where, facts)
