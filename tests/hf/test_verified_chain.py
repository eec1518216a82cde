"""The chain that is measured for a schema: what the generator then needs, and no more requests than that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.catalogue import Catalogue
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.generator import StructuredGenerator
from alwrity_checks.hf.loopback_router import Behaviour, LoopbackRouter
from alwrity_checks.hf.prober import ChainNotVerified, Prober
from tests.support.probing import use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alwrity_checks.hf.chain import Chain

MODEL = "openai/gpt-oss-120b"
GROQ, CEREBRAS, TOGETHER = (f"{MODEL}:{one}" for one in ("groq", "cerebras", "together"))
STRICT = Mode.JSON_SCHEMA_STRICT
ARTICLE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer", "minimum": 3}},
    "required": ["title", "score"],
    "additionalProperties": False,
}


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


def test_a_verified_chain_is_what_the_generator_needs(server: LoopbackRouter) -> None:
    """Measured now, over two providers, each with its strictest honoured mode; the generator makes one request."""
    server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="groq", mode=STRICT)
    server.behave(Behaviour.PROSE, provider="cerebras")

    async def scenario(prober: Prober) -> tuple[Chain, Any, int]:
        chain = await prober.verified_chain([MODEL, "made/up"], schema=ARTICLE)
        asked = len(server.calls)
        made = await StructuredGenerator(prober._router, chain).generate("Rate it.", ARTICLE)
        return chain, made.value, len(server.calls) - asked

    chain, value, asked = use(server, scenario, catalogue=None)
    assert [str(link.deployment) for link in chain.links] == [TOGETHER, GROQ]
    assert [link.mode for link in chain.links] == [STRICT, Mode.JSON_SCHEMA]
    assert chain.counts_at()
    assert chain.base_url == server.base_url
    assert value["score"] >= 3
    assert asked == 1


def test_a_verified_chain_asks_no_more_than_it_needs(server: LoopbackRouter) -> None:
    """Where strict is honoured, that is two requests: plain text, and strict."""
    use(server, lambda prober: prober.verified_chain([GROQ, CEREBRAS]))
    assert len(server.calls) == 4


@pytest.mark.parametrize("behaviour", [Behaviour.PROSE, Behaviour.SERVER_ERROR, Behaviour.MODEL_NOT_FOUND])
def test_a_chain_that_cannot_be_verified_is_an_error(server: LoopbackRouter, behaviour: Behaviour) -> None:
    """It carries what was measured."""
    server.behave(behaviour)
    with pytest.raises(ChainNotVerified, match="no deployment was seen to honour") as caught:
        use(server, lambda prober: prober.verified_chain([GROQ, CEREBRAS]))
    assert caught.value.result is not None
    assert caught.value.classification is None
    assert caught.value.remedy


def test_a_chain_on_a_wrong_base_url_is_an_error_that_names_it(server: LoopbackRouter) -> None:
    """With the catalogue still to be read, and with it at hand."""
    for catalogue in (None, Catalogue.read({"data": [{"id": MODEL}]})):
        server.requests.clear()
        with pytest.raises(ChainNotVerified) as caught:
            use(
                server,
                lambda prober: prober.verified_chain([MODEL]),
                base_url=server.wrong_base_url,
                catalogue=catalogue,
            )
        assert caught.value.classification is not None
        assert caught.value.classification.cause is Cause.ROUTE_MISSING
        assert server.hits <= 3


def test_a_base_url_that_only_an_answer_convicts_costs_three_requests(server: LoopbackRouter) -> None:
    """Its list of models, that of the likely one, and one completion."""
    with pytest.raises(ChainNotVerified):
        use(
            server,
            lambda prober: prober.verified_chain([GROQ, CEREBRAS]),
            base_url=f"{server.origin}/llm/v1",
            catalogue=None,
        )
    assert server.hits <= 3


def test_an_unusable_schema_is_refused_before_any_request(server: LoopbackRouter) -> None:
    """Also before the catalogue is read."""
    with pytest.raises(ConfigurationError):
        use(server, lambda prober: prober.verified_chain([GROQ], schema={"type": "none"}), catalogue=None)
    assert server.hits == 0
