"""The model of the historical provider requests, waits and returns as the original was measured to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alwrity_checks.hf.legacy import BASE_PATH, CountedSleep, LegacyProvider, LegacyState, RetryError
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, HEAD = LegacyState
MODEL = "openai/gpt-oss-120b:groq"
UNKNOWN = "acme/unknown:groq"
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
COLUMNS = [(state, function) for state in (OLD, HEAD) for function in ("structured", "text")]
TABLE = {
    # requests:               OLD structured, OLD text, HEAD structured, HEAD text
    Behaviour.ROUTE_MISSING: (96, 48, 12, 2),
    Behaviour.MODEL_NOT_FOUND: (6, 6, 6, 6),
    Behaviour.MODEL_NOT_SUPPORTED: (12, 6, 6, 6),
    Behaviour.SCHEMA_FIELDS_UNSUPPORTED: (12, 6, 6, 6),
    Behaviour.TOKEN_INVALID: (6, 6, 6, 1),
    Behaviour.CREDITS_GONE: (6, 6, 6, 1),
    Behaviour.PERMISSION_MISSING: (6, 6, 6, 1),
    Behaviour.RATE_LIMITED: (18, 18, 18, 18),
    Behaviour.SERVER_ERROR: (18, 18, 18, 18),
}


@pytest.fixture
def router() -> Iterator[LoopbackRouter]:
    """Yield a router on which everything works."""
    with LoopbackRouter() as router:
        yield router


def provider(state: LegacyState, base_url: str, sleep: CountedSleep | None = None) -> LegacyProvider:
    """Return the provider, which waits for the mean of its limits, and does not really wait."""
    token = "hf_" + "made0up0" * 4
    return LegacyProvider(state, base_url, token, sleep=sleep or CountedSleep(), uniform=lambda a, b: (a + b) / 2)


def generate(target: LegacyProvider, function: str, model: str = MODEL) -> object:
    """Call one of the provider's two functions."""
    return target.text("Hello", model) if function == "text" else target.structured("Hello", SCHEMA, model)


@pytest.mark.parametrize("column", range(4), ids=[f"{state}-{function}" for state, function in COLUMNS])
@pytest.mark.parametrize("answer", TABLE)
def test_requests_per_answer(router: LoopbackRouter, answer: Behaviour, column: int) -> None:
    """Every answer of the router costs the number of requests that was measured, and ends in an exception."""
    state, function = COLUMNS[column]
    router.everywhere = answer
    with pytest.raises(Exception, match=r"RetryError|generation failed"):
        generate(provider(state, router.base_url), function)
    assert router.hits == TABLE[answer][column]


@pytest.mark.parametrize(
    ("state", "function", "seconds"), [(OLD, "structured", 24.0), (OLD, "text", 24.0), (HEAD, "structured", 18.0)]
)
def test_wrong_base_url_is_waited_for(
    router: LoopbackRouter, state: LegacyState, function: str, seconds: float
) -> None:
    """A base URL that can never work costs half a minute of sleep, of which the counted seconds are the mean."""
    sleep = CountedSleep()
    with pytest.raises(RetryError):
        generate(provider(state, router.origin + BASE_PATH, sleep), function)
    assert sleep.seconds == seconds
    assert router.calls == []


def test_head_text_gives_up_on_a_wrong_base_url(router: LoopbackRouter) -> None:
    """The one function with a predicate does not repeat a 404, and says so in a bare exception."""
    sleep = CountedSleep()
    with pytest.raises(Exception, match="NotFoundError") as caught:
        provider(HEAD, router.wrong_base_url, sleep).text("Hello")
    assert type(caught.value) is Exception
    assert sleep.seconds == 0.0


def test_the_clients_own_waits_are_counted(router: LoopbackRouter) -> None:
    """Each attempt sleeps the openai client's two back-offs too: 1.5 s, less up to a quarter, six times."""
    router.everywhere = Behaviour.SERVER_ERROR
    sleep = CountedSleep()
    with pytest.raises(RetryError):
        provider(HEAD, router.base_url, sleep).text("Hello")
    assert 18.0 + 6 * 1.125 <= sleep.seconds <= 18.0 + 6 * 1.5


def test_every_candidate_of_the_chain_is_asked_for(router: LoopbackRouter) -> None:
    """A 404 walks the chain: each model with its suffix, then without; HEAD has lost all but the first."""
    for state, count in ((OLD, 8), (HEAD, 2)):
        router.requests.clear()
        with pytest.raises(Exception, match=r"RetryError|NotFound"):
            provider(state, router.wrong_base_url).text("Hello")
        models = [(request.payload or {})["model"] for request in router.requests][:count]
        assert models[:2] == [MODEL, "openai/gpt-oss-120b"]
        assert len(set(models)) == count


@pytest.mark.parametrize("state", LegacyState)
def test_unknown_model_never_moves_the_chain(router: LoopbackRouter, state: LegacyState) -> None:
    """The router answers 400, and the chain waits for a 404: one model is asked for, six times."""
    with pytest.raises(RetryError):
        generate(provider(state, router.base_url), "structured", UNKNOWN)
    assert [call.model for call in router.calls] == ["acme/unknown"] * 6


def test_second_pass_of_head_is_a_name_error(router: LoopbackRouter) -> None:
    """What HEAD ends in has nothing to do with what the router said."""
    with pytest.raises(RetryError, match="raised NameError") as caught:
        provider(HEAD, router.wrong_base_url).structured("Hello", SCHEMA)
    assert isinstance(caught.value.last, NameError)


def test_second_pass_of_old_asks_without_a_structure(router: LoopbackRouter) -> None:
    """A refusal that says "not supported" is asked again, without `response_format`."""
    router.behave(Behaviour.MODEL_NOT_SUPPORTED)
    with pytest.raises(RetryError):
        provider(OLD, router.base_url).structured("Hello", SCHEMA)
    asked = ["response_format" in call.payload for call in router.calls]
    assert asked == [True, False] * 6


@pytest.mark.parametrize("state", LegacyState)
@pytest.mark.parametrize("answer", [Behaviour.PROSE, Behaviour.BROKEN_JSON, Behaviour.TRUNCATED, Behaviour.EMPTY])
def test_unparseable_answer_is_returned_as_data(router: LoopbackRouter, state: LegacyState, answer: Behaviour) -> None:
    """An error is handed to the caller as if it were the result."""
    router.behave(answer)
    found = provider(state, router.base_url).structured("Hello", SCHEMA)
    assert isinstance(found, dict)
    assert found["error"] == "Failed to parse JSON response"
    assert "raw_response" in found


@pytest.mark.parametrize("state", LegacyState)
def test_wrong_shape_is_returned_as_data(router: LoopbackRouter, state: LegacyState) -> None:
    """Nothing compares the answer with the schema."""
    router.behave(Behaviour.OTHER_JSON)
    found = provider(state, router.base_url).structured("Hello", SCHEMA)
    assert isinstance(found, dict)
    assert "title" not in found


@pytest.mark.parametrize("state", LegacyState)
def test_it_works_where_everything_works(router: LoopbackRouter, state: LegacyState) -> None:
    """The control: with the right base URL, and a model that answers, there is one request and the answer."""
    target = provider(state, router.base_url)
    assert target.structured("Hello", SCHEMA) == {"title": "text"}
    assert target.text("Hello").startswith("Certainly")
    assert router.hits == 2


@pytest.mark.parametrize("state", LegacyState)
def test_foreign_token_is_retried(router: LoopbackRouter, state: LegacyState) -> None:
    """A token that is none is refused six times over, without a request."""
    sleep = CountedSleep()
    target = LegacyProvider(state, router.base_url, "sk-made0up0", sleep=sleep)
    with pytest.raises(RetryError, match="raised ValueError"):
        target.structured("Hello", SCHEMA)
    assert router.hits == 0
    assert sleep.seconds > 0.0
