"""Which published keys may verify a session token.

A key set can hold anything (Clerk's own schema allows EC, Ed25519, private and symmetric entries); what is used is RSA,
meant for RS256 signatures, of at least 2048 bits, without private parts and without the ROCA fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.strict import decode_base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["DroppedKey", "KeySet", "VerificationKey", "key_set", "weakness"]

SMALLEST_MODULUS: Final = 2048
LARGEST_MODULUS: Final = 8192
"""Verification costs grow with the square; no published key is larger."""
_LARGEST_EXPONENT: Final = 1 << 64
_MOST_KEYS: Final = 100
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PKCS1: Final = PKCS1v15()
_SHA256: Final = SHA256()
_ROCA_PRIMES: Final = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """An RSA public key that may verify RS256 signatures."""

    kid: str | None
    thumbprint: str
    """SHA-256 over modulus and exponent, hexadecimal: equal for equal keys whatever their kid."""
    public_key: RSAPublicKey

    def verifies(self, signature: bytes, signing_input: bytes) -> bool:
        """Return whether `signature` is this key's RS256 signature over `signing_input` (RFC 7518 §3.3)."""
        try:
            self.public_key.verify(signature, signing_input, _PKCS1, _SHA256)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class DroppedKey:
    """An entry of a key set that is not used, and why."""

    kid: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a JWKS by kid; two entries may share one."""

    by_kid: Mapping[str | None, tuple[VerificationKey, ...]]
    dropped: tuple[DroppedKey, ...] = ()

    @property
    def keys(self) -> tuple[VerificationKey, ...]:
        """Every usable key."""
        return tuple(key for keys in self.by_kid.values() for key in keys)

    def keeping(self, known: KeySet | None) -> KeySet:
        """Return this set with the very tuples of `known` wherever the keys are the same.

        What was verified with a key object can then be told, by identity, to be still verified with a published key.
        """
        if known is None:
            return self
        merged = dict(self.by_kid)
        for kid, keys in self.by_kid.items():
            old = known.by_kid.get(kid, ())
            if [key.thumbprint for key in old] == [key.thumbprint for key in keys]:
                merged[kid] = old
        return KeySet(merged, self.dropped)


def key_set(document: Mapping[str, Any]) -> KeySet:
    """Read a JWKS, or a single JWK, leaving out what must not verify.

    Raises ValueError if it is neither, or holds more than 100 keys. A set without any usable key is not an error here:
    `dropped` says why each entry was left out.
    """
    entries: object = document.get("keys") if "keys" in document else [document] if "kty" in document else None
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError("neither a JWKS nor a JWK: no 'keys' that is a list, and no 'kty'")  # noqa: TRY004 - JSON text
    if len(entries) > _MOST_KEYS:
        raise ValueError(f"more than {_MOST_KEYS} keys")
    usable: dict[str | None, tuple[VerificationKey, ...]] = {}
    dropped: list[DroppedKey] = []
    for position, entry in enumerate(entries):
        name = f"#{position}"
        if isinstance(entry, Mapping) and isinstance(entry.get("kid"), str):
            name = entry["kid"]
        try:
            key = _read(entry)
        except _Unusable as refusal:
            dropped.append(DroppedKey(name, refusal.reason, refusal.detail))
        else:
            usable[key.kid] = (*usable.get(key.kid, ()), key)
    return KeySet(usable, tuple(dropped))


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason, self.detail = reason, detail


def _read(entry: object) -> VerificationKey:
    if not isinstance(entry, Mapping):
        raise _Unusable(Reason.JWKS_NO_RSA, "not an object")
    if _PRIVATE_MEMBERS & entry.keys():
        raise _Unusable(Reason.JWKS_SECRET_MATERIAL, "private or symmetric key material")
    for member, wanted in (("kty", ("RSA",)), ("use", ("sig", None)), ("alg", ("RS256", None))):
        if entry.get(member) not in wanted:
            raise _Unusable(Reason.JWKS_NO_RSA, f"{member} is {entry.get(member)!r:.40}")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, Sequence) or isinstance(operations, str) or "verify" not in operations:
        raise _Unusable(Reason.JWKS_NO_RSA, "key_ops does not hold 'verify'")
    kid = entry.get("kid")
    if kid is not None and (not isinstance(kid, str) or not kid):
        raise _Unusable(Reason.JWKS_NO_RSA, "kid is not a non-empty string")
    modulus, exponent = (_integer(entry, member) for member in ("n", "e"))
    if problem := weakness(modulus, exponent):
        raise _Unusable(Reason.JWKS_WEAK_KEY, problem)
    try:
        public_key = RSAPublicNumbers(exponent, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _Unusable(Reason.JWKS_WEAK_KEY, f"refused by the library: {error}") from None
    return VerificationKey(kid, thumbprint(modulus, exponent), public_key)


def _integer(entry: Mapping[str, Any], member: str) -> int:
    text = entry.get(member)
    try:
        return int.from_bytes(decode_base64url(text.encode("ascii") if isinstance(text, str) else b"?"), "big")
    except ValueError:
        raise _Unusable(Reason.JWKS_NO_RSA, f"{member} is not base64url") from None


def thumbprint(modulus: int, exponent: int) -> str:
    """Return a hexadecimal digest that is equal exactly for equal RSA keys."""
    return hashlib.sha256(b"%x.%x" % (modulus, exponent)).hexdigest()


def weakness(modulus: int, exponent: int) -> str:
    """Return why an RSA key is too weak (or too costly) to trust; empty if it is not."""
    bits = modulus.bit_length()
    if bits < SMALLEST_MODULUS:
        return f"{bits} bits, fewer than {SMALLEST_MODULUS}"
    if bits > LARGEST_MODULUS:
        return f"{bits} bits, more than {LARGEST_MODULUS}"
    if exponent < 3 or exponent % 2 == 0 or exponent > _LARGEST_EXPONENT:  # noqa: PLR2004 - the smallest RSA exponent
        return "an exponent that is even, below 3 or above 2^64"
    if modulus % 2 == 0:
        return "an even modulus"
    if _has_roca_fingerprint(modulus):
        return "the ROCA fingerprint (CVE-2017-15361): the modulus can be factored"
    return ""


@cache
def _subgroups() -> tuple[tuple[int, frozenset[int]], ...]:
    return tuple((prime, frozenset(pow(65537, k, prime) for k in range(prime))) for prime in _ROCA_PRIMES)


def _has_roca_fingerprint(modulus: int) -> bool:
    """Whether the modulus lies in the subgroup generated by 65537 modulo each small prime (Nemec et al., CCS 2017)."""
    return all(modulus % prime in subgroup for prime, subgroup in _subgroups())
