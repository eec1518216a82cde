"""The component against `transformers serve`: a server that nobody here wrote, with a model trained for these tests."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, TypeVar

import pytest

from alwrity_checks.hf.answer import Answer
from alwrity_checks.hf.canary import Structure
from alwrity_checks.hf.causes import Cause, Mode, Permanence, Scope
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.endpoint import examine_endpoint
from alwrity_checks.hf.generation import GenerationFailed
from alwrity_checks.hf.generator import StructuredGenerator
from alwrity_checks.hf.prober import DEFAULT_MODES, ChainNotVerified, Prober
from alwrity_checks.hf.reply import Reply
from alwrity_checks.hf.retries import RetryPolicy
from alwrity_checks.hf.router import Router
from tests.support.tiny_qwen import JSON_ANSWER, PROSE_ANSWER
from tests.support.transformers_serve import MODELS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alwrity_checks.hf.prober import ProbeResult
    from tests.support.transformers_serve import TransformersServe

T = TypeVar("T")
MODEL = MODELS[0]
TOKEN = "hf_transformersServeAsksForNone"
ASKED = [{"role": "user", "content": "Rate the headline."}]
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer", "minimum": 3}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
QUICK = RetryPolicy(first_pause=0.01, longest_pause=0.05)


def at(base_url: str, scenario: Callable[[Router], Awaitable[T]]) -> T:
    """Play `scenario` with a router of its own."""

    async def whole() -> T:
        router = Router(base_url, TOKEN)
        try:
            return await scenario(router)
        finally:
            await router.aclose()

    return asyncio.run(whole())


def complete(base_url: str, model: str, *, mode: Mode | None = None, stream: bool = False) -> Reply | Answer:
    """Ask once."""
    deployment = Deployment.parse(model)
    return at(base_url, lambda router: router.complete(deployment, ASKED, mode=mode, schema=SCHEMA, stream=stream))


def refusal(base_url: str, model: str = MODEL) -> Answer:
    """Ask once, and be refused."""
    came = complete(base_url, model)
    assert isinstance(came, Answer)
    return came


def generator(base_url: str, *deployments: str) -> StructuredGenerator:
    """Return a generator over deployments that nobody has measured."""
    return StructuredGenerator(Router(base_url, TOKEN), Chain.unmeasured(*deployments), policy=QUICK)


def test_a_reply(transformers_serve: TransformersServe) -> None:
    """Text, finish reason and the counts of tokens are read as this server writes them."""
    came = complete(transformers_serve.base_url, MODEL)
    assert isinstance(came, Reply)
    assert (came.text, came.finish_reason, came.model) == (PROSE_ANSWER, "stop", f"{MODEL}@main")
    assert came.request_id
    assert came.provider is None
    assert came.completion_tokens


def test_a_stream_without_its_end_mark(transformers_serve: TransformersServe) -> None:
    """This server sends no `[DONE]`: the finish reason ends the reply, and the first token has its time."""
    came = complete(transformers_serve.base_url, MODEL, stream=True)
    assert isinstance(came, Reply)
    assert (came.text, came.finish_reason) == (PROSE_ANSWER, "stop")
    assert came.time_to_first_token is not None
    assert 0 < came.time_to_first_token <= came.seconds


@pytest.mark.parametrize("mode", [Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA, Mode.TOOL])
def test_structure_is_taken_with_a_200_and_ignored(transformers_serve: TransformersServe, mode: Mode) -> None:
    """Asked for by a field of the request the structure never reaches the model: only reading the answer shows it."""
    came = complete(transformers_serve.base_url, MODEL, mode=mode)
    assert isinstance(came, Reply)
    assert (came.text, came.tool_arguments) == (PROSE_ANSWER, None)


def test_a_generation_steps_down_to_the_rung_that_works(transformers_serve: TransformersServe) -> None:
    """What the server ignores is found out, the schema goes into the prompt, and the value is the model's own."""
    subject = generator(transformers_serve.base_url, MODEL)
    made = subject.generate_sync("Rate the headline.", SCHEMA)
    assert made.value == json.loads(JSON_ANSWER)
    assert [(attempt.mode, attempt.classification.cause) for attempt in made.attempts] == [
        (Mode.JSON_SCHEMA_STRICT, Cause.STRUCTURE_IGNORED),
        (Mode.TOOL, Cause.STRUCTURE_IGNORED),
        (Mode.JSON_OBJECT, Cause.OK),
    ]
    again = subject.generate_sync("Rate the headline.", SCHEMA)
    assert [attempt.mode for attempt in again.attempts] == [Mode.JSON_OBJECT]


def test_a_model_that_cannot_do_it_is_no_source_of_data(transformers_serve: TransformersServe) -> None:
    """Valid JSON of another structure, on every rung: an honest error, with every attempt."""
    schema = {"type": "object", "properties": {"verdict": {"enum": ["good", "bad"]}}, "required": ["verdict"]}
    with pytest.raises(GenerationFailed, match="'verdict' is a required property") as caught:
        generator(transformers_serve.base_url, MODEL).generate_sync("Is it good?", schema)
    assert caught.value.classification.cause is Cause.STRUCTURE_IGNORED
    assert {attempt.status for attempt in caught.value.attempts} == {200}
    assert caught.value.attempts[-1].mode is Mode.PROMPT


def test_a_missing_route_is_the_endpoint_s_fault(transformers_serve: TransformersServe) -> None:
    """A 404 in FastAPI's own JSON, unlike the router's text/plain one: the same cause, and the end after one."""
    came = refusal(transformers_serve.wrong_base_url)
    assert (came.status, came.content_type, came.body) == (404, "application/json", b'{"detail":"Not Found"}')
    found = classify(came)
    assert (found.cause, found.scope, found.permanence) == (Cause.ROUTE_MISSING, Scope.ENDPOINT, Permanence.PERMANENT)
    with pytest.raises(GenerationFailed) as caught:
        generator(transformers_serve.wrong_base_url, *MODELS).generate_sync("Rate it.", SCHEMA)
    assert caught.value.classification.cause is Cause.ROUTE_MISSING
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize("model", ["made/up", f"{MODEL}:groq"])
def test_an_unknown_model_looks_like_a_fault_of_the_server(transformers_serve: TransformersServe, model: str) -> None:
    """A bare 500 does not say that the model is unknown, so nor do we; the next deployment of the chain answers."""
    came = refusal(transformers_serve.base_url, model)
    assert (came.status, came.content_type, came.body) == (500, "text/plain", b"Internal Server Error")
    assert classify(came).cause is Cause.PROVIDER_FAULT
    made = generator(transformers_serve.base_url, model, MODELS[1]).generate_sync("Rate it.", SCHEMA)
    assert made.model == MODELS[1]
    assert {str(attempt.deployment) for attempt in made.attempts} == {model, MODELS[1]}


def test_the_base_url_that_works_is_found(transformers_serve: TransformersServe) -> None:
    """From the wrong one, within three requests; the list of models there names nobody who serves them."""
    wrong = at(transformers_serve.wrong_base_url, examine_endpoint)
    assert (wrong.right, wrong.catalogue) == (transformers_serve.base_url, None)
    assert wrong.fault
    assert wrong.fault.cause is Cause.ROUTE_MISSING
    assert wrong.requests <= 3
    found = at(transformers_serve.base_url, examine_endpoint)
    assert (found.fault, found.right, found.requests) == (None, None, 1)
    assert found.catalogue
    assert set(found.catalogue.models) == set(MODELS)
    assert not found.catalogue.names_providers
    assert found.catalogue.suggestions(MODEL.upper()) == (MODEL,)


def test_a_probe_shows_a_live_model_whose_structure_is_ignored(transformers_serve: TransformersServe) -> None:
    """It answers, with its speed; in every mode the canary's nonce is missing from what comes."""

    async def scenario(router: Router) -> ProbeResult:
        return await Prober(router).probe([MODEL])

    result = at(transformers_serve.base_url, scenario)
    plain, *structured = result.cells
    assert plain.ok
    assert plain.time_to_first_token is not None
    assert plain.served_by is None
    assert [cell.mode for cell in structured] == list(DEFAULT_MODES)
    assert {cell.structure for cell in structured} == {Structure.IGNORED}
    assert {cell.status for cell in structured} == {200}
    assert (result.stopped, result.requests) == (None, 4)


def test_no_chain_is_verified_where_nothing_is_honoured(transformers_serve: TransformersServe) -> None:
    """A live model alone makes no chain of structured output, and it is said that the deployments are to blame."""
    with pytest.raises(ChainNotVerified, match="no deployment was seen to honour") as caught:
        at(transformers_serve.base_url, lambda router: Prober(router).verified_chain([MODEL]))
    assert caught.value.classification is None
    assert caught.value.result
    assert {cell.structure for cell in caught.value.result.cells if cell.mode} == {Structure.IGNORED}
