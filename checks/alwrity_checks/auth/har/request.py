"""What one request of a capture carried as its session token, judged at the moment it was sent.

Nothing is verified here: signatures are not looked at, and claims are what the token says of itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.auth.claims import ClaimPolicy, claim_faults
from alwrity_checks.auth.compact import MAX_TOKEN_BYTES, parse_compact
from alwrity_checks.auth.errors import Fault, TokenRejected
from alwrity_checks.auth.kinds import kind_of_claims, kind_of_text, unwrap
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.unverified import decode_unverified
from alwrity_checks.redaction import Secret, fingerprint

if TYPE_CHECKING:
    from alwrity_checks.auth.har.reader import Entry

__all__ = ["Clocks", "Judgement", "TokenJudge", "clocks"]

_RESOLUTION: Final = 1.0
"""Seconds: the Date header has no fractions."""
_MASK: Final = re.compile(
    r"(?i)[^a-z0-9]*"
    r"(?:[x*•.…-]+|[a-z _]*(?:redact|remov|saniti[sz]|mask|hidden|filter|omit|strip|censor|scrub)[a-z _]*)"
    r"[^a-z0-9]*"
)
"""What tools that clean captures put in place of a secret."""
_LONGEST_MASK: Final = 80
_CLAIMS_BY_TIME: Final = {
    Reason.TOKEN_EXPIRED: "exp",
    Reason.TOKEN_NOT_ACTIVE_YET: "nbf",
    Reason.TOKEN_IAT_IN_THE_FUTURE: "iat",
}
_LENIENT: Final = frozenset({Reason.WRONG_KIND_JWT_TEMPLATE, Reason.SID_MISSING})
"""What some backends accept: blamed only if nothing else is wrong."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """When a request was judged, by the two clocks that a capture shows."""

    moment: float | None
    """Seconds since the epoch by the browser's clock; by the server's if the browser's is not known."""
    ahead: float
    """Seconds by which the server's clock is ahead of the browser's; negative if behind, 0 if they agree."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What speaks against a request's token, its issuer aside. Equal for equal faults: it holds no time."""

    reason: Reason | None = None
    """None if nothing does."""
    detail: str = ""
    outranks_issuer: bool = False
    """Whether the reason stands whatever the issuer."""
    empty: bool = False
    """No token at all, or the text of an empty JavaScript value: what a front end without a session sends."""
    withheld: bool = False
    """Something stood there, and a tool has blotted it out."""
    issuer: str | None = None
    token: str = ""
    """The token's fingerprint: equal for equal tokens in this process."""


def clocks(entry: Entry, leeway: float) -> Clocks:
    """Compare the moment of a request with the Date header of its answer; `leeway` is in seconds."""
    server = _date(entry.date)
    if entry.moment is None or server is None:
        return Clocks(server if entry.moment is None else entry.moment, 0.0)
    tolerance = leeway + _RESOLUTION
    after, before = server - (entry.moment + entry.elapsed), entry.moment - server
    return Clocks(entry.moment, after if after > tolerance else -before if before > tolerance else 0.0)


def _date(header: str) -> float | None:
    if not header:
        return None
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(header)
        return date.timestamp() if date.tzinfo else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


class TokenJudge:
    """Judges tokens; remembers the last few, because a front end sends each one many times."""

    def __init__(self, policy: ClaimPolicy) -> None:
        self._policy = policy
        self._decoded = lru_cache(maxsize=64)(decode_unverified)

    def glance(
        self, authorization: tuple[Secret, ...], query: str | None, moment: float | None
    ) -> tuple[str | None, bool]:
        """Return the issuer that a token names, if it decodes and names one, and whether it is alive at `moment`."""
        text = _credential(authorization, query)
        decoded = None if isinstance(text, Judgement) or len(text) > MAX_TOKEN_BYTES else self._decoded(text)
        if decoded is None:
            return None, False
        expiry = decoded[1].get("exp")
        alive = moment is not None and isinstance(expiry, int | float) and moment - self._policy.leeway < expiry
        return _issuer(decoded[1]), alive

    def judge(self, authorization: tuple[Secret, ...], query: str | None, when: Clocks) -> tuple[Judgement, float]:
        """Return what speaks against the token, and for a fault of time by how many seconds."""
        text = _credential(authorization, query)
        if isinstance(text, Judgement):
            return text, 0.0
        mark = fingerprint(text)
        if len(text) > MAX_TOKEN_BYTES:
            return Judgement(
                Reason.TOKEN_TOO_LARGE, f"more than {MAX_TOKEN_BYTES} bytes", outranks_issuer=True, token=mark
            ), 0.0
        bare, taken = unwrap(text)
        kind = kind_of_text(bare)
        if kind is not None:
            empty = kind.reason in {Reason.TOKEN_PLACEHOLDER, Reason.TOKEN_MISSING}
            token = "" if empty else mark
            return Judgement(kind.reason, kind.what, outranks_issuer=True, empty=empty, token=token), 0.0
        if taken:
            detail = f"wrapped in {', '.join(taken)}"
            return Judgement(Reason.TOKEN_WRAPPED, detail, outranks_issuer=True, token=mark), 0.0
        return self._judge_jws(text, mark, when)

    def _judge_jws(self, text: str, mark: str, when: Clocks) -> tuple[Judgement, float]:
        decoded = self._decoded(text)
        judgement = Judgement(issuer=_issuer(decoded[1]) if decoded else None, token=mark)
        kind = kind_of_claims(*decoded) if decoded else None
        if kind is not None and kind.reason not in _LENIENT:
            return replace(judgement, reason=kind.reason, detail=kind.what, outranks_issuer=True), 0.0
        if decoded is None or not _masked(text.rpartition(".")[2]):
            try:
                parse_compact(text)
            except TokenRejected as rejection:
                return replace(judgement, reason=rejection.reason, detail=rejection.detail, outranks_issuer=True), 0.0
        if decoded is None:
            return replace(judgement, reason=Reason.PAYLOAD_INVALID, detail="no JSON object", outranks_issuer=True), 0.0
        fault, seconds = self._fault(*decoded, when)
        return (replace(judgement, reason=fault.reason, detail=fault.detail) if fault else judgement), seconds

    def _fault(self, header: dict[str, Any], claims: dict[str, Any], when: Clocks) -> tuple[Fault | None, float]:
        """Return the fault by the server's clock; where the browser's says otherwise, the clocks are the fault."""
        moment = when.moment
        if moment is None:
            return next((fault for fault in self._faults(header, claims, 0.0) if not _by_time(fault)), None), 0.0
        there = self._faults(header, claims, moment + when.ahead)
        if not there or not _by_time(there[0]):
            return (there[0] if there else None), 0.0
        if when.ahead and not any(_by_time(fault) for fault in self._faults(header, claims, moment)):
            return Fault(Reason.CLOCK_SKEW, ""), abs(when.ahead)
        reason = there[0].reason
        return Fault(reason, ""), abs(moment + when.ahead - claims[_CLAIMS_BY_TIME[reason]])

    def _faults(self, header: dict[str, Any], claims: dict[str, Any], moment: float) -> list[Fault]:
        """Return the faults of the claims, their issuer taken as the right one, the most telling first."""
        issuer = _issuer(claims)
        pinned = frozenset({issuer}) if issuer else frozenset()
        faults = claim_faults(header, claims, replace(self._policy, issuers=pinned), moment)
        return sorted(faults, key=lambda fault: (not _by_time(fault), fault.reason in _LENIENT))


def _issuer(claims: dict[str, Any]) -> str | None:
    """Return the issuer that the claims name; an empty one names nobody."""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) and issuer else None


def _by_time(fault: Fault) -> bool:
    return fault.reason in _CLAIMS_BY_TIME


def _credential(authorization: tuple[Secret, ...], query: str | None) -> str | Judgement:
    """Return what stands in the token's place, or why nothing does. The header counts before the query."""
    header = authorization[0].reveal().strip() if authorization else ""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        text = rest.strip()
        if not text:
            return Judgement(Reason.TOKEN_MISSING, "Authorization: Bearer with no token", empty=True)
    elif header:
        text = header
    elif query is not None:
        text = query
    else:
        return Judgement(Reason.TOKEN_MISSING, "no Authorization header and no ?token=", empty=True)
    if _masked(text):
        return Judgement(withheld=True)
    if text is header:
        kind = kind_of_text(header)
        if kind is None or kind.reason is Reason.TOKEN_NOT_JWT:
            return Judgement(Reason.TOKEN_MISSING, "an Authorization header without the scheme Bearer")
    return text


def _masked(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_MASK and _MASK.fullmatch(text) is not None
