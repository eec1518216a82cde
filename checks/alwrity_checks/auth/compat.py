"""ALwrity's names over the component: put these where `middleware.auth_middleware` has its own.

Names, arguments, what is returned and how a request is refused are those of ALwrity's middleware (ce9bf293). What
differs is what the catalogue's issue 1 is about: every token is verified, wherever the backend runs, and one that
cannot be judged, because no key can be had, is answered with 503: at a 401 the front end signs the user out (ALwrity
ce9bf293, frontend/src/api/client.ts:353).

The settings are read at the first token, so that importing this needs none. ALLOW_UNVERIFIED_JWT_DEV means nothing any
more; DISABLE_AUTH does only where nothing says production.
"""

# Annotations are not postponed here: FastAPI reads those of its dependencies (see alwrity_checks/auth/fastapi.py).

import logging
import os
import threading
from typing import Any, Final

from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.fastapi import http_error, user_dictionary
from alwrity_checks.auth.forking import after_fork
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.unsafe import UnsafeNoVerification
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.events import emit
from alwrity_checks.redaction import fingerprint

try:
    from fastapi import Depends, HTTPException, Request
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
except ModuleNotFoundError:
    raise MissingExtra("fastapi", "alwrity_checks.auth.compat") from None

__all__ = [
    "ClerkAuthMiddleware",
    "clerk_auth",
    "get_current_user",
    "get_current_user_with_query_token",
    "get_optional_user",
    "security",
]

MOCK_USER: Final = {
    "id": "mock_user_id",
    "email": "mock@example.com",
    "first_name": "Mock",
    "last_name": "User",
    "clerk_user_id": "mock_clerk_user_id",
}
"""Who everybody is while DISABLE_AUTH is true (ALwrity ce9bf293, middleware/auth_middleware.py:117)."""
_QUERY_PARAMETER: Final = "token"

_log: Final = logging.getLogger("alwrity_checks.auth")

security: Final = HTTPBearer(auto_error=False)


def _disabled() -> bool:
    """Say whether DISABLE_AUTH counts: nowhere where anything says production."""
    if os.environ.get("DISABLE_AUTH", "").lower() == "true":
        try:
            UnsafeNoVerification()
        except ConfigurationError as error:
            _log.error("DISABLE_AUTH is true and is ignored, every token is verified: %s", error.diagnosis)
        else:
            return True
    return False


class ClerkAuthMiddleware:
    """ALwrity's object with `verify_token`, over one verifier."""

    def __init__(self, verifier: ClerkTokenVerifier | None = None) -> None:
        """Verify with `verifier`; without one, with that of the environment, which is made at the first token."""
        self._disabled: bool | None = None
        self._verifier = verifier
        self._complaint = ""
        self._renew_lock()
        after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @property
    def disable_auth(self) -> bool:
        """Whether everybody is the mock user; read when first asked, since the thin module loads its .env after us."""
        if self._disabled is None:
            self._disabled = _disabled()
        return self._disabled

    @disable_auth.setter
    def disable_auth(self, disabled: bool) -> None:
        self._disabled = disabled

    @property
    def verifier(self) -> ClerkTokenVerifier:
        """What verifies, for a health check as well. Raises ConfigurationError."""
        with self._lock:
            if self._verifier is None:
                self._verifier = ClerkTokenVerifier.from_environment()
            return self._verifier

    def use(self, verifier: ClerkTokenVerifier | None) -> None:
        """Verify with another one from now on: one with a policy of its own; None for that of the environment."""
        with self._lock:
            self._verifier = verifier

    async def warm(self) -> bool:
        """Fetch the keys, for an application's lifespan; say whether there are any. Raises ConfigurationError."""
        return True if self.disable_auth else await self.verifier.warm()

    async def verify_token(self, token: str) -> dict[str, Any] | None:
        """Return the token's user in ALwrity's form; None where the token is refused.

        Raises HTTPException with 503 where it cannot be judged: no key can be had, or the settings pin no issuer.
        """
        try:
            return await self.user(token)
        except KeysUnavailable as unavailable:
            raise http_error(unavailable) from None
        except TokenRejected as rejection:
            _tell(rejection, token)
            return None

    async def user(self, token: str) -> dict[str, Any]:
        """Return the token's user. Raises TokenRejected, KeysUnavailable; HTTPException for unusable settings."""
        if self.disable_auth:
            return dict(MOCK_USER)
        try:
            verifier = self.verifier
        except ConfigurationError as error:
            raise self._unusable(error) from None
        return user_dictionary(await verifier.verify(token))

    def _unusable(self, error: ConfigurationError) -> HTTPException:
        """Return the answer to whoever asks a backend that cannot verify; say why, once."""
        if error.diagnosis != self._complaint:
            self._complaint = error.diagnosis
            _log.error("no token can be verified: %s (%s)", error.diagnosis, error.remedy)
        return HTTPException(503, "Authentication is not configured", {"X-Auth-Reason": "not-configured"})


clerk_auth: Final = ClerkAuthMiddleware()


async def get_current_user(
    request: Request,
    credentials: HTTPAuthorizationCredentials | None = Depends(security),  # noqa: B008 - FastAPI's way
) -> dict[str, Any]:
    """Return the user of the request's bearer token, or refuse the request: 401, 403 or 503."""
    return await _authenticated(request, _bearer(request, credentials))


async def get_optional_user(
    credentials: HTTPAuthorizationCredentials | None = Depends(security),  # noqa: B008 - the same
) -> dict[str, Any] | None:
    """Return the user of the request's bearer token; None without one, and for one that is not accepted now."""
    if not isinstance(credentials, HTTPAuthorizationCredentials):
        return None
    try:
        return await clerk_auth.verify_token(credentials.credentials)
    except HTTPException:
        return None


async def get_current_user_with_query_token(
    request: Request,
    credentials: HTTPAuthorizationCredentials | None = Depends(security),  # noqa: B008 - the same
) -> dict[str, Any]:
    """Do as `get_current_user` does, and without a header look for `?token=`, for media tags that send no header."""
    token = _bearer(request, credentials) or request.query_params.get(_QUERY_PARAMETER)
    return await _authenticated(request, token)


def _bearer(request: Request, credentials: object) -> str | None:
    """Return the bearer token; also for who calls a dependency by hand and leaves the credentials out."""
    if isinstance(credentials, HTTPAuthorizationCredentials):
        return credentials.credentials
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def _authenticated(request: Request, token: str | None) -> dict[str, Any]:
    if not token:
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    try:
        return await clerk_auth.user(token)
    except TokenRejected as rejection:
        if not isinstance(rejection, KeysUnavailable):
            _tell(rejection, token, f"{request.method} {request.url.path}")
        raise http_error(rejection) from None


def _tell(rejection: TokenRejected, token: str, endpoint: str | None = None) -> None:
    """Log a refusal; that a token has expired is no news."""
    expected = endpoint is None or rejection.reason is Reason.TOKEN_EXPIRED
    emit(
        _log,
        logging.INFO if expected else logging.WARNING,
        "auth.token-refused",
        f"a token was refused: {rejection}",
        reason=rejection.reason,
        endpoint=endpoint,
        fingerprint=fingerprint(str(token)),  # a caller may hand in None, which the old one took too
    )
