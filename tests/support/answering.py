"""A server on this machine that answers whatever a test says, and notes what it was asked."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from alwrity_checks.loopback_http import HttpServer, Reply, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping


@contextmanager
def answering(answers: Mapping[str, Reply] | Callable[[Request], Reply]) -> Iterator[tuple[str, list[Request]]]:
    """Answer by path (404 for any other) or by function; yield the origin, and the requests as they come."""
    requests: list[Request] = []
    choose = answers if callable(answers) else lambda request: answers.get(request.path, Reply(404, b"Not Found"))

    @asynccontextmanager
    async def handle(request: Request) -> AsyncIterator[Reply]:
        requests.append(request)
        yield choose(request)

    server = HttpServer(handle)
    server.start()
    try:
        yield server.origin, requests
    finally:
        server.stop()
