"""Where the Hub's API is, and where a token may be sent.

The router and the Hub are two hosts: `https://router.huggingface.co` serves models, `https://huggingface.co` knows
whose a token is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.hf.base_url import ROUTER, is_loopback, is_router, right_url
from alwrity_checks.hf.router import BASE_URL_NAMES, TOKEN_NAMES
from alwrity_checks.settings import Source

if TYPE_CHECKING:
    from alwrity_checks.settings import Setting, Settings

__all__ = ["ENDPOINT_NAME", "HUB", "carries_safely", "hub_url", "origin", "stray_destination"]

HUB: Final = "https://huggingface.co"
ENDPOINT_NAME: Final = "HF_ENDPOINT"
"""huggingface_hub's setting for another Hub: a mirror, or an enterprise's own."""


def origin(url: str) -> str | None:
    """Return scheme, host and port of `url`, without a user name; None where it is no HTTP URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host:
        return None
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"


def hub_url(base_url: str, endpoint: str = "") -> str:
    """Return the Hub that knows the tokens of the router at `base_url`.

    It is `endpoint` (the value of `HF_ENDPOINT`) where one is set, Hugging Face's for its own router and for what was
    written in place of it, else the router's own origin: no other server has any business with the token.
    """
    if chosen := endpoint.strip().rstrip("/"):
        return chosen
    right = right_url(base_url)
    own = origin(right)
    return HUB if own is None or is_router(right) else own


def carries_safely(url: str) -> bool:
    """Whether a token that is sent to `url` travels encrypted, or does not leave this machine."""
    found = origin(url)
    return found is not None and (found.startswith("https:") or is_loopback(found))


def stray_destination(settings: Settings) -> Setting | None:
    """Return the setting that would send a token to where whoever set the token did not mean it to go.

    Whoever can put a .env beside the command must not be sent a token from elsewhere; nor must whoever can write a
    checkout's code, unless it names Hugging Face's own router.
    """
    token = next((one for one in settings.every(*TOKEN_NAMES) if one.value.reveal().strip()), None)
    if token is None:
        return None
    destinations = settings.every(*BASE_URL_NAMES, ENDPOINT_NAME)
    return next(
        (one for one in destinations if one.value.reveal().strip() and _is_stray(one, token)),
        None,
    )


def _is_stray(destination: Setting, token: Setting) -> bool:
    if destination.source is Source.LITERAL:
        return origin(destination.value.reveal()) != origin(ROUTER)
    return destination.source is Source.DOTENV and destination.location.name != token.location.name
