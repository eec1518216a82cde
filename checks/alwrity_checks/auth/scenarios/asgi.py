"""Asking an ASGI application, without a server in between (ASGI 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Response", "requested"]


@dataclass(frozen=True, slots=True)
class Response:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    """By their names in small letters; of a repeated one, the last."""
    body: bytes


async def requested(app: Any, *, authorization: str | None = None, query: str = "") -> Response:  # noqa: ANN401 - an ASGI application
    """Return the answer to `GET /?query`, with this `Authorization`. Raises what the application raises."""
    status, body = 0, b""
    headers: dict[str, str] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")
        headers.update(
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.get("headers", ())}
        )

    given = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": query.encode("ascii"),
        "headers": [(b"host", b"127.0.0.1"), *given],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return Response(status, headers, body)
