"""What the settings say by themselves, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from alwrity_checks.auth.configuration import PUBLISHABLE_KEY_NAMES, ClerkConfiguration, publishable_key_setting
from alwrity_checks.auth.findings import finding
from alwrity_checks.auth.publishable_key import KeyProblem, PublishableKey, secret_key_class
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.model import Evidence, Finding, Location, LocationKind

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting, Settings

__all__ = ["jwt_key_findings", "publishable_key_findings", "secret_key_findings"]

_MIDDLEWARE_NAMES = PUBLISHABLE_KEY_NAMES[:2]
_ISSUER_SETTINGS = ("CLERK_PROXY_URL", "CLERK_DOMAIN", "CLERK_AUTHORIZED_PARTIES")
_PLACEHOLDER_TEMPLATE = "your_jwt_template_name_here"
"""The example file's value, which the front end knows and ignores."""


def publishable_key_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the publishable key and with the settings that go with it."""
    yield from _hidden(settings)
    setting = publishable_key_setting(settings)
    if setting is None:
        yield finding(Reason.PK_MISSING, f"none of {', '.join(PUBLISHABLE_KEY_NAMES)} is set")
        return
    if setting.name not in _MIDDLEWARE_NAMES:
        names = " and ".join(_MIDDLEWARE_NAMES)
        yield finding(Reason.PK_MISSING, f"only {setting.name} is set; the middleware reads {names}", setting)
    yield from _each_key(settings, setting)
    if _parsed(setting) is not None:
        try:
            ClerkConfiguration.read(settings)
        except ConfigurationError as error:
            named = (one for one in settings.every(*_ISSUER_SETTINGS) if error.diagnosis.startswith(one.name))
            yield finding(Reason.ISSUER_SETTING_INVALID, error.diagnosis, next(named, None))
    template = settings.get("REACT_APP_CLERK_JWT_TEMPLATE")
    if template is not None and template.value.reveal().strip() not in {"", _PLACEHOLDER_TEMPLATE}:
        message = f"{template.name} is {template.shown!r:.60}: template tokens are sent"
        yield finding(Reason.JWT_TEMPLATE_CONFIGURED, message, template)


def _each_key(settings: Settings, effective: Setting) -> Iterator[Finding]:
    """Look at every variable that holds a publishable key; the front end reads others than the backend."""
    key = _parsed(effective)
    for one in settings.every(*PUBLISHABLE_KEY_NAMES):
        try:
            parsed = PublishableKey.parse(one.value.reveal())
        except KeyProblem as problem:
            yield finding(problem.reason, f"{one.name}: {problem.detail}", one)
            continue
        for reason, detail in parsed.notes:
            yield finding(reason, f"{one.name}: {detail}", one)
        if key is not None and parsed.frontend_api != key.frontend_api:
            yield finding(
                Reason.PK_ENV_CONFLICT,
                f"{one.name} is a key of {parsed.frontend_api}, {effective.name} of {key.frontend_api}",
                one,
                (Evidence(effective.name, str(effective.location)),),
            )


def _hidden(settings: Settings) -> Iterator[Finding]:
    for path in settings.files:
        if path.read_bytes().startswith(b"\xef\xbb\xbf"):
            yield finding(
                Reason.ENV_FILE_BOM,
                f"{path} begins with a byte-order mark: the backend may not see the first setting in it",
                Location(LocationKind.FILE, str(path), 1),
            )
    first = next(iter(settings.every(*_MIDDLEWARE_NAMES)), None)
    if first is not None and first.value and not first.value.reveal().strip():
        yield finding(
            Reason.SETTING_HIDDEN, f"{first.name} holds only blanks, and so hides every other publishable key", first
        )


def secret_key_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the secret key, and whether its class is the publishable key's."""
    setting = settings.get("CLERK_SECRET_KEY")
    if setting is None:
        yield finding(Reason.SK_MISSING, "CLERK_SECRET_KEY is not set: the middleware refuses every token")
        return
    try:
        secret = secret_key_class(setting.value.reveal())
    except KeyProblem as problem:
        yield finding(problem.reason, f"CLERK_SECRET_KEY: {problem.detail}", setting)
        return
    other = publishable_key_setting(settings)
    publishable = _parsed(other)
    if other is not None and publishable is not None and publishable.instance_class.value != secret.value:
        yield finding(
            Reason.SK_PK_CLASS_MISMATCH,
            f"CLERK_SECRET_KEY is a {secret} key, {other.name} a {publishable.instance_class} key",
            setting,
            (Evidence(other.name, str(other.location)),),
        )


def _parsed(setting: Setting | None) -> PublishableKey | None:
    try:
        return None if setting is None else PublishableKey.parse(setting.value.reveal())
    except KeyProblem:
        return None  # which is a finding of the publishable key's own check


def jwt_key_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the PEM key."""
    from alwrity_checks.auth.pem import read_verification_key

    setting = settings.get("CLERK_JWT_KEY")
    if setting is None:
        return
    try:
        key = read_verification_key(setting.value.reveal())
    except KeyProblem as problem:
        yield finding(problem.reason, f"CLERK_JWT_KEY: {problem.detail}", setting)
        return
    for reason, detail in key.repairs:
        yield finding(reason, f"CLERK_JWT_KEY: {detail}", setting)
