"""`CLERK_JWT_KEY` in the forms in which people paste it.

Clerk's SDKs take some of these forms and report the others as a bad signature; here each is read, or named.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as BinasciiError
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_public_key,
)

from alwrity_checks.auth.jwk import VerificationKey, key_set, thumbprint, weakness
from alwrity_checks.auth.kinds import kind_of_text
from alwrity_checks.auth.publishable_key import KeyProblem
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.strict import decode_object

__all__ = ["PemKey", "read_verification_key"]

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_LABELS: Final = frozenset({"PUBLIC KEY", "RSA PUBLIC KEY"})
_LARGEST: Final = 64 * 1024
_PRIVATE: Final = "this is a private key: it does not belong on this server; revoke it"
_LONGEST_LINE: Final = 76
"""The longest line that readers of PEM expect."""


@dataclass(frozen=True, slots=True)
class PemKey:
    """A verification key read from a setting, and in which way the text had to be repaired."""

    key: VerificationKey
    repairs: tuple[tuple[Reason, str], ...] = ()


def read_verification_key(text: str) -> PemKey:
    """Read an RSA public key from any form people paste: PEM (also escaped, in base64, on one line, without its
    BEGIN and END lines), PKCS#1, JWK or JWKS. Raises KeyProblem; the text of the key is in no message.
    """  # noqa: D205 - the list of forms is the summary
    if len(text) > _LARGEST:
        raise KeyProblem(Reason.PEM_UNREADABLE, "more than 64 KiB: not a key")
    repairs: list[tuple[Reason, str]] = []
    bare = _unwrapped(text, repairs)
    if bare.startswith("{"):
        return _from_json(bare)
    if not bare.startswith("-----BEGIN"):
        bare = _without_armour(bare, repairs)
    if bare.count("-----BEGIN") > 1:
        raise KeyProblem(Reason.PEM_UNREADABLE, "several PEM blocks: which of them verifies is not for us to guess")
    block = _BLOCK.search(bare)
    if block is None or block.group(1) not in _LABELS:
        label = block.group(1) if block else "unfinished block"
        raise KeyProblem(Reason.PEM_UNREADABLE, f"a PEM {label!r:.40}, not a public key")
    lines = block.group(2).strip("\r\n").splitlines()
    body = "".join(block.group(2).split())
    if body != "".join(lines) or max(map(len, lines), default=0) > _LONGEST_LINE:
        repairs.append((Reason.PEM_NORMALISED, "line breaks restored"))
    return PemKey(_load(block.group(1), body), tuple(repairs))


def _unwrapped(text: str, repairs: list[tuple[Reason, str]]) -> str:
    bare = text.strip().strip("\ufeff").strip()
    if len(bare) > 1 and bare[0] in "\"'" and bare[0] == bare[-1]:
        bare = bare[1:-1].strip()
        repairs.append((Reason.PEM_NORMALISED, "quotes taken off"))
    if not bare:
        raise KeyProblem(Reason.PEM_MISSING, "the key is empty")
    if "PRIVATE KEY" in bare:
        raise KeyProblem(Reason.PEM_PRIVATE_KEY, _PRIVATE)
    if "\\n" in bare and not bare.startswith("{"):
        bare = bare.replace("\\r", "").replace("\\n", "\n")
        repairs.append((Reason.PEM_ESCAPED, "the line ends are written as \\n"))
    return bare


def _without_armour(text: str, repairs: list[tuple[Reason, str]]) -> str:
    kind = kind_of_text(text)
    if kind is not None and kind.reason not in {Reason.TOKEN_NOT_JWT, Reason.TOKEN_MISSING}:
        raise KeyProblem(Reason.PEM_UNREADABLE, f"this is {kind.what}")
    if re.match(r"https?://", text):
        raise KeyProblem(Reason.PEM_UNREADABLE, "this is a URL; the JWKS URL follows from the publishable key")
    compact = "".join(text.split())
    try:
        decoded = b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (BinasciiError, ValueError):
        raise KeyProblem(Reason.PEM_UNREADABLE, "neither PEM nor base64 nor JSON") from None
    if decoded.lstrip().startswith(b"-----BEGIN"):
        if b"PRIVATE KEY" in decoded:
            raise KeyProblem(Reason.PEM_PRIVATE_KEY, _PRIVATE)
        repairs.append((Reason.PEM_BASE64, "the whole PEM is in base64"))
        return decoded.decode("ascii", "replace").strip()
    repairs.append((Reason.PEM_NORMALISED, "BEGIN and END lines added"))
    return f"-----BEGIN PUBLIC KEY-----\n{compact}\n-----END PUBLIC KEY-----"


def _load(label: str, body: str) -> VerificationKey:
    try:
        if label == "PUBLIC KEY":
            public_key = load_der_public_key(b64decode(body, validate=True))
        else:
            lines = "\n".join(body[start : start + 64] for start in range(0, len(body), 64))
            public_key = load_pem_public_key(f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode())
    except (BinasciiError, ValueError, UnsupportedAlgorithm):
        if _is_private(body):
            raise KeyProblem(Reason.PEM_PRIVATE_KEY, _PRIVATE) from None
        raise KeyProblem(Reason.PEM_UNREADABLE, "the block does not hold a public key: it was cut or altered") from None
    if not isinstance(public_key, RSAPublicKey):
        raise KeyProblem(Reason.PEM_NOT_RSA, f"a key of the type {type(public_key).__name__}, not RSA")
    numbers = public_key.public_numbers()
    if problem := weakness(numbers.n, numbers.e):
        raise KeyProblem(Reason.PEM_WEAK_KEY, problem)
    return VerificationKey(None, thumbprint(numbers.n, numbers.e), public_key)


def _is_private(body: str) -> bool:
    try:
        load_der_private_key(b64decode(body, validate=True), None)
    except (BinasciiError, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _from_json(text: str) -> PemKey:
    try:
        keys = key_set(decode_object(text.encode("utf-8", "replace")))
    except ValueError as error:
        raise KeyProblem(Reason.PEM_UNREADABLE, f"JSON, but {error}") from None
    for dropped in keys.dropped:
        if dropped.reason is Reason.JWKS_SECRET_MATERIAL:
            raise KeyProblem(
                Reason.PEM_PRIVATE_KEY, "this holds private key material: it does not belong on this server"
            )
        if dropped.reason is Reason.JWKS_WEAK_KEY:
            raise KeyProblem(Reason.PEM_WEAK_KEY, dropped.detail)
    if len(keys.keys) != 1:
        raise KeyProblem(Reason.PEM_NOT_RSA, f"{len(keys.keys)} usable RSA keys instead of one")
    return PemKey(keys.keys[0], ((Reason.PEM_NORMALISED, "read from JWK or JWKS JSON"),))
