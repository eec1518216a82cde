"""The historical wrapper, rebuilt: each behaviour that its description names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alwrity_checks.models.legacy import (
    BOOTSTRAP_MODEL,
    DEFAULT_MODEL,
    FALLBACKS,
    NAMED,
    LegacyAgent,
    LegacyModules,
    LegacySharedWrapper,
    LegacyWrapper,
)


class Loader:
    """Loads texts, and fails for the models that it is told to."""

    def __init__(self, *failing: str) -> None:
        self.failing = set(failing)
        self.tried: list[str] = []

    def __call__(self, model: str) -> Callable[..., str]:
        """Load."""
        self.tried.append(model)
        if model in self.failing:
            raise OSError(f"{model} is damaged")
        return lambda prompt, **_: f"{model}: {prompt}"


def test_the_failing_first_model_is_tried_at_every_call() -> None:
    """Four calls, five loads: the fallback is kept under its own name and looked up under the other."""
    load = Loader(DEFAULT_MODEL)
    modules = LegacyModules(load)
    for _ in range(4):
        assert LegacyWrapper(modules, task="t").generate("x") == f"{FALLBACKS[1]}: x"
    assert load.tried.count(DEFAULT_MODEL) == 4
    assert len(load.tried) == 5


def test_a_model_is_held_once_for_each_spelling_of_the_task() -> None:
    """The key holds the task's name."""
    modules = LegacyModules(Loader())
    LegacyAgent(modules)
    LegacyWrapper(modules, task="language-generation").generate("x")
    assert sorted(modules.kept) == [f"{DEFAULT_MODEL}:language-generation", f"{DEFAULT_MODEL}:text-generation"]


def test_the_agents_constructor_loads() -> None:
    """Following `.llm` triggers the lazy property."""
    load = Loader()
    agent = LegacyAgent(LegacyModules(load))
    assert load.tried == [DEFAULT_MODEL]
    assert agent.llm("x") == f"{DEFAULT_MODEL}: x"


def test_when_all_fail_the_last_error_is_raised() -> None:
    """And nothing is kept: the next call walks the chain again."""
    load = Loader(*FALLBACKS)
    modules = LegacyModules(load)
    for _ in range(2):
        with pytest.raises(OSError, match="TinyLlama"):
            _ = LegacyWrapper(modules).llm
    assert load.tried == [*FALLBACKS, *FALLBACKS]


def test_an_error_becomes_an_answer() -> None:
    """Word for word."""
    modules = LegacyModules(Loader(*FALLBACKS))
    shared = LegacySharedWrapper(LegacyWrapper(modules).generate, "u1")
    assert shared.generate("x") == "[ERROR: Shared LLM generation failed for user u1]"


def test_the_start_script_names_another_model() -> None:
    """The drift: 3B is downloaded, 1.5B is used."""
    assert set(NAMED.values()) == {BOOTSTRAP_MODEL, DEFAULT_MODEL}
    assert NAMED["start_alwrity_backend.py:122"] == BOOTSTRAP_MODEL
