"""One fetch of a key set: no redirects, at most 1 MiB, 3 s to connect, 5 s in all, one retry for a passing cause."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.auth.jwk import KeySet, key_set
from alwrity_checks.auth.reasons import Reason
from alwrity_checks.auth.strict import decode_object
from alwrity_checks.errors import DoctorError
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    import httpx

__all__ = ["FetchFailed", "FetchLimits", "FetchedKeys", "Timings", "fetch_keys"]

_EXCERPT: Final = 200
_LONGEST_AGE: Final = 7
"""Digits; 115 days."""
_TRANSIENT: Final = frozenset(
    {Reason.JWKS_CONNECT, Reason.JWKS_TIMEOUT, Reason.JWKS_HTTP_5XX, Reason.JWKS_RATE_LIMITED, Reason.JWKS_DNS}
)


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch, in seconds and bytes."""

    connect: float = 3.0
    total: float = 5.0
    """Both attempts and the pause between them."""
    largest_answer: int = 1 << 20
    retry_pause: float = 0.25


@dataclass(slots=True)
class Timings:
    """Where the time of a fetch went, in seconds; None where that step was not reached."""

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    http: float | None = None


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """A key set as a server gave it."""

    keys: KeySet
    timings: Timings
    clock_offset: float | None
    """How far the server's clock (its `Date` header, whole seconds) is ahead of ours, in seconds; None without one."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Status, content type and the like."""


class FetchFailed(DoctorError):  # noqa: N818 - an outcome of the network, not of the program
    """The key set could not be had."""

    def __init__(
        self, reason: Reason, detail: str, *, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        """What the server asked for (`Retry-After`), in seconds."""
        self.status = status
        """The HTTP status, where there was an answer."""
        self.timings = Timings()
        self.clock_offset: float | None = None

    @property
    def transient(self) -> bool:
        """Whether another attempt can be worth it."""
        return self.reason in _TRANSIENT


async def fetch_keys(
    url: str, *, limits: FetchLimits | None = None, headers: Mapping[str, str] | None = None
) -> FetchedKeys:
    """Fetch and read the key set at `url`. Raises FetchFailed."""
    limits = limits or FetchLimits()
    deadline = time.monotonic() + limits.total
    try:
        async with asyncio.timeout(limits.total):
            try:
                return await _attempt(url, limits, headers or {})
            except FetchFailed as failure:
                # Spread over time, so that many workers do not come back together.
                pause = failure.retry_after or limits.retry_pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                if not failure.transient or time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            return await _attempt(url, limits, headers or {})
    except TimeoutError:
        raise FetchFailed(Reason.JWKS_TIMEOUT, f"no complete answer within {limits.total:g} s") from None


async def _attempt(url: str, limits: FetchLimits, headers: Mapping[str, str]) -> FetchedKeys:
    import httpx

    timings = Timings()
    try:
        await _resolve(url, timings)
        async with (
            _client(limits) as client,
            client.stream(
                "GET",
                url,
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    "User-Agent": "alwrity-doctor",
                    **headers,
                },
                extensions={"trace": _Stopwatch(timings)},
            ) as response,
        ):
            received = time.time()
            started = time.perf_counter()
            offset = _clock_offset(response, received)
            body = await _body(response, limits)
            timings.http = (timings.http or 0.0) + time.perf_counter() - started
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _of_transport(error, timings) from None
    except (socket.gaierror, UnicodeError) as error:
        raise _of_transport(error, timings) from None
    except FetchFailed as failure:
        failure.timings = timings
        raise
    try:
        return FetchedKeys(_judge(response, body), timings, offset, _facts(response, body))
    except FetchFailed as failure:
        failure.timings, failure.clock_offset, failure.status = timings, offset, response.status_code
        raise


def _client(limits: FetchLimits) -> httpx.AsyncClient:
    import httpx

    try:
        return httpx.AsyncClient(follow_redirects=False, timeout=httpx.Timeout(limits.total, connect=limits.connect))
    except (OSError, ValueError, ImportError) as error:
        detail = f"the environment's proxy or certificate settings cannot be used: {scrub(str(error))[:_EXCERPT]}"
        raise FetchFailed(Reason.JWKS_TLS if isinstance(error, OSError) else Reason.JWKS_CONNECT, detail) from None


async def _resolve(url: str, timings: Timings) -> None:
    """Look the name up once by itself: the time it takes is told apart from the connection's."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if getproxies().keys() & {parts.scheme, "all"} and not proxy_bypass(parts.hostname or ""):
        return  # behind a proxy the proxy resolves, and a look-up here may rightly fail
    started = time.perf_counter()
    try:
        await _looked_up(parts.hostname or "", parts.port or parts.scheme)
    finally:
        timings.dns = time.perf_counter() - started


async def _looked_up(host: str, port: int | str) -> None:
    """Wait until `host` resolves. A look-up cannot be cancelled, so it gets a thread that nobody ever waits for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def look_up() -> None:
        outcome: Exception | None = None
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            loop.call_soon_threadsafe(finish, outcome)

    threading.Thread(target=look_up, name="jwks-dns", daemon=True).start()
    await done


class _Stopwatch:
    """An httpx trace callback that adds up the time of each step."""

    _STEPS: Final = {
        "connection.connect_tcp": "connect",
        "connection.start_tls": "tls",
        "http11.send_request_headers": "http",
        "http11.receive_response_headers": "http",
    }

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._started: dict[str, float] = {}

    async def __call__(self, event: str, _info: Mapping[str, Any]) -> None:
        name, _, phase = event.rpartition(".")
        step = self._STEPS.get(name)
        if step is None:
            return
        if phase == "started":
            self._started[name] = time.perf_counter()
        elif name in self._started:
            spent = time.perf_counter() - self._started.pop(name)
            setattr(self._timings, step, (getattr(self._timings, step) or 0.0) + spent)


async def _body(response: httpx.Response, limits: FetchLimits) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limits.largest_answer:
            raise FetchFailed(Reason.JWKS_TOO_LARGE, f"the answer is larger than {limits.largest_answer} bytes")
    return bytes(body)


def _judge(response: httpx.Response, body: bytes) -> KeySet:
    status = response.status_code
    if response.is_redirect:
        where = scrub(response.headers.get("location", ""))[:_EXCERPT]
        raise FetchFailed(Reason.JWKS_REDIRECT, f"HTTP {status} to {where!r}; redirects are not followed for keys")
    if status != HTTPStatus.OK:
        reason = Reason.JWKS_HTTP_5XX if response.is_server_error else Reason.JWKS_HTTP_4XX
        if response.is_success:
            reason = Reason.JWKS_NOT_JSON
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            reason = Reason.JWKS_RATE_LIMITED
        raise FetchFailed(reason, f"HTTP {status}: {_excerpt(body)}", retry_after=_retry_after(response))
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchFailed(Reason.JWKS_NOT_JSON, "a compressed answer although none was asked for")
    try:
        keys = key_set(decode_object(body))
    except ValueError as error:
        kind = response.headers.get("content-type", "no content type")
        raise FetchFailed(Reason.JWKS_NOT_JSON, f"{error} ({kind}): {_excerpt(body)}") from None
    if not keys.keys:
        if not keys.dropped:
            raise FetchFailed(Reason.JWKS_EMPTY, "the key set is empty")
        first = keys.dropped[0]
        raise FetchFailed(first.reason, f"none of {len(keys.dropped)} entries is usable; {first.kid}: {first.detail}")
    return keys


def _excerpt(body: bytes) -> str:
    return repr(scrub(body[: 4 * _EXCERPT].decode("utf-8", "replace"))[:_EXCERPT])


def _facts(response: httpx.Response, body: bytes) -> dict[str, str]:
    return {
        "status": str(response.status_code),
        "content type": response.headers.get("content-type", "none"),
        "size": f"{len(body)} bytes",
        "cache-control": response.headers.get("cache-control", "none"),
    }


def _clock_offset(response: httpx.Response, received: float) -> float | None:
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        # The header counts whole seconds: its middle is the best guess. A cache adds its age (RFC 9111 §4.2.3).
        age = response.headers.get("age", "0").strip()
        if not (age.isascii() and age.isdigit()) or len(age) > _LONGEST_AGE:
            return None
        return parsedate_to_datetime(response.headers["date"]).timestamp() + int(age) + 0.5 - received
    return None


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return min(float(value), 3600.0)
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return max(0.0, min(parsedate_to_datetime(value).timestamp() - time.time(), 3600.0))
    return None


def _of_transport(error: Exception, timings: Timings) -> FetchFailed:
    reason, detail = _transport_reason(error)
    failure = FetchFailed(reason, detail)
    failure.timings = timings
    return failure


def _transport_reason(error: Exception) -> tuple[Reason, str]:
    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return Reason.JWKS_DNS, f"the name does not resolve: {cause.strerror}"
        if isinstance(cause, UnicodeError):
            return Reason.JWKS_DNS, "the name, or a header, cannot be sent: it is not ASCII, or too long"
        if isinstance(cause, ssl.SSLError):
            return Reason.JWKS_TLS, f"{getattr(cause, 'verify_message', '') or cause.reason or 'TLS failed'}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return Reason.JWKS_TIMEOUT, f"timed out ({type(error).__name__})"
    return Reason.JWKS_CONNECT, scrub(str(error) or type(error).__name__)[:_EXCERPT]
