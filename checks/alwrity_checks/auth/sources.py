"""Every Clerk setting that is set: what is effective, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.configuration import PUBLISHABLE_KEY_NAMES
from alwrity_checks.auth.middleware import SWITCHES
from alwrity_checks.auth.publishable_key import KeyProblem, PublishableKey, secret_key_class

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting, Settings

__all__ = ["described_settings"]

_OTHERS: Final = (
    "CLERK_JWT_KEY",
    "CLERK_PROXY_URL",
    "CLERK_DOMAIN",
    "CLERK_IS_SATELLITE",
    "CLERK_AUTHORIZED_PARTIES",
    "CLERK_API_URL",
    "REACT_APP_CLERK_JWT_TEMPLATE",
)


def described_settings(settings: Settings) -> dict[str, str]:
    """Return name -> what the setting says, redacted, and its source; what is not set is left out."""
    names = (*PUBLISHABLE_KEY_NAMES, "CLERK_SECRET_KEY", *_OTHERS, *SWITCHES)
    return {one.name: f"{_said(one)}, from {one.location}" for one in settings.every(*names)}


def _said(setting: Setting) -> str:
    text = setting.value.reveal()
    if not text.strip():
        return "empty"
    try:
        if setting.name in PUBLISHABLE_KEY_NAMES:
            key = PublishableKey.parse(text)
            return f"{setting.shown}: {key.frontend_api} ({key.instance_class})"
        if setting.name == "CLERK_SECRET_KEY":
            return f"{setting.shown} ({secret_key_class(text)})"
    except KeyProblem as problem:
        return f"{setting.shown}: {problem.detail}"
    return setting.shown
