"""A key server on this machine, with every bad manner a real one can have.

It is real HTTP on a free port, so that what is measured includes the client's sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["JWKS_PATH", "Fetch", "LoopbackServer", "Mode"]

JWKS_PATH: Final = "/.well-known/jwks.json"
_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
"""More than the callers of any scenario: a full queue would delay them by TCP's retransmission timer."""
_LONGEST_REQUEST: Final = 1 << 16
_RETRY_AFTER: Final = 7
_DRIP_PAUSE: Final = 0.05
_BOMB_SIZE: Final = 16 << 20
_OVERSIZE: Final = 2 << 20
_REDIRECTED: Final = "/redirected"


class Mode(StrEnum):
    """How a server answers."""

    OK = "ok"
    NOT_FOUND = "404"
    RATE_LIMITED = "429"
    """With `Retry-After: 7`."""
    UNAVAILABLE = "503"
    HTML = "html"
    """A page with status 200, as captive portals send it."""
    REDIRECT = "redirect"
    """To a path that serves the document: a client that follows is seen in `requests`, and gets keys."""
    EMPTY = "empty"
    """A key set without keys."""
    TRUNCATED = "truncated"
    """Half of what `Content-Length` announces."""
    GZIP_BOMB = "gzip-bomb"
    """16 KiB that unpack to 16 MiB."""
    OVERSIZED = "oversized"
    """The document, followed by 2 MiB of white space."""
    WRONG_TYPE = "wrong-type"
    """The document, labelled text/html."""
    DRIP = "drip"
    """The document, one byte every 50 ms."""
    SILENT = "silent"
    """Takes the request and never answers."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request, and when it was there and answered: of `time.perf_counter`, in seconds."""

    path: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send only so many bytes of the body."""

    def head(self) -> bytes:
        fields = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), "Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (fields | dict(self.headers)).items())
        return f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n{lines}\r\n".encode()


class LoopbackServer:
    """Serves one document at every path, in a thread of its own; a context manager.

    `document`, `mode` and `latency` may be changed at any time, from any thread; the next request meets the change.
    """

    def __init__(
        self, document: Mapping[str, Any] | None = None, *, mode: Mode = Mode.OK, latency: float = 0.0
    ) -> None:
        """Name the document, a JWKS for example. `latency` is in seconds, before the first byte of each answer."""
        self.document: Mapping[str, Any] = document if document is not None else {"keys": []}
        self.mode = mode
        self.latency = latency
        self.requests: list[str] = []
        """The path of every request, in the order of their arrival."""
        self.fetches: list[Fetch] = []
        """Every request that was answered, or given up."""
        self.origin = ""
        """`http://127.0.0.1:<port>`, once started."""

    @property
    def url(self) -> str:
        """Where a client looks for the key set."""
        return self.origin + JWKS_PATH

    @property
    def hits(self) -> int:
        """How many requests have arrived."""
        return len(self.requests)

    def __enter__(self) -> Self:
        """Start. Raises OSError where this machine hands out no port."""
        listener = socket.create_server((_HOST, 0), backlog=_BACKLOG)
        listener.setblocking(False)
        self.origin = f"http://{_HOST}:{listener.getsockname()[1]}"
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, args=(listener, started), name="loopback-server", daemon=True)
        self._thread.start()
        self._loop, self._stop = started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        loop = asyncio.get_running_loop()
        request = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in request:
                received = await loop.sock_recv(client, 4096)
                request += received
                if not received or len(request) > _LONGEST_REQUEST:
                    return
            if path := _path(request):
                self.requests.append(path)
                began = time.perf_counter()
                try:
                    await self._reply(path, client)
                finally:
                    self.fetches.append(Fetch(path, began, time.perf_counter()))

    async def _reply(self, path: str, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        mode = Mode.OK if path == _REDIRECTED else self.mode
        await asyncio.sleep(self.latency)
        if mode is Mode.SILENT:
            await asyncio.Event().wait()
        answer = _answer(mode, json.dumps(self.document).encode(), self.origin)
        await loop.sock_sendall(client, answer.head())
        if mode is Mode.DRIP:
            for byte in answer.body:
                await loop.sock_sendall(client, bytes((byte,)))
                await asyncio.sleep(_DRIP_PAUSE)
        else:
            await loop.sock_sendall(client, answer.body[: answer.cut])


def _path(request: bytes) -> str:
    """Return the path of a request; empty if it is none."""
    words = request.partition(b"\r\n")[0].split()
    return words[1].decode("latin-1") if len(words) == 3 else ""  # noqa: PLR2004 - method, path, version


_WITHOUT_DOCUMENT: Final = {
    Mode.NOT_FOUND: _Answer(HTTPStatus.NOT_FOUND, b'{"errors": [{"message": "not found"}]}'),
    Mode.RATE_LIMITED: _Answer(HTTPStatus.TOO_MANY_REQUESTS, b"{}", {"Retry-After": str(_RETRY_AFTER)}),
    Mode.UNAVAILABLE: _Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"{}"),
    Mode.HTML: _Answer(body=b"<!doctype html><title>Sign in</title>", headers={"Content-Type": "text/html"}),
    Mode.EMPTY: _Answer(body=b'{"keys": []}'),
}


def _answer(mode: Mode, document: bytes, origin: str) -> _Answer:
    match mode:
        case Mode.REDIRECT:
            return _Answer(HTTPStatus.FOUND, headers={"Location": origin + _REDIRECTED})
        case Mode.TRUNCATED:
            return _Answer(body=document, cut=len(document) // 2)
        case Mode.GZIP_BOMB:
            return _Answer(body=gzip.compress(b" " * _BOMB_SIZE), headers={"Content-Encoding": "gzip"})
        case Mode.OVERSIZED:
            return _Answer(body=document + b" " * _OVERSIZE)
        case Mode.WRONG_TYPE:
            return _Answer(body=document, headers={"Content-Type": "text/html"})
        case _:
            return _WITHOUT_DOCUMENT.get(mode) or _Answer(body=document)
