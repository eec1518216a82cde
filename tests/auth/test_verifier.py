"""The component as a backend uses it: its cache, and callers in tasks, threads, event loops and forked processes."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.fetch import FetchFailed
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from tests.support.keyfetch import PATIENCE, URL, Clock, Fetch
from tests.support.tokens import NOW, pinned, reason, rejection

if TYPE_CHECKING:
    from alwrity_checks.auth.mint import Instance


def behind(fetch: Fetch, instance: Instance, **options: object) -> ClerkTokenVerifier:
    """Return a verifier at the fixed moment whose keys come from `fetch`, never refreshed by age."""
    keys = RemoteKeys(URL, fetch=fetch, clock=Clock())
    return ClerkTokenVerifier(
        keys,
        ClaimPolicy(issuers=frozenset({instance.issuer})),
        clock=lambda: NOW,
        **options,  # type: ignore[arg-type] # the test names them
    )


def refreshed(verifier: ClerkTokenVerifier) -> None:
    """Fetch the verifier's keys again."""
    keys = verifier._keys
    assert isinstance(keys, RemoteKeys)
    keys.refresh().result(PATIENCE)


@pytest.mark.parametrize("leeway", [0.0, 5.0])
@pytest.mark.parametrize("cache_size", [0, 16])
def test_the_cache_never_outlives_the_expiry(instance: Instance, leeway: float, cache_size: int) -> None:
    """With and without the cache the same token is accepted until exp + leeway and refused from that very moment."""
    clock = Clock(NOW)
    guard = pinned(instance, cache_size=cache_size, clock=clock, leeway=leeway)
    token = instance.token(now=NOW)
    for moment in (NOW, NOW + 59.999, NOW + 59.999 + leeway):
        clock.now = moment
        assert guard.verify_sync(token).user_id
    for moment in (NOW + 60 + leeway, NOW + 61 + leeway, NOW + 1e6):
        clock.now = moment
        assert reason(lambda: guard.verify_sync(token)) is Reason.TOKEN_EXPIRED


def test_the_cache_survives_a_clock_that_goes_back(instance: Instance) -> None:
    """A cached token is refused as not yet valid if the clock is set back to before its time."""
    clock = Clock(NOW)
    guard = pinned(instance, cache_size=16, clock=clock)
    token = instance.token(now=NOW)
    assert guard.verify_sync(token).user_id
    clock.now = NOW - 5.001
    assert reason(lambda: guard.verify_sync(token)) is Reason.TOKEN_IAT_IN_THE_FUTURE
    clock.now = NOW - 5
    assert guard.verify_sync(token).user_id


@pytest.mark.parametrize("cache_size", [1, 8])
def test_the_cache_is_bounded(instance: Instance, cache_size: int) -> None:
    """However many tokens come, no more than the limit is kept, and every one is judged rightly."""
    guard = pinned(instance, cache_size=cache_size)
    for number in range(40):
        assert guard.verify_sync(instance.token(now=NOW, sub=f"user_{number}")).user_id == f"user_{number}"
        assert len(guard._cache) <= cache_size


def test_what_has_expired_leaves_the_cache_first(instance: Instance) -> None:
    """A full cache gives up expired tokens before living ones."""
    clock = Clock(NOW)
    guard = pinned(instance, cache_size=4, clock=clock)
    living = guard.verify_sync(instance.token(now=NOW, exp=NOW + 900))
    for number in range(3):
        guard.verify_sync(instance.token(now=NOW, sub=f"user_{number}"))
    clock.now = NOW + 120
    guard.verify_sync(instance.token(now=NOW + 120))
    assert {kept.session.expires_at for kept in guard._cache.values()} == {living.expires_at, NOW + 180}


def test_only_what_was_accepted_is_cached(instance: Instance, other_instance: Instance) -> None:
    """Refused tokens leave nothing behind."""
    guard = pinned(instance, cache_size=16)
    for token in (
        other_instance.sign(instance.header(), instance.claims(now=NOW)),
        instance.token(now=NOW - 600),
        instance.token(now=NOW, sub=""),
        "null",
    ):
        with pytest.raises(TokenRejected):
            guard.verify_sync(token)
    assert guard._cache == {}


def test_no_cache_if_none_is_wanted(instance: Instance) -> None:
    """With a size of 0 nothing is kept."""
    guard = pinned(instance, cache_size=0)
    assert guard.verify_sync(instance.token(now=NOW)).user_id
    assert guard._cache == {}


def test_a_caller_cannot_change_what_the_next_one_gets(instance: Instance) -> None:
    """Claims are handed out as copies, all the way down."""
    guard = pinned(instance, cache_size=16)
    token = instance.token(now=NOW, o={"id": "org_1", "rol": "member", "per": "read", "fpm": "1"}, fea="o:team")
    first = guard.verify_sync(token)
    first.claims["sub"] = "user_admin"
    first.claims["o"]["rol"] = "admin"
    organisation = first.claim("o")
    assert isinstance(organisation, dict)
    organisation["id"] = "org_2"
    second = guard.verify_sync(token)
    assert second.user_id == instance.claims()["sub"]
    assert second.claims["o"] == {"id": "org_1", "rol": "member", "per": "read", "fpm": "1"}
    assert second.organization is not None
    assert second.organization.role == "org:member"


def test_a_cached_token_dies_with_its_key(instance: Instance, other_instance: Instance) -> None:
    """A token that was verified before is refused once its key is no longer published, long before it expires."""
    fetch = Fetch(instance, other_instance)
    guard = behind(fetch, instance)
    token = instance.token(now=NOW)
    assert guard.verify_sync(token).user_id
    fetch.published = (other_instance,)
    refreshed(guard)
    assert reason(lambda: guard.verify_sync(token)) is Reason.JWK_KID_MISMATCH
    assert reason(lambda: asyncio.run(guard.verify(token))) is Reason.JWK_KID_MISMATCH


def test_a_cached_token_dies_with_a_key_that_was_replaced(instance: Instance, other_instance: Instance) -> None:
    """Another key under the same kid is another key."""
    from alwrity_checks.auth.mint import Instance as Made

    fetch = Fetch(instance)
    guard = behind(fetch, instance)
    token = instance.token(now=NOW)
    assert guard.verify_sync(token).user_id
    fetch.published = (Made(instance.issuer, instance.kid, other_instance.private_key),)
    refreshed(guard)
    assert reason(lambda: guard.verify_sync(token)) is Reason.TOKEN_INVALID_SIGNATURE


def test_a_cached_token_is_accepted_while_its_key_is(instance: Instance) -> None:
    """A refresh that brings the same keys throws nothing away, and an outage does not either."""
    fetch = Fetch(instance)
    guard = behind(fetch, instance)
    token = instance.token(now=NOW)
    first = guard.verify_sync(token)
    refreshed(guard)
    assert guard.verify_sync(token) is first
    fetch.failure = FetchFailed(Reason.JWKS_DNS, "no name")
    refreshed(guard)
    assert guard.verify_sync(token) is first


def reachable_text(root: object) -> str:
    """Return every text that can be reached from an object, leaving out modules, classes and code."""
    seen: set[int] = set()
    found: list[str] = []
    waiting = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, types.ModuleType | type | types.FunctionType | types.CodeType):
            continue
        seen.add(id(item))
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, bytes | bytearray):
            found.append(item.decode("latin-1"))
        else:
            waiting.extend(gc.get_referents(item))
    return "\n".join(found)


def test_no_token_is_kept(instance: Instance) -> None:
    """Neither a token nor its payload or signature can be found in a verifier that accepted and refused some."""
    fetch = Fetch(instance)
    guard = behind(fetch, instance)
    good, late = instance.token(now=NOW), instance.token(now=NOW - 600)
    guard.verify_sync(good)
    asyncio.run(guard.verify(good))
    with pytest.raises(TokenRejected):
        guard.verify_sync(late)
    kept = reachable_text(guard)
    assert instance.claims()["sub"] in kept  # the search does find what is kept
    for token in (good, late):
        assert all(part not in kept for part in token.split(".")[1:])


def test_both_ways_of_asking_give_the_same_answer(instance: Instance) -> None:
    """`verify` and `verify_sync` agree on good and bad tokens, and on the reasons."""
    guard = pinned(instance)
    assert (
        asyncio.run(guard.verify(instance.token(now=NOW))).claims == guard.verify_sync(instance.token(now=NOW)).claims
    )
    for token in (instance.token(now=NOW - 600), "null", "", instance.token(header={"alg": "none"})):
        in_a_task = reason(lambda: asyncio.run(guard.verify(token)))  # noqa: B023 - called at once
        assert reason(partial(guard.verify_sync, token)) is in_a_task


def test_threads_hammering_one_verifier(instance: Instance) -> None:
    """16 threads with their own and shared tokens, a cache that overflows and keys that are fetched anew meanwhile."""
    fetch = Fetch(instance)
    guard = behind(fetch, instance, cache_size=8)
    shared = [instance.token(now=NOW, sub=f"user_{number}") for number in range(12)]
    bad = instance.token(now=NOW - 600)

    def work(seed: int) -> int:
        wrong = 0
        for turn in range(150):
            number = (seed * 7 + turn) % 12
            wrong += guard.verify_sync(shared[number]).user_id != f"user_{number}"
            if turn % 10 == 0:
                wrong += reason(lambda: guard.verify_sync(bad)) is not Reason.TOKEN_EXPIRED
            if turn % 50 == 0:
                refreshed(guard)
        return wrong

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 0
    assert len(guard._cache) <= 8


def test_event_loops_in_several_threads(instance: Instance) -> None:
    """One verifier serves tasks in 6 event loops at once, cold."""
    with LoopbackServer(instance.jwks(), latency=0.02) as server:
        guard = ClerkTokenVerifier(RemoteKeys(server.url), ClaimPolicy(issuers=frozenset({instance.issuer})))

        async def many() -> int:
            sessions = await asyncio.gather(*(guard.verify(instance.token(sub=f"user_{n}")) for n in range(20)))
            return sum(session.user_id == f"user_{number}" for number, session in enumerate(sessions))

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(lambda _: asyncio.run(many()), range(6))) == 120
        assert server.hits == 1


def test_one_waiter_s_cancellation_is_its_own(instance: Instance) -> None:
    """Of five tasks that wait for keys three are cancelled; the other two are served by the same fetch."""
    fetch = Fetch(instance)
    fetch.gate.clear()
    guard = behind(fetch, instance)

    async def scenario() -> None:
        token = instance.token(now=NOW)
        tasks = [asyncio.create_task(guard.verify(token)) for _ in range(5)]
        while not fetch.calls:  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0)
        for task in tasks[:3]:
            task.cancel()
        ended = await asyncio.gather(*tasks[:3], return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended)
        fetch.gate.set()
        sessions = await asyncio.gather(*tasks[3:])
        assert all(session.user_id for session in sessions)

    asyncio.run(scenario())
    assert fetch.calls == 1


def test_a_loop_that_ends_while_it_waits_harms_nobody(instance: Instance) -> None:
    """A waiter whose event loop is closed before the keys come does not disturb the others."""
    fetch = Fetch(instance)
    fetch.gate.clear()
    guard = behind(fetch, instance)
    token = instance.token(now=NOW)

    async def impatient() -> None:
        task = asyncio.create_task(guard.verify(token))
        while not fetch.calls:  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(impatient())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(guard.verify_sync, token)
        fetch.gate.set()
        assert waiting.result(PATIENCE).user_id
    assert fetch.calls == 1


def test_warming(instance: Instance) -> None:
    """`warm` fetches once and says whether there are keys; a failing server raises nothing."""
    fetch = Fetch(instance)
    guard = behind(fetch, instance)
    assert asyncio.run(guard.warm()) is True
    assert guard.verify_sync(instance.token(now=NOW)).user_id
    assert fetch.calls == 1
    fetch.failure = FetchFailed(Reason.JWKS_DNS, "no name")
    assert asyncio.run(behind(fetch, instance).warm()) is False
    assert asyncio.run(guard.warm()) is True
    assert asyncio.run(pinned(instance).warm()) is True


def test_unavailable_is_a_rejection_with_503(instance: Instance) -> None:
    """A caller that knows only TokenRejected is told 503, and after how long to come back."""
    with LoopbackServer(mode=Mode.UNAVAILABLE) as server:
        guard = ClerkTokenVerifier(RemoteKeys(server.url), ClaimPolicy(issuers=frozenset({instance.issuer})))
        refusal = rejection(lambda: guard.verify_sync(instance.token()))
    assert isinstance(refusal, KeysUnavailable)
    assert (refusal.status, refusal.reason) == (503, Reason.JWKS_HTTP_5XX)
    assert refusal.retry_after >= 1


@pytest.mark.parametrize("copier", ["pickle", "copy"])
def test_rejections_can_be_copied(copier: str) -> None:
    """Process pools pickle exceptions, and some tools copy them: nothing is lost."""
    import copy
    import pickle

    for error in (
        TokenRejected(Reason.SESSION_PENDING, "detail"),
        KeysUnavailable(Reason.JWKS_DNS, "detail", retry_after=3.0),
    ):
        again = pickle.loads(pickle.dumps(error)) if copier == "pickle" else copy.copy(error)  # noqa: S301 - our own bytes
        assert (type(again), again.reason, again.detail, again.status) == (
            type(error),
            error.reason,
            error.detail,
            error.status,
        )
        assert str(again) == str(error)


FORK = """
import os, signal, sys, threading, time
from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.verifier import ClerkTokenVerifier

state, url, issuer, token, other = sys.argv[1:]
guard = ClerkTokenVerifier(RemoteKeys(url), ClaimPolicy(issuers=frozenset({issuer})))
if state == "warm":
    guard.verify_sync(token)
elif state == "fetching":
    guard._keys.refresh()
elif state == "locked":
    guard.verify_sync(token)
    held = threading.Event()

    def hold():
        with guard._cache_lock, guard._keys._lock:
            held.set()
            time.sleep(60)

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
child = os.fork()
if child == 0:
    signal.alarm(8)
    try:
        guard.verify_sync(token)
        guard.verify_sync(other)
    except BaseException as error:
        os.write(2, repr(error).encode())
        os._exit(1)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0x7F)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("state", ["cold", "warm", "fetching", "locked"])
def test_a_forked_child_verifies(instance: Instance, state: str) -> None:
    """A worker forked from a parent that is cold, warm, amid a fetch, or inside a lock verifies by itself."""
    with LoopbackServer(instance.jwks(), latency=0.2) as server:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", FORK, state, server.url, instance.issuer, instance.token(), instance.token(jti="x")],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_nothing_runs_on_after_the_keys_came(instance: Instance) -> None:
    """The thread that fetched ends with the fetch."""
    fetch = Fetch(instance)
    refreshed(behind(fetch, instance))
    for thread in threading.enumerate():
        if thread.name == "jwks-fetch":
            thread.join(PATIENCE)
            assert not thread.is_alive()
