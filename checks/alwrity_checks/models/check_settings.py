"""What the settings of the local models say by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from alwrity_checks.models.errors import ModelError
from alwrity_checks.models.facts import known_models
from alwrity_checks.models.findings import finding, finding_of
from alwrity_checks.models.hub_settings import checked_endpoint
from alwrity_checks.models.roles import SETTINGS, roles

if TYPE_CHECKING:
    from alwrity_checks.model import Finding
    from alwrity_checks.settings import Settings

__all__ = ["setting_findings"]


def setting_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the settings that choose a model, and with HF_ENDPOINT."""
    try:
        every = roles(settings)
    except ModelError as error:
        named = next((one for one in settings.every(*SETTINGS) if one.name in error.diagnosis), None)
        yield finding_of(error, named.location if named else None)
        return
    for role in every.values():
        for model in role.models:
            known = known_models().get(model)
            if known is not None and not known.commercial_use:
                named = next((one for one in role.settings if model in one.value.reveal()), None)
                told = f"{model}, chosen for the role {role.name}: its licence ({known.licence}) forbids commercial use"
                yield finding("licence-restricted", told, named.location if named else None)
    endpoint = settings.get("HF_ENDPOINT")
    if endpoint is not None and endpoint.value.reveal().strip():
        try:
            checked_endpoint(endpoint.value.reveal().strip())
        except ModelError as error:
            yield finding_of(error, endpoint.location)
