"""What the instance itself says: its published keys, its clock, and whether a secret key is one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.auth.configuration import ClerkConfiguration
from alwrity_checks.auth.fetch import FetchedKeys, FetchFailed, fetch_keys
from alwrity_checks.auth.findings import finding
from alwrity_checks.auth.hosts import key_server_url
from alwrity_checks.auth.pem import read_verification_key
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.errors import CannotCheck
from alwrity_checks.model import Evidence, Finding, Location, LocationKind
from alwrity_checks.settings import Source

if TYPE_CHECKING:
    from alwrity_checks.settings import Settings

__all__ = [
    "CLOCK_TOLERANCE",
    "clock_finding",
    "failure_finding",
    "instance_findings",
    "jwt_key_instance_findings",
    "key_server_findings",
]

CLOCK_TOLERANCE: Final = 5.0
"""Seconds; the verifier's leeway. The Date header itself is good to a second."""
BACKEND_API: Final = "https://api.clerk.com"


def failure_finding(failure: FetchFailed, url: str) -> Finding:
    """Return what a failed fetch says of the key server."""
    return finding(failure.reason, f"no keys from the server: {failure.detail}", Location(LocationKind.URL, url))


def clock_finding(offset: float | None, url: str) -> Finding | None:
    """Return the finding of a clock that is off; None if it is right, or if the server did not say."""
    if offset is None or abs(offset) <= CLOCK_TOLERANCE + 1.0:
        return None
    direction = "behind" if offset > 0 else "ahead of"
    return finding(
        Reason.CLOCK_SKEW,
        f"this machine's clock is about {abs(offset):.0f} s {direction} the key server's",
        Location(LocationKind.URL, url),
        commands=("timedatectl status",),
    )


async def _fetch(url: str, headers: dict[str, str] | None = None) -> FetchedKeys:
    """Fetch, or raise CannotCheck for a passing cause: that says nothing about the settings."""
    try:
        return await fetch_keys(url, headers=headers)
    except FetchFailed as failure:
        if failure.transient:
            raise CannotCheck(
                f"the key server could not be asked: {failure.detail}",
                "try again with a network; see the finding for the cause",
                (failure_finding(failure, url),),
            ) from None
        raise


async def key_server_findings(settings: Settings) -> Sequence[Finding]:
    """Fetch the pinned key set; look at every entry and at the clock."""
    url = ClerkConfiguration.read(settings).jwks_url
    try:
        fetched = await _fetch(url)
    except FetchFailed as failure:
        return (failure_finding(failure, url),)
    dropped = [
        finding(one.reason, f"entry {one.kid}: {one.detail}", Location(LocationKind.URL, url))
        for one in fetched.keys.dropped
        if one.reason in {Reason.JWKS_WEAK_KEY, Reason.JWKS_SECRET_MATERIAL}
    ]
    clock = clock_finding(fetched.clock_offset, url)
    return (*dropped, clock) if clock else tuple(dropped)


async def instance_findings(settings: Settings) -> Sequence[Finding]:
    """Compare the key ids of the Backend API (secret key) with those of the Frontend API (publishable key)."""
    secret, api = settings.get("CLERK_SECRET_KEY"), settings.get("CLERK_API_URL")
    if secret is None:
        raise CannotCheck("CLERK_SECRET_KEY is not set", "set CLERK_SECRET_KEY or pass --env-file FILE")
    if api is not None and api.source is Source.DOTENV and api.location.name != secret.location.name:
        # Whoever can put a .env beside the command must not be sent a key from elsewhere.
        raise CannotCheck(
            f"CLERK_API_URL comes from {api.location}, the secret key from {secret.location}: it is not sent there",
            "set both in one place, or unset CLERK_API_URL",
        )
    base = (api.value.reveal() if api else "").strip().rstrip("/") or BACKEND_API
    url = key_server_url(f"{base}/v1/jwks")
    ours = await _keys_of_frontend(settings)
    try:
        theirs = await _fetch(url, {"Authorization": f"Bearer {secret.value.reveal().strip()}"})
    except FetchFailed as failure:
        if failure.status in {401, 403}:
            return (
                finding(Reason.SECRET_KEY_INVALID, f"Clerk's Backend API refuses the key: {failure.detail}", secret),
            )
        raise CannotCheck(
            f"the Backend API's answer is no key set: {failure.detail}",
            "check CLERK_API_URL",
            (failure_finding(failure, url),),
        ) from None
    if {key.thumbprint for key in ours.keys.keys} & {key.thumbprint for key in theirs.keys.keys}:
        return ()
    kids = (
        Evidence(f"kids of the {side}", ", ".join(map(str, one.keys.by_kid)))
        for side, one in (("publishable key", ours), ("secret key", theirs))
    )
    return (finding(Reason.SK_PK_INSTANCE_MISMATCH, "the two keys name different instances", secret, tuple(kids)),)


async def _keys_of_frontend(settings: Settings) -> FetchedKeys:
    url = ClerkConfiguration.read(settings).jwks_url
    try:
        return await _fetch(url)
    except FetchFailed as failure:
        raise CannotCheck(
            failure.diagnosis, "see the check auth.key-server", (failure_finding(failure, url),)
        ) from None


async def jwt_key_instance_findings(settings: Settings) -> Sequence[Finding]:
    """Look for the PEM key in the instance's key set."""
    setting = settings.get("CLERK_JWT_KEY")
    if setting is None:
        raise CannotCheck("CLERK_JWT_KEY is not set", "set CLERK_JWT_KEY or pass --env-file FILE")
    pem = read_verification_key(setting.value.reveal()).key
    published = await _keys_of_frontend(settings)
    if any(key.thumbprint == pem.thumbprint for key in published.keys.keys):
        return ()
    return (finding(Reason.PEM_WRONG_INSTANCE, "the instance does not publish the key of CLERK_JWT_KEY", setting),)
