"""A backend's Clerk settings, read once and checked: what is pinned, and to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.auth.hosts import key_server_url, public_host_problem
from alwrity_checks.auth.publishable_key import InstanceClass, KeyProblem, PublishableKey
from alwrity_checks.errors import ConfigurationError

if TYPE_CHECKING:
    from alwrity_checks.auth.jwk import KeySet
    from alwrity_checks.settings import Setting, Settings

__all__ = ["PUBLISHABLE_KEY_NAMES", "ClerkConfiguration", "publishable_key_setting", "static_keys"]

PUBLISHABLE_KEY_NAMES: Final = (
    "CLERK_PUBLISHABLE_KEY",
    "REACT_APP_CLERK_PUBLISHABLE_KEY",
    "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY",
    "VITE_CLERK_PUBLISHABLE_KEY",
    "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY",
)
"""In the order in which they count. The backend's middleware knows the first two."""


def publishable_key_setting(settings: Settings) -> Setting | None:
    """Return the setting that holds the publishable key: the first that is not blank, else the first that is set."""
    found = settings.every(*PUBLISHABLE_KEY_NAMES)
    return next((one for one in found if one.value.reveal().strip()), found[0] if found else None)


@dataclass(frozen=True, slots=True)
class ClerkConfiguration:
    """What a verifier needs to know."""

    issuers: frozenset[str]
    jwks_url: str
    authorized_parties: frozenset[str]
    proxies: frozenset[str]
    satellites: frozenset[str]
    publishable_key: PublishableKey

    @classmethod
    def read(cls, settings: Settings) -> ClerkConfiguration:
        """Read and check the settings. Raises ConfigurationError, whose remedy names the command that tells more."""
        remedy = "alwrity-doctor auth env"
        setting = publishable_key_setting(settings)
        if setting is None:
            raise ConfigurationError("CLERK_PUBLISHABLE_KEY is not set: no issuer can be pinned", remedy)
        try:
            key = PublishableKey.parse(setting.value.reveal())
        except KeyProblem as problem:
            raise ConfigurationError(f"{setting.name} ({setting.location}): {problem.detail}", remedy) from None
        proxies = frozenset({proxy} if (proxy := _proxy(settings.text("CLERK_PROXY_URL"))) else set())
        # A development key has no domain of its own: Clerk ignores the setting there, and so it must not widen the set.
        production = key.instance_class is InstanceClass.PRODUCTION
        satellites = _satellites(settings) if production else frozenset()
        return cls(
            issuers=frozenset({key.issuer}) | proxies | satellites,
            jwks_url=f"{next(iter(proxies))}/.well-known/jwks.json" if proxies else key.jwks_url,
            authorized_parties=frozenset(_origins(settings.text("CLERK_AUTHORIZED_PARTIES"))),
            proxies=proxies,
            satellites=satellites,
            publishable_key=key,
        )


def _proxy(text: str) -> str:
    url = text.strip().rstrip("/")
    if not url:
        return ""
    if url.startswith("/"):
        raise ConfigurationError("CLERK_PROXY_URL is a path; a backend needs the whole URL", "set https://<host><path>")
    if "?" in url:
        raise ConfigurationError("CLERK_PROXY_URL holds a query", "set https://<host><path>")
    try:
        return key_server_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"CLERK_PROXY_URL: {error.diagnosis}", "set https://<host><path>") from None


def _satellites(settings: Settings) -> frozenset[str]:
    domain = settings.text("CLERK_DOMAIN").strip().lower()
    if not domain or settings.text("CLERK_IS_SATELLITE").strip().lower() != "true":
        return frozenset()
    if problem := public_host_problem(domain):
        raise ConfigurationError(f"CLERK_DOMAIN {problem}", "set the satellite's host name, such as app.example.com")
    return frozenset({f"https://clerk.{domain}"})


def _origins(text: str) -> list[str]:
    origins = [origin.strip() for origin in text.split(",") if origin.strip()]
    for origin in origins:
        if not _is_origin(origin):
            raise ConfigurationError(
                f"CLERK_AUTHORIZED_PARTIES: {origin!r:.80} is not an origin",
                "write it as the browser sends it: scheme, host in lower case, port if any, nothing behind: https://app.example.com",
            )
    return origins


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return False
    host = parts.hostname or ""
    written = f"[{host}]" if ":" in host else host
    return bool(host) and text == f"{parts.scheme}://{written}{port}" and text.isprintable()


def static_keys(settings: Settings) -> KeySet | None:
    """Return the key of `CLERK_JWT_KEY`; None if it is not set, so that keys are to be fetched.

    Raises ConfigurationError.
    """
    setting = settings.get("CLERK_JWT_KEY")
    if setting is None or not setting.value.reveal().strip():
        return None
    from alwrity_checks.auth.jwk import KeySet
    from alwrity_checks.auth.pem import read_verification_key

    try:
        key = read_verification_key(setting.value.reveal()).key
    except KeyProblem as problem:
        raise ConfigurationError(
            f"CLERK_JWT_KEY ({setting.location}): {problem.detail}", "alwrity-doctor auth env"
        ) from None
    # A PEM names no key id, so any kid fits it; one that was read from a JWK keeps its own.
    return KeySet({key.kid: (key,)})
