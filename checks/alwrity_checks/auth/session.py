"""What a verified session token says, in both of its versions (clerk-docs `sessions/session-tokens.mdx`)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Actor", "Organization", "Session"]


@dataclass(frozen=True, slots=True)
class Organization:
    """The active organisation."""

    id: str
    slug: str | None
    role: str | None
    """With the prefix `org:` that Clerk's SDKs use, whichever version of the token carried it."""
    permissions: frozenset[str]
    """`org:<feature>:<permission>`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who really acts, when the session is an impersonation (claim `act`)."""

    user_id: str | None
    session_id: str | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A verified session. Instances may be shared between callers: nothing handed out can change them."""

    user_id: str
    """`user_…`, from `sub`."""
    session_id: str | None
    """`sess_…`, from `sid`; None only for template tokens, where those are accepted."""
    issuer: str
    expires_at: float
    """Seconds since the epoch."""
    authorized_party: str | None
    """The origin the token was minted for (`azp`); Clerk leaves it out when there was none."""
    _claims: Mapping[str, Any] = field(repr=False, hash=False)
    """Not shown: custom claims may hold anything."""

    @property
    def claims(self) -> dict[str, Any]:
        """Every claim, as a copy of the caller's own."""
        return copy.deepcopy(dict(self._claims))

    def claim(self, name: str) -> object:
        """Return one claim, as a copy of the caller's own; None if it is absent."""
        return copy.deepcopy(self._claims.get(name))

    @property
    def pending(self) -> bool:
        """Whether a task (choosing an organisation, a second factor) is open (`sts`)."""
        return self._claims.get("sts") == "pending"

    @property
    def actor(self) -> Actor | None:
        """Who impersonates the user; None for an ordinary session."""
        act = self._claims.get("act")
        if not isinstance(act, Mapping):
            return None
        return Actor(_text(act.get("sub")), _text(act.get("sid")), _text(act.get("type")))

    @property
    def organization(self) -> Organization | None:
        """The active organisation; None if there is none."""
        compact = self._claims.get("o")
        if isinstance(compact, Mapping):
            return _from_version_2(compact, self._claims.get("fea"))
        identifier = _text(self._claims.get("org_id"))
        if identifier is None:
            return None
        permissions = self._claims.get("org_permissions")
        return Organization(
            identifier,
            _text(self._claims.get("org_slug")),
            _text(self._claims.get("org_role")),
            frozenset(p for p in permissions if isinstance(p, str)) if isinstance(permissions, list) else frozenset(),
        )


def _from_version_2(compact: Mapping[str, Any], features: object) -> Organization | None:
    identifier = _text(compact.get("id"))
    if identifier is None:
        return None
    role = _text(compact.get("rol"))
    return Organization(
        identifier,
        _text(compact.get("slg")),
        f"org:{role}" if role else None,
        _permissions(_text(features) or "", _text(compact.get("per")) or "", _text(compact.get("fpm")) or ""),
    )


def _permissions(features: str, permissions: str, bitmaps: str) -> frozenset[str]:
    """Decode `fpm`: bit j (least significant first) of the i-th number grants the j-th permission of the i-th feature.

    The numbers can exceed 64 bits. Features are written `o:name`, `u:name` or `ou:name`; only those with an `o` are the
    organisation's (clerk/javascript `packages/shared/src/jwtPayloadParser.ts`).
    """
    names = [name for name in permissions.split(",") if name]
    granted: set[str] = set()
    for feature, bitmap in zip(features.split(","), bitmaps.split(","), strict=False):
        scope, _, name = feature.partition(":")
        # A number that is not one grants nothing; 4,000 digits are more permissions than fit into a token.
        if "o" not in scope or not name or not (bitmap.isascii() and bitmap.isdigit()) or len(bitmap) > 4000:  # noqa: PLR2004
            continue
        bits = int(bitmap)
        granted.update(f"org:{name}:{permission}" for j, permission in enumerate(names) if bits >> j & 1)
    return frozenset(granted)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
