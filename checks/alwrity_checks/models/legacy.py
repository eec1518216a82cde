"""ALwrity's local models, rebuilt from the description of their behaviour: the fault of issue 5, small.

What is rebuilt is how they are chosen, loaded, kept and used; what loads a model is injected. The order of the steps is
the historical one, and so are the names of the log lines. The state is that of 8c2d88ef (March 2026).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "BOOTSTRAP_MODEL",
    "DEFAULT_MODEL",
    "FALLBACKS",
    "NAMED",
    "LegacyAgent",
    "LegacyModules",
    "LegacySharedWrapper",
    "LegacyWrapper",
]

Model = Callable[..., str]
"""A loaded model: a prompt in, a text out."""

DEFAULT_MODEL: Final = "Qwen/Qwen2.5-1.5B-Instruct"
BOOTSTRAP_MODEL: Final = "Qwen/Qwen2.5-3B-Instruct"
FALLBACKS: Final = (
    "Qwen/Qwen2.5-1.5B-Instruct",
    "Qwen/Qwen2.5-0.5B-Instruct",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
)
NAMED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "start_alwrity_backend.py:122": BOOTSTRAP_MODEL,
        "services/intelligence/sif_agents.py:141": DEFAULT_MODEL,
        "services/intelligence/agents/specialized/base.py:32": DEFAULT_MODEL,
        "services/intelligence/agents/core_agent_framework.py:179": DEFAULT_MODEL,
        "services/intelligence/agents/agent_orchestrator.py:50": DEFAULT_MODEL,
    }
)
"""The places that name the agents' model at 8c2d88ef, and what each says."""

_MEMORY_PHRASES: Final = ("paging file is too small", "os error 1455", "out of memory", "not enough memory")
_log: Final = logging.getLogger("alwrity_checks.models.legacy")


class LegacyModules:
    """What the modules keep for the life of the process: loaded models by a text key, without a lock."""

    def __init__(self, load: Callable[[str], Model]) -> None:
        """Name what loads a model by its name, blocking."""
        self.load = load
        self.kept: dict[str, Model] = {}


class LegacyWrapper:
    """LocalLLMWrapper: loads at the first look at `.llm`, with fallbacks."""

    def __init__(self, modules: LegacyModules, model_path: str = DEFAULT_MODEL, task: str | None = None) -> None:
        self._modules = modules
        self.model_path = model_path
        self.task = task

    @property
    def llm(self) -> Model:
        """The model that was asked for, or the first of the fallbacks that loads."""
        kept = self._modules.kept
        if (wanted := f"{self.model_path}:{self.task}") in kept:
            return kept[wanted]
        last: Exception | None = None
        for candidate in dict.fromkeys((self.model_path, *FALLBACKS)):
            key = f"{candidate}:{self.task}"
            if key in kept:
                return kept[key]
            try:
                kept[key] = self._modules.load(candidate)
            except Exception as error:  # noqa: BLE001 - as the original does
                last = error
                memory = any(phrase in str(error).lower() for phrase in _MEMORY_PHRASES)
                what = "memory load failure" if memory else "load failed"
                _log.warning(
                    "Local LLM %s for '%s', trying %s fallback", what, candidate, "smaller" if memory else "next"
                )
            else:
                return kept[key]
        assert last is not None  # noqa: S101 - there is at least one candidate
        raise last

    def generate(self, prompt: str, **kwargs: Any) -> str:  # noqa: ANN401 - handed through, as the original does
        """Return the model's answer."""
        return self.llm(prompt, **kwargs)

    __call__ = generate


class LegacyAgent:
    """SIFBaseAgent: its constructor looks for the innermost `.llm`, and so loads the model."""

    def __init__(self, modules: LegacyModules, model_name: str = DEFAULT_MODEL, task: str = "text-generation") -> None:
        innermost: Any = LegacyWrapper(modules, model_name, task)
        for _ in range(3):
            innermost = getattr(innermost, "llm", innermost)
        self.llm: Model = innermost


class LegacySharedWrapper:
    """SharedLLMWrapper: whatever fails becomes an answer."""

    def __init__(self, generate: Callable[[str], str], user_id: str) -> None:
        self._generate = generate
        self.user_id = user_id

    def generate(self, prompt: str) -> str:
        """Return the answer, or a text that looks like one."""
        try:
            return self._generate(prompt)
        except Exception as error:  # noqa: BLE001 - as the original does
            _log.error("SharedLLMWrapper failed to generate text: %s", error)
            return f"[ERROR: Shared LLM generation failed for user {self.user_id}]"
