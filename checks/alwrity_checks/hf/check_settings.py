"""What the settings say by themselves, without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from alwrity_checks.errors import CannotCheck
from alwrity_checks.hf.base_url import lint
from alwrity_checks.hf.findings import finding
from alwrity_checks.hf.reasons import ConfigurationReason as Reason
from alwrity_checks.hf.router import BASE_URL_NAMES, TOKEN_NAMES
from alwrity_checks.hf.token_form import token_form
from alwrity_checks.model import Evidence, Finding, Severity

if TYPE_CHECKING:
    from alwrity_checks.settings import Settings

__all__ = ["base_url_findings", "token_findings"]


def base_url_findings(settings: Settings, *, offline: bool) -> Sequence[Finding]:
    """Return what is wrong with the base URL; nothing where none is set, because the default is the router's own.

    Of another host than Hugging Face's the text alone does not tell: with a network the check of the endpoint asks.
    Raises CannotCheck where there is no network.
    """
    certain: list[Finding] = []
    doubtful: list[Finding] = []
    for setting in settings.every(*BASE_URL_NAMES):
        if not setting.value.reveal().strip():
            continue  # as good as not set
        for fault in lint(setting.value.reveal()):
            evidence = (Evidence("base URL", setting.shown), Evidence("right", fault.right))
            command = f"export {setting.name}={quote(fault.right)}"
            found = finding(fault.reason, f"{setting.name}: {fault.message}", setting, evidence, (command,))
            sure = fault.fatal or found.rule.severity is not Severity.ERROR
            (certain if sure else doubtful).append(found)
    if doubtful and offline:
        raise CannotCheck(doubtful[0].message, "run it without --offline: the answer decides", (*certain, *doubtful))
    return tuple(certain)


def token_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the form of the token, in every variable that holds one."""
    backends, *_ = TOKEN_NAMES
    found = settings.every(*TOKEN_NAMES)
    if found and found[0].name != backends and found[0].value.reveal().strip():
        message = f"only {found[0].name} is set; the backend reads {backends}"
        yield finding(Reason.TOKEN_MISSING, message, found[0])
    for setting in found:
        form = token_form(setting.value.reveal())
        if form.reason is not None:
            kind = Evidence("kind", str(form.kind))
            yield finding(form.reason, f"{setting.name}: {form.message}", setting, (kind,))
