"""What the catalogue says against a deployment."""

from __future__ import annotations

import pytest

from alwrity_checks.hf.advertised import objection
from alwrity_checks.hf.catalogue import Catalogue
from alwrity_checks.hf.causes import Cause
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.loopback_catalogue import CATALOGUE, listed


def catalogue(*entries: object) -> Catalogue:
    """Return the catalogue of these entries; the loopback router's without any."""
    found = Catalogue.read({"data": list(entries) or [listed(*one) for one in CATALOGUE.items()]})
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text", ["openai/gpt-oss-120b", "openai/gpt-oss-120b:groq", "openai/gpt-oss-120b:cheapest", "Qwen/Qwen3-32B"]
)
def test_a_live_deployment(text: str) -> None:
    """Nothing speaks against it."""
    assert objection(catalogue(), Deployment.parse(text)) is None


@pytest.mark.parametrize(
    ("text", "cause", "words", "suggestion"),
    [
        ("OpenAI/gpt-oss-120B:groq", Cause.MODEL_NOT_FOUND, "capital letters", "openai/gpt-oss-120b"),
        ("openai/gpt-oss-12b", Cause.MODEL_NOT_SUPPORTED, "not listed", "openai/gpt-oss-120b"),
        ("zzzzzzzz", Cause.MODEL_NOT_SUPPORTED, "not listed", None),
        ("openai/gpt-oss-20b:nebius", Cause.SUFFIX_INVALID, "removed on 2026-07-01", "openai/gpt-oss-20b:groq"),
        ("no/such:nebius", Cause.SUFFIX_INVALID, "removed on 2026-07-01", None),
        ("openai/gpt-oss-20b:480b", Cause.SUFFIX_INVALID, "neither a provider", "openai/gpt-oss-20b:groq"),
        ("google/gemma-3-27b-it:groq", Cause.DEPLOYMENT_MISSING, "by scaleway", "google/gemma-3-27b-it:scaleway"),
        ("Qwen/Qwen3-32B:cerebras", Cause.DEPLOYMENT_MISSING, "status error", "Qwen/Qwen3-32B:groq"),
    ],
)
def test_a_deployment_that_is_not_expected_to_answer(
    text: str, cause: Cause, words: str, suggestion: str | None
) -> None:
    """Each objection has the cause that the router would name, and what is listed instead."""
    found = objection(catalogue(), Deployment.parse(text))
    assert found is not None
    assert found.cause is cause
    assert words in found.message
    assert next(iter(found.suggestions), None) == suggestion


def test_a_model_whose_providers_are_all_down() -> None:
    """It is listed, and a policy finds nobody; a pinned one is told by its status."""
    down = catalogue({"id": "a/b", "providers": [{"provider": "groq", "status": "error"}, {"provider": "novita"}]})
    for text, cause in (("a/b", Cause.MODEL_NOT_SUPPORTED), ("a/b:novita", Cause.DEPLOYMENT_MISSING)):
        found = objection(down, Deployment.parse(text))
        assert found is not None
        assert (found.cause, found.suggestions) == (cause, ())


def test_a_provider_that_only_the_catalogue_knows() -> None:
    """Providers come and go: one that serves another model is a provider."""
    two = catalogue(
        {"id": "a/b", "providers": [{"provider": "newcomer", "status": "live"}]},
        {"id": "c/d", "providers": [{"provider": "groq", "status": "live"}]},
    )
    found = objection(two, Deployment.parse("c/d:newcomer"))
    assert found is not None
    assert found.cause is Cause.DEPLOYMENT_MISSING


def test_a_server_that_names_no_providers() -> None:
    """There a listed id is enough, a suffix may belong to the id, and an id that is not listed does not exist."""
    ids = catalogue({"id": "tiny/qwen"}, {"id": "openai/gpt-oss-120b:groq"})
    assert objection(ids, Deployment.parse("openai/gpt-oss-120b:groq")) is None
    assert objection(ids, Deployment.parse("tiny/qwen")) is None
    found = objection(ids, Deployment.parse("tiny/qwen3"))
    assert found is not None
    assert (found.cause, found.suggestions) == (Cause.MODEL_NOT_FOUND, ("tiny/qwen",))
