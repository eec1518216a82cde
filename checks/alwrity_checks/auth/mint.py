"""Instances made up on the spot: keys, key sets and tokens, genuine in form and signed for real.

For experiments, tests and benchmarks; formats as in clerk-docs `docs/guides/sessions/session-tokens.mdx`.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["ABSENT", "Instance", "base64url", "compact"]


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""As a claim's or header field's value: leave it out."""


def base64url(data: bytes) -> str:
    """Encode without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: bytes, payload: bytes, private_key: RSAPrivateKey) -> str:
    """Sign `payload` under `header`, both as they are, with RS256."""
    signing_input = f"{base64url(header)}.{base64url(payload)}"
    return f"{signing_input}.{base64url(private_key.sign(signing_input.encode(), PKCS1v15(), SHA256()))}"


@dataclass(slots=True)
class Instance:
    """A Clerk instance as its tokens and its key set show it."""

    issuer: str = "https://foo-bar-13.clerk.accounts.dev"
    kid: str = "ins_2fooBarInstance0000000000001"
    private_key: RSAPrivateKey = field(default_factory=lambda: generate_private_key(65537, 2048))

    def jwk(self) -> dict[str, Any]:
        """Return the public key as the instance publishes it."""
        numbers = self.private_key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": base64url(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
        }

    def jwks(self) -> dict[str, Any]:
        """Return the key set."""
        return {"keys": [self.jwk()]}

    def pem(self) -> str:
        """Return the public key as the dashboard shows it."""
        return self.private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def header(self, **changes: object) -> dict[str, Any]:
        """Return the header of a session token, with `changes`."""
        return _changed({"alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": self.kid, "typ": "JWT"}, changes)

    def claims(self, *, now: float | None = None, **changes: object) -> dict[str, Any]:
        """Return the claims of a version 2 session token that lives for 60 s, with `changes`."""
        issued = int(time.time() if now is None else now)
        claims = {
            "exp": issued + 60,
            "fva": [0, -1],
            "iat": issued,
            "iss": self.issuer,
            "jti": "0123456789abcdef0123",
            "nbf": issued - 10,
            "pla": "u:free",
            "sid": "sess_2fooBarSession00000000000001",
            "sts": "active",
            "sub": "user_2fooBarUser00000000000000001",
            "v": 2,
        }
        return _changed(claims, changes)

    def token(self, *, now: float | None = None, header: dict[str, object] | None = None, **changes: object) -> str:
        """Return a session token, with `changes` to its claims and `header` to its header."""
        return self.sign(self.header(**(header or {})), self.claims(now=now, **changes))

    def sign(self, header: object, claims: object) -> str:
        """Sign any two JSON values."""
        head, body = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
        return compact(head, body, self.private_key)


def _changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (fields | changes).items() if value is not ABSENT}
