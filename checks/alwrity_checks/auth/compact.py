"""The JWS layer: compact serialisation, header policy, RS256. No claim is looked at here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from alwrity_checks.auth.errors import TokenRejected
from alwrity_checks.auth.jwk import KeySet, VerificationKey, key_set
from alwrity_checks.auth.kinds import kind_of_text, unwrap
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.strict import DuplicateKeyError, decode_base64url, decode_object

__all__ = ["MAX_TOKEN_BYTES", "Compact", "check_signature", "parse_compact", "verify_compact"]

MAX_TOKEN_BYTES: Final = 8192
"""Clerk keeps its cookie below 4 KiB; twice that is no session token."""

_FORM: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""Clerk's own form: a payload that was taken out (RFC 7515 appendix F) is none."""
_PARTS: Final = 3
_KEYS: Final = (Mapping, KeySet)
_TEXT: Final = (str, bytes)
_TEXTS: Final = ("typ", "cty", "x5t", "x5t#S256")
"""Members that are text wherever they stand (RFC 7515 §4.1)."""
_EMBEDDED: Final = frozenset({"jwk", "jku", "x5u", "x5c"})


class Compact(NamedTuple):
    """A JWS in compact serialisation, decoded and not yet verified."""

    header: Mapping[str, Any]
    kid: str | None
    payload: bytes
    signing_input: bytes
    signature: bytes


def parse_compact(jws: object, *, max_bytes: int = MAX_TOKEN_BYTES) -> Compact:
    """Decode `jws` and hold its header to the policy: RS256, no extensions, no key of its own.

    The size is looked at before anything else, so that a large input costs nothing. Raises TokenRejected, whatever
    `jws` is.
    """
    if not isinstance(jws, _TEXT):
        if jws is None:
            raise TokenRejected(Reason.TOKEN_MISSING, "no token")
        raise TokenRejected(Reason.TOKEN_NOT_JWT, f"a {type(jws).__name__}, not text")
    if len(jws) > max_bytes:
        raise TokenRejected(Reason.TOKEN_TOO_LARGE, f"{len(jws)} bytes, more than {max_bytes}")
    try:
        raw = jws.encode("ascii") if isinstance(jws, str) else jws
    except UnicodeEncodeError:
        raw = b""
    try:
        return _decoded(raw)
    except TokenRejected:
        # Only now, because strict decoding has found every token that has not the form.
        if not _FORM.fullmatch(raw):
            _name_what_it_is(jws)
        raise


def _decoded(raw: bytes) -> Compact:
    parts = raw.split(b".")
    if len(parts) != _PARTS or b"" in parts:
        raise TokenRejected(Reason.TOKEN_NOT_JWT, f"{len(parts)} parts, not {_PARTS}")
    head, body, seal = parts
    header = _checked_header(head)
    try:
        payload = decode_base64url(body)
    except ValueError as error:
        raise TokenRejected(Reason.ENCODING_INVALID, f"payload: {error}") from None
    try:
        signature = decode_base64url(seal)
    except ValueError as error:
        raise TokenRejected(Reason.SIGNATURE_NONCANONICAL, f"signature: {error}") from None
    return Compact(header, header.get("kid"), payload, raw[: len(head) + 1 + len(body)], signature)


@lru_cache(maxsize=32)
def _checked_header(segment: bytes) -> Mapping[str, Any]:
    """Decode a header and hold it to the policy.

    One instance's tokens share theirs, so it is decoded once; what is returned is shared, and cannot be changed.
    """
    header = _header(segment)
    algorithm = header.get("alg")
    if algorithm != "RS256":
        raise TokenRejected(_algorithm_reason(algorithm), f"alg is {algorithm!r:.40}, not 'RS256'")
    if "crit" in header:
        raise TokenRejected(Reason.CRIT_UNSUPPORTED, "the header demands extensions (crit); none is supported")
    if "b64" in header:
        raise TokenRejected(Reason.B64_UNSUPPORTED, "the header asks for an unencoded payload (b64)")
    if not _EMBEDDED.isdisjoint(header):
        raise TokenRejected(
            Reason.EMBEDDED_KEY, f"the header brings its own key ({', '.join(sorted(_EMBEDDED & header.keys()))})"
        )
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise TokenRejected(Reason.HEADER_INVALID, f"kid is {kid!r:.40}, not a string")
    for name in _TEXTS:
        if not isinstance(header.get(name, ""), str):
            reason = Reason.TYP_INVALID if name == "typ" else Reason.HEADER_INVALID
            raise TokenRejected(reason, f"{name} is {header[name]!r:.40}, not a string")
    return MappingProxyType(header)


def _name_what_it_is(jws: str | bytes) -> None:
    text = jws if isinstance(jws, str) else jws.decode("utf-8", "replace")
    bare, taken = unwrap(text)
    kind = kind_of_text(bare)
    if kind is not None:
        raise TokenRejected(kind.reason, f"{kind.what}; {kind.where}")
    if taken:
        raise TokenRejected(Reason.TOKEN_WRAPPED, f"a JWT wrapped in {', '.join(taken)}")
    raise TokenRejected(Reason.TOKEN_NOT_JWT, "not a JWT")


def _header(segment: bytes) -> dict[str, Any]:
    try:
        return decode_object(decode_base64url(segment))
    except DuplicateKeyError as error:
        raise TokenRejected(Reason.HEADER_DUPLICATE_KEY, f"header: {error}") from None
    except ValueError:
        raise TokenRejected(Reason.HEADER_INVALID, "the header is not one JSON object in UTF-8") from None


def _algorithm_reason(algorithm: object) -> Reason:
    if isinstance(algorithm, str):
        if algorithm.lower() == "none":
            return Reason.ALG_NONE
        if re.fullmatch(r"(?i)hs\d+", algorithm):
            return Reason.ALG_SYMMETRIC
    return Reason.TOKEN_INVALID_ALGORITHM


def check_signature(compact: Compact, keys: tuple[VerificationKey, ...]) -> None:
    """Raise TokenRejected unless one of `keys` made the signature."""
    for key in keys:
        if key.verifies(compact.signature, compact.signing_input):
            return
    raise TokenRejected(Reason.TOKEN_INVALID_SIGNATURE, "the signature is not by the key that the kid names")


def verify_compact(jws: str | bytes, jwks: Mapping[str, Any] | KeySet, *, max_bytes: int = MAX_TOKEN_BYTES) -> bytes:
    """Verify a compact JWS with RS256 and return its payload, whatever that is.

    `jwks` is a JWKS, a single JWK (then the kid is compared only if both have one) or a `KeySet`. In a JWKS the key is
    found by kid alone: none is ever tried at random. Raises TokenRejected.
    """
    compact = parse_compact(jws, max_bytes=max_bytes)
    if not isinstance(jwks, _KEYS):
        raise TokenRejected(Reason.JWKS_NOT_JSON, f"the keys are a {type(jwks).__name__}, not a JWK or JWKS")
    single = not isinstance(jwks, KeySet) and "keys" not in jwks
    try:
        keys = jwks if isinstance(jwks, KeySet) else key_set(jwks)
    except ValueError as error:
        raise TokenRejected(Reason.JWKS_NOT_JSON, str(error)) from None
    if not keys.keys:
        why = keys.dropped[0] if keys.dropped else None
        raise TokenRejected(why.reason if why else Reason.JWKS_EMPTY, why.detail if why else "the key set is empty")
    if single and (compact.kid is None or keys.keys[0].kid in (None, compact.kid)):
        candidates = keys.keys
    elif not compact.kid:
        raise TokenRejected(Reason.KID_MISSING, "the header names no key (kid)")
    else:
        candidates = keys.by_kid.get(compact.kid, ())
    if not candidates:
        raise TokenRejected(Reason.JWK_KID_MISMATCH, f"no usable key has the kid {compact.kid!r:.80}")
    check_signature(compact, candidates)
    return compact.payload
