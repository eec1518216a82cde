"""An answer and its cause: every recorded answer of the router, every envelope, and what must not be guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.hf.answer import Answer, TransportFault
from alwrity_checks.hf.causes import Action, Cause, Mode, Permanence, Scope
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.consequences import CONSEQUENCES
from alwrity_checks.hf.envelope import Form, read_envelope
from alwrity_checks.hf.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain; charset=utf-8"}
HTML = {"content-type": "text/html"}
SSE = {"content-type": "text/event-stream"}


def error(message: str, code: str | None = None, param: str | None = None) -> str:
    """Return the router's own envelope."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})


def plain(text: str) -> str:
    """Return Hugging Face's envelope."""
    return json.dumps({"error": text})


def cause(status: int, body: str, headers: Mapping[str, str] = JSON, mode: Mode | None = None) -> Cause:
    """Classify."""
    return classify(Answer(status, body.encode(), headers), mode=mode).cause


IGNORED, FAULT = Cause.STRUCTURE_IGNORED, Cause.PROVIDER_FAULT
CATALOGUE = [
    ("wrong path", 404, "Not Found", TEXT, Cause.ROUTE_MISSING),
    (
        "unknown model",
        400,
        error("The requested model 'X' does not exist.", "model_not_found", "model"),
        JSON,
        Cause.MODEL_NOT_FOUND,
    ),
    (
        "no provider",
        400,
        error("The requested model 'X' is not supported by any provider you have enabled.", "model_not_supported"),
        JSON,
        Cause.MODEL_NOT_SUPPORTED,
    ),
    (
        "suffix",
        400,
        error("the provider or policy you attempted to specify 'nebius' is not valid.", "model_not_supported", "model"),
        JSON,
        Cause.SUFFIX_INVALID,
    ),
    (
        "no chat",
        400,
        error(
            "The requested model 'mistralai/Mistral-7B-Instruct-v0.3' is not a chat model.",
            "model_not_supported",
            "model",
        ),
        JSON,
        Cause.NOT_A_CHAT_MODEL,
    ),
    ("not mapped, words unknown", 400, error("No.", "model_not_supported", "model"), JSON, Cause.MODEL_NOT_SUPPORTED),
    ("not mapped", 400, plain("Model not supported by provider hf-inference"), JSON, Cause.DEPLOYMENT_MISSING),
    ("not deployed, no body", 404, "", TEXT, Cause.NOT_RECOGNISED),
    (
        "decommissioned, 410",
        410,
        error("The model `x` has been decommissioned and is no longer supported.", "model_decommissioned"),
        JSON,
        Cause.DECOMMISSIONED,
    ),
    (
        "decommissioned, 400",
        400,
        error("The model `x` has been decommissioned", "model_decommissioned"),
        JSON,
        Cause.DECOMMISSIONED,
    ),
    (
        "old host",
        410,
        plain(
            "https://api-inference.huggingface.co is no longer supported. "
            "Please use https://router.huggingface.co instead."
        ),
        JSON,
        Cause.HOST_RETIRED,
    ),
    ("bad token", 401, plain("Invalid username or password."), JSON, Cause.TOKEN_INVALID),
    ("bad token, hub", 401, plain("Invalid credentials in Authorization header"), JSON, Cause.TOKEN_INVALID),
    (
        "no permission",
        403,
        plain(
            "This authentication method does not have sufficient permissions to call Inference Providers "
            "on behalf of user NAME"
        ),
        JSON,
        Cause.PERMISSION_MISSING,
    ),
    (
        "no permission, org",
        403,
        plain(
            "This authentication method does not have sufficient permissions to call Inference Providers "
            "on behalf of org NAME"
        ),
        JSON,
        Cause.PERMISSION_MISSING,
    ),
    (
        "credits",
        402,
        plain("You have depleted your monthly included credits. Purchase pre-paid credits to continue."),
        JSON,
        Cause.CREDITS_GONE,
    ),
    ("credits, older", 402, plain("You have exceeded your monthly included credits"), JSON, Cause.CREDITS_GONE),
    ("rate limit", 429, plain("Too many requests"), JSON, Cause.RATE_LIMITED),
    ("rate limit, nothing said", 429, "", {}, Cause.RATE_LIMITED),
    ("quota", 429, error("You exceeded your current quota", "insufficient_quota"), JSON, Cause.QUOTA_EXHAUSTED),
    ("balance", 429, plain("Your account balance is too low"), JSON, Cause.QUOTA_EXHAUSTED),
    ("500", 500, '{"message":"oops"}', JSON, Cause.PROVIDER_FAULT),
    ("500, text", 500, "Internal Server Error", TEXT, Cause.PROVIDER_FAULT),
    ("502", 502, "<html><head><title>502</title></head></html>", HTML, Cause.PROVIDER_FAULT),
    ("503", 503, "", {}, Cause.PROVIDER_FAULT),
    ("504", 504, "<html><title>504 Gateway Time-out</title></html>", HTML, Cause.PROVIDER_FAULT),
    (
        "loading",
        503,
        '{"error":"Model X is currently loading","estimated_time":20.0}',
        JSON,
        Cause.MODEL_LOADING,
    ),
    (
        "schema, Groq",
        400,
        error("This model does not support response format `json_schema`."),
        JSON,
        Cause.SCHEMA_UNSUPPORTED,
    ),
    *(
        (
            f"schema, Cerebras {status}",
            status,
            json.dumps(
                {
                    "message": "Unsupported JSON schema fields: {'minItems','items'}",
                    "type": "invalid_request_error",
                    "param": "response_format",
                    "code": "wrong_api_format",
                }
            ),
            JSON,
            Cause.SCHEMA_UNSUPPORTED,
        )
        for status in (400, 422)
    ),
    (
        "rate limit, with the billing page named",
        429,
        plain(
            "Rate limit reached for model `a` on tokens per minute (TPM): Limit 7000. Please try again in 1.7s. "
            "Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
        ),
        JSON,
        Cause.RATE_LIMITED,
    ),
    (
        "too large for the tier",
        413,
        error("Request too large for model `a` on tokens per minute (TPM)", "rate_limit_exceeded", ""),
        JSON,
        Cause.RATE_LIMITED,
    ),
    ("no JSON managed", 400, error("Failed to generate JSON.", "json_validate_failed", ""), JSON, IGNORED),
    ("no tool call managed", 400, error("Failed to call a function.", "tool_use_failed", ""), JSON, IGNORED),
    ("broken off in a 200", 200, '{"error":{"code":"1234","message":"Network error, error id: 1"}}', JSON, FAULT),
    ("broken off at the end", 200, '{"choices":[{"finish_reason":"network_error"}]}', JSON, FAULT),
    ("filtered by Z.ai", 200, '{"choices":[{"finish_reason":"sensitive"}]}', JSON, Cause.CONTENT_FILTERED),
    ("ignored schema", 200, '{"choices":[{"message":{"content":"prose"}}]}', JSON, Cause.OK),
    ("error in 200", 200, '{"error":{"code":"1302","message":"Rate limit reached"}}', JSON, Cause.RATE_LIMITED),
    ("unknown error in 200", 200, '{"error":{"code":"77","message":"tilt"}}', JSON, Cause.NOT_RECOGNISED),
    ("error in a stream", 200, 'data: {"error":{"message":"boom","code":503}}\n\n', SSE, Cause.PROVIDER_FAULT),
]


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"), [row[1:] for row in CATALOGUE], ids=[row[0] for row in CATALOGUE]
)
def test_catalogue(status: int, body: str, headers: Mapping[str, str], expected: Cause) -> None:
    """Each recorded answer has its cause; scope, permanence and action are the table's."""
    found = classify(Answer(status, body.encode(), headers))
    assert found.cause is expected
    assert (found.scope, found.permanence, found.action) == CONSEQUENCES[expected]


SAYINGS = [
    (Form.ERROR_TEXT, '{"error":"No such thing"}'),
    (Form.ERROR_TEXT, '{"error":["No such thing"]}'),
    (Form.ERROR_OBJECT, '{"error":{"message":"No such thing","type":"t","param":"p","code":"c"}}'),
    (Form.MESSAGE, '{"message":"No such thing","type":"t","param":"p","code":"c"}'),
    (Form.DETAIL, '{"detail":"No such thing"}'),
    (Form.DETAIL, '{"detail":[{"loc":["body","p"],"msg":"No such thing","input":"private"}]}'),
    (Form.ERRORS, '{"errors":[{"message":"No such thing"}]}'),
    (Form.PROBLEM, '{"status":404,"title":"No such thing"}'),
    (Form.ERROR_OBJECT, '[{"error":{"message":"No such thing"}}]'),
    (Form.TEXT, "No such thing"),
    (Form.TEXT, '"No such thing"'),
    (Form.HTML, "<html><head><title>No such thing</title></head></html>"),
    (Form.ERROR_TEXT, ': ping\n\ndata: {"choices":[]}\n\ndata: {"error":"No such thing"}\n\n'),
]


@pytest.mark.parametrize(("form", "body"), SAYINGS)
def test_envelopes(form: Form, body: str) -> None:
    """Every form gives up the same message, and what the caller had sent is not in it."""
    envelope = read_envelope(body.encode())
    assert envelope.form is form
    assert envelope.message == "No such thing"
    if '"p"' in body:
        assert envelope.param == "p"


def test_an_empty_body_is_no_error_by_itself() -> None:
    """Nothing and JSON that wraps no error are forms of their own."""
    assert read_envelope(b" \n").form is Form.EMPTY
    assert read_envelope(b'{"choices":[],"error":null}').form is Form.JSON
    assert read_envelope(b'\xef\xbb\xbf{"detail":"bom"}').form is Form.DETAIL


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, "404 Not Found"),
        (400, plain("upstream said: 404 Not Found")),
        (403, plain("Forbidden")),
        (403, "<html><title>Attention Required</title></html>"),
        (404, plain("tilt")),
        (410, plain("gone fishing")),
        (418, "short and stout"),
        (400, ""),
        (200, "hello"),
        (200, '{"a":1}'),
        (200, plain("Not Found")),
    ],
)
def test_what_is_not_known_stays_unknown(status: int, body: str) -> None:
    """No cause is guessed, the raw evidence is in the message, and neither endpoint nor account is condemned."""
    found = classify(Answer(status, body.encode(), {"x-request-id": "Root=1-abc"}))
    assert found.cause is Cause.NOT_RECOGNISED
    assert found.permanence is Permanence.UNKNOWN
    assert found.action is Action.MOVE
    assert f"HTTP {status}" in found.message
    assert "Root=1-abc" in found.message
    assert body in found.message or not body


@pytest.mark.parametrize(
    "body",
    [
        "Not Found",
        "404: Not Found",
        "404 page not found",
        '{"detail":"Not Found"}',
        '{"error":"Not Found"}',
        '{"status":404,"title":"Not Found"}',
        "<html><title>404</title></html>",
        "Cannot POST /hf/v1/chat/completions",
        '{"error":"Not Found","message":"Route POST:/hf/v1/chat/completions not found","statusCode":404}',
        '{"error":{"message":"Unknown request URL: POST /x","code":"unknown_url"}}',
    ],
)
def test_route_misses_of_other_servers(body: str) -> None:
    """A 404 that names no model is a path that is not there, however the server words it."""
    assert cause(404, body, {}) is Cause.ROUTE_MISSING


@pytest.mark.parametrize("status", [400, 404])
def test_a_model_that_is_not_found_is_no_route_miss(status: int) -> None:
    """OpenAI-like servers answer 404 for a model; the endpoint is not to blame."""
    assert cause(status, error("The model `a/b` does not exist.")) is Cause.MODEL_NOT_FOUND
    assert cause(status, error("The model 'a/route-x' not found", "model_not_found")) is Cause.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"detail":"Unexpected fields in the request: {\'bogus_field\'}"}', Cause.PARAMETER_INVALID),
        ('{"detail":[{"loc":["body","response_format"],"msg":"bad","type":"t"}]}', Cause.SCHEMA_UNSUPPORTED),
        ('{"detail":[{"loc":["body","tools",0],"msg":"bad","type":"t"}]}', Cause.TOOLS_UNSUPPORTED),
        (
            '{"detail":[{"loc":["body","messages"],"msg":"Field required","input":"is not a chat model"}]}',
            Cause.PARAMETER_INVALID,
        ),
        ("{\"detail\":\"Server is pinned to 'a/b'; requested 'c/d'.\"}", Cause.NOT_RECOGNISED),
        (error("too big", "context_length_exceeded", "messages"), Cause.CONTEXT_TOO_LONG),
        (error("This model's maximum context length is 8192 tokens"), Cause.CONTEXT_TOO_LONG),
        (error("blocked", "content_filter"), Cause.CONTENT_FILTERED),
        (error("must be at most 2", None, "temperature"), Cause.PARAMETER_INVALID),
        (error("`tool_choice` is not supported with this model"), Cause.TOOLS_UNSUPPORTED),
    ],
)
def test_rejected_requests(body: str, expected: Cause) -> None:
    """422: what is complained about decides between mode and request."""
    assert cause(422, body) is expected


def test_a_pinned_server() -> None:
    """`transformers serve` with one model answers 400 for another."""
    assert cause(400, "{\"detail\":\"Server is pinned to 'a'; requested 'b'.\"}") is Cause.MODEL_NOT_FOUND


@pytest.mark.parametrize("name", ["a/is not a chat model", "x/json_schema", "x/tools-unsupported", "x/context-window"])
def test_a_models_name_is_no_evidence(name: str) -> None:
    """A name that the server repeats is not its own word."""
    quoted = name.replace(" ", "-")
    assert cause(400, plain(f"tilt for '{quoted}'")) is Cause.NOT_RECOGNISED
    assert cause(400, plain(f"tilt for {quoted}")) is Cause.NOT_RECOGNISED


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"message": {"content": "{}"}, "finish_reason": "stop"}, Cause.OK),
        ({"message": {"content": None, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"}, Cause.OK),
        ({"message": {"content": ""}, "finish_reason": "length"}, Cause.TRUNCATED),
        ({"message": {"content": '{"a":'}, "finish_reason": "length"}, Cause.TRUNCATED),
        ({"message": {"content": " "}, "finish_reason": "stop"}, Cause.EMPTY_ANSWER),
        ({"message": {"reasoning_content": "hm"}, "finish_reason": "stop"}, Cause.EMPTY_ANSWER),
        ({"message": {"content": "x"}, "finish_reason": "content_filter"}, Cause.CONTENT_FILTERED),
        ({"message": {"refusal": "no"}, "finish_reason": "stop"}, Cause.CONTENT_FILTERED),
    ],
)
def test_completions(choice: object, expected: Cause) -> None:
    """A success is looked into, as a whole and as a stream."""
    assert cause(200, json.dumps({"choices": [choice]})) is expected
    stream = json.dumps({"choices": [choice]}).replace('"message"', '"delta"')
    assert cause(200, f"data: {stream}\n\ndata: [DONE]\n\n", SSE) is expected


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ('{"object":"list","data":[]}', JSON, Cause.OK),
        ('{"object":"response","status":"completed","error":null}', JSON, Cause.OK),
        ('{"object":"response","status":"incomplete"}', JSON, Cause.TRUNCATED),
        ("<html>Sign in</html>", HTML, Cause.NOT_A_ROUTER),
        ("", {}, Cause.EMPTY_ANSWER),
        ('{"choices":[]}', JSON, Cause.EMPTY_ANSWER),
    ],
)
def test_other_successes(body: str, headers: Mapping[str, str], expected: Cause) -> None:
    """Lists and responses are usable; a page is not a router's."""
    assert cause(200, body, headers) is expected


def test_the_mode_decides_what_a_refused_schema_means() -> None:
    """Without a schema sent there is none to refuse; a tool carries the schema in its parameters."""
    body = error("Unsupported JSON schema fields", param="response_format")
    assert cause(400, body) is Cause.SCHEMA_UNSUPPORTED
    assert cause(400, body, mode=Mode.JSON_SCHEMA_STRICT) is Cause.SCHEMA_UNSUPPORTED
    assert cause(400, body, mode=Mode.TOOL) is Cause.TOOLS_UNSUPPORTED
    assert cause(400, body, mode=Mode.PROMPT) is Cause.NOT_RECOGNISED


@pytest.mark.parametrize(
    ("fault", "expected", "scope", "action"),
    [
        (TransportFault.DNS, Cause.ENDPOINT_DNS, Scope.ENDPOINT, Action.STOP_ALL),
        (TransportFault.TLS, Cause.ENDPOINT_TLS, Scope.ENDPOINT, Action.STOP_ALL),
        (TransportFault.REFUSED, Cause.CONNECTION_LOST, Scope.ENDPOINT, Action.STOP_ALL),
        (TransportFault.RESET, Cause.CONNECTION_LOST, Scope.PROVIDER, Action.RETRY_THEN_MOVE),
        (TransportFault.TIMEOUT, Cause.TIMED_OUT, Scope.PROVIDER, Action.RETRY_THEN_MOVE),
        (TransportFault.OTHER, Cause.NOT_RECOGNISED, Scope.UNKNOWN, Action.MOVE),
    ],
)
def test_transport(fault: TransportFault, expected: Cause, scope: Scope, action: Action) -> None:
    """Without an answer the transport's fault is the evidence; where nothing listens, no model can be reached."""
    found = classify(Answer(transport=fault, detail="the detail"))
    assert (found.cause, found.scope, found.action) == (expected, scope, action)
    assert "the detail" in found.message


def test_a_bare_401_leaves_a_doubt() -> None:
    """A gateway's empty 401 stops everything too, without being the router's word on the token."""
    assert classify(Answer(401)).permanence is Permanence.UNKNOWN
    assert classify(Answer(401)).action is Action.STOP_ALL


def test_secrets_in_an_answer_are_not_repeated() -> None:
    """A server that repeats the token does not get it into a message, whole or cut."""
    token = "hf_" + "Ab1" * 12
    for body in (plain(f"bad token {token}"), f"{'x' * 290} {token}"):
        for status in (401, 418):
            assert token[:12] not in classify(Answer(status, body.encode())).message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:10 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 10.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:00 GMT", "date": "Sun, 22 Nov 2026 10:00:10 GMT"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: Mapping[str, str], expected: float | None) -> None:
    """Seconds or a date, judged by the server's own clock; anything else is no request to wait."""
    assert retry_after(headers) == expected
    assert classify(Answer(429, b"", headers)).retry_after == expected


def test_every_cause_has_consequences() -> None:
    """The table is complete."""
    assert set(CONSEQUENCES) == set(Cause)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "errors",
                    "message",
                    "detail",
                    "code",
                    "type",
                    "param",
                    "status",
                    "title",
                    "choices",
                    "data",
                    "delta",
                    "finish_reason",
                    "content",
                    "loc",
                    "msg",
                    "object",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    | (DOCUMENTS.map(lambda document: json.dumps(document).encode()))
    | DOCUMENTS.map(lambda document: b"data: " + json.dumps(document).encode() + b"\n\n")
)


@given(
    status=st.integers(100, 599),
    body=BODIES,
    headers=st.dictionaries(st.sampled_from(["content-type", "retry-after", "date"]), st.text(max_size=40)),
    mode=st.none() | st.sampled_from(Mode),
)
def test_classification_never_raises(status: int, body: bytes, headers: dict[str, str], mode: Mode | None) -> None:
    """Whatever a server sends has a cause, a message on one line, and a success only from a status of success."""
    found = classify(Answer(status, body, headers), mode=mode)
    assert found.message.isprintable() or "\n" not in found.message
    assert 200 <= status < 300 or found.cause is not Cause.OK
    assert found.scope is Scope.ENDPOINT or found.cause is not Cause.ROUTE_MISSING
    found.message.encode("utf-8")


def test_a_redirect_is_the_endpoint_s_fault() -> None:
    """A router redirects nobody: no deployment behind that base URL is worth a request. Where it points is said."""
    found = classify(Answer(307, b"", {"location": "https://sign-in.example/?next=hf_" + "Ab1" * 12}))
    assert (found.cause, found.scope, found.action) == (Cause.NOT_A_ROUTER, Scope.ENDPOINT, Action.STOP_ALL)
    assert "https://sign-in.example/" in found.message
    assert "Ab1Ab1" not in found.message


def test_a_page_of_beginnings_is_read_in_passing() -> None:
    """A title that never ends costs no time: every answer is classified on an event loop."""
    assert classify(Answer(404, b"<html>" + b"<title" * 10_000)).cause is Cause.ROUTE_MISSING


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60000,
        b'{"error":' * 9000,
        b'{"error":{"message":' + b"9" * 9000 + b"}}",
        b"data: [" * 9000,
        b"tool " * 13000,
        b'{"error":"\\ud800"}',
    ],
)
def test_hostile_bodies(body: bytes) -> None:
    """Depth, length and broken characters end in a classification."""
    for status in (200, 400, 404):
        classify(Answer(status, body)).message.encode("utf-8")
