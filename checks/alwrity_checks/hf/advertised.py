"""What the catalogue says against a deployment, before anybody asks it for a completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.deployment import PROVIDERS, REMOVED_PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alwrity_checks.hf.catalogue import Catalogue
    from alwrity_checks.hf.deployment import Deployment

__all__ = ["Objection", "id_without_suffix", "objection"]

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a deployment is not expected to answer."""

    cause: Cause
    message: str
    suggestions: tuple[str, ...] = ()
    """Deployments that the catalogue lists as live, the likeliest first."""


def objection(catalogue: Catalogue, deployment: Deployment) -> Objection | None:
    """Return what speaks against `deployment`; None if nothing does.

    The router probes every six hours, so that a provider can be back, or gone, before the catalogue says so.
    """
    if deployment.suffix and str(deployment) in catalogue.models:
        return None  # a server that lists `model:suffix` as an id of its own
    if deployment.suffix in REMOVED_PROVIDERS:
        message = f"{deployment}: the provider {deployment.suffix} was removed on 2026-07-01"
        return Objection(Cause.SUFFIX_INVALID, message, _live(catalogue, deployment.model))
    if deployment.model not in catalogue.models:
        return _unlisted(catalogue, deployment)
    if not catalogue.names_providers:
        return None
    return _of_pinned(catalogue, deployment) if deployment.provider else _of_policy(catalogue, deployment)


def id_without_suffix(catalogue: Catalogue, deployment: Deployment) -> str | None:
    """Return the id that a server which serves its models itself lists in place of `deployment`; else None.

    Such a server names no providers. It may pass over a suffix, or take it for a part of the name and fail.
    """
    if catalogue.names_providers or not deployment.suffix or str(deployment) in catalogue.models:
        return None
    return deployment.model if deployment.model in catalogue.models else None


def _unlisted(catalogue: Catalogue, deployment: Deployment) -> Objection:
    suggestions = catalogue.suggestions(deployment.model)
    if suggestions and suggestions[0].lower() == deployment.model.lower():
        message = f"{deployment.model} is not listed; {suggestions[0]} is, which differs in capital letters alone"
        return Objection(Cause.MODEL_NOT_FOUND, message, suggestions)
    message = f"{deployment.model} is not listed: there is no such model, or nobody serves it for chat"
    # The catalogue cannot tell the two apart. The router's own word would be model_not_found or model_not_supported.
    cause = Cause.MODEL_NOT_SUPPORTED if catalogue.names_providers else Cause.MODEL_NOT_FOUND
    return Objection(cause, message, suggestions)


def _of_pinned(catalogue: Catalogue, deployment: Deployment) -> Objection | None:
    offer = catalogue.offer(deployment)
    if offer is not None and offer.live:
        return None
    live = _live(catalogue, deployment.model)
    if offer is not None:
        said = f"status {offer.status}" if offer.status else "no status"
        return Objection(Cause.DEPLOYMENT_MISSING, f"{deployment} is listed with {said}, not as live", live)
    served = _joined(one.provider for one in catalogue.offers(deployment.model)) or "nobody"
    if not _is_provider(catalogue, deployment.suffix):
        message = f"{deployment}: {deployment.suffix} is neither a provider nor a policy"
        return Objection(Cause.SUFFIX_INVALID, message, live)
    message = f"{deployment.suffix} does not serve {deployment.model}; it is served by {served}"
    return Objection(Cause.DEPLOYMENT_MISSING, message, live)


def _of_policy(catalogue: Catalogue, deployment: Deployment) -> Objection | None:
    if catalogue.live(deployment.model):
        return None
    message = f"{deployment.model} is listed, and none of its providers is live"
    return Objection(Cause.MODEL_NOT_SUPPORTED, message)


def _is_provider(catalogue: Catalogue, name: str) -> bool:
    return name in PROVIDERS or any(one.provider == name for offers in catalogue.models.values() for one in offers)


def _live(catalogue: Catalogue, model: str) -> tuple[str, ...]:
    return tuple(f"{model}:{offer.provider}" for offer in catalogue.live(model)[:_SHOWN])


def _joined(names: Iterable[str]) -> str:
    found = tuple(names)
    return ", ".join((*found[:_SHOWN], "…") if len(found) > _SHOWN else found)
