"""One bounded GET against real servers: the answer as it came, or the kind of transport fault."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.fetching import fetch
from alwrity_checks.hf.loopback_router import TOKEN
from alwrity_checks.loopback_http import Delivery, Reply
from alwrity_checks.redaction import Secret
from tests.support.answering import answering
from tests.support.in_process import bare
from tests.support.rawserver import RawServer, self_signed
from tests.support.rawserver import answer as raw_answer
from tests.support.terminating_proxy import TerminatingProxy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine without any proxy of the environment."""
    bare(monkeypatch)


def got(url: str, **arguments: Any) -> Answer:  # noqa: ANN401 - fetch's own
    """Fetch once, in a loop of its own."""
    return asyncio.run(fetch(url, **arguments))


def nobody() -> str:
    """Return a URL where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_an_answer_as_it_came() -> None:
    """Status, headers in lower case and the whole body, however long; cookies are not kept."""
    body = b"x" * (1 << 20)
    with answering({"/v1/models": Reply(418, body, "text/plain", {"X-Request-Id": "7", "Set-Cookie": "a=b"})}) as (
        origin,
        requests,
    ):
        found = got(f"{origin}/v1/models")
    assert (found.status, found.body, found.transport) == (418, body, None)
    assert (found.content_type, found.headers["x-request-id"]) == ("text/plain", "7")
    assert "set-cookie" not in found.headers
    (request,) = requests
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


def test_the_token_is_sent_where_one_is_given() -> None:
    """As a bearer token, to the URL that was named."""
    with answering({}) as (origin, requests):
        got(origin, token=Secret(TOKEN))
    assert requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_redirect_is_an_answer() -> None:
    """It is not followed: the token belongs to the host that was asked."""
    with answering({}) as (elsewhere, theirs):
        moved = Reply(307, headers={"Location": f"{elsewhere}/v1/models"})
        with answering({"/v1/models": moved}) as (origin, requests):
            found = got(f"{origin}/v1/models", token=Secret(TOKEN))
    assert (found.status, len(requests), theirs) == (307, 1, [])


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (Delivery.RESET, TransportFault.RESET),
        (Delivery.CUT, TransportFault.RESET),
        (Delivery.STALLED, TransportFault.TIMEOUT),
        (Delivery.SILENT, TransportFault.TIMEOUT),
    ],
)
def test_an_answer_that_does_not_come(delivery: Delivery, expected: TransportFault) -> None:
    """Each bad manner of a server is its kind of fault, and no exception."""
    with answering({"/": Reply(200, b"half of this is all", delivery=delivery)}) as (origin, _):
        found = got(f"{origin}/", timeout=0.5)
    assert (found.status, found.transport) == (None, expected)
    assert found.detail


def test_nobody_listens() -> None:
    """A refused connection is told apart from a lost one."""
    assert got(nobody()).transport is TransportFault.REFUSED


def test_a_name_without_an_address() -> None:
    """The reserved top-level domain has no names (RFC 6761)."""
    assert got("http://router.invalid/v1/models").transport is TransportFault.DNS


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    """It is refused; verification is never switched off, on this machine neither."""
    with RawServer(raw_answer(), tls=self_signed(tmp_path)) as server:
        found = got(server.url)
    assert found.transport is TransportFault.TLS


def test_an_answer_that_dribbles() -> None:
    """A byte now and then does not push the deadline out."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with RawServer(head, drip=b"x") as server:
        before = time.monotonic()
        found = got(server.url, timeout=0.4)
        assert time.monotonic() - before < 5
    assert found.transport is TransportFault.TIMEOUT


@pytest.mark.parametrize("length", ["Content-Length: 3000", "X: y"])
def test_an_answer_that_is_too_large(length: str) -> None:
    """It is read up to the limit and then dropped, whether its length was announced or not."""
    reply = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{length}\r\n\r\n".encode() + b"x" * 3000
    with RawServer(reply) as server:
        found = got(server.url, largest=2999)
    assert (found.transport, found.body) == (TransportFault.OTHER, b"")
    assert "larger than 2999 bytes" in found.detail


def test_an_answer_of_exactly_the_limit() -> None:
    """It is not too large."""
    with answering({"/": Reply(200, b"x" * 3000)}) as (origin, _):
        assert len(got(f"{origin}/", largest=3000).body) == 3000


def test_a_compressed_answer() -> None:
    """None was asked for, and a small one can unpack into a large one: it is refused as it is."""
    squeezed = Reply(200, gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    with answering({"/": squeezed}) as (origin, _):
        found = got(f"{origin}/")
    assert found.transport is TransportFault.OTHER
    assert "compressed" in found.detail


@pytest.mark.parametrize(
    "url",
    ["", "router.huggingface.co/v1", "ftp://127.0.0.1/", "http://", "http://[", "http://127.0.0.1:99999/",
     "http://a b/", "http://\u2028/", f"http://{'a' * 300}.invalid/", "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_url(url: str) -> None:
    """Nothing is sent and nothing is raised; the detail says what is wrong."""
    found = got(url)
    assert found.status is None
    assert found.detail


@pytest.mark.parametrize("token", ["hf_with\nnewline0000000", "hf_schl\u00fcssel0000000000", "hf_nul\x000000000000000"])
def test_a_token_that_cannot_be_sent(token: str) -> None:
    """It is not repeated in the reason."""
    with answering({}) as (origin, requests):
        found = got(origin, token=Secret(token))
    assert (found.transport, requests) == (TransportFault.OTHER, [])
    assert token not in found.detail
    assert "0000000" not in found.detail


def test_no_proxy_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured proxy could not reach the loopback address: it is not asked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, nobody())
    with answering({"/": Reply(200, b"{}")}) as (origin, _):
        assert got(f"{origin}/").status == 200
        assert got(f"{origin.replace('127.0.0.1', 'localhost')}/").status == 200
    # Nobody listens there, and that is what is said: not that the proxy refuses.
    assert "::1" in got("http://[::1]:9/").detail


def test_other_hosts_are_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the certificates of the environment: the token ends at the host that was named."""
    with TerminatingProxy({"router.huggingface.co": {"data": []}}, tmp_path) as proxy:
        proxy.use(monkeypatch)
        found = got("https://router.huggingface.co/v1/models", token=Secret(TOKEN))
    assert (found.status, found.body) == (200, b'{"data": []}')
    assert proxy.authorized == {"router.huggingface.co": [f"Bearer {TOKEN}"]}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("SSL_CERT_FILE", "/nowhere/authority.pem", TransportFault.TLS),
        ("HTTPS_PROXY", "gopher://127.0.0.1:70", TransportFault.OTHER),
    ],
)
def test_an_environment_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fault: TransportFault
) -> None:
    """A missing file of authorities and a proxy that is none are named, and not raised."""
    monkeypatch.setenv(name, value)
    found = got("https://router.invalid/v1/models")
    assert found.transport is fault
    assert "the environment's" in found.detail


def test_the_loop_stays_free() -> None:
    """Certificates and library are loaded beside the loop, which goes on meanwhile."""

    async def ticked() -> tuple[int, Answer]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        found = await fetch(f"{origin}/")
        ticking.cancel()
        return ticks, found

    with answering({"/": Reply(200, b"{}")}) as (origin, _):
        ticks, found = asyncio.run(ticked())
    assert found.status == 200
    assert ticks > 1


def test_many_at_once() -> None:
    """Fetches do not share anything: each has its own answer."""
    answers = {f"/{number}": Reply(200, str(number).encode()) for number in range(20)}

    async def all_of_them(origin: str) -> list[Answer]:
        return await asyncio.gather(*(fetch(f"{origin}/{number}") for number in range(20)))

    with answering(answers) as (origin, _):
        found = asyncio.run(all_of_them(origin))
    assert [answer.body for answer in found] == [str(number).encode() for number in range(20)]


def test_a_fetch_that_is_cancelled() -> None:
    """It ends with the cancellation, and leaves no connection behind."""

    async def cancelled(origin: str) -> None:
        task = asyncio.create_task(fetch(f"{origin}/"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with answering({"/": Reply(200, b"{}", delivery=Delivery.SILENT)}) as (origin, _):
        asyncio.run(cancelled(origin))
