"""The fault: the backend's authentication middleware, rebuilt from its description in four historical states.

Faithful in what it accepts, fetches and blocks, down to the library (PyJWT with its `PyJWKClient`); it has no log lines
and no HTTP layer. Commits are those of the public repository AJaySi/ALwrity, `backend/middleware/auth_middleware.py`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import jwt

__all__ = ["LegacyMiddleware", "LegacyState"]

_LEEWAY: Final = 300
"""Seconds; the tokens live for 60."""
_SET_LIFESPAN: Final = 300.0
_FETCH_TIMEOUT: Final = 30.0
_PRODUCTION: Final = frozenset({"prod", "production"})


class LegacyState(StrEnum):
    """A state of the middleware, by the commit that brought it about."""

    A = "A"
    """8c2d88ef, 2026-03-10: keys from the URL that the token's own `iss` names; unverified tokens refused."""
    B = "B"
    """01881bb4, 2026-03-11: as A, but unverified tokens are accepted unless the environment says production."""
    C = "C"
    """b894bc0a, 2026-06-05: issuer pinned to the publishable key's text, which is taken for a host undecoded."""
    D = "D"
    """d90d4410, 2026-06-12: issuer pinned to the decoded host; unverified tokens as in B."""


class LegacyMiddleware:
    """Verifies a token as the middleware of that state does."""

    def __init__(
        self, state: LegacyState, environment: Mapping[str, str], *, resolve: Callable[[str], str] = lambda url: url
    ) -> None:
        """Read `environment` as the middleware reads the process environment.

        `resolve` stands for DNS and TLS: it maps the URL that would be fetched to the one that is.
        """
        self._takes_issuer_from_token = state in {LegacyState.A, LegacyState.B}
        self._resolve = resolve
        self._clients: dict[str, jwt.PyJWKClient] = {}
        """Grows with every URL, and nothing is ever removed."""
        self._has_secret_key = bool(environment.get("CLERK_SECRET_KEY", "").strip())
        names = ("CLERK_PUBLISHABLE_KEY", "REACT_APP_CLERK_PUBLISHABLE_KEY")
        publishable = next((environment[name] for name in names if environment.get(name)), "").strip()
        self._has_publishable_key = bool(publishable)
        body = publishable.removeprefix("pk_test_").removeprefix("pk_live_")
        host = _decoded_host(body) if state is LegacyState.D else f"{body.split('.')[0]}.clerk.accounts.dev"
        self.configured_issuer = f"https://{host}"
        """What the publishable key is believed to say. States A and B use it for a token without `iss` alone."""
        self._accepts_unverified = _accepts_unverified(state, environment)

    async def verify_token(self, token: str) -> dict[str, Any] | None:
        """Return the user, or None for whatever reason. Never raises; blocks the event loop while it fetches keys."""
        if not self._has_secret_key:
            return None
        if not self._has_publishable_key:
            return self._unverified(token, "sub", "user_id")
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            if not self._takes_issuer_from_token and issuer != self.configured_issuer:
                return None
            client = self._client(f"{issuer or self.configured_issuer}/.well-known/jwks.json")
            key = client.get_signing_key_from_jwt(token).key
            claims = jwt.decode(token, key, algorithms=["RS256"], leeway=_LEEWAY)
        except Exception:  # noqa: BLE001 - as the original: any exception at all leads to the fallback
            return self._unverified(token, "sub")
        return _user(claims, "sub")

    def let_key_sets_expire(self) -> None:
        """Let the time pass after which a key set is fetched anew. Single keys are cached without an expiry."""
        for client in self._clients.values():
            if client.jwk_set_cache is not None:
                # Below zero, so that a coarse clock does not matter; -1 would mean for ever.
                client.jwk_set_cache.lifespan = -0.5

    def _client(self, url: str) -> jwt.PyJWKClient:
        if url not in self._clients:
            self._clients[url] = jwt.PyJWKClient(
                self._resolve(url), cache_keys=True, lifespan=_SET_LIFESPAN, timeout=_FETCH_TIMEOUT
            )
        return self._clients[url]

    def _unverified(self, token: str, *names: str) -> dict[str, Any] | None:
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except Exception:  # noqa: BLE001 - as the original
            return None
        return _user(claims, *names) if self._accepts_unverified else None


def _accepts_unverified(state: LegacyState, environment: Mapping[str, str]) -> bool:
    explicit = environment.get("ALLOW_UNVERIFIED_JWT_DEV")
    if explicit is not None:
        return explicit.lower() == "true"
    name = environment.get("ENVIRONMENT") or environment.get("APP_ENV") or "development"
    return state is not LegacyState.A and name.strip().lower() not in _PRODUCTION


def _decoded_host(body: str) -> str:
    try:
        host = b64decode(body + "=" * (-len(body) % 4)).decode().rstrip("$")
    except ValueError:
        host = body
    return host if "." in host else f"{host}.clerk.accounts.dev"


def _user(claims: Mapping[str, Any], *names: str) -> dict[str, Any] | None:
    subject = next((claims[name] for name in names if claims.get(name)), None)
    if subject is None:
        return None
    return {
        "id": subject,
        "email": claims.get("email"),
        "first_name": claims.get("first_name"),
        "last_name": claims.get("last_name"),
        "clerk_user_id": subject,
    }
