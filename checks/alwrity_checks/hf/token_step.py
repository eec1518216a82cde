"""The third step of a diagnosis: what the token is, told from its form, and whether it may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.findings import finding
from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.hf.router import TOKEN_NAMES
from alwrity_checks.hf.token_form import token_form
from alwrity_checks.model import Evidence, Verdict
from alwrity_checks.redaction import Secret

if TYPE_CHECKING:
    from alwrity_checks.hf.endpoint import Endpoint
    from alwrity_checks.hf.steps import Diagnosis
    from alwrity_checks.settings import Setting, Settings

__all__ = ["token_step"]

_NO_KEY: Final = "none"
"""What is sent to a server that wants no key; the openai client does not do without one."""


def token_step(
    diagnosis: Diagnosis, settings: Settings, held: Secret | None, endpoint: Endpoint | None, stray: Setting | None
) -> Secret | None:
    """Judge the token that is `held`; return the one to ask with, None where there is none to be sent.

    `stray` is a setting that would send it to where it was not meant to go. A server that serves its models itself has
    tokens of its own, or none.
    """
    source = next((one for one in settings.every(*TOKEN_NAMES) if one.value.reveal().strip()), None)
    where = None if source is None else source.location
    catalogue = None if endpoint is None else endpoint.catalogue
    if stray is not None:
        seen = f"{stray.name} comes from {stray.location}, the token from {where}: it is not sent there"
        remedy = "set both in one place, or confirm the base URL with --base-url"
        diagnosis.add("token", verdict=Verdict.UNKNOWN, seen=seen, remedy=remedy)
        return None
    if catalogue is not None and not catalogue.names_providers:
        seen = "this server serves its models itself: what it wants for a token is its own affair"
        diagnosis.skip("token", seen=seen)
        return held or Secret(_NO_KEY, scrubbed=False)
    if held is None or source is None:
        remedy = f"make one at https://huggingface.co/settings/tokens and set {TOKEN_NAMES[0]}, or pass --token-file F"
        diagnosis.skip("token", seen="no token is set", remedy=remedy)
        return None
    form = token_form(held.reveal())
    faults = []
    if source.name != TOKEN_NAMES[0]:
        message = f"only {source.name} is set; the backend reads {TOKEN_NAMES[0]}"
        faults.append(finding(Reason.TOKEN_MISSING, message, source))
    if form.reason is not None:
        facts = (Evidence("kind", str(form.kind)), Evidence("what to do", form.remedy))
        faults.append(finding(form.reason, f"{source.name}: {form.message}", source, facts))
    diagnosis.add("token", tuple(faults), seen=f"{form.token!r} from {where}")
    return form.token if form.usable else None
