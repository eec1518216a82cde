"""The reason codes of Clerk's SDKs in ours, so that a log of theirs can be read with our rules.

Sources: clerk/javascript `packages/backend/src/errors.ts`, `tokens/authStatus.ts` and `tokens/request.ts`
(@clerk/backend 3.25.0); clerk-sdk-python `security/types.py` (clerk-backend-api 7.0.0). Their codes are coarser than
ours: where one of theirs covers several of ours, it maps to the one that it most often means. Two such cases hide most:
a wrong sub, aud or time is `token-verification-failed` in JavaScript, and in Python the algorithm, typ and garbage all
are `token-invalid`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alwrity_checks.auth.reasons import Reason

__all__ = ["HANDSHAKE", "JAVASCRIPT", "PYTHON"]

HANDSHAKE: Final = frozenset(
    {
        "client-uat-but-no-session-token",
        "dev-browser-missing",
        "dev-browser-sync",
        "primary-responds-to-syncing",
        "primary-domain-cross-origin-sync",
        "satellite-needs-syncing",
        "session-token-and-uat-missing",
        "session-token-but-no-client-uat",
    }
)
"""JavaScript codes of the handshake between a browser's cookies and the Frontend API.

A backend that takes bearer tokens has no part in it: there they mean that no session token came with the request.
"""

_REFRESH: Final[Mapping[str, Reason]] = {
    "non-eligible-no-refresh-cookie": Reason.TOKEN_EXPIRED,
    "non-eligible-non-get": Reason.TOKEN_EXPIRED,
    "invalid-session-token": Reason.TOKEN_NOT_JWT,
    "missing-api-client": Reason.TOKEN_EXPIRED,
    "missing-session-token": Reason.TOKEN_MISSING,
    "missing-refresh-token": Reason.TOKEN_EXPIRED,
    "expired-session-token-decode-failed": Reason.TOKEN_NOT_JWT,
    "expired-session-token-missing-sid-claim": Reason.SID_MISSING,
    "fetch-error": Reason.TOKEN_EXPIRED,
    "unexpected-sdk-error": Reason.TOKEN_EXPIRED,
    "unexpected-bapi-error": Reason.TOKEN_EXPIRED,
}
"""Why an expired token could not be exchanged; it stays expired whatever the reason."""

JAVASCRIPT: Final[Mapping[str, Reason]] = {
    # TokenVerificationErrorReason
    "token-expired": Reason.TOKEN_EXPIRED,
    "token-invalid": Reason.TOKEN_NOT_JWT,
    "token-invalid-algorithm": Reason.TOKEN_INVALID_ALGORITHM,
    "token-invalid-authorized-parties": Reason.AZP_MISMATCH,
    "token-invalid-signature": Reason.TOKEN_INVALID_SIGNATURE,
    "token-not-active-yet": Reason.TOKEN_NOT_ACTIVE_YET,
    "token-iat-in-the-future": Reason.TOKEN_IAT_IN_THE_FUTURE,
    "token-verification-failed": Reason.CLAIM_INVALID,
    "secret-key-invalid": Reason.SECRET_KEY_INVALID,
    "jwk-local-missing": Reason.PEM_MISSING,
    "jwk-remote-failed-to-load": Reason.JWKS_CONNECT,
    "jwk-remote-invalid": Reason.JWKS_NO_RSA,
    "jwk-remote-missing": Reason.JWKS_EMPTY,
    "jwk-failed-to-resolve": Reason.PEM_MISSING,
    "jwk-kid-mismatch": Reason.JWK_KID_MISMATCH,
    # AuthErrorReason
    **dict.fromkeys(HANDSHAKE, Reason.TOKEN_MISSING),
    "session-token-missing": Reason.TOKEN_MISSING,
    "session-token-expired": Reason.TOKEN_EXPIRED,
    # The sign-in state changed after the token was issued: like an expired one it must be fetched anew.
    "session-token-iat-before-client-uat": Reason.TOKEN_EXPIRED,
    "session-token-nbf": Reason.TOKEN_NOT_ACTIVE_YET,
    "session-token-iat-in-the-future": Reason.TOKEN_IAT_IN_THE_FUTURE,
    # The URL names another organisation than the token, whose permissions then are not those that are needed.
    "active-organization-mismatch": Reason.INSUFFICIENT_SCOPE,
    # An API key, OAuth or machine token where a session token belongs; which of them is not said.
    "token-type-mismatch": Reason.WRONG_KIND_API_KEY,
    # Raised for what the SDK does not foresee; a header or payload that is JSON `null` ends so.
    "unexpected-error": Reason.UNEXPECTED_ERROR,
    # Refresh reasons, alone and as they are composed into an AuthErrorReason
    **_REFRESH,
    **dict.fromkeys((f"session-token-expired-refresh-{reason}" for reason in _REFRESH), Reason.TOKEN_EXPIRED),
}
"""Every code of @clerk/backend; the codes of machine tokens are among them."""

PYTHON: Final[Mapping[str, Reason]] = {
    # TokenVerificationErrorReason
    "jwk-failed-to-load": Reason.JWKS_CONNECT,
    "jwk-remote-invalid": Reason.JWKS_NO_RSA,
    # Every form of CLERK_JWT_KEY that this SDK cannot read ends so.
    "jwk-failed-to-resolve": Reason.PEM_UNREADABLE,
    "jwk-kid-mismatch": Reason.JWK_KID_MISMATCH,
    "token-expired": Reason.TOKEN_EXPIRED,
    "token-invalid": Reason.TOKEN_NOT_JWT,
    "token-invalid-authorized-parties": Reason.AZP_MISMATCH,
    "token-invalid-audience": Reason.AUD_UNEXPECTED,
    # Only for an iat that is no number; one in the future is `token-not-active-yet` in this SDK.
    "token-iat-in-the-future": Reason.TIME_INVALID,
    "token-not-active-yet": Reason.TOKEN_NOT_ACTIVE_YET,
    "token-invalid-signature": Reason.TOKEN_INVALID_SIGNATURE,
    "secret-key-missing": Reason.SK_MISSING,
    # The Backend API failed while it was asked about a machine token.
    "server-error": Reason.JWKS_HTTP_5XX,
    "invalid-token-type": Reason.WRONG_KIND_API_KEY,
    # AuthErrorReason
    "session-token-missing": Reason.TOKEN_MISSING,
    "token-type-not-supported": Reason.WRONG_KIND_API_KEY,
}
"""Every code of clerk-backend-api."""
