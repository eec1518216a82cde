"""The development escape: a verifier that verifies nothing, and says so in its name."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import Final, TypeGuard

from alwrity_checks.auth.compact import MAX_TOKEN_BYTES
from alwrity_checks.auth.errors import TokenRejected
from alwrity_checks.auth.kinds import kind_of_text
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.session import Session
from alwrity_checks.auth.strict import decode_base64url, decode_object
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.events import emit

__all__ = ["ENVIRONMENT_NAMES", "UnsafeNoVerification", "says_production"]

ENVIRONMENT_NAMES: Final = ("ENVIRONMENT", "APP_ENV", "ENV", "DEPLOY_ENV", "REACT_APP_ENVIRONMENT")
"""Every name under which some part of the backend or its front end reads the environment."""
_LIVE: Final = re.compile(r"(?:sk|pk)_live_")
_PRODUCTION: Final = frozenset({"prod", "production", "live"})
_log: Final = logging.getLogger(__name__)


def says_production(value: str) -> bool:
    """Whether an environment's name means production."""
    return value.strip().lower() in _PRODUCTION


class UnsafeNoVerification:
    """Takes every decodable token at its word. For a developer's machine without a network, and for nothing else."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Refuse to start, with ConfigurationError, where a name of the environment or a live key says production."""
        environment = os.environ if environment is None else environment
        for name in ENVIRONMENT_NAMES:
            if says_production(environment.get(name, "")):
                raise ConfigurationError(
                    f"UnsafeNoVerification refuses to start: {name} says production",
                    "use ClerkTokenVerifier.from_environment()",
                )
        for name, value in environment.items():
            if "CLERK" in name and _LIVE.match(value.strip().strip("\"'")):
                raise ConfigurationError(
                    f"UnsafeNoVerification refuses to start: {name} holds a key of a production instance",
                    "use ClerkTokenVerifier.from_environment()",
                )
        emit(
            _log,
            logging.WARNING,
            "auth.verification-off",
            "UnsafeNoVerification is active: any token is accepted as any user",
        )

    async def warm(self) -> bool:
        """There is nothing to fetch."""
        return True

    async def verify(self, token: str) -> Session:
        """Return what the token claims, unverified. Raises TokenRejected if it cannot be decoded or names no user."""
        return self.verify_sync(token)

    def verify_sync(self, token: str) -> Session:
        """Do as `verify` does."""
        if not _is_text(token) or len(token) > MAX_TOKEN_BYTES or kind_of_text(token) is not None:
            raise TokenRejected(Reason.TOKEN_NOT_JWT, "not a JWT")
        try:
            claims = decode_object(decode_base64url(token.split(".")[1].encode("ascii")))
        except ValueError:
            raise TokenRejected(Reason.PAYLOAD_INVALID, "the payload is not a JSON object") from None
        subject, expiry = claims.get("sub"), claims.get("exp")
        if not isinstance(subject, str) or not subject:
            raise TokenRejected(Reason.SUB_MISSING, "no sub: the token names no user")
        return Session(
            subject,
            claims["sid"] if isinstance(claims.get("sid"), str) else None,
            str(claims.get("iss", "")),
            expiry if _is_number(expiry) else 0.0,
            claims["azp"] if isinstance(claims.get("azp"), str) else None,
            claims,
        )


def _is_text(token: object) -> bool:
    return isinstance(token, str)


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) in (int, float)
