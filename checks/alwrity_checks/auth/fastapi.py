"""The FastAPI dependencies: a verified session, or the user dictionary that ALwrity's routes expect.

Answers follow RFC 6750 §3. They carry a reason code and nothing else: no key id, no issuer, no token.
"""

# Annotations are not postponed here: releases of FastAPI up to at least 0.122 cannot resolve those of an object that is
# called. They took the request of `ClerkBearer` for a query parameter, and every route answered 422.

import logging
import math
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Protocol

from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.session import Session
from alwrity_checks.errors import MissingExtra
from alwrity_checks.events import emit
from alwrity_checks.redaction import fingerprint

try:
    from fastapi import HTTPException, Security
    from fastapi.security import HTTPBearer
    from starlette.requests import HTTPConnection
except ModuleNotFoundError:
    raise MissingExtra("fastapi", "alwrity_checks.auth.clerk_user") from None

__all__ = ["ClerkBearer", "clerk_session", "clerk_user", "http_error", "user_dictionary"]

_log: Final = logging.getLogger("alwrity_checks.auth")
_REALM: Final = 'Bearer realm="alwrity"'


class _Verifier(Protocol):
    async def verify(self, token: str) -> Session: ...


class ClerkBearer(HTTPBearer):
    """The security scheme: takes the bearer token from the Authorization header and verifies it."""

    def __init__(
        self, verifier: _Verifier, *, optional: bool, permissions: frozenset[str], query_parameter: str | None
    ) -> None:
        super().__init__(bearerFormat="JWT", description="Clerk session token", auto_error=False)
        self._verifier = verifier
        self._optional = optional
        self._permissions = permissions
        self._query_parameter = query_parameter

    async def __call__(self, request: HTTPConnection) -> Session | None:  # type: ignore[override] # older releases say Request
        """Return the session; None only if credentials are optional and there are none."""
        token = self._token(request)
        if token is None:
            if self._optional:
                return None
            raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": _REALM})
        try:
            session = await self._verifier.verify(token)
        except TokenRejected as rejection:
            emit(
                _log,
                logging.INFO,
                "auth.token-refused",
                f"a token was refused: {rejection}",
                reason=rejection.reason,
                fingerprint=fingerprint(token),
            )
            raise http_error(rejection) from None
        if self._permissions:
            organization = session.organization
            if organization is None or not self._permissions <= organization.permissions:
                raise http_error(TokenRejected(Reason.INSUFFICIENT_SCOPE), " ".join(sorted(self._permissions)))
        return session

    def _token(self, request: HTTPConnection) -> str | None:
        values = request.headers.getlist("authorization")
        query = request.query_params.getlist(self._query_parameter) if self._query_parameter else []
        if len(values) + len(query) > 1:
            raise _bad_request("more than one credential")
        if query:
            return query[0]
        if not values:
            return None
        scheme, _, token = values[0].strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        return token.strip()


def _bad_request(description: str) -> HTTPException:
    return HTTPException(
        400, description, {"WWW-Authenticate": f'{_REALM}, error="invalid_request", error_description="{description}"'}
    )


def http_error(rejection: TokenRejected, scope: str = "") -> HTTPException:
    """Return the answer to a request whose token was refused; `scope` are the permissions that it lacks."""
    reason = str(rejection.reason)
    if isinstance(rejection, KeysUnavailable):
        return HTTPException(
            503,
            "Authentication is temporarily unavailable",
            {"Retry-After": str(math.ceil(rejection.retry_after)), "X-Auth-Reason": reason},
        )
    error = "insufficient_scope" if rejection.status == 403 else "invalid_token"  # noqa: PLR2004 - RFC 6750 §3.1
    challenge = f'{_REALM}, error="{error}", error_description="{reason}"'
    if scope:
        challenge += f', scope="{scope}"'
    return HTTPException(
        rejection.status,
        "Authentication failed" if rejection.status == 401 else "Not permitted",  # noqa: PLR2004 - RFC 6750 §3.1
        {"WWW-Authenticate": challenge, "X-Auth-Reason": reason},
    )


def user_dictionary(session: Session) -> dict[str, Any]:
    """Return the user as ALwrity's routes expect it. Clerk's default tokens carry no e-mail and no names: then None."""
    return {
        "id": session.user_id,
        "email": session.claim("email"),
        "first_name": session.claim("first_name") or session.claim("given_name"),
        "last_name": session.claim("last_name") or session.claim("family_name"),
        "clerk_user_id": session.user_id,
    }


def clerk_session(
    verifier: _Verifier,
    *,
    optional: bool = False,
    permissions: Collection[str] = (),
    query_parameter: str | None = None,
) -> Callable[..., Awaitable[Session | None]]:
    """Return a dependency that yields the verified `Session`.

    `optional`: None if there are no credentials; bad ones are still refused. `permissions`: those of the active
    organisation that are needed, else 403. `query_parameter`: a query parameter that may carry the token, for media
    tags that cannot send a header; a URL ends up in logs, so only where nothing else works.
    """
    bearer = ClerkBearer(
        verifier, optional=optional, permissions=frozenset(permissions), query_parameter=query_parameter
    )

    async def dependency(session: Session | None = Security(bearer)) -> Session | None:  # noqa: B008 - FastAPI's way
        return session

    return dependency


def clerk_user(
    verifier: _Verifier,
    *,
    optional: bool = False,
    permissions: Collection[str] = (),
    query_parameter: str | None = None,
) -> Callable[..., Awaitable[dict[str, Any] | None]]:
    """Return a dependency that yields ALwrity's user dictionary; the arguments are those of `clerk_session`."""
    bearer = ClerkBearer(
        verifier, optional=optional, permissions=frozenset(permissions), query_parameter=query_parameter
    )

    async def dependency(session: Session | None = Security(bearer)) -> dict[str, Any] | None:  # noqa: B008
        return None if session is None else user_dictionary(session)

    return dependency
