"""The chain of one token: each step with its verdict, then everything that is wrong, together.

The steps use the component's own functions, so that what is said here of a token is what production does with it. The
component stops at the first step that fails; here the later ones go on as far as they can, marked as not verified.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.auth.check_network import clock_finding, failure_finding
from alwrity_checks.auth.claims import ClaimPolicy, claim_faults, decode_claims, duration, header_faults
from alwrity_checks.auth.compact import MAX_TOKEN_BYTES, Compact, check_signature, parse_compact
from alwrity_checks.auth.errors import Fault, TokenRejected
from alwrity_checks.auth.fetch import FetchedKeys, FetchFailed, fetch_keys
from alwrity_checks.auth.findings import finding
from alwrity_checks.auth.key_source import StaticKeys, published
from alwrity_checks.auth.kinds import unwrap
from alwrity_checks.auth.pins import Pins, key_url_of_issuer
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.unverified import decode_unverified
from alwrity_checks.model import CheckResult, Evidence, Finding, Verdict
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.auth.jwk import KeySet

__all__ = ["diagnose"]

_ISSUE: Final = 1
_TITLES: Final = {
    "shape": "the text is one JWT",
    "header": "the header is a session token's",
    "key": "the pinned instance publishes the token's key",
    "signature": "the signature is the key's",
    "issuer": "the issuer is the pinned one",
    "party": "the token was minted for this application",
    "times": "the token is valid now",
    "session": "the token names a user's finished session",
}
_STEP_OF: Final = {
    "issuer": ("issuer-",),
    "party": ("azp-", "aud-"),
    "times": ("token-expired", "token-not-active", "token-iat", "exp-", "time-"),
}
"""Which step shows a reason; what stands nowhere here belongs to the session."""
_SPOILT: Final = frozenset({Reason.ENCODING_INVALID, Reason.SIGNATURE_NONCANONICAL})
"""Faults of the text as a whole; what else refuses a token that can be decoded is its header's."""
_OFFLINE: Final = (
    "--offline was given: no key to judge the token with",
    "run without --offline, or pass --jwks-file",
)
_NOTHING_TO_FETCH: Final = (
    "nothing is pinned, and the issuer is no host of Clerk's own: nothing was fetched",
    "pass --publishable-key, --issuer (if you trust it), --jwks-file or --env-file",
)
_SHOWN: Final = re.compile(r"[\x20-\x7e]{1,120}")


@dataclass(slots=True)
class _Chain:
    """The steps so far."""

    results: list[CheckResult] = field(default_factory=list)
    _since: float = field(default_factory=time.perf_counter)

    def add(  # noqa: PLR0913 - the fields of a result
        self,
        step: str,
        findings: tuple[Finding, ...] = (),
        *,
        seen: str = "",
        evidence: tuple[Evidence, ...] = (),
        verdict: Verdict | None = None,
        because: str = "",
        remedy: str = "",
    ) -> None:
        now = time.perf_counter()
        self.results.append(
            CheckResult(
                name=f"token.{step}",
                title=_TITLES[step],
                issue=_ISSUE,
                verdict=verdict or Verdict.of(findings),
                findings=findings,
                reason=seen,
                remedy=remedy,
                because=because,
                evidence=evidence,
                duration=timedelta(seconds=now - self._since),
            )
        )
        self._since = time.perf_counter()

    @property
    def first_failed(self) -> str:
        """The first step of the chain itself that failed; a result from before the chain is no step."""
        failed = {one.name for one in self.results if one.verdict is Verdict.FAIL}
        return next(step for step in _TITLES if f"token.{step}" in failed)

    def skip(self, *steps: str, because: str) -> None:
        for step in steps:
            self.add(step, verdict=Verdict.SKIP, seen="not reached", because=f"token.{because}")


async def diagnose(  # noqa: PLR0913 - what is judged, against what, and how
    text: str,
    pins: Pins,
    *,
    leeway: float = 5.0,
    offline: bool = False,
    clock: Callable[[], float] = time.time,
    steps: list[CheckResult] | None = None,
) -> tuple[CheckResult, ...]:
    """Take `text`, whatever it is, through the chain; `leeway` in seconds. Never raises for what `text` holds.

    Each step is added to `steps` as it ends, so that a diagnosis that is interrupted has said what it could.
    """
    chain = _Chain(steps if steps is not None else [])
    token, wrapping = unwrap(text) if len(text) <= 2 * MAX_TOKEN_BYTES else (text, ())
    wrapped = (finding(Reason.TOKEN_WRAPPED, f"taken off: {', '.join(wrapping)}"),) * bool(wrapping)
    try:
        compact: Compact | None = parse_compact(token)
        refusal = None
    except TokenRejected as rejection:
        compact, refusal = None, rejection
    decoded = decode_unverified(token) if len(token) <= MAX_TOKEN_BYTES else None
    size = f"{len(token)} characters"
    if decoded is None:
        fault = refusal or _payload_fault(compact)
        if fault.reason is Reason.TOKEN_WRAPPED:
            fault = TokenRejected(Reason.TOKEN_NOT_JWT, "wrapped in more layers than anybody pastes")
        shape = (*wrapped, finding(fault.reason, f"this is {fault.detail}" if _is_kind(fault) else fault.detail))
        chain.add("shape", shape, seen=size)
        chain.skip("header", "key", "signature", "issuer", "party", "times", "session", because="shape")
        return tuple(chain.results)
    header, claims = decoded
    spoilt = refusal is not None and refusal.reason in _SPOILT
    chain.add("shape", (*wrapped, *(_findings(list(refusal.faults)) if refusal and spoilt else ())), seen=size)
    _header_step(chain, header, None if spoilt else refusal)
    server = await _key_and_signature(chain, compact, header, claims, pins, offline=offline)
    verified = chain.results[-1].verdict is Verdict.PASS
    _claim_steps(chain, header, claims, pins, _Moment(clock(), leeway, server), verified=verified)
    return tuple(chain.results)


def _payload_fault(compact: Compact | None) -> TokenRejected:
    try:
        decode_claims(compact.payload if compact else b"")
    except TokenRejected as rejection:
        return rejection
    return TokenRejected(Reason.PAYLOAD_INVALID, "the payload cannot be read")


def _is_kind(rejection: TokenRejected) -> bool:
    return rejection.reason.startswith(("wrong-kind", "token-is", "token-placeholder"))


def _header_step(chain: _Chain, header: Mapping[str, Any], refusal: TokenRejected | None) -> None:
    faults = [*refusal.faults] if refusal else []
    faults += header_faults(header)
    kid = header.get("kid")
    if isinstance(kid, str) and kid and not kid.startswith("ins_"):
        faults.append(Fault(Reason.KID_FORMAT, f"kid is {_text(kid)}; Clerk's begin with ins_"))
    evidence = tuple(Evidence(name, _text(header[name])) for name in ("alg", "kid", "typ", "cat") if name in header)
    chain.add("header", _findings(faults), evidence=evidence, seen=f"alg {_text(header.get('alg'))}")


async def _key_and_signature(  # noqa: PLR0913 - the two steps share all of it
    chain: _Chain,
    compact: Compact | None,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    pins: Pins,
    *,
    offline: bool,
) -> _ServerClock:
    """Find the key and check the signature; return what the key server said of the time."""
    url = None if pins.keys else key_url_of_issuer(claims.get("iss"), pins)
    if pins.keys is not None:
        _look_up(
            chain,
            compact,
            header,
            pins.keys,
            (Evidence("keys from", ", ".join(pins.sources)),),
            "from a file or setting",
            fetched=False,
        )
        return _ServerClock()
    if url is None or offline:
        seen, remedy = _OFFLINE if url else _NOTHING_TO_FETCH
        chain.add("key", verdict=Verdict.UNKNOWN, seen=seen, remedy=remedy)
        chain.skip("signature", because="key")
        return _ServerClock()
    try:
        fetched = await fetch_keys(url)
    except FetchFailed as failure:
        chain.add(
            "key",
            (failure_finding(failure, url),),
            verdict=Verdict.UNKNOWN if failure.transient else Verdict.FAIL,
            seen=f"no key set from {url}",
            evidence=_timings(failure),
            remedy="alwrity-doctor auth verify --jwks-file FILE - (with a key set fetched elsewhere)",
        )
        chain.skip("signature", because="key")
        return _ServerClock(failure.clock_offset, url)
    evidence = (Evidence("key set", url), *_timings(fetched))
    _look_up(chain, compact, header, fetched.keys, evidence, _times_taken(fetched), fetched=True)
    return _ServerClock(fetched.clock_offset, url)


def _look_up(  # noqa: PLR0913, PLR0917 - what is looked up, where, and what to say of it
    chain: _Chain,
    compact: Compact | None,
    header: Mapping[str, Any],
    keys: KeySet,
    evidence: tuple[Evidence, ...],
    seen: str,
    *,
    fetched: bool,
) -> None:
    kid = header.get("kid")
    named = kid if isinstance(kid, str) else None
    try:
        found = published(keys, named) if fetched else StaticKeys(keys).lookup(named)
    except TokenRejected as rejection:
        known = Evidence("published kids", ", ".join(_text(one) for one in keys.by_kid)[:200])
        refusal = finding(rejection.reason, rejection.detail, evidence=(known,))
        chain.add("key", (refusal,), evidence=evidence, seen=seen)
        chain.skip("signature", because="key")
        return
    chain.add("key", evidence=evidence, seen=seen)
    if compact is None:
        chain.skip("signature", because=chain.first_failed)
        return
    try:
        check_signature(compact, found)
    except TokenRejected as rejection:
        chain.add("signature", (finding(rejection.reason, rejection.detail),))
    else:
        chain.add("signature", seen=f"RS256, {found[0].public_key.key_size} bits")


@dataclass(frozen=True, slots=True)
class _ServerClock:
    """How far the key server's clock is ahead of ours, in seconds; None where it did not say."""

    offset: float | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class _Moment:
    """When the token is judged."""

    now: float
    leeway: float
    server: _ServerClock


def _claim_steps(  # noqa: PLR0913 - the last four steps share all of it
    chain: _Chain,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    pins: Pins,
    moment: _Moment,
    *,
    verified: bool,
) -> None:
    issuer = claims.get("iss")
    compared = pins.issuers or (frozenset({issuer}) if isinstance(issuer, str) and issuer else frozenset())
    policy = ClaimPolicy(
        issuers=compared,
        authorized_parties=pins.authorized_parties,
        leeway=moment.leeway,
        proxies=pins.proxies,
        satellites=pins.satellites,
    )
    faults: dict[str, list[Fault]] = {"issuer": [], "party": [], "times": [], "session": []}
    for fault in claim_faults(header, claims, policy, moment.now):
        faults[_step_of(fault.reason)].append(fault)
    if not pins.any:
        faults["issuer"].append(Fault(Reason.ISSUER_UNPINNED, "no issuer and no key was pinned"))
    if isinstance(claims.get("act"), Mapping):
        faults["session"].append(Fault(Reason.IMPERSONATION, f"{_text(claims['act'].get('sub'))} acts as this user"))
    marked = () if verified else (Evidence("signature", "not verified: anybody could have written these claims"),)
    if (
        verified
        and pins.issuers
        and [fault.reason for found in faults.values() for fault in found] == [Reason.TOKEN_EXPIRED]
    ):
        marked = (Evidence("apart from its age", "nothing speaks against it: a fresh one would be accepted"),)

    keys_alone = pins.any and not pins.issuers and not faults["issuer"]
    sources = ", ".join(pins.sources)
    chain.add(
        "issuer",
        _findings(faults["issuer"], marked),
        verdict=Verdict.SKIP if keys_alone else None,
        seen=f"not compared: {sources} pins keys only" if keys_alone else f"pinned by {sources or 'nothing'}",
        remedy="pass --issuer URL or --publishable-key KEY as well" if keys_alone else "",
        evidence=_shown(claims, "iss"),
    )
    checked = bool(pins.authorized_parties) or "aud" in claims
    chain.add(
        "party",
        _findings(faults["party"], marked),
        verdict=None if checked or faults["party"] else Verdict.SKIP,
        seen="" if checked else "no authorised party is configured",
        remedy="" if checked else "pass --authorized-party ORIGIN, or set CLERK_AUTHORIZED_PARTIES",
        evidence=_shown(claims, "azp", "aud"),
    )
    _times_step(chain, claims, faults["times"], moment, marked)
    named = _shown(claims, "sub", "sid", "sts", "v")
    chain.add("session", _findings(faults["session"], marked), evidence=named, seen=named[0].value if named else "")


def _times_step(
    chain: _Chain, claims: Mapping[str, Any], faults: list[Fault], moment: _Moment, marked: tuple[Evidence, ...]
) -> None:
    offset = moment.server.offset
    clock = clock_finding(offset, moment.server.url)
    findings = _findings(faults, marked)
    if clock is not None and offset is not None:
        corrected = _Moment(moment.now + offset, moment.leeway, moment.server)
        explains = bool(faults) and not _times_by(claims, corrected)
        said = "valid: the clock is the cause" if explains else "no different"
        findings = (
            replace(clock, evidence=(*clock.evidence, Evidence("by the server's clock the token is", said))),
            *findings,
        )
    dates = tuple(
        Evidence(name, f"{datetime.fromtimestamp(claims[name], UTC):%Y-%m-%d %H:%M:%S} UTC")
        for name in ("iat", "exp")
        if type(claims.get(name)) in (int, float) and 0 <= claims[name] < 1e11  # noqa: PLR2004 - what a date can show
    )
    measured = () if offset is None else (Evidence("key server's clock", f"{offset:+.1f} s against ours"),)
    seen = ""
    if not faults and type(claims.get("exp")) in (int, float):
        seen = f"for another {duration(max(0.0, claims['exp'] - moment.now))}"
    chain.add("times", findings, seen=seen, evidence=(*dates, *measured))


def _times_by(claims: Mapping[str, Any], moment: _Moment) -> list[Fault]:
    policy = ClaimPolicy(frozenset(), leeway=moment.leeway)
    return [fault for fault in claim_faults({}, claims, policy, moment.now) if _step_of(fault.reason) == "times"]


def _step_of(reason: Reason) -> str:
    return next((step for step, prefixes in _STEP_OF.items() if reason.startswith(prefixes)), "session")


def _findings(faults: list[Fault], evidence: tuple[Evidence, ...] = ()) -> tuple[Finding, ...]:
    return tuple(finding(fault.reason, fault.detail, evidence=evidence) for fault in faults)


def _shown(claims: Mapping[str, Any], *names: str) -> tuple[Evidence, ...]:
    return tuple(Evidence(name, _text(claims[name])) for name in names if name in claims)


def _text(value: object) -> str:
    """Show a value of the token's: plain ASCII as it is, everything else escaped and cut."""
    if isinstance(value, str) and _SHOWN.fullmatch(value):
        return scrub(value)
    return scrub(f"{value!a:.120}")


def _timings(source: FetchedKeys | FetchFailed) -> tuple[Evidence, ...]:
    taken = _times_taken(source)
    facts = [f"{name} {value}" for name, value in source.facts.items()] if isinstance(source, FetchedKeys) else []
    return (Evidence("times", taken),) * bool(taken) + (Evidence("answer", ", ".join(facts)),) * bool(facts)


def _times_taken(source: FetchedKeys | FetchFailed) -> str:
    timings = source.timings
    steps = (("DNS", timings.dns), ("connect", timings.connect), ("TLS", timings.tls), ("HTTP", timings.http))
    return ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in steps if seconds is not None)
