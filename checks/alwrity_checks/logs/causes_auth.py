"""Issue 1: why tokens were refused, or let in.

Which fault leaves which lines was measured on ALwrity's own
middleware/auth_middleware.py at 8c2d88ef, 01881bb4, b894bc0a and ce9bf293.

A verification is `("verification", reason, rejected, undecodable, how it ended)`; see `incidents.Verification`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.logs.causes import Found, counting, often
from alwrity_checks.logs.times import Times
from alwrity_checks.logs.triage import Sureness

if TYPE_CHECKING:
    from alwrity_checks.logs.machines import Incident
    from alwrity_checks.logs.seen import Seen

__all__ = ["found"]

_VERIFICATIONS: Final = "verifications"
_REASONS: Final = {
    "why:expired": ("auth-stale", Sureness.CERTAIN, "the reason at DEBUG is `Token expired`"),
    "why:expiredcertificate": ("auth-certificate-expired", Sureness.CERTAIN, "the reason at DEBUG names a certificate"),
    "why:keys-unreachable": (
        "auth-keys-unreachable",
        Sureness.CERTAIN,
        "the reason is `Fail to fetch data from the url`",
    ),
    "why:unknown-key": (
        "auth-unknown-key",
        Sureness.LIKELY,
        "the reason is `Unable to find a signing key that matches`",
    ),
    "why:bad-signature": ("auth-forged", Sureness.CERTAIN, "the reason is `Signature verification failed`"),
    "why:not-yet-valid": ("auth-clock-behind", Sureness.CERTAIN, "the reason is `The token is not yet valid`"),
    "why:audience": ("auth-template-audience", Sureness.CERTAIN, "the reason is an audience that nobody asked for"),
    "why:algorithm": ("auth-algorithm", Sureness.LIKELY, "the reason is `The specified alg value is not allowed`"),
    "why:not-a-token": ("auth-null-token", Sureness.CERTAIN, "the reason is `Not enough segments`, or its like"),
    "why:": ("auth-other", Sureness.POSSIBLE, "the reason matches none that is known"),
    "no-verifier": (
        "auth-no-verifier",
        Sureness.CERTAIN,
        "`Fallback decoding is disabled`, or an error of the same path",
    ),
    "secret-key-missing": (
        "auth-secret-key-missing",
        Sureness.CERTAIN,
        "`CLERK_SECRET_KEY not configured` for each request",
    ),
    "no-user": ("auth-no-user", Sureness.CERTAIN, "`No user ID found`"),
    "verifier-error": ("auth-other", Sureness.POSSIBLE, "the verifier itself failed"),
}
"""Reason of a verification -> cause, how sure, and why."""


def found(seen: Seen) -> Iterator[Found]:
    """Yield what the log says about tokens."""
    yield from _alarms(seen)
    yield from _pair_alone(seen)
    yield from _with_reason(seen)
    yield from _issuer(seen)
    yield from _without_token(seen)
    yield from _optional(seen)


def _failed(incident: Incident) -> bool:
    return incident[-1] == "401"


def _refused_for(reason: str, incident: Incident) -> bool:
    return incident[1] == reason and _failed(incident)


def _doubled(count: int) -> tuple[str, ...]:
    if count < 2:  # noqa: PLR2004 - one request cannot be a repetition
        return ()
    requests = counting((count + 1) // 2, "request")
    return (f"the front end repeats each refused request once: {count} refusals are about {requests}",)


def _unfollowed(seen: Seen) -> int:
    """Return how many reasons no line followed at all: accepted tokens, or lines of several processes mixed up."""
    return seen.told("verification", _let_in)[0]


def _torn(seen: Seen) -> int:
    """Return how many verifications lack their 401 while a 401 elsewhere lacks its verification."""
    without, _ = seen.told("verification", lambda one: bool(one[1]) and bool(one[2]) and one[-1] == "open")
    return min(without, seen.told("verification", lambda one: not any(one[1:4]) and _failed(one))[0])


def _let_in(incident: Incident) -> bool:
    return incident[1].startswith("why:") and not incident[2] and not incident[3] and incident[-1] == "open"


def _pair_alone(seen: Seen) -> Iterator[Found]:
    count, times = seen.told("verification", lambda one: not one[1] and bool(one[2]) and _failed(one))
    if count:
        sure, why = _alone(seen, count)
        yield Found("auth-stale", sure, times, _VERIFICATIONS, (*why, *_doubled(count)))
    bare, times = seen.told("verification", lambda one: not any(one[1:4]) and _failed(one))
    if bare:
        text = f"{often(bare)} the 401 stands without any line before it"
        yield Found("auth-unexplained", Sureness.POSSIBLE, times, _VERIFICATIONS, (text,))
    garbled, times = seen.told("verification", lambda one: not one[1] and not one[2] and bool(one[3]) and _failed(one))
    if garbled:
        text = f"{often(garbled)} what came could not be decoded, and the reason before it is missing"
        yield Found("auth-null-token", Sureness.LIKELY, times, _VERIFICATIONS, (text,))


def _alone(seen: Seen, count: int) -> tuple[Sureness, tuple[str, ...]]:
    """Judge rejections with a 401 and without a reason."""
    alone = f"{often(count)} a rejection and the 401 stand alone"
    if seen.verbose:
        return Sureness.POSSIBLE, (f"{alone}, though the log is verbose: the reason went elsewhere",)
    hidden = f"{alone}: expiry is the one reason that is hidden at DEBUG"
    if mixed := min(_unfollowed(seen), count):
        several = f"reasons without a rejection: {mixed}; several processes may write into this log at once"
        return Sureness.POSSIBLE, (hidden, several)
    if torn := min(_torn(seen), count):
        several = f"a reason and its rejection without their 401: {torn}, and as many 401 without a reason"
        return Sureness.POSSIBLE, (hidden, f"{several}; several processes may write into this log at once")
    return Sureness.LIKELY, (hidden, "an expired certificate of the key server would leave the same lines")


def _with_reason(seen: Seen) -> Iterator[Found]:
    for reason, (cause, sure, text) in _REASONS.items():
        count, times = seen.told("verification", partial(_refused_for, reason))
        if not count:
            continue
        why = [f"{often(count)} {text}, followed by the 401"]
        rule = None
        if cause == "auth-keys-unreachable":
            told = sorted(seen.entities("auth.verification-error", "text"), key=len)
            rule = _fetching_rule(" ".join(told))
        if cause == "auth-no-verifier":
            if seen.count("auth.package-missing"):
                why.append("at the start: the package fastapi-clerk-auth is not available")
            if seen.count("auth.keys-missing-at-start", "one-of-both"):
                why.append("at the start: CLERK_SECRET_KEY or CLERK_PUBLISHABLE_KEY was not found")
            if seen.count("auth.publishable-key-unreadable"):
                why.append("at the start: the publishable key could not be read")
        yield Found(cause, sure, times, _VERIFICATIONS, (*why, *_doubled(count)), rule)


def _fetching_rule(text: str) -> str | None:
    words = (
        ("CERTIFICATE_VERIFY_FAILED", "AUTH042"),
        ("Name or service not known", "AUTH040"),
        ("name resolution", "AUTH040"),
        ("getaddrinfo", "AUTH040"),
        ("timed out", "AUTH043"),
        ("HTTP Error 4", "AUTH044"),
        ("HTTP Error 5", "AUTH045"),
    )
    return next((rule for word, rule in words if word in text), None)


def _issuer(seen: Seen) -> Iterator[Found]:
    count, times = seen.told("verification", lambda one: one[1] == "issuer-mismatch")
    if not count:
        return
    expected = sorted(seen.entities("auth.issuer-mismatch", "expected"))
    claimed = sorted(seen.entities("auth.issuer-mismatch", "issuer"))
    blobs = [one for one in expected if _undecoded(one)]
    why = [
        f"{often(count)} `Issuer mismatch`",
        f"the tokens' issuer: {', '.join(claimed[:3])}; expected: {', '.join(expected[:3])}",
    ]
    if blobs:
        why.append("the expected host is base64: the publishable key was not decoded")
    yield Found(
        "auth-undecoded-key" if blobs else "auth-wrong-instance", Sureness.CERTAIN, times, _VERIFICATIONS, tuple(why)
    )


def _undecoded(issuer: str) -> bool:
    """Say whether an issuer's host is the body of a publishable key: base64 of a host with a dollar sign behind it."""
    label = (urlsplit(issuer).netloc or issuer).partition(".")[0]
    try:
        text = base64.b64decode(label + "=" * (-len(label) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return False
    return "." in text


def _without_token(seen: Seen) -> Iterator[Found]:
    malformed = Times()
    for signature, variant in (("auth.no-credentials", "malformed-header"), ("auth.header-not-extracted", None)):
        malformed = seen.times(signature, variant)
        if malformed.count:
            break
    if malformed.count:
        why = (f"{counting(malformed.count, 'request')} with an Authorization header that holds no bearer token",)
        yield Found("auth-malformed-header", Sureness.CERTAIN, malformed, "requests", why)
    times = Times()
    for variant in ("", "neither"):
        times = _joined(times, seen.times("auth.no-credentials", variant))
    if times.count:
        why = (f"{often(times.count)} `No credentials provided`: these requests carried no token at all",)
        yield Found("auth-no-header", Sureness.CERTAIN, times, "requests", why)


def _optional(seen: Seen) -> Iterator[Found]:
    count, times = seen.told("verification", lambda one: bool(one[2] or one[3]) and one[-1] == "open")
    if count:
        why = [
            f"{counting(count, 'rejection')} without `AUTHENTICATION ERROR` behind them: such endpoints answer with 200"
        ]
        sure = Sureness.LIKELY
        if _unfollowed(seen) or seen.told("verification", lambda one: not any(one[1:4]) and _failed(one))[0]:
            why.append("other lines stand apart as well: several processes may write into this log at once")
            sure = Sureness.POSSIBLE
        yield Found("auth-optional", sure, times, _VERIFICATIONS, tuple(why))


def _alarms(seen: Seen) -> Iterator[Found]:
    accepted, times = seen.told("verification", lambda one: one[-1] == "accepted")
    if accepted:
        why = (f"{often(accepted)} `Unverified token accepted (dev)`, or its like",)
        yield Found("auth-accepted-unverified", Sureness.CERTAIN, times, _VERIFICATIONS, why)
    let_in, times = seen.told("verification", _let_in)
    rejections, _ = seen.told("verification", lambda one: bool(one[2]))
    if let_in and not accepted:
        reasons = sorted(
            {
                one[1].removeprefix("why:") or "other"
                for one in seen.incidents
                if one[0] == "verification" and _let_in(one)
            }
        )
        failed = f"{counting(let_in, 'verification')} failed ({', '.join(reasons)})"
        why_open = [f"{failed}, and neither a rejection nor a 401 followed: the fallback was on"]
        sure = Sureness.LIKELY
        if rejections:
            why_open.append(f"others were rejected: {rejections}; lines of several processes may be mixed, or cut off")
            sure = Sureness.POSSIBLE
        elif {"unknown-key", "bad-signature"} & set(reasons):
            why_open.append("a token that no known key has signed was let in")
        yield Found("auth-accepted-unverified", sure, times, _VERIFICATIONS, tuple(why_open))
    if not accepted and not let_in and (on := seen.times("auth.switches", "unverified-allowed")).count:
        why = (
            "at the start: allow_unverified_dev=True; an expired token, or a missing key, is accepted without a line",
        )
        yield Found("auth-accepted-unverified", Sureness.POSSIBLE, on, "starts", why)
    off = _joined(seen.times("auth.switched-off"), seen.times("auth.switches", "off"))
    if off.count:
        yield Found(
            "auth-switched-off", Sureness.CERTAIN, off, "lines", ("`Authentication disabled`, or auth_disabled=True",)
        )
    hosts = sorted({urlsplit(url).netloc for url in seen.entities("auth.key-client", "url")})
    if len(hosts) > 1:
        why = (f"keys were fetched from {len(hosts)} hosts: {', '.join(hosts[:4])}",)
        yield Found("auth-foreign-keys", Sureness.LIKELY, seen.times("auth.key-client"), "key sets", why)


def _joined(one: Times, other: Times) -> Times:
    from alwrity_checks.logs.times import NOWHERE, Shift

    whole = Times()
    for times in (one, other):
        whole.join(times, Shift(NOWHERE, 0, absolute=True))
    return whole
