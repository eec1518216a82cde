"""HTTP/1.1 on a free port of this machine, with every bad manner a real server can have.

Real sockets, so that what is measured includes the client's; connections are kept alive as a real server's are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from http.client import responses
from typing import Any, Final
from urllib.parse import unquote, urlsplit

__all__ = ["BreakOff", "Delivery", "HttpServer", "Reply", "Request"]

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
"""More than the callers of any scenario: a full queue would delay them by TCP's retransmission timer."""
_LONGEST_HEAD: Final = 1 << 16
_ABORT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends a reset in place of an orderly end."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    """Decoded, without the query."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    at: float = field(default_factory=time.monotonic)
    """Seconds, monotonic."""

    @property
    def payload(self) -> dict[str, Any] | None:
        """The body, if it is a JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


class Delivery(StrEnum):
    """How far an answer gets."""

    WHOLE = "whole"
    RESET = "reset"
    """The connection is reset before the first byte."""
    CUT = "cut"
    """Half of it, then the connection is reset."""
    STALLED = "stalled"
    """Half of it, and then nothing more, for as long as the client cares to wait."""
    SILENT = "silent"
    """Not a byte."""


class BreakOff(Exception):  # noqa: N818 - an event that a stream brings about, not a fault
    """Raised by a reply's stream: the connection is reset at this point of the body."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answers."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE
    events: tuple[bytes, ...] = ()
    """The body as a stream, one chunk each; `body` is then not used."""
    pause: float = 0.0
    """Seconds between the events."""
    stream: AsyncIterator[bytes] | None = None
    """The body, where it is too large to be held, or is to arrive slowly; `body` is then not used."""
    length: int | None = None
    """What is announced as the body's length, whatever really comes. None: the truth; of a stream, nothing."""

    def head(self) -> bytes:
        """Return the status line and the header fields."""
        fields = {"content-type": self.content_type, **self.headers}
        if self.events:
            fields["transfer-encoding"] = "chunked"
        elif self.stream is None or self.length is not None:
            fields["content-length"] = str(len(self.body) if self.length is None else self.length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 {self.status} {responses.get(self.status, '')}\r\n{lines}\r\n".encode()

    def pieces(self) -> list[bytes]:
        """Return the body as it goes over the wire."""
        if self.events:
            return [*(b"%x\r\n%b\r\n" % (len(event), event) for event in self.events), b"0\r\n\r\n"]
        middle = len(self.body) // 2
        return [piece for piece in (self.body[:middle], self.body[middle:]) if piece]


Handler = Callable[[Request], AbstractAsyncContextManager[Reply]]
"""Makes the answer; left once the answer is sent, or cannot be."""


class HttpServer:
    """Serves until it is stopped, in a thread of its own."""

    def __init__(self, handler: Handler, name: str = "loopback-http") -> None:
        """Answer with what `handler` makes; `name` is the thread's."""
        self._handler = handler
        self._name = name
        self.origin = ""
        """`http://127.0.0.1:<port>`, once started."""

    def start(self, port: int = 0) -> None:
        """Start, on a free port if none is named. Raises OSError where this machine does not hand out the port."""
        listener = socket.create_server((_HOST, port), backlog=_BACKLOG)
        listener.setblocking(False)
        self.origin = f"http://{_HOST}:{listener.getsockname()[1]}"
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, args=(listener, started), name=self._name, daemon=True)
        self._thread.start()
        self._loop, self._stop = started.result()

    def stop(self) -> None:
        """Stop at once, whatever is under way, and wait for the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, listener: socket.socket, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        # Windows' own loop has no add_reader.
        with listener, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve(listener, started))

    async def _serve(
        self, listener: socket.socket, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
    ) -> None:
        """Accept until told to stop.

        Not with asyncio's own server: that one trips over clients which connect while it is being closed.
        """
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        conversations: set[asyncio.Task[None]] = set()

        def accept() -> None:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # the client has gone away again
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(self._talk(client))
            conversations.add(task)
            task.add_done_callback(conversations.discard)
            # Not in the task itself: one that is cancelled before its first step would never get to it.
            task.add_done_callback(lambda _: client.close())

        loop.add_reader(listener, accept)
        started.set_result((loop, stop))
        await stop.wait()
        loop.remove_reader(listener)
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    async def _talk(self, client: socket.socket) -> None:
        rest = b""
        with contextlib.suppress(OSError, ValueError):  # gone away, or no HTTP
            while found := await _receive(client, rest):
                request, rest = found
                async with self._handler(request) as reply:
                    if not await _send(client, request, reply):
                        return
                if request.headers.get("connection", "").lower() == "close":
                    return


async def _receive(client: socket.socket, received: bytes) -> tuple[Request, bytes] | None:
    """Return the next request and what came after it; None if there is none."""
    loop = asyncio.get_running_loop()
    while b"\r\n\r\n" not in received:
        more = await loop.sock_recv(client, 1 << 16)
        received += more
        if not more or len(received) > _LONGEST_HEAD:
            return None
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) != 3:  # noqa: PLR2004 - method, target, version
        return None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length") or 0)
    while len(rest) < length:
        more = await loop.sock_recv(client, 1 << 16)
        if not more:
            return None
        rest += more
    target = urlsplit(words[1])
    return Request(words[0], unquote(target.path), target.query, headers, rest[:length]), rest[length:]


async def _send(client: socket.socket, request: Request, reply: Reply) -> bool:
    """Deliver `reply`; return whether the connection can be used again."""
    loop = asyncio.get_running_loop()
    if reply.delivery is Delivery.SILENT:
        await _wait_for_the_end(client)
        return False
    if reply.delivery is Delivery.RESET:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        return False
    if request.method == "HEAD" and reply.delivery is Delivery.WHOLE:
        await loop.sock_sendall(client, reply.head())
        return True
    if reply.stream is not None:
        return await _send_stream(client, reply, reply.stream)
    pieces = reply.pieces()
    sent = pieces if reply.delivery is Delivery.WHOLE else pieces[: len(pieces) // 2]
    if not reply.pause:
        await loop.sock_sendall(client, reply.head() + b"".join(sent))
    else:
        await loop.sock_sendall(client, reply.head())
        for piece in sent:
            await loop.sock_sendall(client, piece)
            await asyncio.sleep(reply.pause)
    if reply.delivery is Delivery.STALLED:
        await _wait_for_the_end(client)
        return False
    if reply.delivery is Delivery.CUT:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        return False
    return reply.length is None or reply.length == len(reply.body)


async def _send_stream(client: socket.socket, reply: Reply, stream: AsyncIterator[bytes]) -> bool:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, reply.head())
    sent = 0
    try:
        async for piece in stream:
            await loop.sock_sendall(client, piece)
            sent += len(piece)
    except BreakOff:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        return False
    return sent == reply.length


async def _wait_for_the_end(client: socket.socket) -> None:
    """Wait until the client hangs up."""
    while await asyncio.get_running_loop().sock_recv(client, 1 << 16):
        pass
