"""The discipline of fetching keys: how many fetches each kind of traffic causes, and who waits for them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.claims import ClaimPolicy
from alwrity_checks.auth.errors import KeysUnavailable, TokenRejected
from alwrity_checks.auth.fetch import FetchFailed, FetchLimits
from alwrity_checks.auth.key_source import RemoteKeys
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.mint import ABSENT
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.verifier import ClerkTokenVerifier
from alwrity_checks.errors import ConfigurationError
from tests.support.keyfetch import PATIENCE, URL, Clock, Fetch, settled
from tests.support.tokens import reason, rejection

if TYPE_CHECKING:
    from collections.abc import Callable

    from alwrity_checks.auth.mint import Instance

OUTAGE = FetchFailed(Reason.JWKS_HTTP_5XX, "HTTP 503")
FRESH, STALE, COOLDOWN = 300.0, 86400.0, 30.0


def remote(fetch: Fetch, clock: Clock | None = None) -> RemoteKeys:
    """Return keys behind `fetch`, with the ordinary times."""
    return RemoteKeys(URL, fetch=fetch, clock=clock or Clock(), fresh=FRESH, stale=STALE, cooldown=COOLDOWN)


def verifier(instance: Instance, keys: RemoteKeys) -> ClerkTokenVerifier:
    """Return a verifier of the instance's tokens."""
    return ClerkTokenVerifier(keys, ClaimPolicy(issuers=frozenset({instance.issuer})))


def warm(fetch: Fetch, clock: Clock | None = None) -> RemoteKeys:
    """Return keys that have been fetched once."""
    keys = remote(fetch, clock)
    keys.refresh().result(PATIENCE)
    return keys


def served(keys: RemoteKeys, kid: str) -> bool:
    """Whether the keys of a kid are returned at once."""
    return not isinstance(keys.lookup(kid), Future)


async def all_of(verifier: ClerkTokenVerifier, tokens: list[str]) -> list[object]:
    """Verify every token at the same time."""
    return await asyncio.gather(*(verifier.verify(token) for token in tokens), return_exceptions=True)


def test_nothing_is_fetched_before_it_is_needed(instance: Instance) -> None:
    """Naming a URL costs no request."""
    fetch = Fetch(instance)
    keys = remote(fetch)
    assert keys.known is None
    assert fetch.calls == 0


@pytest.mark.parametrize("kid", [None, ""])
def test_a_token_without_a_kid_causes_no_fetch(instance: Instance, kid: str | None) -> None:
    """Without a kid there is nothing to look for."""
    fetch = Fetch(instance)
    keys = remote(fetch)
    assert reason(lambda: keys.lookup(kid)) is Reason.KID_MISSING
    assert fetch.calls == 0


def test_200_cold_tasks_share_one_fetch(instance: Instance) -> None:
    """A cold start under load, over real HTTP: one request, and everybody is served."""
    with LoopbackServer(instance.jwks(), latency=0.05) as server:
        sessions = asyncio.run(all_of(verifier(instance, RemoteKeys(server.url)), [instance.token()] * 200))
        assert server.hits == 1
    assert {getattr(session, "user_id", session) for session in sessions} == {instance.claims()["sub"]}


def test_threads_and_event_loops_share_one_fetch(instance: Instance) -> None:
    """Callers in 8 threads and in 4 event loops of their own, all cold: one fetch."""
    fetch = Fetch(instance)
    fetch.gate.clear()
    guard = verifier(instance, remote(fetch))
    token = instance.token()
    ready = threading.Barrier(13)

    def in_a_thread() -> list[object]:
        ready.wait(PATIENCE)
        return [guard.verify_sync(token)]

    def in_a_loop() -> list[object]:
        ready.wait(PATIENCE)
        return asyncio.run(all_of(guard, [token] * 25))

    with ThreadPoolExecutor(12) as pool:
        work = [pool.submit(in_a_thread) for _ in range(8)] + [pool.submit(in_a_loop) for _ in range(4)]
        ready.wait(PATIENCE)
        fetch.gate.set()
        results = [result for future in work for result in future.result(PATIENCE)]
    assert fetch.calls == 1
    assert len(results) == 108
    assert all(getattr(result, "user_id", None) for result in results)


def test_1000_bad_signatures_cause_no_fetch(instance: Instance, other_instance: Instance) -> None:
    """A forged signature under a known kid makes nobody call the key server."""
    fetch = Fetch(instance)
    guard = verifier(instance, warm(fetch))
    forged = [other_instance.sign(instance.header(), instance.claims()) for _ in range(5)]
    forged += [f"{instance.token()[:-8]}{number:07d}A" for number in range(995)]
    refusals = asyncio.run(all_of(guard, forged))
    assert {getattr(refusal, "reason", refusal) for refusal in refusals} == {Reason.TOKEN_INVALID_SIGNATURE}
    assert fetch.calls == 1


def test_1000_unknown_kids_cause_at_most_one_fetch(instance: Instance) -> None:
    """Made-up kids cause one fetch after the cooldown, and none within it, however many they are."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    guard = verifier(instance, keys)
    tokens = [instance.token(header={"kid": f"ins_{number}"}) for number in range(1000)]

    def flood() -> set[object]:
        return {getattr(refusal, "reason", refusal) for refusal in asyncio.run(all_of(guard, tokens))}

    assert flood() == {Reason.JWK_KID_MISMATCH}
    assert fetch.calls == 1
    clock.now += COOLDOWN
    assert flood() == {Reason.JWK_KID_MISMATCH}
    assert fetch.calls == 2
    clock.now += COOLDOWN - 0.001
    assert flood() == {Reason.JWK_KID_MISMATCH}
    assert fetch.calls == 2


def test_cold_unknown_kids_cause_one_fetch(instance: Instance) -> None:
    """The fetch of the cold start is the only one that unknown kids wait for."""
    fetch = Fetch(instance)
    guard = verifier(instance, remote(fetch))
    tokens = [instance.token(header={"kid": f"ins_{number}"}) for number in range(100)]
    asyncio.run(all_of(guard, tokens))
    asyncio.run(all_of(guard, tokens))
    assert fetch.calls == 1


def test_a_flood_of_unknown_kids_delays_no_known_one(instance: Instance) -> None:
    """While 100 callers wait for a slow fetch, a token with a known key is verified at once."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    guard = verifier(instance, keys)
    clock.now += COOLDOWN
    fetch.gate.clear()

    async def scenario() -> None:
        waiting = [asyncio.create_task(guard.verify(instance.token(header={"kid": f"ins_{n}"}))) for n in range(100)]
        while fetch.calls < 2:  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0)
        session = await guard.verify(instance.token())
        assert session.user_id
        assert not any(task.done() for task in waiting)
        fetch.gate.set()
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert {getattr(error, "reason", error) for error in refused} == {Reason.JWK_KID_MISMATCH}

    asyncio.run(scenario())


def test_a_fresh_set_is_not_fetched_again(instance: Instance) -> None:
    """A known key causes no fetch until the set is no longer fresh, and then one, in the background."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    clock.now += FRESH - 0.001
    assert all(served(keys, instance.kid) for _ in range(100))
    assert fetch.calls == 1
    clock.now += 0.001
    fetch.gate.clear()
    assert all(served(keys, instance.kid) for _ in range(100))
    fetch.gate.set()
    settled(keys)
    assert fetch.calls == 2


def test_known_keys_outlive_an_outage(instance: Instance) -> None:
    """Known keys are served stale as long as the outage lasts, up to the limit; then the answer is 'unavailable'."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    start = clock.now
    fetch.failure = OUTAGE
    while clock.now + 450 < start + STALE:
        clock.now += 450
        found = keys.lookup(instance.kid)
        settled(keys)
        assert found if not isinstance(found, Future) else keys.settle(instance.kid)
    clock.now = start + STALE
    with pytest.raises(KeysUnavailable) as caught:
        wait_and_settle(keys, instance.kid)
    assert caught.value.status == 503
    assert caught.value.reason is Reason.JWKS_HTTP_5XX


def wait_and_settle(keys: RemoteKeys, kid: str) -> object:
    """Look a kid up as a verifier does."""
    found = keys.lookup(kid)
    if isinstance(found, Future):
        found.result(PATIENCE)
        return keys.settle(kid)
    return found


def test_nobody_waits_during_a_known_outage(instance: Instance) -> None:
    """Once a refresh has failed, a token with a known key does not wait for the next attempt."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    fetch.failure = OUTAGE
    clock.now += FRESH
    wait_and_settle(keys, instance.kid)
    settled(keys)
    clock.now += FRESH / 2
    fetch.gate.clear()
    assert served(keys, instance.kid)
    fetch.gate.set()
    settled(keys)


def test_a_failed_refresh_changes_nothing_known(instance: Instance) -> None:
    """The set survives a failed refresh as the same object."""
    fetch = Fetch(instance)
    keys = warm(fetch)
    before = keys.known
    fetch.failure = OUTAGE
    keys.refresh().result(PATIENCE)
    assert keys.known is before
    assert served(keys, instance.kid)


def test_an_unknown_kid_in_an_outage_is_not_called_bad(instance: Instance, other_instance: Instance) -> None:
    """A kid that is not known may be a new key that could not be fetched: 503, not 401."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    fetch.failure = OUTAGE
    clock.now += COOLDOWN
    refusal = rejection(lambda: wait_and_settle(keys, other_instance.kid))
    assert isinstance(refusal, KeysUnavailable)
    assert refusal.retry_after >= 1


def test_the_backoff_grows_and_is_obeyed(instance: Instance) -> None:
    """Attempts of a cold start in an outage: 1, 2, 4, 8, 16, 30, 30 s apart, each within a quarter more or less."""
    fetch, clock = Fetch(instance), Clock()
    fetch.failure = OUTAGE
    keys = remote(fetch, clock)
    waits: list[float] = []
    last: float | None = None
    while len(waits) < 8:
        calls = fetch.calls
        with pytest.raises(KeysUnavailable):
            wait_and_settle(keys, instance.kid)
        if fetch.calls != calls:
            if last is not None:
                waits.append(clock.now - last)
            last = clock.now
        clock.now += 0.125
    for wait, nominal in zip(waits, (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert nominal * 0.75 <= wait <= nominal * 1.25 + 0.125


def test_success_ends_the_backoff(instance: Instance) -> None:
    """After a success the next failure starts from the shortest pause."""
    fetch, clock = Fetch(instance), Clock()
    fetch.failure = OUTAGE
    keys = remote(fetch, clock)
    for _ in range(6):
        keys.refresh().result(PATIENCE)
    fetch.failure = None
    keys.refresh().result(PATIENCE)
    fetch.failure = OUTAGE
    keys.refresh().result(PATIENCE)
    assert keys._retry_at - clock.now <= 1.25


def test_retry_after_is_obeyed(instance: Instance) -> None:
    """No attempt before the moment that the server named; the answer passes it on."""
    fetch, clock = Fetch(instance), Clock()
    fetch.failure = FetchFailed(Reason.JWKS_RATE_LIMITED, "HTTP 429", retry_after=120.0)
    keys = remote(fetch, clock)
    refusal = rejection(lambda: wait_and_settle(keys, instance.kid))
    assert isinstance(refusal, KeysUnavailable)
    assert refusal.retry_after == 120
    fetch.failure = None
    clock.now += 119.9
    with pytest.raises(KeysUnavailable):
        wait_and_settle(keys, instance.kid)
    assert fetch.calls == 1
    clock.now += 0.1
    assert wait_and_settle(keys, instance.kid)


def test_retry_after_is_obeyed_over_http(instance: Instance) -> None:
    """A server's 429 with Retry-After: 7 causes one request, because 7 s are longer than the fetch may last."""
    with LoopbackServer(instance.jwks(), mode=Mode.RATE_LIMITED) as server:
        keys = RemoteKeys(server.url, limits=FetchLimits(connect=2, total=5))
        refusal = rejection(lambda: wait_and_settle(keys, instance.kid))
        assert isinstance(refusal, KeysUnavailable)
        assert 6 < refusal.retry_after <= 7
        assert server.hits == 1


def test_a_withdrawn_key_is_gone_after_the_refresh(instance: Instance, other_instance: Instance) -> None:
    """The whole set is replaced: a kid that is no longer published is unknown."""
    fetch = Fetch(instance, other_instance)
    keys = warm(fetch)
    assert served(keys, instance.kid)
    fetch.published = (other_instance,)
    keys.refresh().result(PATIENCE)
    assert reason(lambda: wait_and_settle(keys, instance.kid)) is Reason.JWK_KID_MISMATCH
    assert served(keys, other_instance.kid)


def test_a_rotated_key_is_found_after_the_cooldown(instance: Instance, other_instance: Instance) -> None:
    """A key published moments ago is fetched for the first token that names it, once the cooldown is over."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    fetch.published = (instance, other_instance)
    clock.now += COOLDOWN - 0.001
    assert reason(lambda: wait_and_settle(keys, other_instance.kid)) is Reason.JWK_KID_MISMATCH
    clock.now += 0.001
    assert wait_and_settle(keys, other_instance.kid)
    assert fetch.calls == 2


def test_after_long_idleness_the_answer_is_waited_for(instance: Instance, other_instance: Instance) -> None:
    """A server that slept for an hour does not let a key pass that was withdrawn meanwhile."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    fetch.published = (other_instance,)
    clock.now += 3600
    assert not served(keys, instance.kid)
    assert reason(lambda: wait_and_settle(keys, instance.kid)) is Reason.JWK_KID_MISMATCH


def test_after_long_idleness_an_outage_does_not_lock_out(instance: Instance) -> None:
    """If the awaited fetch fails, the known key is served."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    fetch.failure = OUTAGE
    clock.now += 3600
    assert wait_and_settle(keys, instance.kid)


def test_an_outage_of_long_ago_is_no_excuse(instance: Instance, other_instance: Instance) -> None:
    """A failure before hours of idleness says nothing of now: the withdrawn key must not pass."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    fetch.failure = OUTAGE
    clock.now += FRESH
    wait_and_settle(keys, instance.kid)
    settled(keys)
    fetch.failure = None
    fetch.published = (other_instance,)
    clock.now += 12 * 3600
    assert reason(lambda: wait_and_settle(keys, instance.kid)) is Reason.JWK_KID_MISMATCH


def test_refresh_joins_the_fetch_under_way(instance: Instance) -> None:
    """Two refreshes at once are one."""
    fetch = Fetch(instance)
    fetch.gate.clear()
    keys = remote(fetch)
    first, second = keys.refresh(), keys.refresh()
    assert first is second
    fetch.gate.set()
    first.result(PATIENCE)
    assert fetch.calls == 1


def test_equal_keys_stay_the_same_objects(instance: Instance, other_instance: Instance) -> None:
    """A refresh that brings the same keys keeps their identity: what was verified with them stays verified."""
    fetch = Fetch(instance)
    keys = warm(fetch)
    before = keys.lookup(instance.kid)
    fetch.published = (instance, other_instance)
    keys.refresh().result(PATIENCE)
    assert keys.lookup(instance.kid) is before


@pytest.mark.parametrize("error", [RuntimeError("sk_boom"), ValueError("sk_boom"), OSError("sk_boom")])
def test_an_unexpected_error_is_an_outage(instance: Instance, error: Exception) -> None:
    """Whatever the fetch raises, waiters are answered, and the next attempt is made."""
    fetch, clock = Fetch(instance), Clock()
    fetch.failure = error
    keys = remote(fetch, clock)
    refusal = rejection(lambda: wait_and_settle(keys, instance.kid))
    assert isinstance(refusal, KeysUnavailable)
    assert "sk_boom" not in str(refusal)
    fetch.failure = None
    clock.now += 2
    assert wait_and_settle(keys, instance.kid)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1)])
def test_not_even_a_cancelled_fetch_leaves_waiters_behind(instance: Instance, error: BaseException) -> None:
    """What is no Exception ends the flight as well: else no key would ever be fetched again."""
    fetch, clock = Fetch(instance), Clock()
    fetch.failure = error
    keys = remote(fetch, clock)
    keys.refresh().result(2)
    assert rejection(lambda: keys.settle(instance.kid)).reason is Reason.UNEXPECTED_ERROR
    fetch.failure = None
    clock.now += 2
    assert wait_and_settle(keys, instance.kid)


def test_a_thread_that_cannot_be_started_is_an_outage(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of threads, known keys are served and unknown ones are unavailable; nobody waits for nothing."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    clock.now += FRESH
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert served(keys, instance.kid)
        clock.now += COOLDOWN
        assert isinstance(rejection(lambda: keys.lookup("ins_unknown")), KeysUnavailable)
        assert keys.refresh().done()
    clock.now += 60
    assert wait_and_settle(keys, instance.kid)
    settled(keys)


def test_a_waiter_gives_up_on_a_fetch_that_never_ends(instance: Instance) -> None:
    """After the limit the answer is 'unavailable', for threads and tasks alike, while the fetch is still under way."""
    fetch = Fetch(instance)
    fetch.gate.clear()
    keys = RemoteKeys(URL, fetch=fetch, clock=Clock(), limits=FetchLimits(total=-0.9))
    guard = verifier(instance, keys)
    assert isinstance(rejection(lambda: guard.verify_sync(instance.token())), KeysUnavailable)
    assert isinstance(rejection(lambda: asyncio.run(guard.verify(instance.token()))), KeysUnavailable)
    fetch.gate.set()
    settled(keys)
    assert guard.verify_sync(instance.token()).user_id


@pytest.mark.parametrize(
    "mode",
    [mode for mode in Mode if mode not in {Mode.OK, Mode.WRONG_TYPE, Mode.DRIP, Mode.SILENT, Mode.RATE_LIMITED}],
)
def test_no_bad_manner_of_a_server_poisons_the_set(instance: Instance, mode: Mode) -> None:
    """Over real HTTP: whatever a refresh meets, the known key stays, and a cold verifier says 503."""
    with LoopbackServer(instance.jwks()) as server:
        keys = RemoteKeys(server.url, limits=FetchLimits(retry_pause=0.01))
        keys.refresh().result(PATIENCE)
        before = keys.known
        assert before is not None
        server.mode = mode
        keys.refresh().result(PATIENCE)
        assert keys.known is before
        cold = RemoteKeys(server.url, limits=FetchLimits(retry_pause=0.01))
        refusal = rejection(lambda: wait_and_settle(cold, instance.kid))
        assert refusal.status == 503
        assert "/redirected" not in server.requests


def test_verifying_during_an_outage_over_http(instance: Instance) -> None:
    """A warm verifier goes on accepting genuine tokens after its key server has gone away altogether."""
    with LoopbackServer(instance.jwks()) as server:
        guard = verifier(instance, RemoteKeys(server.url, fresh=0.0, cooldown=0.0))
        assert guard.verify_sync(instance.token()).user_id
    for _ in range(3):
        assert guard.verify_sync(instance.token()).user_id
    keys = guard._keys
    assert isinstance(keys, RemoteKeys)
    settled(keys)


@pytest.mark.parametrize(
    "url",
    [
        "http://clerk.example.com/jwks", "ftp://clerk.example.com/x", "file:///etc/passwd", "clerk.example.com", "",
        "https://", "https://user:pass@clerk.example.com/", "https://user@clerk.example.com/", "https://[", "//x/y",
        "https://clerk.example.com/#x", "https://clerk.example.com:99999/", "http://127.0.0.1.evil.example/",
        "https://clerk..example.com/", "https://clerk.example.com/\n", "https://cl\nerk.example.com/",
        "https://clerk example.com/", "https://\u2100.example/", f"https://{'a' * 64}.example/",
    ],
)  # fmt: skip
def test_where_keys_may_not_come_from(url: str) -> None:
    """Only https, or http on this machine, and a host that can be one: anything else is refused when it is named."""
    with pytest.raises(ConfigurationError):
        RemoteKeys(url)


@pytest.mark.parametrize(
    "url", ["https://clerk.example.com/jwks?x=1", "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/"]
)
def test_where_keys_may_come_from(url: str) -> None:
    """A host with https, and this machine with http."""
    assert RemoteKeys(url).url == url


@pytest.mark.parametrize(
    "token",
    [
        lambda instance: instance.token(header={"alg": "none"}),
        lambda instance: instance.token(header={"kid": ABSENT}),
        lambda instance: instance.token(header={"jku": "http://127.0.0.1:9/"}),
        lambda _: "null",
        lambda _: "sk_test_abcdefgh",
        lambda _: "x" * 9000,
    ],
)
def test_what_is_refused_by_form_causes_no_fetch(instance: Instance, token: Callable[[Instance], str]) -> None:
    """A token that fails before the key is needed costs the key server nothing, cold as well."""
    fetch = Fetch(instance)
    guard = verifier(instance, remote(fetch))
    with pytest.raises(TokenRejected):
        guard.verify_sync(token(instance))
    assert fetch.calls == 0


def test_a_kid_is_not_called_unknown_while_a_fetch_is_under_way(instance: Instance, other_instance: Instance) -> None:
    """Who gives up waiting for keys gets 503: the answer that is still to come may hold the kid."""
    fetch, clock = Fetch(instance), Clock()
    keys = warm(fetch, clock)
    clock.now += COOLDOWN
    fetch.gate.clear()
    assert isinstance(keys.lookup(other_instance.kid), Future)
    refusal = rejection(lambda: keys.settle(other_instance.kid))
    fetch.gate.set()
    settled(keys)
    assert isinstance(refusal, KeysUnavailable)
