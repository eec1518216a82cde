"""One bounded GET, and what came back: the answer as it came, whatever it is."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.base_url import is_loopback
from alwrity_checks.hf.limits import UnusableAnswer
from alwrity_checks.hf.transport import transport_answer

if TYPE_CHECKING:
    import httpx

    from alwrity_checks.redaction import Secret

__all__ = ["LARGEST_DOCUMENT", "fetch"]

LARGEST_DOCUMENT: Final = 16 << 20
"""Bytes: fifty times the router's catalogue of models."""
_CONNECT_TIMEOUT: Final = 5.0


async def fetch(
    url: str,
    *,
    token: Secret | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109 - part of what is asked, and turned into an answer here
    largest: int = LARGEST_DOCUMENT,
) -> Answer:
    """Ask for `url` once and return the answer, with its whole body; a transport fault is an answer too.

    `timeout` is in seconds, for everything together, `largest` in bytes. No redirect is followed: the token goes to
    the host of `url` and nowhere else. Proxies are those of the environment, but none stands before this machine.
    """
    try:
        async with asyncio.timeout(timeout):
            # Half of it takes a twentieth of a second: the library at first, the trusted certificates every time.
            await asyncio.to_thread(import_module, "httpx")
            return await _fetched(url, token, timeout, largest)
    except TimeoutError:
        return Answer(transport=TransportFault.TIMEOUT, detail=f"no complete answer within {timeout:.3g} s")


async def _fetched(url: str, token: Secret | None, timeout: float, largest: int) -> Answer:  # noqa: ASYNC109 - the same
    import httpx

    try:
        host = _host(url)
    except ValueError as error:
        return transport_answer(error)
    try:
        client = await asyncio.to_thread(_client, host if is_loopback(url) else None, timeout)
    except (OSError, ValueError, ImportError) as error:
        why = transport_answer(error).detail
        detail = f"the environment's proxy or certificate settings cannot be used: {why}"
        return Answer(
            transport=TransportFault.TLS if isinstance(error, OSError) else TransportFault.OTHER, detail=detail
        )
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "alwrity-doctor"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    try:
        async with client, client.stream("GET", url, headers=headers) as response:
            return Answer(response.status_code, await _body(response, largest), _headers(response))
    except (httpx.HTTPError, httpx.InvalidURL, UnusableAnswer, OSError, ValueError) as error:
        return transport_answer(error)


def _host(url: str) -> str:
    parts = urlsplit(url)
    _ = parts.port  # reading it is what finds a port that is none, which the client does not
    return parts.hostname or ""


def _client(direct: str | None, timeout: float) -> httpx.AsyncClient:
    """Return a client that reaches the host `direct` without a proxy."""
    import httpx

    mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
    if direct is not None:
        mounts[f"all://[{direct}]" if ":" in direct else f"all://{direct}"] = None
    # Cancelled in a TLS handshake, the client loses the socket; its own limit, if it is the shorter one, closes it.
    limits = httpx.Timeout(timeout, connect=min(timeout / 3, _CONNECT_TIMEOUT))
    return httpx.AsyncClient(follow_redirects=False, timeout=limits, mounts=mounts)


async def _body(response: httpx.Response, largest: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UnusableAnswer("a compressed answer, although none was asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > largest:
            raise UnusableAnswer(f"the answer is larger than {largest} bytes")
    return bytes(body)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"}
