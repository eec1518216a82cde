"""The loopback router speaks the router's own words, misbehaves as it is told to, and keeps account of it."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.hf.causes import Mode
from alwrity_checks.hf.loopback_router import TOKEN, Account, Behaviour, Call, LoopbackRouter

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "openai/gpt-oss-120b"
SCHEMA = {"type": "object", "properties": {"nonce": {"const": "n7"}}, "required": ["nonce"]}
PATH = "/v1/chat/completions"
ASKED: dict[Mode, dict[str, Any]] = {
    Mode.JSON_SCHEMA_STRICT: {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
    },
    Mode.JSON_SCHEMA: {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    Mode.TOOL: {
        "tools": [{"type": "function", "function": {"name": "answer", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "answer"}},
    },
    Mode.JSON_OBJECT: {"response_format": {"type": "json_object"}},
    Mode.PROMPT: {},
}


@pytest.fixture
def router() -> Iterator[LoopbackRouter]:
    """Yield a router on which everything works."""
    with LoopbackRouter() as router:
        yield router


class Client:
    """One kept-alive connection to the router."""

    def __init__(self, router: LoopbackRouter, token: str = TOKEN) -> None:
        host, _, port = router.origin.removeprefix("http://").partition(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=20)
        self.headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, method: str, path: str, document: object = None) -> tuple[int, str, bytes]:
        """Return status, content type and body. Raises what http.client raises."""
        self.connection.request(method, path, None if document is None else json.dumps(document), self.headers)
        with self.connection.getresponse() as response:
            self.answered = {name.lower(): value for name, value in response.getheaders()}
            return response.status, self.answered["content-type"], response.read()

    def chat(self, model: str = MODEL, *, mode: Mode = Mode.PROMPT, prompt: str = "Hi", **more: object) -> Any:  # noqa: ANN401 - any JSON
        """Return the parsed body of a chat completion."""
        return json.loads(self.ask("POST", PATH, payload(model, mode, prompt, **more))[2])


def payload(model: str = MODEL, mode: Mode = Mode.PROMPT, prompt: str = "Hi", **more: object) -> dict[str, Any]:
    """Return the body of a request for a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **ASKED[mode], **more}


@contextmanager
def connected(router: LoopbackRouter, token: str = TOKEN) -> Iterator[Client]:
    """Yield a client, and hang up."""
    client = Client(router, token)
    try:
        yield client
    finally:
        client.connection.close()


@pytest.mark.parametrize(
    ("behaviour", "status", "content_type", "body"),
    [
        (Behaviour.ROUTE_MISSING, 404, "text/plain", "Not Found"),
        (Behaviour.HOST_RETIRED, 410, "application/json", "is no longer supported. Please use https://router.hugg"),
        (Behaviour.MODEL_NOT_FOUND, 400, "application/json", f"The requested model '{MODEL}' does not exist."),
        (Behaviour.MODEL_NOT_SUPPORTED, 400, "application/json", f"'{MODEL}' is not supported by any provider you"),
        (Behaviour.SUFFIX_INVALID, 400, "application/json", "attempted to specify 'groq' is not valid."),
        (Behaviour.NOT_A_CHAT_MODEL, 400, "application/json", f"'{MODEL}' is not a chat model."),
        (Behaviour.NOT_MAPPED, 400, "application/json", '{"error":"Model not supported by provider groq"}'),
        (Behaviour.DECOMMISSIONED, 400, "application/json", "model_decommissioned"),
        (Behaviour.GONE, 410, "application/json", "model_decommissioned"),
        (Behaviour.TOKEN_INVALID, 401, "application/json", '{"error":"Invalid username or password."}'),
        (Behaviour.PERMISSION_MISSING, 403, "application/json", "on behalf of user alice"),
        (Behaviour.CREDITS_GONE, 402, "application/json", "depleted your monthly included credits."),
        (Behaviour.RATE_LIMITED, 429, "application/json", "Rate limit"),
        (Behaviour.QUOTA_EXHAUSTED, 429, "application/json", "insufficient_quota"),
        (Behaviour.SERVER_ERROR, 500, "application/json", "error"),
        (Behaviour.BAD_GATEWAY, 502, "application/json", '{"message":"Bad Gateway"}'),
        (Behaviour.GATEWAY_TIMEOUT, 504, "text/html", "<html>"),
        (Behaviour.LOADING, 503, "application/json", '"estimated_time":20.0'),
        (Behaviour.SCHEMA_UNSUPPORTED, 400, "application/json", "does not support response format `json_schema`."),
        (Behaviour.SCHEMA_FIELDS_UNSUPPORTED, 422, "application/json", '{"message":"Unsupported JSON schema fields'),
        (Behaviour.PARAMETER_INVALID, 422, "application/json", '{"detail":[{'),
        (Behaviour.ERROR_IN_200, 200, "application/json", '{"error":{'),
        (Behaviour.PORTAL, 200, "text/html", "<!doctype html>"),
    ],
)
def test_errors_are_the_routers_own(
    router: LoopbackRouter, behaviour: Behaviour, status: int, content_type: str, body: str
) -> None:
    """Status, media type and words are those of the captures; what ought to be JSON is."""
    router.behave(behaviour)
    with connected(router) as client:
        found = client.ask("POST", PATH, payload())
    assert (found[0], found[1].partition(";")[0]) == (status, content_type)
    assert body in found[2].decode()
    assert content_type != "application/json" or isinstance(json.loads(found[2]), dict)


@pytest.mark.parametrize("behaviour", Behaviour)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_no_behaviour_breaks_the_router(router: LoopbackRouter, behaviour: Behaviour, *, stream: bool) -> None:
    """After any answer, or none, the next client is served."""
    router.behave(behaviour, Behaviour.FOLLOWS)
    with connected(router) as client:
        client.connection.timeout = 0.05 if behaviour in {Behaviour.STALLED, Behaviour.SILENT} else 20
        try:
            client.ask("POST", PATH, payload(mode=Mode.JSON_SCHEMA, stream=stream))
        except (OSError, http.client.HTTPException) as error:
            expected: dict[Behaviour, tuple[type[Exception], ...]] = {
                Behaviour.RESET: (ConnectionResetError,),
                Behaviour.CUT: (ConnectionResetError, http.client.IncompleteRead),
                Behaviour.STALLED: (TimeoutError,),
                Behaviour.SILENT: (TimeoutError,),
            }
            assert isinstance(error, expected[behaviour])  # noqa: PT017 - only some of the behaviours raise
    with connected(router) as client:
        assert client.chat(mode=Mode.JSON_SCHEMA)["choices"][0]["message"]["content"] == '{"nonce": "n7"}'


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        (MODEL, 200, None),
        (f"{MODEL}:groq", 200, None),
        (f"{MODEL}:cheapest", 200, None),
        ("acme/none", 400, "model_not_found"),
        ("acme/none:groq", 400, "model_not_found"),
        (f"{MODEL}:nebius", 400, "model_not_supported"),
        (f"{MODEL}:480b", 400, "model_not_supported"),
        (f"{MODEL}:novita", 400, "model_not_supported"),
        ("Qwen/Qwen3-32B:cerebras", 400, "model_not_supported"),
        ("moonshotai/Kimi-K2-Instruct-0905", 400, "model_not_supported"),
        ("mistralai/Mistral-7B-Instruct-v0.3:groq", 400, "model_not_supported"),
    ],
)
def test_model_is_routed(router: LoopbackRouter, model: str, status: int, code: str | None) -> None:
    """An id that cannot be served is a 400, never a 404, and its code is the router's."""
    with connected(router) as client:
        found = client.ask("POST", PATH, payload(model))
    assert found[0] == status
    assert json.loads(found[2]).get("error", {}).get("code") == code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/hf/v1/chat/completions"),
        ("GET", "/hf/v1/models"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/chat/completions/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/models/acme/none"),
        ("GET", "/"),
    ],
)
def test_everything_else_is_a_plain_404(router: LoopbackRouter, method: str, path: str) -> None:
    """A path that is no route is answered in text/plain, before the token is looked at."""
    with connected(router, "nobody") as client:
        status, content_type, body = client.ask(method, path, payload() if method == "POST" else None)
    assert (status, content_type.partition(";")[0], body) == (404, "text/plain", b"Not Found")


def test_token_decides_before_the_model(router: LoopbackRouter) -> None:
    """An unknown token is 401, one without the permission 403, one without credits 402; the catalogue needs none."""
    router.accounts["hf_reader"] = Account("bob", global_permissions=())
    router.accounts["hf_poor"] = Account(credits_gone=True)
    for token, status in (("hf_unknown", 401), ("hf_reader", 403), ("hf_poor", 402), (TOKEN, 200)):
        with connected(router, token) as client:
            assert client.ask("POST", PATH, payload())[0] == status
            assert client.ask("GET", "/v1/models")[0] == 200
    assert [call.behaviour for call in router.calls] == [
        Behaviour.PERMISSION_MISSING,
        Behaviour.CREDITS_GONE,
        Behaviour.FOLLOWS,
    ]


def test_hub_tells_of_tokens_and_credits(router: LoopbackRouter) -> None:
    """The identity carries the permission where it was put; billing is closed to whom it is closed."""
    router.accounts["hf_scoped"] = Account(
        "bob", global_permissions=(), scoped_permissions=("inference.serverless.write",), reads_billing=False
    )
    with connected(router, "hf_scoped") as client:
        fine = json.loads(client.ask("GET", "/api/whoami-v2")[2])["auth"]["accessToken"]["fineGrained"]
        assert (fine["global"], fine["scoped"][0]["permissions"]) == ([], ["inference.serverless.write"])
        assert client.ask("GET", "/api/settings/billing/usage-v2?startDate=1&endDate=2")[0] == 403
        assert client.ask("POST", PATH, payload())[0] == 200
    with connected(router) as client:
        usage = json.loads(client.ask("GET", "/api/settings/billing/usage-v2")[2])["usage"]["inferenceProviders"]
        assert usage["includedNanoUsd"] > usage["usedNanoUsd"]
    with connected(router, "none") as client:
        assert client.ask("GET", "/api/whoami-v2")[0] == 401


def test_catalogue_agrees_with_what_is_served(router: LoopbackRouter) -> None:
    """The list, the single model, the provider's mapping and the model's mapping tell the same."""
    router.serve("acme/tiny", "groq", "nscale", tools=False)
    with connected(router) as client:
        listed = {entry["id"]: entry for entry in json.loads(client.ask("GET", "/v1/models")[2])["data"]}
        assert json.loads(client.ask("GET", "/v1/models/acme/tiny")[2]) == listed["acme/tiny"]
        groq = json.loads(client.ask("GET", "/api/partners/groq/models?status=live")[2])["conversational"]
        names = {model for model, one in listed.items() if "groq" in {each["provider"] for each in one["providers"]}}
        assert set(groq) == names
        errors = json.loads(client.ask("GET", "/api/partners/cerebras/models?status=error")[2])
        assert set(errors["conversational"]) == {"Qwen/Qwen3-32B"}
        mapping = json.loads(client.ask("GET", "/api/models/acme/tiny?expand[]=inferenceProviderMapping")[2])
        assert mapping["inferenceProviderMapping"]["nscale"]["task"] == "conversational"
        assert client.ask("GET", "/api/models/acme/none")[0] == 401


@pytest.mark.parametrize("mode", Mode)
def test_structure_is_honoured_in_every_mode(router: LoopbackRouter, mode: Mode) -> None:
    """The answer follows the schema, where it is a field, a tool or a part of the prompt; the call tells the mode."""
    with connected(router) as client:
        message = client.chat(mode=mode, prompt=f"Answer like {{this}}: {json.dumps(SCHEMA)}")["choices"][0]["message"]
    text = message["tool_calls"][0]["function"]["arguments"] if mode is Mode.TOOL else message["content"]
    assert json.loads(text) == {"nonce": "n7"}
    assert router.calls[-1].mode is mode


@pytest.mark.parametrize(
    ("behaviour", "finish", "valid"),
    [
        (Behaviour.FOLLOWS, "stop", True),
        (Behaviour.PROSE, "stop", False),
        (Behaviour.OTHER_JSON, "stop", False),
        (Behaviour.FENCED, "stop", False),
        (Behaviour.THINKS, "stop", False),
        (Behaviour.REASONS, "stop", True),
        (Behaviour.BROKEN_JSON, "stop", False),
        (Behaviour.TRUNCATED, "length", False),
        (Behaviour.EMPTY, "length", False),
        (Behaviour.FILTERED, "content_filter", False),
    ],
)
@pytest.mark.parametrize("mode", [Mode.JSON_SCHEMA, Mode.TOOL])
def test_stream_says_what_the_whole_says(
    router: LoopbackRouter, mode: Mode, behaviour: Behaviour, finish: str, *, valid: bool
) -> None:
    """A stream's pieces join to the same answer, end with the same reason, and close with usage and [DONE]."""
    router.behave(behaviour)
    with connected(router) as client:
        choice = client.chat(mode=mode)["choices"][0]
        _, content_type, body = client.ask("POST", PATH, payload(mode=mode, stream=True))
    assert content_type == "text/event-stream"
    *events, last = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    assert last == "[DONE]"
    chunks = [json.loads(event) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    calls = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    content = "".join(calls) or "".join(delta.get("content") or "" for delta in deltas)
    whole = choice["message"]
    text = whole["tool_calls"][0]["function"]["arguments"] if whole.get("tool_calls") else whole["content"]
    assert content == text
    reasons = {chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]} - {None}
    assert reasons == {choice["finish_reason"]}
    assert choice["finish_reason"] == ("tool_calls" if calls and finish == "stop" else finish)
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert (text == '{"nonce": "n7"}') is valid


def test_error_in_a_stream_follows_the_first_chunks(router: LoopbackRouter) -> None:
    """A stream that fails midway has begun with 200."""
    router.behave(Behaviour.ERROR_IN_200)
    with connected(router) as client:
        status, content_type, body = client.ask("POST", PATH, payload(stream=True))
    assert (status, content_type) == (200, "text/event-stream")
    assert "error" not in json.loads(body.split(b"\n\n")[0].removeprefix(b"data: "))
    assert "error" in json.loads(body.split(b"\n\n")[2].removeprefix(b"data: "))


def test_most_specific_rule_wins(router: LoopbackRouter) -> None:
    """Model counts before provider, provider before mode; the order of the calls to `behave` does not count."""
    router.behave(Behaviour.LOADING, model=MODEL, provider="groq", mode=Mode.TOOL)
    router.behave(Behaviour.PROSE, model=MODEL)
    router.behave(Behaviour.RATE_LIMITED, provider="groq")
    router.behave(Behaviour.SERVER_ERROR, mode=Mode.TOOL)
    router.behave(Behaviour.CREDITS_GONE)
    with connected(router) as client:
        client.chat(f"{MODEL}:groq", mode=Mode.TOOL)
        client.chat(f"{MODEL}:groq")
        client.chat("Qwen/Qwen3-32B:groq", mode=Mode.TOOL)
        client.chat("google/gemma-3-27b-it", mode=Mode.TOOL)
        client.chat("google/gemma-3-27b-it")
    assert [call.behaviour for call in router.calls] == [
        Behaviour.LOADING,
        Behaviour.PROSE,
        Behaviour.RATE_LIMITED,
        Behaviour.SERVER_ERROR,
        Behaviour.CREDITS_GONE,
    ]


def test_behaviours_take_turns_and_the_last_stays(router: LoopbackRouter) -> None:
    """A deployment can recover; one that decides for itself sees the call."""

    def chooser(call: Call) -> Behaviour:
        return Behaviour.EMPTY if call.stream else Behaviour.PROSE

    router.behave(Behaviour.RATE_LIMITED, Behaviour.LOADING, chooser)
    with connected(router) as client:
        statuses = [client.ask("POST", PATH, payload())[0] for _ in range(4)]
    assert statuses == [429, 503, 200, 200]
    assert router.calls[-1].behaviour is Behaviour.PROSE


def test_retry_after_is_sent_where_it_is_promised(router: LoopbackRouter) -> None:
    """Only RATE_LIMITED_FOR names a pause, and it is the one that was set."""
    router.retry_after = "7"
    router.behave(Behaviour.RATE_LIMITED, Behaviour.RATE_LIMITED_FOR)
    with connected(router) as client:
        client.ask("POST", PATH, payload())
        assert "retry-after" not in client.answered
        client.ask("POST", PATH, payload())
        assert client.answered["retry-after"] == "7"


def test_answer_tells_who_served_it(router: LoopbackRouter) -> None:
    """Automatic routing passes over a provider in error; every answer has a request id of its own."""
    router.catalogue[MODEL]["groq"]["status"] = "error"
    with connected(router) as client:
        client.ask("POST", PATH, payload())
        first = client.answered
        client.ask("POST", PATH, payload(f"{MODEL}:together"))
    assert (first["x-inference-provider"], client.answered["x-inference-provider"]) == ("cerebras", "together")
    assert first["x-request-id"] != client.answered["x-request-id"]


def test_everywhere_goes_before_all(router: LoopbackRouter) -> None:
    """A retired host or a captive portal answers every path alike."""
    router.everywhere = Behaviour.HOST_RETIRED
    with connected(router) as client:
        assert [client.ask("GET", path)[0] for path in ("/v1/models", "/api/whoami-v2", "/")] == [410] * 3


def test_account_is_kept_of_requests_and_concurrency(router: LoopbackRouter) -> None:
    """Callers at once are seen as such, per provider and together; those one after the other are not."""
    with connected(router) as client:
        client.headers["x-hf-bill-to"] = "acme"
        for _ in range(3):
            client.chat()
    assert router.most_at_once[""] == 1
    assert router.calls[0].bill_to == "acme"
    router.behave(Behaviour.SILENT)
    with ExitStack() as stack:
        for provider in ("groq", "together", "groq", "cerebras"):
            waiting = stack.enter_context(connected(router))
            waiting.connection.request("POST", PATH, json.dumps(payload(f"{MODEL}:{provider}")), waiting.headers)
        stack.enter_context(connected(router)).ask("GET", "/v1/models")
    assert router.most_at_once == {"": 4, "groq": 2, "together": 1, "cerebras": 1}
    assert router.hits == 8


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model": 3}', b'{"messages": []}'], ids=["empty", "cut", "list", "number", "no model"]
)
def test_body_that_is_no_request_is_refused(router: LoopbackRouter, body: bytes) -> None:
    """What cannot be read is a 422, in FastAPI's words, and the connection stays usable."""
    with connected(router) as client:
        client.connection.request("POST", PATH, body, client.headers)
        with client.connection.getresponse() as response:
            assert (response.status, "detail" in json.loads(response.read())) == (422, True)
        assert client.ask("GET", "/v1/models")[0] == 200


def test_noise_and_sudden_ends_leave_no_trace(router: LoopbackRouter) -> None:
    """Who says nothing, nonsense or half a request is hung up on; a stop with a caller waiting does not hang."""
    address = ("127.0.0.1", int(router.origin.rpartition(":")[2]))
    for said in (b"", b"nonsense\r\n\r\n", b"POST /v1 HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf"):
        with socket.create_connection(address) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    router.behave(Behaviour.SILENT)
    with connected(router) as waiting:
        waiting.connection.request("POST", PATH, json.dumps(payload()), waiting.headers)
