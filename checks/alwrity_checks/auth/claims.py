"""The claim rules. They run after the signature, and every one that fails is reported.

Semantics follow clerk/javascript `packages/backend/src/jwt/assertions.ts`, tightened where that is lenient: `iss` is
pinned, `sub` is not empty, an audience nobody asked for is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from alwrity_checks.auth.errors import Fault, TokenRejected
from alwrity_checks.auth.hosts import is_clerk_development_host
from alwrity_checks.auth.kinds import OAUTH_TYPES, kind_of_claims
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.strict import DuplicateKeyError, decode_object
from alwrity_checks.errors import ConfigurationError

__all__ = ["ClaimPolicy", "claim_faults", "decode_claims", "header_faults", "issuer_fault"]

MOST_LEEWAY: Final = 300
"""Seconds; the most that Clerk itself allows as clock skew."""
LAST_TIME: Final = 253402300799
"""The end of the year 9999: a later time is no date."""
_LONGEST_SUBJECT: Final = 255
_NUMBERS: Final = frozenset({int, float})
_BEGINNINGS: Final = (("nbf", Reason.TOKEN_NOT_ACTIVE_YET), ("iat", Reason.TOKEN_IAT_IN_THE_FUTURE))


@dataclass(frozen=True, slots=True)
class ClaimPolicy:
    """What a session token must say."""

    issuers: frozenset[str]
    """The exact `iss` values accepted; empty means that none is pinned, and then every issuer is refused."""
    authorized_parties: frozenset[str] = frozenset()
    """Origins; empty means that `azp` is not looked at."""
    require_authorized_party: bool = True
    """Whether a token without `azp` is refused once parties are configured, as in Clerk's own SDKs."""
    audiences: frozenset[str] = frozenset()
    leeway: float = 5.0
    """Seconds by which two clocks may differ."""
    accept_pending: bool = False
    accept_templates: bool = False
    """Whether a token without a session (`sid`) is accepted; such a token outlives its session."""
    proxies: frozenset[str] = frozenset()
    """Those of `issuers` that are proxies, to name a mismatch."""
    satellites: frozenset[str] = frozenset()
    """Those of `issuers` that are satellites, to name a mismatch."""

    def __post_init__(self) -> None:
        """Refuse a text where a set belongs (`in` would look for a part of it), and a leeway that is no sane number.

        Raises ConfigurationError.
        """
        if not 0 <= self.leeway <= MOST_LEEWAY:
            raise ConfigurationError(f"a leeway of {self.leeway!r} s", "choose 0 to 300 s; tokens live for 60 s")
        for name in ("issuers", "authorized_parties", "audiences", "proxies", "satellites"):
            values = getattr(self, name)
            if isinstance(values, str | bytes) or "" in values:
                raise ConfigurationError(f"{name} is {values!r:.80}", f"pass a set of non-empty texts as {name}")
            object.__setattr__(self, name, frozenset(values))


def decode_claims(payload: bytes) -> dict[str, Any]:
    """Decode a payload that holds claims. Raises TokenRejected."""
    try:
        return decode_object(payload)
    except DuplicateKeyError as error:
        raise TokenRejected(Reason.PAYLOAD_DUPLICATE_KEY, f"payload: {error}") from None
    except ValueError:
        raise TokenRejected(Reason.PAYLOAD_INVALID, "the payload is not one JSON object in UTF-8") from None


def header_faults(header: Mapping[str, Any]) -> list[Fault]:
    """Return what speaks against the header of a session token, beyond the JWS policy.

    The type of an OAuth token is left to `claim_faults`, which names that kind.
    """
    faults: list[Fault] = []
    if "typ" in header and header["typ"] != "JWT" and str(header["typ"]).lower() not in OAUTH_TYPES:
        faults.append(Fault(Reason.TYP_INVALID, f"typ is {header['typ']!r:.40}, not 'JWT'"))
    if "cat" in header and not isinstance(header["cat"], str):
        faults.append(Fault(Reason.CAT_INVALID, f"cat is {header['cat']!r:.40}, not a string"))
    return faults


def claim_faults(  # noqa: C901, PLR0912 - one branch a rule, in the documented order
    header: Mapping[str, Any], claims: Mapping[str, Any], policy: ClaimPolicy, now: float
) -> list[Fault]:
    """Return every fault of `claims` at the time `now` (seconds since the epoch), in the order of the rules."""
    faults: list[Fault] = []
    kind = kind_of_claims(header, claims)
    if kind is not None and not (policy.accept_templates and kind.reason is Reason.WRONG_KIND_JWT_TEMPLATE):
        faults.append(Fault(kind.reason, f"{kind.what}; {kind.where}"))
    subject = claims.get("sub")
    if subject is None:
        faults.append(Fault(Reason.SUB_MISSING, "no sub: the token names no user"))
    elif not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        faults.append(Fault(Reason.SUB_INVALID, "sub is not a printable string of 1 to 255 characters"))
    issuer = claims.get("iss")
    if issuer not in policy.issuers if isinstance(issuer, str) else True:
        faults.append(issuer_fault(issuer, policy))
    if "aud" in claims:
        faults.extend(_audience(claims["aud"], policy.audiences))
    elif policy.audiences:
        faults.append(Fault(Reason.AUD_MISMATCH, "no aud, but an audience is configured"))
    party = claims.get("azp")
    if party is not None and not isinstance(party, str):
        faults.append(Fault(Reason.CLAIM_INVALID, "azp is not a string"))
    elif policy.authorized_parties and party not in policy.authorized_parties:
        faults.extend(_party(party, policy))
    faults.extend(_times(claims, now, policy.leeway))
    status = claims.get("sts")
    if status == "pending" and not policy.accept_pending:
        faults.append(Fault(Reason.SESSION_PENDING, "the session has an open task (sts is 'pending')"))
    elif status is not None and status not in ("active", "pending"):
        faults.append(Fault(Reason.SESSION_STATUS, f"sts is {status!r:.40}"))
    session = claims.get("sid")
    if session is None:
        if kind is None and not policy.accept_templates:
            faults.append(Fault(Reason.SID_MISSING, "no sid: the token names no session"))
    elif not isinstance(session, str) or not session or not session.isprintable():
        faults.append(Fault(Reason.CLAIM_INVALID, "sid is not a printable string"))
    if "jti" in claims and not isinstance(claims["jti"], str):
        faults.append(Fault(Reason.CLAIM_INVALID, "jti is not a string"))
    return faults


def _times(claims: Mapping[str, Any], now: float, leeway: float) -> list[Fault]:
    faults = []
    expiry = claims.get("exp")
    if expiry is None:
        faults.append(Fault(Reason.EXP_MISSING, "no exp: the token would never expire"))
    elif not _is_time(expiry):
        faults.append(Fault(Reason.TIME_INVALID, "exp is not a number that denotes a date"))
    elif expiry <= now - leeway:
        faults.append(Fault(Reason.TOKEN_EXPIRED, f"the token expired {duration(now - expiry)} ago"))
    for name, reason in _BEGINNINGS:
        if name in claims:
            beginning = claims[name]
            if not _is_time(beginning):
                faults.append(Fault(Reason.TIME_INVALID, f"{name} is not a number that denotes a date"))
            elif beginning > now + leeway:
                faults.append(Fault(reason, f"the token is valid only in {duration(beginning - now)} ({name})"))
    return faults


def _is_time(value: object) -> bool:
    """Whether `value` is a JSON number (RFC 7519 §2, NumericDate) up to the year 9999; no boolean, no infinity."""
    return type(value) in _NUMBERS and -LAST_TIME <= value <= LAST_TIME  # type: ignore[operator] # by the test before


def duration(seconds: float) -> str:
    """Return seconds as a person says them: `42 s`, `7 min`, `3 h`, `12 d`."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"


def _audience(found: object, accepted: Collection[str]) -> list[Fault]:
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        return [Fault(Reason.CLAIM_INVALID, "aud is neither a string nor a list of strings")]
    if not accepted:
        return [Fault(Reason.AUD_UNEXPECTED, f"aud is {values!r:.80}, but no audience is configured")]
    if not set(values) & set(accepted):
        return [Fault(Reason.AUD_MISMATCH, f"aud is {values!r:.80}, none of the configured audiences")]
    return []


def _party(found: str | None, policy: ClaimPolicy) -> list[Fault]:
    expected = ", ".join(sorted(policy.authorized_parties))
    if found is None:
        if not policy.require_authorized_party:
            return []
        return [Fault(Reason.AZP_MISSING, f"no azp, but authorised parties are configured ({expected:.200})")]
    reason = Reason.AZP_MISMATCH
    try:
        theirs = urlsplit(found)
        for party in policy.authorized_parties:
            ours = urlsplit(party)
            if found.rstrip("/") == party.rstrip("/"):
                reason = Reason.AZP_TRAILING_SLASH
            elif theirs.hostname == ours.hostname and theirs.scheme != ours.scheme:
                reason = Reason.AZP_SCHEME
            elif theirs.hostname == ours.hostname and theirs.port != ours.port:
                reason = Reason.AZP_PORT
    except ValueError:
        reason = Reason.AZP_MISMATCH
    return [Fault(reason, f"azp is {found!r:.80}, not one of the authorised parties ({expected:.200})")]


def issuer_fault(found: object, policy: ClaimPolicy) -> Fault:
    """Return in which way an issuer that is not accepted differs from those that are."""
    if not isinstance(found, str) or not found:
        return Fault(Reason.ISSUER_MISSING, "no iss" if found is None else f"iss is {found!r:.40}, not a string")
    expected = ", ".join(sorted(policy.issuers)) or "no issuer: none is pinned"
    return Fault(_issuer_reason(found, policy), f"iss is {found!r:.120}, expected {expected:.240}")


def _issuer_reason(found: str, policy: ClaimPolicy) -> Reason:
    if not policy.issuers:
        return Reason.ISSUER_UNPINNED
    bare = found.rstrip("/")
    if bare in {issuer.rstrip("/") for issuer in policy.issuers}:
        return Reason.ISSUER_MISMATCH_TRAILING_SLASH
    if bare.removeprefix("http://") in {issuer.removeprefix("https://").rstrip("/") for issuer in policy.issuers}:
        return Reason.ISSUER_MISMATCH_SCHEME
    host = _host(found)
    hosts = {_host(issuer) for issuer in policy.issuers}
    if host in {_host(proxy) for proxy in policy.proxies} or (
        host and host in hosts and urlsplit(found).path.strip("/")
    ):
        return Reason.ISSUER_MISMATCH_PROXY
    if host and any(host.endswith(_host(satellite).removeprefix("clerk")) for satellite in policy.satellites):
        return Reason.ISSUER_MISMATCH_SATELLITE
    if host in hosts or any(known and known in found.lower() for known in hosts):
        return Reason.ISSUER_MISMATCH_LOOKALIKE
    kinds = {is_clerk_development_host(known) for known in hosts}
    if is_clerk_development_host(host) not in kinds and host:
        return Reason.ISSUER_MISMATCH_ENVIRONMENT
    return Reason.ISSUER_MISMATCH_OTHER_INSTANCE


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
