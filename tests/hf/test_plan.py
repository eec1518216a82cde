"""The plan: who is asked what, and what that can cost at most."""

from __future__ import annotations

from typing import Any

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.catalogue import Catalogue
from alwrity_checks.hf.causes import Mode
from alwrity_checks.hf.loopback_catalogue import CATALOGUE, listed
from alwrity_checks.hf.plan import DEFAULT_MODES, Plan, make_plan

MODEL = "openai/gpt-oss-120b"


def catalogue() -> Catalogue:
    """Return what the loopback router serves."""
    found = Catalogue.read({"object": "list", "data": [listed(*one) for one in CATALOGUE.items()]})
    assert found is not None
    return found


def plan(*models: str, **more: Any) -> Plan:  # noqa: ANN401 - arguments of make_plan
    """Plan with the loopback router's catalogue."""
    return make_plan(models, catalogue=catalogue(), **more)


def names(found: Plan) -> list[str]:
    """Return the deployments as text."""
    return [str(one) for one in found.deployments]


def test_a_bare_model_means_each_of_its_live_providers() -> None:
    """In the catalogue's order, and without those that are down."""
    assert names(plan(MODEL)) == [f"{MODEL}:{one}" for one in ("groq", "cerebras", "together")]
    assert names(plan("Qwen/Qwen3-32B")) == ["Qwen/Qwen3-32B:groq"]


@pytest.mark.parametrize("text", [f"{MODEL}:groq", f"{MODEL}:nebius", f"{MODEL}:fastest", "made/up", "made/up:groq"])
def test_what_cannot_be_expanded_is_asked_as_it_is(text: str) -> None:
    """A suffix is the user's word; of an unknown model the router itself is to say what is wrong."""
    assert names(plan(text)) == [text]


def test_without_named_providers_a_model_is_asked_bare() -> None:
    """As of a server that lists ids alone, or of no catalogue at all."""
    assert names(make_plan([MODEL])) == [MODEL]
    assert names(make_plan([MODEL], catalogue=Catalogue.read({"data": [{"id": MODEL}]}))) == [MODEL]


def test_nothing_is_asked_twice() -> None:
    """A deployment that two models lead to is planned once."""
    found = plan(f"{MODEL}:cerebras", MODEL, MODEL)
    assert names(found) == [f"{MODEL}:{one}" for one in ("cerebras", "groq", "together")]
    assert len(set(found.cells)) == len(found.cells)


def test_each_deployment_is_asked_in_plain_text_first() -> None:
    """Then in each mode, the strictest first, in whatever order they are named."""
    found = plan(f"{MODEL}:groq", modes=DEFAULT_MODES[::-1])
    assert [cell.mode for cell in found.cells] == [None, *DEFAULT_MODES]


def test_modes_that_cannot_express_the_schema_are_left_out() -> None:
    """A tool's arguments are an object."""
    found = plan(f"{MODEL}:groq", modes=tuple(Mode), schema={"type": "array", "items": {"type": "string"}})
    assert [cell.mode for cell in found.cells] == [None, Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA, Mode.PROMPT]


def test_the_bound_of_requests() -> None:
    """Two for each question: one, and one retry."""
    found = plan(MODEL)
    assert found.most_requests == 2 * 3 * (1 + len(DEFAULT_MODES))
    assert dict(found.cells_of_provider) == {"groq": 4, "cerebras": 4, "together": 4}


def test_the_bound_of_cost() -> None:
    """It is the sum over the questions, at the catalogue's prices in USD per million tokens."""
    found = plan(f"{MODEL}:groq")
    assert found.most_cost is not None
    expected = sum(2 * (cell.most_prompt_tokens * 0.15 + cell.max_tokens * 0.30) / 1e6 for cell in found.cells)
    assert found.most_cost == pytest.approx(expected)
    assert 0.001 < found.most_cost < 0.01
    assert found.unpriced == ()


def test_a_policy_is_priced_as_the_dearest_that_it_may_choose() -> None:
    """The bound must hold whoever serves it."""
    policy, dearest = plan(f"{MODEL}:fastest"), plan(f"{MODEL}:cerebras")
    assert policy.cells[0].price == dearest.cells[0].price


@pytest.mark.parametrize("text", ["made/up", "deepseek-ai/DeepSeek-V4-Pro:featherless-ai", f"{MODEL}:nebius"])
def test_an_unknown_price_is_no_price_of_nothing(text: str) -> None:
    """Then no bound is named, and it is said whose price is missing."""
    found = plan(f"{MODEL}:groq", text)
    assert found.most_cost is None
    assert [str(one) for one in found.unpriced] == [text]


@pytest.mark.parametrize("text", ["", "two words", "model:"])
def test_what_names_no_deployment_is_refused(text: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigurationError):
        plan(text)
