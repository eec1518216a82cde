"""The component: verifies Clerk session tokens in a backend.

Order (each step only if the one before held): size and form, header policy, the key by kid from the pinned set, the
signature, then the claims, all of whose faults are collected.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, NamedTuple

from alwrity_checks.auth.claims import ClaimPolicy, claim_faults, decode_claims, header_faults
from alwrity_checks.auth.compact import MAX_TOKEN_BYTES, Compact, check_signature, parse_compact
from alwrity_checks.auth.configuration import ClerkConfiguration, static_keys
from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.forking import after_fork
from alwrity_checks.auth.key_source import Keys, KeySource, RemoteKeys, StaticKeys
from alwrity_checks.auth.session import Session
from alwrity_checks.errors import ConfigurationError
from alwrity_checks.settings import Settings

__all__ = ["ClerkTokenVerifier"]


class _Accepted(NamedTuple):
    session: Session
    kid: str | None
    keys: Keys
    not_before: float


class ClerkTokenVerifier:
    """Verifies session tokens against a pinned issuer and a pinned key set.

    One instance serves a whole process: it is thread-safe and works in any number of event loops.
    """

    CACHE_SIZE: Final = 1024

    def __init__(
        self,
        keys: KeySource,
        policy: ClaimPolicy,
        *,
        cache_size: int = CACHE_SIZE,
        max_token_bytes: int = MAX_TOKEN_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Pin `keys` and `policy`. `cache_size` bounds the cache of verified tokens (0: none); `clock` gives seconds
        since the epoch. Raises ConfigurationError if no issuer is pinned.
        """  # noqa: D205 - two sentences on one subject
        if not policy.issuers:
            raise ConfigurationError("no issuer is pinned", "set CLERK_PUBLISHABLE_KEY, or pass issuers")
        self._keys = keys
        self._policy = policy
        self._max_token_bytes = max_token_bytes
        self._clock = clock
        self._cache_size = cache_size
        self._cache: dict[bytes, _Accepted] = {}
        self._renew_lock()
        after_fork(self._renew_lock)

    @property
    def policy(self) -> ClaimPolicy:
        """What a token must say; fixed, because verified tokens are remembered by it."""
        return self._policy

    @property
    def keys(self) -> KeySource:
        """Where the keys come from, for a health check: it asks and changes nothing."""
        return self._keys

    def _renew_lock(self) -> None:
        self._cache_lock = threading.Lock()

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        authorized_parties: Collection[str] | None = None,
        audiences: Collection[str] = (),
        leeway: float = 5.0,
        remote_keys: Callable[[str], KeySource] = RemoteKeys,
    ) -> ClerkTokenVerifier:
        """Pin issuer and JWKS URL from the publishable key in the process environment (or `environment`).

        Read are `CLERK_PUBLISHABLE_KEY` (or its `REACT_APP_…`, `NEXT_PUBLIC_…`, `VITE_…`, `EXPO_PUBLIC_…` form),
        `CLERK_JWT_KEY` (then nothing is fetched), `CLERK_PROXY_URL`, `CLERK_DOMAIN` with `CLERK_IS_SATELLITE`, and
        `CLERK_AUTHORIZED_PARTIES` (origins, separated by commas). `remote_keys` makes the key source for the JWKS URL,
        for other times than the default ones. Raises ConfigurationError.
        """
        settings = Settings.load(environment)
        configuration = ClerkConfiguration.read(settings)
        parties = configuration.authorized_parties if authorized_parties is None else authorized_parties
        policy = ClaimPolicy(
            issuers=configuration.issuers,
            authorized_parties=parties,  # type: ignore[arg-type] # made a set there
            audiences=audiences,  # type: ignore[arg-type] # the same
            leeway=leeway,
            proxies=configuration.proxies,
            satellites=configuration.satellites,
        )
        pem = static_keys(settings)
        return cls(StaticKeys(pem) if pem else remote_keys(configuration.jwks_url), policy)

    async def warm(self) -> bool:
        """Fetch the keys, for an application's lifespan; return whether there are any now. Never raises."""
        if isinstance(self._keys, RemoteKeys):
            await self._wait(self._keys.refresh())
            return self._keys.known is not None
        return True

    async def verify(self, token: str) -> Session:
        """Return the session of `token`. Raises TokenRejected, or KeysUnavailable where no key could be had."""
        digest, known = self._recall(token)
        if known is not None:
            return known
        compact = parse_compact(token, max_bytes=self._max_token_bytes)
        keys = self._keys.lookup(compact.kid)
        if isinstance(keys, Future):
            await self._wait(keys)
            keys = self._keys.settle(compact.kid)
        return self._judge(compact, keys, digest)

    def verify_sync(self, token: str) -> Session:
        """Do as `verify` does, from a thread; only a fetch of keys makes it wait."""
        digest, known = self._recall(token)
        if known is not None:
            return known
        compact = parse_compact(token, max_bytes=self._max_token_bytes)
        keys = self._keys.lookup(compact.kid)
        if isinstance(keys, Future):
            with contextlib.suppress(FutureTimeoutError):  # what is known decides, in settle
                keys.result(self._wait_limit)
            keys = self._keys.settle(compact.kid)
        return self._judge(compact, keys, digest)

    @property
    def _wait_limit(self) -> float | None:
        return self._keys.wait_limit if isinstance(self._keys, RemoteKeys) else None

    async def _wait(self, flight: Future[None]) -> None:
        with contextlib.suppress(TimeoutError):  # what is known decides, in settle
            await asyncio.wait_for(asyncio.wrap_future(flight), self._wait_limit)

    def _judge(self, compact: Compact, keys: Keys, digest: bytes | None) -> Session:
        check_signature(compact, keys)
        claims = decode_claims(compact.payload)
        now = self._clock()
        faults = header_faults(compact.header) + claim_faults(compact.header, claims, self._policy, now)
        if faults:
            raise TokenRejected(faults[0].reason, faults[0].detail, faults=tuple(faults))
        session = Session(claims["sub"], claims.get("sid"), claims["iss"], claims["exp"], claims.get("azp"), claims)
        if digest is not None:
            not_before = max(claims.get("nbf", 0), claims.get("iat", 0)) - self._policy.leeway
            self._remember(digest, _Accepted(session, compact.kid, keys, not_before))
        return session

    def _recall(self, token: object) -> tuple[bytes | None, Session | None]:
        """Return the token's digest (None if it is not to be cached) and its session if it was verified before.

        It counts only until `exp`, and only while the very keys that verified it are published.
        """
        if not self._cache_size or type(token) is not str or len(token) > self._max_token_bytes:
            return None, None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        accepted = self._cache.get(digest)
        if accepted is None or not accepted.not_before <= self._clock() < accepted.session.expires_at:
            return digest, None
        try:
            published = self._keys.lookup(accepted.kid)
        except KeysUnavailable:
            return digest, None
        return digest, accepted.session if published is accepted.keys else None

    def _remember(self, digest: bytes, accepted: _Accepted) -> None:
        with self._cache_lock:
            if len(self._cache) >= self._cache_size:
                self._make_room()
            self._cache[digest] = accepted

    def _make_room(self) -> None:
        """Drop what has expired, and the oldest until an eighth is free: so this is done once for many tokens."""
        now = self._clock()
        live = [(digest, kept) for digest, kept in self._cache.items() if kept.session.expires_at > now]
        room = self._cache_size - max(1, self._cache_size // 8)
        self._cache = dict(live[-room:] if room else ())
