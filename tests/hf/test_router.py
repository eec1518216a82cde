"""One call to the router, against a real server on this machine. Run with openai 2.x and 3.x."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.base_url import ROUTER
from alwrity_checks.hf.causes import Mode
from alwrity_checks.hf.client import Clients
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.limits import LARGEST_ANSWER
from alwrity_checks.hf.loopback_router import TOKEN, Behaviour, LoopbackRouter
from alwrity_checks.hf.reply import Reply
from alwrity_checks.hf.router import Router
from alwrity_checks.loopback_http import HttpServer, Request
from alwrity_checks.loopback_http import Reply as Sent
from alwrity_checks.redaction import Secret
from tests.support.rawserver import RawServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GROQ = Deployment("openai/gpt-oss-120b", "groq")
ASKED = [{"role": "user", "content": "Say hello."}]
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


@contextmanager
def sending(sent: Sent) -> Iterator[tuple[str, list[Request]]]:
    """Serve one answer at every path; yield the base URL, and the requests as they come."""
    requests: list[Request] = []

    @asynccontextmanager
    async def handle(request: Request) -> AsyncIterator[Sent]:
        requests.append(request)
        yield sent

    serving = HttpServer(handle)
    serving.start()
    try:
        yield serving.origin, requests
    finally:
        serving.stop()


def ask(base_url: str, token: str = TOKEN, *, stream: bool = False, timeout: float = 5.0) -> Reply | Answer:
    """Ask once, in a loop of its own."""

    async def scenario() -> Reply | Answer:
        router = Router(base_url, token)
        try:
            return await router.complete(GROQ, ASKED, timeout=timeout, stream=stream)
        finally:
            await router.aclose()

    return asyncio.run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply(server: LoopbackRouter, stream: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """What was said, who said it, how long it took; the time to the first token only of a stream."""
    reply = ask(server.base_url, server.token, stream=stream)
    assert isinstance(reply, Reply)
    assert reply.text
    assert (reply.provider, reply.finish_reason, reply.model) == ("groq", "stop", GROQ.model)
    assert reply.completion_tokens
    assert (reply.time_to_first_token is not None) is stream


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_asks_in_its_own_way(server: LoopbackRouter, mode: Mode) -> None:
    """The server recognises the mode from the request, and `max_tokens` and the organisation that pays arrive."""

    async def scenario() -> None:
        router = Router(server.base_url, server.token, bill_to="acme")
        await router.complete(GROQ, ASKED, mode=mode, schema=SCHEMA, max_tokens=77)
        await router.aclose()

    asyncio.run(scenario())
    (call,) = server.calls
    assert (call.mode, call.payload["max_tokens"], call.bill_to) == (mode, 77, "acme")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "status", "body"),
    [
        (Behaviour.ROUTE_MISSING, 404, b"Not Found"),
        (Behaviour.MODEL_NOT_FOUND, 400, b"does not exist"),
        (Behaviour.TOKEN_INVALID, 401, b"Invalid username or password."),
        (Behaviour.CREDITS_GONE, 402, b"depleted"),
        (Behaviour.GATEWAY_TIMEOUT, 504, b"<html"),
        (Behaviour.ERROR_IN_200, 200, b'"error"'),
        (Behaviour.PORTAL, 200, b"Sign in"),
    ],
)
def test_an_answer_comes_as_it_was(
    server: LoopbackRouter,
    behaviour: Behaviour,
    status: int,
    body: bytes,
    stream: bool,  # noqa: FBT001 - the same
) -> None:
    """Status, body and headers reach the classification whole; one call is one request."""
    server.behave(behaviour)
    came = ask(server.base_url, server.token, stream=stream)
    assert isinstance(came, Answer)
    assert came.status == status
    assert body in came.body
    assert came.content_type
    assert len(server.calls) == 1


def test_retry_after_is_kept(server: LoopbackRouter) -> None:
    """The headers have lower-case names, and `Retry-After` is among them; nobody but us decides to retry."""
    server.behave(Behaviour.RATE_LIMITED_FOR)
    came = ask(server.base_url, server.token)
    assert isinstance(came, Answer)
    assert (came.status, came.headers["retry-after"], len(server.calls)) == (429, "1", 1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (Behaviour.RESET, TransportFault.RESET),
        (Behaviour.CUT, TransportFault.RESET),
        (Behaviour.STALLED, TransportFault.TIMEOUT),
        (Behaviour.SILENT, TransportFault.TIMEOUT),
    ],
)
def test_no_answer_is_an_answer_too(
    server: LoopbackRouter,
    behaviour: Behaviour,
    fault: TransportFault,
    stream: bool,  # noqa: FBT001 - the same
) -> None:
    """A connection that breaks and one that stalls are told apart by type."""
    server.behave(behaviour)
    came = ask(server.base_url, server.token, stream=stream, timeout=0.5)
    assert isinstance(came, Answer)
    assert (came.status, came.transport) == (None, fault)


def test_nothing_there(server: LoopbackRouter) -> None:
    """A closed port, a name without an address and a port that speaks no TLS are three faults."""
    with RawServer(b"no TLS here\r\n") as plain:
        secured = ask(plain.url.replace("http:", "https:"), timeout=3.0)
    found = [ask("http://127.0.0.1:9/v1"), ask("http://router.invalid/v1"), secured]
    faults = [came.transport for came in found if isinstance(came, Answer)]
    assert faults == [TransportFault.REFUSED, TransportFault.DNS, TransportFault.TLS]
    assert server.hits == 0


@pytest.mark.parametrize(
    "sent",
    [
        Sent(200, b" " * (LARGEST_ANSWER + 1)),
        Sent(500, b" " * (LARGEST_ANSWER + 1)),
        Sent(200, gzip.compress(b"{}"), headers={"content-encoding": "GZIP"}),
    ],
    ids=["large", "large error", "compressed"],
)
def test_an_answer_beyond_the_limits(sent: Sent) -> None:
    """What is too large, or compressed without need, is not read, whatever its status."""
    with sending(sent) as (url, _):
        came = ask(url)
    assert isinstance(came, Answer)
    assert came.transport is TransportFault.OTHER
    assert came.detail.startswith("UnusableAnswer")


def test_a_redirect_is_not_followed() -> None:
    """A token is not carried to where an answer points."""
    with sending(Sent(307, headers={"location": "/elsewhere"})) as (url, requests):
        came = ask(url)
    assert isinstance(came, Answer)
    assert (came.status, len(requests)) == (307, 1)


def test_a_token_that_cannot_be_sent() -> None:
    """A character that no header can hold is an answer of ours, without the token in it."""
    with sending(Sent()) as (url, requests):
        came = ask(url, "hf_ab\u20accdefghij")
    assert isinstance(came, Answer)
    assert came.transport is TransportFault.OTHER
    assert "cdefghij" not in came.detail
    assert not requests


def test_the_token_is_sent_and_not_shown() -> None:
    """The server gets it; what is shown of the router does not hold it."""
    token = "hf_abcdefghijklmnopqrstuvwxyz0123"
    with sending(Sent(400)) as (url, requests):
        ask(url, token)
    assert requests[0].headers["authorization"] == f"Bearer {token}"
    assert token not in repr(vars(Router("https://router.huggingface.co/v1", token)))


def test_from_the_environment() -> None:
    """The token, the base URL, and where each came from; what was plainly meant is put right."""
    router = Router.from_environment({"HF_TOKEN": f" Bearer '{TOKEN}' ", "HF_ROUTER_BASE_URL": f"'{ROUTER}/' "})
    assert (router.base_url, router.token) == (ROUTER, Secret(TOKEN))
    assert router.origins["token"].startswith("HF_TOKEN")
    assert Router.from_environment({"HF_TOKEN": TOKEN}).origins["base_url"] == "default"


def test_another_host_has_its_own_tokens_and_paths() -> None:
    """Only Hugging Face's own host is known well enough to refuse a token, or to correct a path."""
    url = "http://127.0.0.1:4000/hf/v1"
    router = Router.from_environment({"HF_TOKEN": "sk-test", "HF_ROUTER_BASE_URL": url})
    assert (router.base_url, router.token) == (url, Secret("sk-test"))


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({}, "https://huggingface.co/settings/tokens/new"),
        ({"HF_TOKEN": " "}, "https://huggingface.co/settings/tokens/new"),
        ({"HF_TOKEN": "sk-proj-abcdefghijklmnop"}, "make one: https://huggingface.co/settings/tokens/new"),
        ({"HF_TOKEN": TOKEN, "HF_ROUTER_BASE_URL": "https://router.huggingface.co/hf/v1"}, f"use {ROUTER}"),
    ],
)
def test_an_environment_that_cannot_work(environment: dict[str, str], remedy: str) -> None:
    """No token, another vendor's, or a base URL known to be wrong: refused at once, with the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        Router.from_environment(environment)
    assert caught.value.remedy.startswith(remedy)


def test_a_password_in_a_base_url_is_not_repeated() -> None:
    """What refuses the URL shows the rest of it."""
    environment = {"HF_TOKEN": TOKEN, "HF_ROUTER_BASE_URL": "https://me:pass1word@router.huggingface.co/hf/v1"}
    with pytest.raises(ConfigurationError, match="/hf/v1") as caught:
        Router.from_environment(environment)
    assert "pass1word" not in f"{caught.value} {caught.value.remedy}"


def test_without_a_token_nothing_is_asked(server: LoopbackRouter) -> None:
    """A router without a token can be looked at, and not asked."""
    with pytest.raises(ConfigurationError, match="no token"):
        asyncio.run(Router(server.base_url).complete(GROQ, ASKED))
    assert server.hits == 0


@pytest.mark.parametrize("url", ["http://[::1", "http://x\x00/v1"])
def test_settings_that_the_client_refuses(url: str) -> None:
    """What its HTTP library cannot use is an error of ours."""
    with pytest.raises(ConfigurationError, match="refuses its settings"):
        ask(url)


def test_a_proxy_of_the_environment_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours that says where to look, and not the HTTP library's."""
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="refuses its settings") as caught:
        ask("https://router.invalid/v1")
    assert "ALL_PROXY" in caught.value.remedy


def test_this_machine_is_reached_without_a_proxy(server: LoopbackRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy could not serve what listens here."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert isinstance(ask(server.base_url), Reply)


CHUNK = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "events",
    [
        (b": a comment\n\n", b'data: {"type":"ping"}\n\n', CHUNK, DONE),
        (CHUNK, DONE, b'data: {"error":{"message":"too late"}}\n\n'),
        (CHUNK, b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'),
    ],
    ids=["pings", "after the end", "no [DONE]"],
)
def test_the_manners_of_streams(events: tuple[bytes, ...]) -> None:
    """What is not part of the reply neither spoils nor ends it."""
    with sending(Sent(content_type="text/event-stream", events=events)) as (url, _):
        reply = ask(url, stream=True)
    assert isinstance(reply, Reply)
    assert reply.text == "hello"


@pytest.mark.parametrize("stream", [False, True])
def test_a_dribble_does_not_put_the_deadline_off(stream: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Every piece comes in time and the whole does not: the limit is one for everything together."""
    kind, piece = ("text/event-stream", CHUNK) if stream else ("application/json", b" ")
    with sending(Sent(content_type=kind, events=(piece,) * 5000, pause=0.005)) as (url, _):
        came = ask(url, stream=stream, timeout=0.5)
    assert isinstance(came, Answer)
    assert came.transport is TransportFault.TIMEOUT


def test_a_stream_left_open_after_its_end() -> None:
    """A reply that is whole is not lost to a server that never closes."""
    events = (CHUNK, DONE, b": still here\n\n", b": and here\n\n")
    with sending(Sent(content_type="text/event-stream", events=events, pause=1.5)) as (url, _):
        reply = ask(url, stream=True, timeout=4.0)
    assert isinstance(reply, Reply)
    assert reply.text == "hello"


def test_callers_of_a_loop_share_a_client(server: LoopbackRouter) -> None:
    """Eight first calls at once make one client; another loop has its own."""
    clients = Clients()
    seen: list[object] = []

    async def scenario() -> None:
        got = await asyncio.gather(*(clients.get(server.base_url, Secret(TOKEN), None) for _ in range(8)))
        seen.append(got[0])
        assert all(one is got[0] for one in got)
        await clients.aclose()

    asyncio.run(scenario())
    asyncio.run(scenario())
    assert seen[0] is not seen[1]


def test_a_server_that_passes_over_the_wish_for_a_stream() -> None:
    """It answers in one piece: a reply all the same, without a time to its first token."""
    body = b'{"model": "m", "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}'
    with sending(Sent(200, body)) as (origin, _):
        came = ask(f"{origin}/v1", stream=True)
    assert isinstance(came, Reply)
    assert (came.text, came.time_to_first_token) == ("hello", None)


def test_a_wrapped_token_is_unwrapped_for_any_host() -> None:
    """What is plainly a token of Hugging Face's in a Bearer scheme is sent without it."""
    router = Router("http://127.0.0.1:1/v1", f"Bearer {TOKEN}")
    router.refuse_unusable()
    assert router.token == Secret(TOKEN)
    foreign = Router("http://127.0.0.1:1/v1", "key of this server")
    foreign.refuse_unusable()
    assert foreign.token == Secret("key of this server")
