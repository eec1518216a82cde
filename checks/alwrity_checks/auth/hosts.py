"""Which host names may become a URL that is fetched.

Clerk's own parser accepts any decoded text with a dot in it. Ours becomes a URL, so it must be a public DNS name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from alwrity_checks.errors import ConfigurationError

__all__ = ["is_clerk_development_host", "is_clerk_host", "is_loopback", "key_server_url", "public_host_problem"]

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_DEVELOPMENT: Final = re.compile(r"([a-z]+-){2}[0-9]{1,2}\.clerk\.accounts([a-z.]*)(dev|com)")
_LEGACY_DEVELOPMENT: Final = (".lcl.dev", ".lclstage.dev", ".lclclerk.com")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of this form makes resolvers read the whole as an address (WHATWG URL §3.5)."""
_LONGEST_NAME: Final = 253
_PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".localdomain")


def public_host_problem(host: str) -> str:
    """Return why `host` is not a public RFC 1123 host name; empty if it is one."""
    if not host.isascii():
        return "holds characters beyond ASCII (an international name is written in punycode)"
    if any(character in host for character in "/:@#?\\%") or host != host.strip():
        return "is more than a host name (a scheme, port, path, user, query or fragment)"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return "is an IP address"
    labels = host.lower().split(".")
    if len(host) > _LONGEST_NAME or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - "at least one dot"
        return "is not a host name with at least one dot"
    if _NUMBER.fullmatch(labels[-1]):
        return "ends like an IP address"
    if host.lower().endswith(_PRIVATE_SUFFIXES):
        return "names a host of a private network"
    return ""


def is_clerk_development_host(host: str) -> bool:
    """Whether Clerk itself hands out `host` for a development instance (clerk/javascript `keys.ts`)."""
    host = host.lower()
    return bool(_DEVELOPMENT.fullmatch(host)) or (host.startswith("clerk.") and host.endswith(_LEGACY_DEVELOPMENT))


def is_clerk_host(host: str) -> bool:
    """Whether `host` has the form of a Frontend API host that Clerk's own domains serve.

    A production instance lives on `clerk.<customer's domain>`, a name anybody can own: that form proves nothing, so
    only names below Clerk's own domain count.
    """
    return bool(re.fullmatch(r"([a-z]+-){2}[0-9]{1,2}\.clerk\.accounts\.dev", host.lower()))


def is_loopback(host: str) -> bool:
    """Whether `host` denotes this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def key_server_url(url: str) -> str:
    """Return `url` if keys may be fetched from it: https, or http on this machine; no credentials, no fragment.

    Raises ConfigurationError.
    """
    remedy = "give the URL as https://<frontend-api-host>/.well-known/jwks.json"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url!r:.120} is not a URL: {error}", remedy) from None
    if parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
        raise ConfigurationError("the key server's URL holds credentials, a fragment or white space", remedy)
    host = parts.hostname or ""
    if not _is_host(host) or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ConfigurationError(f"{url!r:.120} is not an https URL", remedy)
    return url


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.lower().removesuffix(".").split(".")
        return len(host) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in labels)
    return True
