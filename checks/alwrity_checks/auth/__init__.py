"""Verification of Clerk session tokens (issue 1): the runtime API.

    verifier = ClerkTokenVerifier.from_environment()
    session = await verifier.verify(token)            # or verifier.verify_sync(token)
    payload = verify_compact(jws, jwks)               # the JWS layer alone
    current_user = clerk_user(verifier)               # a FastAPI dependency; extra [fastapi]

Names are imported on first use, so that a command which needs one of them does not pay for all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.auth.claims import ClaimPolicy
    from alwrity_checks.auth.compact import verify_compact
    from alwrity_checks.auth.errors import Fault, KeysUnavailable, TokenRejected
    from alwrity_checks.auth.fastapi import clerk_session, clerk_user
    from alwrity_checks.auth.jwk import KeySet, key_set
    from alwrity_checks.auth.key_source import RemoteKeys, StaticKeys
    from alwrity_checks.auth.reasons import Reason
    from alwrity_checks.auth.session import Actor, Organization, Session
    from alwrity_checks.auth.unsafe import UnsafeNoVerification
    from alwrity_checks.auth.verifier import ClerkTokenVerifier

__all__ = [
    "Actor",
    "ClaimPolicy",
    "ClerkTokenVerifier",
    "Fault",
    "KeySet",
    "KeysUnavailable",
    "Organization",
    "Reason",
    "RemoteKeys",
    "Session",
    "StaticKeys",
    "TokenRejected",
    "UnsafeNoVerification",
    "clerk_session",
    "clerk_user",
    "key_set",
    "verify_compact",
]

_HOME: Final = {
    "Actor": "session",
    "ClaimPolicy": "claims",
    "ClerkTokenVerifier": "verifier",
    "Fault": "errors",
    "KeySet": "jwk",
    "KeysUnavailable": "errors",
    "Organization": "session",
    "Reason": "reasons",
    "RemoteKeys": "key_source",
    "Session": "session",
    "StaticKeys": "key_source",
    "TokenRejected": "errors",
    "UnsafeNoVerification": "unsafe",
    "clerk_session": "fastapi",
    "clerk_user": "fastapi",
    "key_set": "jwk",
    "verify_compact": "compact",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
