"""The loopback server misbehaves exactly as it is told to, and goes away without a trace."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.auth.loopback import JWKS_PATH, LoopbackServer, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCUMENT = {"keys": [{"kid": "a"}]}
BODY = json.dumps(DOCUMENT).encode()


def connected(server: LoopbackServer) -> socket.socket:
    """Return a connection on which nothing has been said."""
    return socket.create_connection(("127.0.0.1", int(server.origin.rpartition(":")[2])))


def get(server: LoopbackServer, path: str = JWKS_PATH, timeout: float = 30.0) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, headers and body of one GET. Raises what http.client raises."""
    connection = http.client.HTTPConnection("127.0.0.1", int(server.origin.rpartition(":")[2]), timeout=timeout)
    try:
        connection.request("GET", path)
        with connection.getresponse() as response:
            return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("mode", "status", "body"),
    [
        (Mode.OK, 200, BODY),
        (Mode.NOT_FOUND, 404, b'{"errors": [{"message": "not found"}]}'),
        (Mode.RATE_LIMITED, 429, b"{}"),
        (Mode.UNAVAILABLE, 503, b"{}"),
        (Mode.HTML, 200, b"<!doctype html><title>Sign in</title>"),
        (Mode.REDIRECT, 302, b""),
        (Mode.EMPTY, 200, b'{"keys": []}'),
        (Mode.OVERSIZED, 200, BODY + b" " * (2 << 20)),
        (Mode.WRONG_TYPE, 200, BODY),
    ],
)
def test_mode_decides_the_answer(mode: Mode, status: int, body: bytes) -> None:
    """Status and body are those of the mode."""
    with LoopbackServer(DOCUMENT, mode=mode) as server:
        found = get(server)
    assert (found[0], found[2]) == (status, body)


def test_headers_say_what_the_mode_promises() -> None:
    """A rate limit names its pause, a page and a mislabelled key set are text/html, a redirect leads to the keys."""
    with LoopbackServer(DOCUMENT) as server:
        assert get(server)[1]["Content-Type"] == "application/json"
        server.mode = Mode.RATE_LIMITED
        assert get(server)[1]["Retry-After"] == "7"
        for server.mode in (Mode.HTML, Mode.WRONG_TYPE):
            assert get(server)[1]["Content-Type"] == "text/html"
        server.mode = Mode.REDIRECT
        location = get(server)[1]["Location"]
        assert location.startswith(server.origin)
        assert get(server, location.removeprefix(server.origin))[2] == BODY


def test_truncated_answer_ends_early() -> None:
    """The announced length never arrives."""
    with LoopbackServer(DOCUMENT, mode=Mode.TRUNCATED) as server, pytest.raises(http.client.IncompleteRead) as caught:
        get(server)
    assert caught.value.partial == BODY[: len(BODY) // 2]


def test_gzip_bomb_unpacks_to_a_multiple() -> None:
    """A few kilobytes on the wire are sixteen megabytes in memory."""
    with LoopbackServer(DOCUMENT, mode=Mode.GZIP_BOMB) as server:
        _, headers, body = get(server)
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 1 << 16
    assert len(gzip.decompress(body)) == 16 << 20


def test_drip_sends_byte_by_byte() -> None:
    """The document arrives whole in the end, in pieces of one byte."""
    document = {"k": 1}
    with LoopbackServer(document, mode=Mode.DRIP) as server, connected(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        pieces = []
        while piece := client.recv(65536):
            pieces.append(piece)
    assert b"".join(pieces).endswith(json.dumps(document).encode())
    assert pieces[-1] == b"}"
    assert len(pieces) >= len(json.dumps(document))


def test_silent_server_never_answers_and_still_stops() -> None:
    """A client that waits is cut off when the server is closed."""
    with LoopbackServer(DOCUMENT, mode=Mode.SILENT) as server:
        client = connected(server)
        client.sendall(b"GET /wait HTTP/1.1\r\n\r\n")
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert server.requests == ["/wait"]
        client.settimeout(30.0)
    with client, suppress(ConnectionResetError):  # the other way of hearing that it is over
        assert client.recv(1) == b""


def test_latency_holds_the_answer_back() -> None:
    """A client that waits for less than the latency gets nothing."""
    with LoopbackServer(DOCUMENT, latency=60.0) as server:
        with pytest.raises(TimeoutError):
            get(server, timeout=0.05)
        server.latency = 0.0
        assert get(server)[2] == BODY


def test_document_can_be_exchanged_while_serving() -> None:
    """A rotation takes effect with the next request."""
    with LoopbackServer(DOCUMENT) as server:
        before = get(server)[2]
        server.document = {"keys": []}
        assert (before, get(server)[2]) == (BODY, b'{"keys": []}')


def test_every_request_is_noted() -> None:
    """Whatever the path and however the answer turns out, the request is counted, with its path."""
    with LoopbackServer(mode=Mode.NOT_FOUND) as server:
        for path in ("/a", "/b?c=d", JWKS_PATH):
            get(server, path)
        assert server.requests == ["/a", "/b?c=d", JWKS_PATH]
        assert server.hits == 3
        assert server.url == server.origin + JWKS_PATH


def test_two_hundred_clients_are_served_at_once() -> None:
    """No client of a cold start is turned away."""
    with LoopbackServer(DOCUMENT, latency=0.2) as server, ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(lambda _: get(server)[0], range(200)))
        assert statuses == [200] * 200
        assert server.hits == 200


@pytest.mark.parametrize("nonsense", [b"\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000, b"half a requ"])
def test_nonsense_from_a_client_does_no_harm(nonsense: bytes) -> None:
    """The next client is served."""
    with LoopbackServer(DOCUMENT) as server:
        with connected(server) as client:
            client.sendall(nonsense)
        assert get(server)[2] == BODY


def test_nothing_is_left_behind() -> None:
    """After the context nobody listens, and no thread is left, not even when a client reads nothing."""
    with LoopbackServer(DOCUMENT, mode=Mode.OVERSIZED) as server:
        lazy = connected(server)
        lazy.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert lazy.recv(1) == b"H"
    with lazy, pytest.raises(ConnectionRefusedError):
        connected(server)
    assert "loopback-server" not in {thread.name for thread in threading.enumerate()}
