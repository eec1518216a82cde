"""Which hub, and with which token: by the settings that huggingface_hub itself goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.reasons import Reason
from alwrity_checks.redaction import Secret, scrub

__all__ = ["checked_endpoint", "hub_home", "is_offline", "sendable", "token_of"]

_YES: Final = frozenset({"1", "ON", "YES", "TRUE"})
"""What huggingface_hub takes for yes."""


def hub_home(environment: Mapping[str, str]) -> Path:
    """Return the directory that huggingface_hub keeps its things in: `HF_HOME`, or one in the user's cache."""
    if home := environment.get("HF_HOME"):
        return Path(home).expanduser()
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"


def is_offline(environment: Mapping[str, str]) -> bool:
    """Say whether `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is set."""
    return any(_is_yes(environment, name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def _is_yes(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().upper() in _YES


def checked_endpoint(endpoint: str) -> str:
    """Return the address of a hub without a slash at its end. Raises ModelUnavailable(SETTING_INVALID)."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        bare = parts.username is None and not parts.query and not parts.fragment
    except ValueError:
        usable = bare = False
    if not usable or not bare:
        raise ModelUnavailable(
            Reason.SETTING_INVALID,
            f"{scrub(endpoint)[:100]!r} is not the address of a hub",
            "set HF_ENDPOINT to scheme and host, as https://huggingface.co, or unset it",
        )
    return endpoint.rstrip("/")


def sendable(token: Secret | None) -> Secret | None:
    """Return the token, or None for an empty one. Raises ModelUnavailable(SETTING_INVALID) where no header holds it."""
    if token is None or not token:
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", token.reveal()):
        raise ModelUnavailable(
            Reason.SETTING_INVALID,
            "the token holds characters that no token has, so that it cannot be sent",
            "copy it again, without quotation marks, blanks and line ends, into HF_TOKEN",
        )
    return token


def token_of(environment: Mapping[str, str]) -> Secret | None:
    """Return the token that is set, or the one that `hf auth login` has left; None without either."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if value := environment.get(name, "").strip():
            return Secret(value)
    if _is_yes(environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        return None
    path = Path(environment.get("HF_TOKEN_PATH") or hub_home(environment) / "token").expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            value = file.read(1 << 12).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Secret(value) if value else None
