"""ALwrity's names over the registry: a backend changes an import, and nothing else.

    from alwrity_checks.models.compat import LocalLLMWrapper, SharedLLMWrapper, bootstrap_local_llm_models

What is different: nothing is loaded in a constructor, all wrappers of a process share one registry, a failure raises,
and the bootstrap returns at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.roles import AGENT

if TYPE_CHECKING:
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.roles import Role

__all__ = ["LocalLLMWrapper", "SharedLLMWrapper", "bootstrap_local_llm_models", "shared_registry"]

_log: Final = logging.getLogger("alwrity_checks.models")
_LIMITS: Final = ("max_new_tokens", "max_tokens", "maxlength")
"""The names under which callers limit an answer."""


class _Shared:
    """The registry of a process."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Start without one: in a forked child the threads of the parent's do not exist."""
        self.lock = threading.Lock()
        self.registry: ModelRegistry | None = None


_shared: Final = _Shared()


def shared_registry() -> ModelRegistry:
    """Return the registry of this process, made from its environment at the first call."""
    with _shared.lock:
        if _shared.registry is None:
            _let_speak()
            _shared.registry = ModelRegistry.from_environment()
        return _shared.registry


def _let_speak() -> None:
    """Let warnings reach stderr where the process has set up no logging of its own.

    ALwrity logs by loguru, and its root logger has no handler (ce9bf293, logging_config.py): with the null handler of a
    library in the way, a download that fails would be told to nobody.
    """
    for handler in tuple(_log.handlers):
        if isinstance(handler, logging.NullHandler):
            _log.removeHandler(handler)


class LocalLLMWrapper:
    """A local model by its historical name. The constructor loads nothing; neither does `.llm`."""

    def __init__(
        self, model_path: str | None = None, task: str | None = None, *, registry: ModelRegistry | None = None
    ) -> None:
        """Take the name that the caller has in its code: SIF_AGENT_MODEL, where it is set, wins over it.

        `task` is ALwrity's and means nothing here: every task is served by the same model.
        """
        self.model_path = model_path
        self.task = task
        self._registry = registry

    @property
    def llm(self) -> LocalLLMWrapper:
        """This object: who follows `.llm` to the model finds something to call, and loads nothing."""
        return self

    def generate(self, prompt: str | Sequence[Mapping[str, str]], **options: Any) -> str:  # noqa: ANN401 - as txtai's
        """Return the model's answer. Blocks; the first call loads the model. Raises ModelError."""
        if _on_event_loop():
            _log.warning("LocalLLMWrapper.generate blocks the event loop: await LocalLLMWrapper.agenerate instead")
        registry = self._registry or shared_registry()
        model: LocalModel = registry.load_sync(self._role(registry))
        return model.generate_sync(prompt, **_options(options)).text

    __call__ = generate

    async def agenerate(self, prompt: str | Sequence[Mapping[str, str]], **options: Any) -> str:  # noqa: ANN401 - as above
        """Return the model's answer; the event loop goes on meanwhile."""
        registry = self._registry or shared_registry()
        model: LocalModel = await registry.load(self._role(registry))
        return await model.generate(prompt, **_options(options))

    def _role(self, registry: ModelRegistry) -> Role:
        overridden = any(setting.name == "SIF_AGENT_MODEL" for setting in registry.role(AGENT).settings)
        return registry.role(AGENT, model=None if overridden else self.model_path)


class SharedLLMWrapper:
    """ALwrity's wrapper of its remote provider, without the error that looks like an answer."""

    def __init__(self, user_id: str, task: str | None = None, *, generate: Callable[..., str] | None = None) -> None:
        """Generate for a user with `generate(prompt, user_id=…)`: ALwrity's own llm_text_gen if none is given."""
        self.user_id = user_id
        self.task = task
        self._generate = generate

    def generate(self, prompt: str, **_options: Any) -> str:  # noqa: ANN401 - the provider knows none, as before
        """Return the provider's answer; whatever it raises is the caller's to handle."""
        generate = self._generate or _llm_text_gen()
        return generate(prompt, user_id=self.user_id)

    __call__ = generate


def bootstrap_local_llm_models(registry: ModelRegistry | None = None) -> bool:
    """Begin to fetch the models of every role in the background, and return at once: True.

    How it stands, and what went wrong, `shared_registry().status()` tells.
    """
    (registry or shared_registry()).prefetch()
    return True


def _llm_text_gen() -> Callable[..., str]:
    from importlib import import_module

    generate: Callable[..., str] = import_module("services.llm_providers.main_text_generation").llm_text_gen
    return generate


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what our generation understands of txtai's options."""
    options: dict[str, Any] = {}
    limit = next((given[name] for name in _LIMITS if given.get(name)), None)
    if limit is not None:
        options["max_new_tokens"] = int(limit)
    if given.get("temperature") is not None:
        options["temperature"] = float(given["temperature"])
    ignored = sorted(set(given) - {*_LIMITS, "temperature"})
    if ignored:
        _log.debug("options of LocalLLMWrapper that mean nothing here: %s", ", ".join(ignored))
    return options


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
