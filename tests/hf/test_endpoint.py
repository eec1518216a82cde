"""Whether a router stands behind a base URL: against the loopback router and against servers that are none."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.hf.base_url import ROUTER
from alwrity_checks.hf.causes import Action, Cause, Permanence, Scope
from alwrity_checks.hf.endpoint import Endpoint, examine_endpoint
from alwrity_checks.hf.loopback_catalogue import CATALOGUE
from alwrity_checks.hf.loopback_router import TOKEN, Behaviour, LoopbackRouter
from alwrity_checks.hf.router import Router
from alwrity_checks.loopback_http import Delivery, Reply, Request
from tests.support.answering import answering
from tests.support.in_process import bare
from tests.support.terminating_proxy import TerminatingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LISTED = Reply(200, json.dumps({"object": "list", "data": [{"id": "tiny-org/tiny-qwen"}]}).encode())
NOT_FOUND = Reply(404, b'{"detail":"Not Found"}')
"""As `transformers serve` says it, and everything else that is made with FastAPI."""
OTHER_HOSTS = ("api-inference.huggingface.co", "huggingface.co")
REFUSED = Reply(401, b'{"error":"a key is needed"}')


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine without any proxy of the environment."""
    bare(monkeypatch)


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


def examined(base_url: str, token: str | None = TOKEN, timeout: float = 5.0) -> Endpoint:
    """Examine once, in a loop of its own."""
    return asyncio.run(examine_endpoint(Router(base_url, token), timeout=timeout))


def assert_unsettled(found: Endpoint) -> None:
    """Assert that nothing is proved, neither for nor against."""
    assert found.fault is not None
    assert (found.fault.scope, found.fault.permanence) == (Scope.ENDPOINT, Permanence.UNKNOWN)
    assert not found.unusable


def test_a_router(server: LoopbackRouter) -> None:
    """One request, without the token, tells that it is one, and what it serves."""
    found = examined(f"{server.base_url}/")
    assert (found.fault, found.right, found.requests, found.unusable) == (None, None, 1, False)
    assert found.catalogue is not None
    assert list(found.catalogue.models) == list(CATALOGUE)
    assert found.answer.status == 200
    (request,) = server.requests
    assert (request.path, "authorization" in request.headers) == ("/v1/models", False)


def test_no_token_is_needed(server: LoopbackRouter) -> None:
    """The catalogue is public."""
    assert examined(server.base_url, None).fault is None


def test_the_base_url_of_issue_2(server: LoopbackRouter) -> None:
    """/hf/v1 is convicted within two requests, and the base URL that works is named because it was seen to."""
    found = examined(server.wrong_base_url)
    assert found.unusable
    assert found.fault is not None
    assert (found.fault.cause, found.fault.permanence) == (Cause.ROUTE_MISSING, Permanence.PERMANENT)
    assert server.base_url in found.fault.message
    assert (found.right, found.requests, server.hits) == (server.base_url, 2, 2)


def test_the_base_url_of_issue_2_at_a_server_that_answers_in_json() -> None:
    """A server that says 404 in its own words is told to be the wrong path as well: the right one has models."""
    with answering({"/v1/models": LISTED, "/hf/v1/models": NOT_FOUND}) as (origin, requests):
        found = examined(f"{origin}/hf/v1")
    assert found.unusable
    assert (found.right, len(requests)) == (f"{origin}/v1", 2)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/chat/completions/"])
def test_a_base_url_with_the_operation_in_it(server: LoopbackRouter, path: str) -> None:
    """The client would double the path: the one before it works."""
    found = examined(f"{server.origin}{path}")
    assert found.unusable
    assert found.right == server.base_url


@pytest.mark.parametrize("path", ["", "/", "/api/v1"])
def test_a_path_that_may_be_right(server: LoopbackRouter, path: str) -> None:
    """Nothing in the text speaks against it, and a gateway may list elsewhere: a completion settles it."""
    found = examined(f"{server.origin}{path}")
    assert_unsettled(found)
    assert found.fault is not None
    assert (found.fault.cause, found.right) == (Cause.ROUTE_MISSING, server.base_url)


@pytest.mark.parametrize("reply", [Reply(404, b"Not Found", "text/plain"), NOT_FOUND, Reply(405, b"")])
def test_a_server_without_a_list(reply: Reply) -> None:
    """A server that chats need not list its models: that is no proof that it does not chat."""
    with answering({"/v1/models": reply}) as (origin, requests):
        found = examined(f"{origin}/v1")
    assert_unsettled(found)
    assert (found.right, found.catalogue, len(requests)) == (None, None, 1)


def test_a_list_for_those_with_a_token() -> None:
    """The token is shown once the server has asked for it."""

    def choose(request: Request) -> Reply:
        return LISTED if request.headers.get("authorization") == f"Bearer {TOKEN}" else REFUSED

    with answering(choose) as (origin, requests):
        found = examined(f"{origin}/v1")
    assert (found.fault, found.requests, len(requests)) == (None, 2, 2)
    assert found.catalogue is not None
    assert not found.catalogue.names_providers


@pytest.mark.parametrize(("token", "requests_made"), [(TOKEN, 2), (None, 1)])
def test_a_list_for_others(token: str | None, requests_made: int) -> None:
    """Refused with the token as without one: the token may still be good for a completion."""
    with answering({"/v1/models": REFUSED}) as (origin, requests):
        found = examined(f"{origin}/v1", token)
    assert_unsettled(found)
    assert len(requests) == requests_made


def test_the_token_is_shown_to_the_base_url_alone() -> None:
    """Neither the base URL that was probably meant nor anything else is sent it."""
    with answering({"/hf/v1/models": NOT_FOUND, "/v1/models": REFUSED}) as (origin, requests):
        found = examined(f"{origin}/hf/v1")
    assert found.right is None
    assert not any("authorization" in request.headers for request in requests)


def test_the_token_is_not_shown_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is not this machine, and no encryption: the list stays closed."""
    with answering(lambda _: REFUSED) as (proxy, requests):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        examined("http://gateway.invalid/v1")
    assert requests
    assert not any("authorization" in request.headers for request in requests)


def test_a_page() -> None:
    """A captive portal answers every path with a page and status 200: that is no API, whatever is asked."""
    with answering(lambda _: Reply(200, b"<!doctype html><title>Sign in</title>", "text/html")) as (origin, requests):
        found = examined(f"{origin}/v1")
    assert found.unusable
    assert found.fault is not None
    assert found.fault.cause is Cause.NOT_A_ROUTER
    assert len(requests) == 1


def test_a_retired_host(server: LoopbackRouter) -> None:
    """Its 410 says so at every path."""
    server.everywhere = Behaviour.HOST_RETIRED
    found = examined(server.base_url)
    assert found.unusable
    assert found.fault is not None
    assert found.fault.cause is Cause.HOST_RETIRED


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data":[{"name":"x"}]}', b"{", b"", b"[" * 100_000])
def test_an_answer_that_is_no_list(body: bytes) -> None:
    """Whatever comes in place of a list proves nothing, and breaks nothing."""
    with answering({"/v1/models": Reply(200, body)}) as (origin, _):
        found = examined(f"{origin}/v1")
    assert_unsettled(found)


def test_a_redirect() -> None:
    """It is not followed, and the base URL that works is still found."""
    with answering({"/v1/models": LISTED, "/api/v1/models": Reply(308, headers={"Location": "/v1/models"})}) as (
        origin,
        requests,
    ):
        found = examined(f"{origin}/api/v1")
    assert found.right == f"{origin}/v1"
    assert len(requests) == 2


@pytest.mark.parametrize("first", [Reply(503, b"busy"), Reply(429, b"slow down"), Reply(200, delivery=Delivery.RESET)])
def test_a_fault_that_passes(first: Reply) -> None:
    """It is asked once more."""
    replies = iter([first, LISTED])
    with answering(lambda _: next(replies)) as (origin, requests):
        found = examined(f"{origin}/v1")
    assert (found.fault, len(requests)) == (None, 2)


@pytest.mark.parametrize(
    ("reply", "cause", "asked"),
    [
        (Reply(500, b"Internal Server Error", "text/plain"), Cause.PROVIDER_FAULT, 2),
        (Reply(429, b"slow down"), Cause.RATE_LIMITED, 2),
        (Reply(429, b"slow down", headers={"Retry-After": "30"}), Cause.RATE_LIMITED, 1),
        (Reply(200, delivery=Delivery.RESET), Cause.CONNECTION_LOST, 2),
        (Reply(200, delivery=Delivery.SILENT), Cause.TIMED_OUT, 1),
    ],
)
def test_a_fault_that_stays(reply: Reply, cause: Cause, asked: int) -> None:
    """It is the endpoint's, for now, and convicts no base URL; nothing takes longer than allowed."""
    with answering(lambda _: reply) as (origin, requests):
        before = time.monotonic()
        found = examined(f"{origin}/v1", timeout=1.0)
        assert time.monotonic() - before < 6
    assert found.fault is not None
    assert (found.fault.cause, found.fault.scope) == (cause, Scope.ENDPOINT)
    assert found.fault.action is Action.RETRY_THEN_MOVE
    assert len(requests) == found.requests == asked


def test_nobody_listens() -> None:
    """Another path of the same address is not tried: nobody would answer there either."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = examined(f"http://127.0.0.1:{port}/hf/v1")
    assert found.unusable
    assert found.requests == 1


def test_a_name_without_an_address() -> None:
    """The reserved top-level domain has no names (RFC 6761)."""
    found = examined("https://router.invalid/v1")
    assert found.unusable
    assert found.fault is not None
    assert found.fault.cause is Cause.ENDPOINT_DNS


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api-inference.huggingface.co/v1",
        "https://huggingface.co/api/inference",
        "router.huggingface.co/v1",
        "'https://router.huggingface.co/v1'",
        "http://router.huggingface.co/v1",
    ],
)
def test_hugging_face_s_own_hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_url: str) -> None:
    """Whatever was written in place of it, the router's own base URL is asked and named; nobody is sent the token."""
    nowhere: dict[str, Any] = {"error": "Not Found"}
    hosts = {"router.huggingface.co": {"data": [{"id": "a/b"}]}} | dict.fromkeys(OTHER_HOSTS, nowhere)
    with TerminatingProxy(hosts, tmp_path) as proxy:
        proxy.use(monkeypatch)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        found = examined(base_url)
    assert found.unusable
    assert found.right == ROUTER
    assert found.requests <= 3
    assert proxy.asked[-1] == f"{ROUTER}/models"
    assert not any(proxy.authorized.values())


def test_the_time_is_for_everything_together() -> None:
    """Several slow answers do not add up."""

    def slow(delay: float) -> Callable[[Request], Reply]:
        def choose(_: Request) -> Reply:
            time.sleep(delay)  # the server has a thread of its own
            return NOT_FOUND

        return choose

    with answering(slow(1.0)) as (origin, _):
        before = time.monotonic()
        found = examined(f"{origin}/hf/v1", timeout=1.7)
        assert time.monotonic() - before < 10
    assert found.right is None
    assert found.requests == 2


def test_a_large_answer_is_not_kept() -> None:
    """Of the answer the beginning remains, for evidence; the catalogue is read from all of it."""
    entries = [{"id": f"org/model-{number}", "description": "x" * 200} for number in range(1000)]
    with answering({"/v1/models": Reply(200, json.dumps({"data": entries}).encode())}) as (origin, _):
        found = examined(f"{origin}/v1")
    assert found.catalogue is not None
    assert len(found.catalogue.models) == 1000
    assert len(found.answer.body) == 1 << 16
