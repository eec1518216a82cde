"""Texts of exceptions: both wordings, and the installed client's own over a real connection."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.hf.causes import Cause, Permanence
from alwrity_checks.hf.exception_text import classify_exception_text

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW = "openai 1 or 2", "openai 3"
MODEL = '{"error": {"message": "The requested model \'a/b\' does not exist.", "code": "model_not_found"}}'
CREDITS = '{"error": "You have depleted your monthly included credits."}'
PAGE = "<html><head><title>504</title></head></html>"


@pytest.mark.parametrize(
    ("text", "cause", "release", "status"),
    [
        ("Not Found", Cause.ROUTE_MISSING, OLD, 404),
        ("NotFoundError: Not Found", Cause.ROUTE_MISSING, OLD, 404),
        (
            "2026-03-10 | ERROR | Hugging Face structured JSON generation failed: NotFoundError: Not Found",
            Cause.ROUTE_MISSING,
            OLD,
            404,
        ),
        ("NotFoundError('Not Found')", Cause.ROUTE_MISSING, OLD, 404),
        ("Error code: 404", Cause.ROUTE_MISSING, NEW, 404),
        ("Error code: 404 - {'detail': 'Not Found'}", Cause.ROUTE_MISSING, OLD, 404),
        (
            """Error code: 400 - {'error': {'message': "The model 'a' does not exist.", 'code': 'model_not_found'}}""",
            Cause.MODEL_NOT_FOUND,
            OLD,
            400,
        ),
        ("Error code: 400 - The requested model 'a/b' does not exist.", Cause.MODEL_NOT_FOUND, NEW, 400),
        (
            "Error code: 402 - {'error': 'You have depleted your monthly included credits.'} | caller=x",
            Cause.CREDITS_GONE,
            OLD,
            402,
        ),
        ("Error code: 402", Cause.CREDITS_GONE, NEW, 402),
        ("Error code: 401", Cause.TOKEN_INVALID, NEW, 401),
        ("Error code: 400", Cause.NOT_RECOGNISED, NEW, 400),
        ("Error code: 403", Cause.NOT_RECOGNISED, NEW, 403),
        ("Error code: 410", Cause.NOT_RECOGNISED, NEW, 410),
        ("Error code: 429", Cause.RATE_LIMITED, NEW, 429),
        ("Error code: 503", Cause.PROVIDER_FAULT, NEW, 503),
        ("Error code: 504", Cause.PROVIDER_FAULT, NEW, 504),
        ("Error code: 422 - {'error': {'message': 'tilt'}}", Cause.NOT_RECOGNISED, OLD, 422),
        ("Error code: 422 - tilt", Cause.NOT_RECOGNISED, NEW, 422),
        (
            "404 Client Error: Not Found for url: https://router.huggingface.co/hf/v1/chat/completions",
            Cause.ROUTE_MISSING,
            "",
            404,
        ),
        ("Client error '402 Payment Required' for url 'https://x'", Cause.CREDITS_GONE, "", 402),
        ("Connection error.", Cause.CONNECTION_LOST, "", None),
        ("Request timed out.", Cause.TIMED_OUT, "", None),
        ("RetryError[<Future at 0x7f state=finished raised Exception>]", Cause.NOT_RECOGNISED, "", None),
        ("NameError: name 'fallback_models' is not defined", Cause.NOT_RECOGNISED, "", None),
        (PAGE, Cause.NOT_RECOGNISED, "", None),
        ("tilt", Cause.NOT_RECOGNISED, "", None),
        ("", Cause.NOT_RECOGNISED, "", None),
    ],
)
def test_wordings(text: str, cause: Cause, release: str, status: int | None) -> None:
    """Each wording has its cause, and tells the releases that word it so."""
    reading = classify_exception_text(text)
    assert (reading.classification.cause, reading.release, reading.status) == (cause, release, status)


def test_a_body_with_an_unknown_escape_warns_nobody() -> None:
    """Python has a warning for such a literal, which is about its own source and not about a log."""
    reading = classify_exception_text("Error code: 400 - {'error': 'tilt \\d'}")
    assert reading.classification.cause is Cause.NOT_RECOGNISED
    assert "tilt" in reading.classification.message


def test_a_status_without_its_body_leaves_a_doubt() -> None:
    """Two wordings of one wrong path: one proves it, the other leaves something else possible."""
    proof, hint = classify_exception_text("Not Found"), classify_exception_text("Error code: 404")
    assert proof.classification.permanence is Permanence.PERMANENT
    assert proof.possible == ()
    assert hint.classification.permanence is Permanence.UNKNOWN
    assert hint.possible == (Cause.DEPLOYMENT_MISSING,)


def test_the_undefined_name_tells_what_it_hid() -> None:
    """The provider's own NameError is the effect; what it can have hidden is listed."""
    assert Cause.ROUTE_MISSING in classify_exception_text("name 'fallback_models' is not defined").possible


@contextmanager
def answering(status: int, content_type: str, body: str) -> Iterator[str]:
    """Serve one answer on this machine; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "content_type", "body", "cause"),
    [
        (404, "text/plain", "Not Found", Cause.ROUTE_MISSING),
        (400, "application/json", MODEL, Cause.MODEL_NOT_FOUND),
        (402, "application/json", CREDITS, Cause.CREDITS_GONE),
        (504, "text/html", PAGE, Cause.PROVIDER_FAULT),
    ],
)
def test_the_installed_clients_own_words(status: int, content_type: str, body: str, cause: Cause) -> None:
    """What the installed openai release says of a real answer is read as that answer."""
    with (
        answering(status, content_type, body) as base_url,
        openai.OpenAI(api_key="none", base_url=base_url, max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(model="a/b", messages=[{"role": "user", "content": "x"}])
    text = f"{type(caught.value).__name__}: {caught.value}"
    assert classify_exception_text(text).classification.cause is cause


@given(st.text(max_size=200) | st.text(max_size=100).map(lambda text: f"Error code: 400 - {{{text}"))
def test_never_raises(text: str) -> None:
    """Whatever was logged, there is a reading."""
    assert classify_exception_text(text).grounds
