"""One fetch, over real sockets: every bad manner of a server ends in its own reason, within the limits."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.fetch import FetchedKeys, FetchFailed, FetchLimits, fetch_keys
from alwrity_checks.auth.loopback import LoopbackServer, Mode
from alwrity_checks.auth.reasons import Reason
from tests.support.rawserver import RawServer, answer, self_signed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from alwrity_checks.auth.mint import Instance

QUICK = FetchLimits(retry_pause=0.01)
SHORT = FetchLimits(connect=0.2, total=0.3, retry_pause=0.01)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine without any proxy of the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(url: str, limits: FetchLimits = QUICK, headers: Mapping[str, str] | None = None) -> FetchedKeys:
    """Fetch in an event loop of its own."""
    return asyncio.run(fetch_keys(url, limits=limits, headers=headers))


def failure(url: str, limits: FetchLimits = QUICK, headers: Mapping[str, str] | None = None) -> FetchFailed:
    """Return what a fetch fails with."""
    with pytest.raises(FetchFailed) as caught:
        fetch(url, limits, headers)
    assert type(caught.value) is FetchFailed
    return caught.value


def test_a_good_answer(instance: Instance) -> None:
    """Keys, timings, the server's facts: all come back, and one request is made."""
    with LoopbackServer(instance.jwks()) as server:
        fetched = fetch(server.url)
        assert [key.kid for key in fetched.keys.keys] == [instance.kid]
        assert server.requests == ["/.well-known/jwks.json"]
    assert fetched.timings.dns is not None
    assert fetched.timings.connect is not None
    assert fetched.timings.http is not None
    assert fetched.timings.tls is None
    assert fetched.clock_offset is None
    assert fetched.facts["status"] == "200"


EXPECTED = {
    Mode.NOT_FOUND: Reason.JWKS_HTTP_4XX,
    Mode.RATE_LIMITED: Reason.JWKS_RATE_LIMITED,
    Mode.UNAVAILABLE: Reason.JWKS_HTTP_5XX,
    Mode.HTML: Reason.JWKS_NOT_JSON,
    Mode.REDIRECT: Reason.JWKS_REDIRECT,
    Mode.EMPTY: Reason.JWKS_EMPTY,
    Mode.TRUNCATED: Reason.JWKS_CONNECT,
    Mode.GZIP_BOMB: Reason.JWKS_NOT_JSON,
    Mode.OVERSIZED: Reason.JWKS_TOO_LARGE,
    Mode.DRIP: Reason.JWKS_TIMEOUT,
    Mode.SILENT: Reason.JWKS_TIMEOUT,
}
HARMLESS = {Mode.OK, Mode.WRONG_TYPE}


def test_every_mode_is_tried() -> None:
    """The key server on this machine has no manner that is not tried below."""
    assert set(EXPECTED) | HARMLESS == set(Mode)


@pytest.mark.parametrize(("mode", "expected"), EXPECTED.items())
def test_every_bad_manner_has_its_reason(instance: Instance, mode: Mode, expected: Reason) -> None:
    """A mode of the server ends in its reason; passing causes are tried twice, the others once."""
    with LoopbackServer(instance.jwks(), mode=mode) as server:
        limits = SHORT if expected is Reason.JWKS_TIMEOUT else QUICK
        failed = failure(server.url, limits)
        assert failed.reason is expected
        retried = expected in {Reason.JWKS_HTTP_5XX, Reason.JWKS_CONNECT}
        assert server.hits == 1 + retried
        assert "/redirected" not in server.requests


def test_the_label_of_a_good_answer_does_not_matter(instance: Instance) -> None:
    """A key set that calls itself text/html is a key set: the facts show the label."""
    with LoopbackServer(instance.jwks(), mode=Mode.WRONG_TYPE) as server:
        fetched = fetch(server.url)
    assert fetched.keys.keys
    assert fetched.facts["content type"] == "text/html"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_no_redirect_is_followed(instance: Instance, status: int) -> None:
    """Whatever the kind of redirect, its target sees no request; a credential in it is not repeated."""
    with LoopbackServer(instance.jwks()) as target:
        location = f"Location: http://user:hunter2secret@127.0.0.1:{target.url.split(':')[2].split('/')[0]}/x"
        with RawServer(answer(b"", location, status=f"{status} Moved")) as server:
            failed = failure(server.url)
        assert failed.reason is Reason.JWKS_REDIRECT
        assert target.hits == 0
        assert "hunter2secret" not in str(failed)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Reason.JWKS_HTTP_4XX),
        (401, Reason.JWKS_HTTP_4XX),
        (403, Reason.JWKS_HTTP_4XX),
        (404, Reason.JWKS_HTTP_4XX),
        (410, Reason.JWKS_HTTP_4XX),
        (429, Reason.JWKS_RATE_LIMITED),
        (500, Reason.JWKS_HTTP_5XX),
        (502, Reason.JWKS_HTTP_5XX),
        (503, Reason.JWKS_HTTP_5XX),
        (599, Reason.JWKS_HTTP_5XX),
    ],
)
def test_statuses(status: int, expected: Reason) -> None:
    """Each class of status has its reason, and the message names the status."""
    with RawServer(answer(b"", status=f"{status} No")) as server:
        failed = failure(server.url)
    assert failed.reason is expected
    assert str(status) in failed.detail


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_another_success_is_no_key_set(status: int) -> None:
    """A 2xx that is not 200 is refused, and not called a client error."""
    with RawServer(answer(b"" if status == 204 else b'{"keys":[]}', status=f"{status} Odd")) as server:
        failed = failure(server.url)
    assert failed.reason is Reason.JWKS_NOT_JSON


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Reason.JWKS_NOT_JSON),
        (b"null", Reason.JWKS_NOT_JSON),
        (b"[]", Reason.JWKS_NOT_JSON),
        (b"{}", Reason.JWKS_NOT_JSON),
        (b'{"keys":{}}', Reason.JWKS_NOT_JSON),
        (b'{"keys":[],"keys":[]}', Reason.JWKS_NOT_JSON),
        (b"\xff\xfe{}", Reason.JWKS_NOT_JSON),
        (b"[" * 100_000, Reason.JWKS_NOT_JSON),
        (b'{"keys":' * 5000, Reason.JWKS_NOT_JSON),
        (b'{"keys":[]}', Reason.JWKS_EMPTY),
        (b'{"keys":[{"kty":"EC"}]}', Reason.JWKS_NO_RSA),
        (b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', Reason.JWKS_SECRET_MATERIAL),
        (b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}', Reason.JWKS_WEAK_KEY),
        (json.dumps({"keys": [{"kty": "RSA"}] * 101}).encode(), Reason.JWKS_NOT_JSON),
    ],
    ids=lambda value: str(value)[:24],
)
def test_answers_that_hold_no_key(body: bytes, expected: Reason) -> None:
    """What comes with 200 is judged, and the reason says what is wrong with it."""
    with RawServer(answer(body)) as server:
        assert failure(server.url).reason is expected


def test_one_usable_key_is_enough(instance: Instance) -> None:
    """Entries that cannot be used do not spoil the one that can."""
    document = {"keys": [{"kty": "oct", "k": "AA"}, {"kty": "EC"}, None, 7, instance.jwk()]}
    with RawServer(answer(json.dumps(document).encode())) as server:
        fetched = fetch(server.url)
    assert [key.kid for key in fetched.keys.keys] == [instance.kid]
    assert len(fetched.keys.dropped) == 4


@pytest.mark.parametrize("size", [0, 1])
def test_the_limit_of_size_is_exact(instance: Instance, size: int) -> None:
    """1 MiB is read, one byte more is not."""
    document = json.dumps(instance.jwks()).encode()
    body = document + b" " * ((1 << 20) - len(document) + size)
    with RawServer(answer(body)) as server:
        if size:
            assert failure(server.url).reason is Reason.JWKS_TOO_LARGE
        else:
            assert fetch(server.url).keys.keys


def test_an_endless_answer_is_cut_off() -> None:
    """An answer without a length that never ends is refused by size, and not kept."""
    with RawServer(b"HTTP/1.1 200 OK\r\n\r\n", drip=b" " * 100_000) as server:
        assert failure(server.url).reason is Reason.JWKS_TOO_LARGE


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x"])
def test_nothing_is_unpacked(encoding: str) -> None:
    """An answer that says it is packed is refused as it is, because none was asked for."""
    with RawServer(answer(gzip.compress(b"{}"), f"Content-Encoding: {encoding}")) as server:
        assert failure(server.url).reason is Reason.JWKS_NOT_JSON
        assert b"accept-encoding: identity" in server.requests[0].lower()


def test_a_slow_drip_of_the_body_is_bounded() -> None:
    """A body that comes byte by byte ends at the total limit, though each byte is in time."""
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", drip=b" ") as server:
        assert failure(server.url, SHORT).reason is Reason.JWKS_TIMEOUT


def test_a_slow_drip_of_the_headers_is_bounded() -> None:
    """Headers that never end stop at the total limit."""
    with RawServer(b"HTTP/1.1 200 OK\r\n", drip=b"X: y\r\n") as server:
        assert failure(server.url, SHORT).reason is Reason.JWKS_TIMEOUT


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x00\x00",
        b"HTTP/9",
    ],
    ids=["nothing", "garbage", "huge header", "TLS", "odd version"],
)
def test_what_is_no_http(reply: bytes) -> None:
    """An answer that is not HTTP is a failed connection."""
    with RawServer(reply) as server:
        assert failure(server.url).reason is Reason.JWKS_CONNECT


def test_a_certificate_nobody_vouches_for(tmp_path: Path) -> None:
    """Real TLS with a self-signed certificate is refused as TLS, once, and says why."""
    with RawServer(answer(), tls=self_signed(tmp_path)) as server:
        failed = failure(server.url)
        assert server.requests == []
    assert failed.reason is Reason.JWKS_TLS
    assert "self" in failed.detail
    assert not failed.transient


def test_https_to_a_server_that_speaks_http() -> None:
    """A wrong protocol under TLS is a TLS failure, not a mystery."""
    with RawServer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        assert failure(server.url.replace("http:", "https:")).reason is Reason.JWKS_TLS


def test_a_refused_port() -> None:
    """Where nobody listens, the connection fails."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failed = failure(f"http://127.0.0.1:{port}/")
    assert failed.reason is Reason.JWKS_CONNECT
    assert failed.timings.dns is not None


def test_a_name_that_does_not_resolve() -> None:
    """Names below .invalid resolve nowhere (RFC 6761); no internet is needed to learn that."""
    failed = failure("https://nobody.invalid/.well-known/jwks.json")
    assert failed.reason is Reason.JWKS_DNS
    assert failed.timings.connect is None


@pytest.mark.parametrize("host", ["a..b", ".example.com", "a" * 64 + ".example"])
def test_a_name_that_cannot_be_looked_up(host: str) -> None:
    """A name with an empty or overlong label is a failed look-up, not an error of ours."""
    assert failure(f"https://{host}/").reason is Reason.JWKS_DNS


def test_a_slow_look_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs does not hold the fetch beyond its limit: known keys would not be served meanwhile."""
    released, ended = threading.Event(), threading.Event()

    def hang(*_arguments: object, **_options: object) -> list[object]:
        released.wait(3)
        ended.set()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    failed = failure("https://slow.invalid/", SHORT)
    came_back_first = not ended.is_set()
    released.set()
    ended.wait(5)
    assert failed.reason in {Reason.JWKS_TIMEOUT, Reason.JWKS_DNS}
    assert came_back_first


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00",
        "yesterday", "", "0", "-1", "Mon, 01 Jan 2020 00:00:00 +99999999", "9" * 5000, "inf", "1e9", "\xb2",
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
@pytest.mark.parametrize("header", ["Date", "Retry-After"])
def test_dates_that_are_none(date: str, header: str) -> None:
    """A header that holds no date says nothing; it breaks nothing either."""
    reply = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n" + f"{header}: {date}\r\n\r\n".encode("latin-1")
    with RawServer(reply) as server:
        failed = failure(server.url, FetchLimits(connect=5.0, total=10.0, retry_pause=0.01))
    assert failed.reason is Reason.JWKS_HTTP_5XX


@pytest.mark.parametrize(("offset", "low", "high"), [(0, -3, 3), (3600, 3590, 3610), (-3600, -3610, -3590)])
def test_the_server_s_clock(instance: Instance, offset: int, low: float, high: float) -> None:
    """The Date header tells how far the two clocks are apart, to a second or two."""
    document = json.dumps(instance.jwks()).encode()
    with RawServer(answer(document, f"Date: {formatdate(time.time() + offset, usegmt=True)}")) as server:
        fetched = fetch(server.url)
    assert fetched.clock_offset is not None
    assert low <= fetched.clock_offset <= high


def test_a_failure_tells_the_server_s_clock() -> None:
    """A refusal's Date header is as good as an answer's."""
    with RawServer(answer(b"", f"Date: {formatdate(time.time() + 600, usegmt=True)}", status="404 No")) as server:
        failed = failure(server.url)
    assert failed.clock_offset is not None
    assert 590 <= failed.clock_offset <= 610


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("7", 7, 7), ("0", 0, 0), ("999999", 3600, 3600), ("9" * 400, 3600, 3600), ("@+60", 55, 61), ("@-60", 0, 0)],
)
def test_retry_after(value: str, low: float, high: float) -> None:
    """Seconds or a date, never negative, at most an hour."""
    if value.startswith("@"):
        value = formatdate(time.time() + int(value[1:]), usegmt=True)
    with RawServer(answer(b"", f"Retry-After: {value}", status="429 Slow down")) as server:
        failed = failure(server.url, FetchLimits(total=1.0, retry_pause=0.01))
    assert failed.retry_after is not None
    assert low <= failed.retry_after <= high


def test_a_pause_that_fits_is_waited_for_and_tried_again(instance: Instance) -> None:
    """Retry-After: 1 within the limit: the second attempt is made, and its answer counts."""
    with RawServer(answer(b"", "Retry-After: 1", status="503 Later")) as server:

        async def scenario() -> FetchedKeys:
            task = asyncio.create_task(fetch_keys(server.url))
            while not server.requests:  # noqa: ASYNC110 - it happens in another thread
                await asyncio.sleep(0.01)
            server.reply = answer(json.dumps(instance.jwks()).encode())
            return await task

        assert asyncio.run(scenario()).keys.keys
        assert len(server.requests) == 2


def test_a_passing_failure_is_tried_again_once(instance: Instance) -> None:
    """A server that fails once is asked again, and no more often than that."""
    with RawServer(answer(b"", status="503 No")) as server:

        async def scenario() -> FetchedKeys:
            task = asyncio.create_task(fetch_keys(server.url, limits=FetchLimits(retry_pause=0.2)))
            while not server.requests:  # noqa: ASYNC110 - it happens in another thread
                await asyncio.sleep(0.01)
            server.reply = answer(json.dumps(instance.jwks()).encode())
            return await task

        assert asyncio.run(scenario()).keys.keys
        assert len(server.requests) == 2


def test_the_excerpt_of_an_answer_holds_no_secret() -> None:
    """What a server echoes of a credential does not get into the message."""
    secret = "sk_live_abcdefghijklmnop1234"
    with RawServer(answer(f"no such key: {secret}".encode(), status="401 No")) as server:
        failed = failure(server.url, headers={"Authorization": f"Bearer {secret}"})
        assert secret.encode() in server.requests[0]
    assert secret not in failed.detail
    assert secret not in str(failed)


@pytest.mark.parametrize("secret", ["sk_live_abcdefgh1234\n", "sk_live_abcdefgh1234é", "sk_live_abcdefgh1234\x00"])
def test_a_header_that_cannot_be_sent(secret: str) -> None:
    """A key with a stray character cannot stand in a header: a failure of ours, without the key in it."""
    with RawServer(answer()) as server:
        failed = failure(server.url, headers={"Authorization": f"Bearer {secret}"})
    assert secret.strip() not in str(failed)


def test_the_loop_is_free_while_a_server_thinks(instance: Instance) -> None:
    """Other tasks of the same event loop go on during a fetch."""
    with LoopbackServer(instance.jwks(), latency=0.2) as server:

        async def scenario() -> int:
            task = asyncio.create_task(fetch_keys(server.url))
            turns = 0
            while not task.done():
                await asyncio.sleep(0.001)
                turns += 1
            await task
            return turns

        assert asyncio.run(scenario()) > 10


def test_cancelling_a_fetch_leaves_nothing_behind(instance: Instance) -> None:
    """A cancelled fetch ends as cancelled, and the server can be stopped: no connection is left open."""
    with LoopbackServer(instance.jwks(), mode=Mode.SILENT) as server:

        async def scenario() -> None:
            task = asyncio.create_task(fetch_keys(server.url))
            while not server.hits:  # noqa: ASYNC110 - it happens in another thread
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
