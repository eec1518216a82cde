"""ALwrity's names over the registry: lazy, shared, and honest about errors; with a real tiny model."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from alwrity_checks.models import compat
from alwrity_checks.models.compat import (
    LocalLLMWrapper,
    SharedLLMWrapper,
    bootstrap_local_llm_models,
    shared_registry,
)
from alwrity_checks.models.errors import NoModel
from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.synthetic import write_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint."""
    return write_checkpoint(tmp_path_factory.mktemp("compat") / "tiny", "tiny")


@pytest.fixture
def registry(tiny: Path, tmp_path: Path) -> Iterator[ModelRegistry]:
    """Return a registry that serves the tiny model in transformers."""
    environment = {
        "SIF_AGENT_MODEL": str(tiny),
        "SIF_AGENT_FALLBACK_MODELS": "",
        "SIF_AGENT_RUNTIME": "transformers",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
    }
    with ModelRegistry.from_environment(environment) as one:
        yield one


def test_the_constructor_and_llm_load_nothing(registry: ModelRegistry) -> None:
    """What an agent's constructor does, three looks at `.llm`, loads no model."""
    innermost: object = LocalLLMWrapper("Qwen/Qwen2.5-1.5B-Instruct", task="text-generation", registry=registry)
    for _ in range(3):
        innermost = getattr(innermost, "llm", innermost)
    assert callable(innermost)
    assert not registry.status().steps


def test_every_wrapper_shares_one_model(registry: ModelRegistry, tiny: Path) -> None:
    """Two tasks, two names in the code: one model, because the setting decides; called, generated and awaited."""
    one = LocalLLMWrapper("Qwen/Qwen2.5-1.5B-Instruct", task="text-generation", registry=registry)
    two = LocalLLMWrapper(None, task="language-generation", registry=registry)
    text = one("Name a title.", maxlength=8, temperature=0.0)
    assert isinstance(text, str)
    assert text == two.generate("Name a title.", max_tokens=8)
    assert text == asyncio.run(two.agenerate([{"role": "user", "content": "Name a title."}], max_new_tokens=8))
    assert [step.model for step in registry.status().steps] == [str(tiny)]


def test_a_txtai_agent_gets_an_llm_that_loads_nothing(registry: ModelRegistry) -> None:
    """Where txtai is there, `.llm` is of its class LLM, which its Agent takes as it is; it answers when asked."""
    from txtai.pipeline import LLM  # type: ignore[import-untyped]

    llm = LocalLLMWrapper("Qwen/Qwen2.5-1.5B-Instruct", registry=registry).llm
    assert isinstance(llm, LLM)
    assert (llm.isvision(), llm.ischat(), llm.generator.path) == (False, True, "Qwen/Qwen2.5-1.5B-Instruct")
    assert not registry.status().steps
    one = llm("Name a title.", maxlength=8)
    assert llm([{"role": "user", "content": "Name a title."}], maxlength=8) == one
    assert llm(["Name a title.", [{"role": "user", "content": "Name a title."}]], maxlength=8) == [one, one]
    assert list(llm("Name a title.", maxlength=8, stream=True)) == [one]


def test_an_answer_takes_no_more_than_there_is_room_for(registry: ModelRegistry) -> None:
    """An Agent of txtai asks for 8192 tokens, prompt included, whatever the context: that is an upper bound."""
    wrapper = LocalLLMWrapper(registry=registry)
    model = registry.load_sync()
    prompt = "a " * (model.context // 2 - 60)
    assert isinstance(wrapper(prompt, maxlength=8192), str)


def test_an_answer_ends_with_a_stop(registry: ModelRegistry) -> None:
    """When one of the texts has come the model writes no further."""
    wrapper = LocalLLMWrapper(registry=registry)
    whole = wrapper("Name a title.", maxlength=8)
    first = whole[0]
    assert len(whole) > 1
    assert wrapper("Name a title.", maxlength=8, stop=[first]) == wrapper("Name a title.", maxlength=8, stop=first)
    assert len(wrapper("Name a title.", maxlength=8, stop=["", first])) < len(whole)
    assert wrapper("Name a title.", maxlength=8, stop=["never"]) == whole


def test_the_lifecycle_of_an_agent(registry: ModelRegistry) -> None:
    """Loaded ahead, once; a shutdown takes the model from nobody."""
    wrapper = LocalLLMWrapper(registry=registry)

    async def work() -> None:
        assert await wrapper.initialize() is True
        assert await wrapper.ensure_initialized_async() is True
        assert len(registry.status().steps) == 1
        await wrapper.shutdown()

    asyncio.run(work())
    assert isinstance(wrapper("x", max_new_tokens=1), str)


def test_no_model_is_no_lifecycle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where no model can be had `initialize` says so, and the log why."""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with (
        ModelRegistry.from_environment(environment) as one,
        caplog.at_level(logging.ERROR, logger="alwrity_checks.models"),
    ):
        assert asyncio.run(LocalLLMWrapper("acme/other", registry=one).initialize()) is False
    assert "Async init failed for acme/other" in caplog.text


def test_generating_on_an_event_loop_is_pointed_out(registry: ModelRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """It works as before, and the log names the call that does not block."""

    async def call() -> str:
        return LocalLLMWrapper(registry=registry).generate("x", max_new_tokens=1)

    with caplog.at_level(logging.WARNING, logger="alwrity_checks.models"):
        asyncio.run(call())
    assert "agenerate" in caplog.text


def test_the_name_in_the_code_counts_where_no_setting_does(tmp_path: Path) -> None:
    """Without SIF_AGENT_MODEL a caller's own model goes first."""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with ModelRegistry.from_environment(environment) as one:
        role = LocalLLMWrapper("acme/other", registry=one)._role(one)
        assert role.models[0] == "acme/other"
        with pytest.raises(NoModel):
            LocalLLMWrapper("acme/other", registry=one).generate("x")


def test_a_failing_provider_raises() -> None:
    """No text that looks like an answer: the caller hears of it."""

    def fails(prompt: str, user_id: str) -> str:
        raise RuntimeError(f"no provider for {user_id}: {prompt}")

    with pytest.raises(RuntimeError, match="no provider for u1: x"):
        SharedLLMWrapper("u1", generate=fails).generate("x", max_tokens=3)
    shared = SharedLLMWrapper("u1", generate=lambda prompt, user_id: json.dumps([prompt, user_id]))
    assert shared("x") == '["x", "u1"]'


def test_the_shared_registry_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bootstrap returns at once, and every wrapper without a registry of its own uses the same."""
    monkeypatch.setattr(compat, "_shared", compat._Shared())
    for name, value in {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert bootstrap_local_llm_models() is True
    assert shared_registry() is shared_registry()
    shared_registry().close()
