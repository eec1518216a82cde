"""Whether a model that is missing can be had, and whether a start without a network would wait in vain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Evidence, Location, LocationKind
from alwrity_checks.models.cache import cache_directory, cached_snapshot
from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.findings import finding, finding_of
from alwrity_checks.models.hub import Hub
from alwrity_checks.models.hub_settings import is_offline
from alwrity_checks.models.roles import roles
from alwrity_checks.models.workshop import environment_of

if TYPE_CHECKING:
    from alwrity_checks.model import Finding
    from alwrity_checks.settings import Settings

__all__ = ["hub_findings"]


def hub_findings(settings: Settings, *, offline: bool) -> Iterator[Finding]:
    """Yield why the first model of a role cannot be had. With `offline` the hub is not asked.

    Raises CannotCheck where only the hub could tell. Takes at most 2 s to find that there is no hub.
    """
    environment = environment_of(settings)
    cache = cache_directory(environment)
    missing = [
        role.models[0]
        for role in roles(settings).values()
        if role.models and cached_snapshot(role.models[0], cache) is None
    ]
    with _hub(environment) as hub:
        if hub.offline:
            if missing:
                told = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not on this machine"
                yield finding(
                    "hub-offline", f"{told}, and offline mode forbids to ask the hub", _said_offline(environment)
                )
            return
        if offline:
            if missing:
                raise CannotCheck(f"{missing[0]} is not on this machine, and --offline forbids to ask the hub for it")
            return
        if not hub.reachable():
            told = f"nobody answers at {hub.endpoint} within 2 s"
            if missing:
                yield finding("hub-unreachable", f"{told}, and {missing[0]} is not on this machine", _location())
            else:
                told += "; the models are here, but neither HF_HUB_OFFLINE nor TRANSFORMERS_OFFLINE says so"
                yield finding("hub-retries", told, None, (), ("export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1",))
            return
        for model in missing:
            try:
                listing = hub.listing(model)
            except ModelUnavailable as error:
                yield finding_of(error, Location(LocationKind.URL, f"{hub.endpoint}/{model}"))
            else:
                yield finding(
                    "model-not-here",
                    f"{model} is not on this machine; the hub has it",
                    Location(LocationKind.URL, f"{hub.endpoint}/{model}"),
                    (Evidence("revision", listing.revision),),
                    (f"alwrity-doctor models pull {model}",),
                )


def _hub(environment: dict[str, str]) -> Hub:
    return Hub.from_environment(environment)


def _location() -> Location:
    return Location(LocationKind.ENVIRONMENT, "HF_ENDPOINT")


def _said_offline(environment: Mapping[str, str]) -> Location:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    name = next((one for one in names if is_offline({one: environment.get(one, "")})), names[0])
    return Location(LocationKind.ENVIRONMENT, name)
