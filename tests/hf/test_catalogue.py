"""The catalogue of models: what is read of it, what is answered from it, and that no document breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.hf.catalogue import Catalogue, Offer
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.loopback_catalogue import CATALOGUE, listed

EXAMPLE = """
{"object":"list","data":[{
  "id":"deepseek-ai/DeepSeek-V4-Pro","object":"model","created":1776837885,"owned_by":"deepseek-ai",
  "architecture":{"input_modalities":["text"],"output_modalities":["text"]},
  "providers":[
    {"provider":"novita","status":"live","context_length":1048576,"pricing":{"input":1.69,"output":3.38},
     "supports_tools":true,"supports_structured_output":false,"first_token_latency_ms":1490,"throughput":24.69,
     "is_model_author":false},
    {"provider":"featherless-ai","status":"live","is_model_author":false}]}]}
"""
IDS_ALONE = {"object": "list", "data": [{"owned_by": "tiny-org", "id": "tiny-org/tiny-qwen", "created": 1.5}]}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def read(*entries: object) -> Catalogue:
    """Return the catalogue of these entries."""
    found = Catalogue.read({"object": "list", "data": list(entries)})
    assert found is not None
    return found


def of_providers(*providers: dict[str, Any]) -> Catalogue:
    """Return the catalogue of one model, `a/b`, with these providers."""
    return read({"id": "a/b", "providers": list(providers)})


def loopback() -> Catalogue:
    """Return the catalogue of the loopback router."""
    return read(*(listed(*one) for one in CATALOGUE.items()))


def test_every_field_of_the_router_s_answer_is_read() -> None:
    """Numbers come in the documented units; what the second provider does not say is None."""
    catalogue = Catalogue.read(json.loads(EXAMPLE))
    assert catalogue is not None
    assert catalogue.names_providers
    assert catalogue.offers("deepseek-ai/DeepSeek-V4-Pro") == (
        Offer("novita", "live", 1048576, 1.69, 3.38, True, False, 1.49, 24.69),
        Offer("featherless-ai", "live"),
    )


def test_a_server_that_lists_ids_alone() -> None:
    """Its models are known and nobody offers them: it serves them itself."""
    catalogue = Catalogue.read(IDS_ALONE)
    assert catalogue is not None
    assert not catalogue.names_providers
    assert dict(catalogue.models) == {"tiny-org/tiny-qwen": ()}
    assert catalogue.offer(Deployment("tiny-org/tiny-qwen", "groq")) is None


@pytest.mark.parametrize(
    "document",
    [None, [], "Not Found", {"detail": "Not Found"}, {"data": None}, {"data": {"id": "a/b"}}, {"data": ["a/b"]},
     {"data": [{"name": "a/b"}]}, {"data": [{"id": 3}, {"id": ""}, {"id": "a b"}, {"id": "a\nb"}, {"id": "x" * 201}]}],
)  # fmt: skip
def test_what_is_no_list_of_models(document: object) -> None:
    """A page, an error and a list of something else are no catalogue."""
    assert Catalogue.read(document) is None


def test_an_empty_list_is_a_list() -> None:
    """A server without a model is still one that lists its models."""
    catalogue = read()
    assert (dict(catalogue.models), catalogue.names_providers) == ({}, False)


def test_entries_that_are_none_are_passed_over() -> None:
    """One bad entry does not take the others with it; of two with one id the first counts."""
    catalogue = read(None, {"id": 1}, {"id": "a/b", "providers": [{"provider": "groq"}]}, {"id": "a/b"}, {"id": "c/d"})
    assert list(catalogue.models) == ["a/b", "c/d"]
    assert [offer.provider for offer in catalogue.offers("a/b")] == ["groq"]


@pytest.mark.parametrize("bad", [True, "3", -1, float("nan"), float("inf"), 10**400, None, [1], {"a": 1}])
def test_numbers_that_are_no_amounts(bad: object) -> None:
    """A price or a length that cannot be one is not said: a cost guard must not count with it."""
    fields = {"context_length": bad, "throughput": bad, "first_token_latency_ms": bad}
    catalogue = of_providers({"provider": "groq", "pricing": {"input": bad, "output": bad}, **fields})
    assert catalogue.offers("a/b") == (Offer("groq"),)


@pytest.mark.parametrize("bad", [1, "true", [], {}])
def test_flags_that_are_no_flags(bad: object) -> None:
    """Only true and false are flags; anything else is not said."""
    catalogue = of_providers({"provider": "groq", "supports_tools": bad, "supports_structured_output": bad})
    assert catalogue.offers("a/b") == (Offer("groq"),)


def test_who_is_live() -> None:
    """A provider whose status is `error`, or is not said, does not count as live."""
    catalogue = of_providers(
        {"provider": "groq", "status": "live"}, {"provider": "novita", "status": "error"}, {"provider": "nscale"}
    )
    assert [offer.provider for offer in catalogue.live("a/b")] == ["groq"]
    assert catalogue.live("no/such") == ()


def test_the_offer_of_a_pinned_provider() -> None:
    """It is that provider's, live or not; None where it does not serve the model."""
    catalogue = loopback()
    pinned = catalogue.offer(Deployment("Qwen/Qwen3-32B", "cerebras"))
    assert pinned is not None
    assert (pinned.provider, pinned.status) == ("cerebras", "error")
    assert catalogue.offer(Deployment("Qwen/Qwen3-32B", "novita")) is None
    assert catalogue.offer(Deployment("no/such", "groq")) is None


@pytest.mark.parametrize(
    ("suffix", "expected"), [("", "cerebras"), ("fastest", "cerebras"), ("cheapest", "groq"), ("preferred", None)]
)
def test_the_offer_that_a_policy_chooses(suffix: str, expected: str | None) -> None:
    """By throughput, or by the price of output, as advertised; the account's own order is not known here."""
    offer = loopback().offer(Deployment("openai/gpt-oss-120b", suffix))
    assert (offer and offer.provider) == expected


@pytest.mark.parametrize("suffix", ["", "cheapest", "preferred"])
def test_one_live_offer_leaves_no_choice(suffix: str) -> None:
    """Whatever the policy, and although nothing else is said of it."""
    offer = loopback().offer(Deployment("google/gemma-3-27b-it", suffix))
    assert offer is not None
    assert offer.provider == "scaleway"


def test_a_policy_without_numbers_does_not_tell() -> None:
    """Two live providers of which nothing is said: which of them it is is unknown."""
    live = ({"provider": "groq", "status": "live"}, {"provider": "novita", "status": "live"})
    assert of_providers(*live).offer(Deployment("a/b")) is None


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("OpenAI/GPT-OSS-120B", "openai/gpt-oss-120b"),
        ("gpt-oss-120b", "openai/gpt-oss-120b"),
        ("someone-else/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("openai/gpt-oss-120", "openai/gpt-oss-120b"),
        ("Qwen/Qwen3-23B", "Qwen/Qwen3-32B"),
        ("deepseek-ai/DeepSeek-V4", "deepseek-ai/DeepSeek-V4-Pro"),
    ],
)
def test_suggestions(asked: str, first: str) -> None:
    """Another case, another organisation, a slip of the pen: the id that was meant comes first."""
    found = loopback().suggestions(asked)
    assert found[0] == first
    assert len(found) <= 3
    assert asked not in found


@pytest.mark.parametrize("asked", ["", "zzzzzzzz", "x" * 5000])
def test_nothing_to_suggest(asked: str) -> None:
    """Where nothing is close, nothing is suggested."""
    assert loopback().suggestions(asked) == ()


def test_a_listed_id_is_not_suggested_for_itself() -> None:
    """Its neighbours are; and no more than were asked for."""
    assert loopback().suggestions("openai/gpt-oss-120b", most=1) == ("openai/gpt-oss-20b",)


@given(json_values)
def test_no_document_breaks_it(document: Any) -> None:  # noqa: ANN401 - any JSON
    """Whatever a server sends in the places that are read, something or None is returned."""
    for one in (document, {"data": document}, {"data": [{"id": "a/b", "providers": document}]}):
        found = Catalogue.read(one)
        if found is not None:
            found.suggestions("a/c")
            for model in found.models:
                assert all(offer.provider for offer in found.offers(model))
    entry = {"provider": "groq", "pricing": document, "context_length": document, "status": document}
    assert len(of_providers(entry).offers("a/b")) == 1
