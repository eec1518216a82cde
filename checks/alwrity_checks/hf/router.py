"""One call to the router, and what came back: a reply, or the answer as it came.

No decision is taken here, and none anywhere on the text of an exception: what the openai client raises is turned back
into status, headers and body, or into the kind of transport fault, by its type. One call is one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.base_url import ROUTER, is_router, lint
from alwrity_checks.hf.client import Clients
from alwrity_checks.hf.ladder import UNSAID, Message, Sampling, request_payload
from alwrity_checks.hf.reasons import ConfigurationReason
from alwrity_checks.hf.reply import Reply, StreamedReply, reply_of
from alwrity_checks.hf.token_form import token_form
from alwrity_checks.hf.transport import transport_answer
from alwrity_checks.redaction import Secret, scrub
from alwrity_checks.settings import Settings

if TYPE_CHECKING:
    from alwrity_checks.hf.causes import Mode
    from alwrity_checks.hf.deployment import Deployment

__all__ = ["BASE_URL_NAMES", "TOKEN_NAMES", "Router"]

TOKEN_NAMES: Final = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""In the order in which they count. The backend knows the first, huggingface_hub both."""
BASE_URL_NAMES: Final = ("HF_ROUTER_BASE_URL",)
"""The backend has the base URL in its source; this overrides ours."""

_BLEMISHES: Final = frozenset({ConfigurationReason.BASE_URL_UNTIDY, ConfigurationReason.BASE_URL_INSECURE})
"""Faults of a base URL that leave no doubt about what was meant."""
_BODY_KEPT: Final = 1 << 16
_CONNECT_TIMEOUT: Final = 5.0
_LAST_BYTES: Final = 0.25
"""Seconds, for what follows `[DONE]`."""


class Router:
    """An OpenAI-compatible endpoint with its token. One instance serves a process, in any number of event loops."""

    def __init__(
        self,
        base_url: str = ROUTER,
        token: Secret | str | None = None,
        *,
        bill_to: str | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        """Take a base URL as it is: `problems` says what is wrong with it.

        `bill_to` is the organisation that pays. `origins` says where `base_url` and `token` came from.
        """
        self.base_url = base_url.strip().rstrip("/")
        self.token = (Secret(token.strip()) if isinstance(token, str) else token) or None
        self.bill_to = bill_to
        self.origins = dict(origins or {})
        self.problems = lint(base_url)
        self._clients = Clients()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Router:
        """Read `HF_TOKEN` (or `HUGGING_FACE_HUB_TOKEN`) and `HF_ROUTER_BASE_URL` (default: the router's own).

        Raises ConfigurationError without a token, and for a base URL that cannot work, with the one that does.
        """
        router = cls.from_settings(Settings.load(environment))
        router.refuse_unusable()
        return router

    @classmethod
    def from_settings(cls, settings: Settings) -> Router:
        """Read the same settings, and refuse nothing: for those who examine a configuration."""
        token = next((one for one in settings.every(*TOKEN_NAMES) if one.value.reveal().strip()), None)
        base = next((one for one in settings.every(*BASE_URL_NAMES) if one.value.reveal().strip()), None)
        return cls(
            base.value.reveal() if base else ROUTER,
            token.value.reveal() if token else None,
            origins={
                "base_url": f"{base.name} ({base.location})" if base else "default",
                "token": f"{token.name} ({token.location})" if token else "not set",
            },
        )

    async def complete(  # noqa: PLR0913 - what a request consists of
        self,
        deployment: Deployment,
        messages: Sequence[Message],
        *,
        mode: Mode | None = None,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = 2048,
        sampling: Sampling = UNSAID,
        timeout: float = 30.0,  # noqa: ASYNC109 - part of what is asked, and turned into an answer here
        stream: bool = False,
    ) -> Reply | Answer:
        """Ask once. Return the reply, or the answer that holds none; a transport fault is an answer too.

        Without `max_tokens` the server's own limit holds. `timeout` is in seconds, for everything together. With
        `stream` the reply tells the time to its first token. Raises ConfigurationError without a token and for settings
        that the HTTP client refuses, MissingExtra without the openai package.
        """
        if self.token is None:
            raise ConfigurationError("there is no token to ask the router with", "set HF_TOKEN")
        payload = request_payload(
            deployment, messages, mode=mode, schema=schema, max_tokens=max_tokens, sampling=sampling
        )
        client = await self._clients.get(self.base_url, self.token, self.bill_to)
        ask = partial(client.chat.completions.with_raw_response.create, **payload, timeout=_timeout(timeout))
        try:
            async with asyncio.timeout(timeout):
                return await (_streamed(ask) if stream else _whole(ask))
        except TimeoutError:
            return Answer(transport=TransportFault.TIMEOUT, detail=f"no complete answer within {timeout:g} s")
        except Exception as error:  # noqa: BLE001 - the HTTP client's own errors pass through, and differ by release
            return _answer(error)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._clients.aclose()

    def refuse_unusable(self) -> None:
        """Raise ConfigurationError if nothing can be asked with these settings; take what was plainly meant as said.

        Only Hugging Face's own host wants a token of a known form.
        """
        if self.token is None:
            raise ConfigurationError(
                "HF_TOKEN is not set: the router answers nobody without a token",
                "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write"
                "&tokenType=fineGrained",
            )
        self.refuse_bad_base_url()
        if self.problems and all(problem.reason in _BLEMISHES for problem in self.problems):
            self.base_url = self.problems[0].right
        form = token_form(self.token.reveal())
        if form.usable:
            self.token = form.token
        elif is_router(self.base_url):
            where = self.origins.get("token", "the token")
            raise ConfigurationError(f"{where} holds no usable token: {form.message}", form.remedy)

    def refuse_bad_base_url(self) -> None:
        """Raise ConfigurationError if the base URL cannot work."""
        where = self.origins.get("base_url", "")
        for problem in self.problems:
            if problem.fatal:
                told = f"{scrub(self.base_url)}: {problem.message}{f'; it comes from {where}' if where else ''}"
                raise ConfigurationError(told, f"use {problem.right}")


async def _whole(ask: Callable[..., Awaitable[Any]]) -> Reply | Answer:
    started = time.perf_counter()
    response = (await ask()).http_response
    return _read(response, response.content, time.perf_counter() - started)


async def _streamed(ask: Callable[..., Awaitable[Any]]) -> Reply | Answer:
    started = time.perf_counter()
    streamed = StreamedReply(started)
    response = (await ask(stream=True, stream_options={"include_usage": True})).http_response
    try:
        headers = _headers(response)
        if "text/event-stream" not in headers.get("content-type", ""):
            # Some servers pass over `stream`.
            return _read(response, await response.aread(), time.perf_counter() - started)
        lines = response.aiter_lines()
        async for line in lines:
            name, _, data = line.partition(":")
            if name == "data" and not streamed.take(data.strip().encode(), time.perf_counter()):
                return Answer(response.status_code, line.encode()[:_BODY_KEPT], headers)
            if streamed.done:
                await _read_out(lines)
                break
    finally:
        await response.aclose()
    if not streamed.done and streamed.finish_reason is None:
        return Answer(transport=TransportFault.RESET, detail="the stream ended before the reply did")
    return streamed.reply(headers, time.perf_counter())


def _read(response: Any, body: bytes, seconds: float) -> Reply | Answer:  # noqa: ANN401 - httpx's or httpx2's
    headers = _headers(response)
    try:
        reply = reply_of(json.loads(body), headers, seconds)
    except (ValueError, RecursionError):
        reply = None
    return reply or Answer(response.status_code, body[:_BODY_KEPT], headers)


async def _read_out(lines: AsyncIterator[str]) -> None:
    """Read to the end, which leaves the connection fit for another request; of a server that keeps it open, not long.

    The reply is whole already: a connection that breaks now takes nothing from it.
    """
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_LAST_BYTES):
            async for _ in lines:
                continue


def _timeout(seconds: float) -> Any:  # noqa: ANN401 - openai's
    import openai

    # Cancelled in a TLS handshake, the client loses the socket; its own limit, if it is the shorter one, closes it.
    return openai.Timeout(seconds, connect=min(seconds / 3, _CONNECT_TIMEOUT))


def _headers(response: Any) -> dict[str, str]:  # noqa: ANN401 - httpx's or httpx2's
    return {name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"}


def _answer(error: Exception) -> Answer:
    """Turn an exception back into what came, by its type and its fields and never by its text."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return Answer(error.status_code, error.response.content[:_BODY_KEPT], _headers(error.response))
    return transport_answer(error)
