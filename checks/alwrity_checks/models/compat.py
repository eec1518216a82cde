"""ALwrity's names over the registry: a backend changes an import, and nothing else.

    from alwrity_checks.models.compat import LocalLLMWrapper, SharedLLMWrapper, bootstrap_local_llm_models

What is different: nothing is loaded in a constructor, all wrappers of a process share one registry, a failure raises,
and the bootstrap returns at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.roles import AGENT
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.generation import LocalModel
    from alwrity_checks.models.roles import Role
    from alwrity_checks.models.tokenizing import Prompt

__all__ = ["LocalLLMWrapper", "SharedLLMWrapper", "bootstrap_local_llm_models", "shared_registry"]

_log: Final = logging.getLogger("alwrity_checks.models")
_LIMITS: Final = ("max_new_tokens", "max_tokens")
"""The names under which callers limit an answer."""
_LENGTH: Final = "maxlength"
"""txtai's name for the most that prompt and answer may have together; its Agent asks for 8192, whatever the context."""
_KNOWN: Final = frozenset({*_LIMITS, _LENGTH, "temperature", "stop"})


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
    def llm(self) -> Any:  # noqa: ANN401 - a class of txtai's, where there is one
        """What a txtai Agent takes for its model: it can be called, and loads nothing before it is.

        An Agent takes an object of txtai's own class LLM and makes a model of anything else (txtai 9.14,
        agent/model.py:31). Where nobody has imported txtai it is this object.
        """
        base = getattr(sys.modules.get("txtai.pipeline"), "LLM", None)
        return _txtai_face(base)(self) if isinstance(base, type) else self

    def generate(self, prompt: Prompt, **options: Any) -> str:  # noqa: ANN401 - as txtai's
        """Return the model's answer. Blocks; the first call loads the model. Raises ModelError.

        `maxlength` is an upper bound: of what does not fit into the context behind the prompt nothing is asked for.
        With `stop`, texts, it ends when one of them has come.
        """
        if _on_event_loop():
            _log.warning("LocalLLMWrapper.generate blocks the event loop: await LocalLLMWrapper.agenerate instead")
        registry = self._registry or shared_registry()
        model: LocalModel = registry.load_sync(self._role(registry))
        settings = _settings(model, prompt, options)
        if stops := options.get("stop"):
            watch = _Stop([stops] if isinstance(stops, str) else list(stops))
            settings |= {"stop": watch.come, "on_text": watch}
        return model.generate_sync(prompt, **settings).text

    __call__ = generate

    async def agenerate(self, prompt: Prompt, **options: Any) -> str:  # noqa: ANN401 - as above
        """Return the model's answer; the event loop goes on meanwhile. `stop` means nothing here."""
        registry = self._registry or shared_registry()
        model: LocalModel = await registry.load(self._role(registry))
        return await model.generate(prompt, **await asyncio.to_thread(_settings, model, prompt, options))

    async def initialize(self) -> bool:
        """Load the model while the event loop goes on; False, and a line in the log, where none can be had.

        ALwrity's agents call it in their `initialize_async` (ce9bf293, services/intelligence/sif_agents.py:222).
        """
        registry = self._registry or shared_registry()
        try:
            await registry.load(self._role(registry))
        except DoctorError as error:
            # ALwrity's own words, by which its logs are searched.
            _log.error("[LocalLLMWrapper] Async init failed for %s: %s", self.model_path, scrub(str(error)))
            return False
        return True

    ensure_initialized_async = initialize

    async def shutdown(self) -> None:
        """Do nothing: others may use the model, and one that nobody uses is unloaded by the registry."""

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


def _settings(model: LocalModel, prompt: Prompt, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what our generation understands of txtai's options; blocks while the model answers somebody else."""
    settings: dict[str, Any] = {}
    limit = next((given[name] for name in _LIMITS if given.get(name)), None)
    if limit is not None:
        settings["max_new_tokens"] = int(limit)
    elif given.get(_LENGTH):
        settings["max_new_tokens"] = max(1, min(int(given[_LENGTH]), model.context - model.count_tokens(prompt)))
    if given.get("temperature") is not None:
        settings["temperature"] = float(given["temperature"])
    ignored = sorted(set(given) - _KNOWN)
    if ignored:
        _log.debug("options of LocalLLMWrapper that mean nothing here: %s", ", ".join(ignored))
    return settings


class _Stop:
    """Hears an answer as it comes, and says when one of some texts has come."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [one for one in texts if one]
        self._longest = max(map(len, self._texts), default=0)
        self._heard = ""
        self.come = threading.Event()

    def __call__(self, piece: str) -> None:
        self._heard = self._heard[-self._longest :] + piece
        if any(text in self._heard for text in self._texts):
            self.come.set()


@lru_cache(maxsize=1)
def _txtai_face(base: type[Any]) -> Callable[[LocalLLMWrapper], Any]:
    class LocalLLM(base):  # type: ignore[misc]  # txtai is untyped
        """A txtai LLM whose model is the registry's."""

        def __init__(self, wrapper: LocalLLMWrapper) -> None:
            # Not txtai's own: that loads.
            self._wrapper = wrapper
            self.generator = SimpleNamespace(path=wrapper.model_path or "local")

        def __call__(self, text: Any, maxlength: int = 512, stream: bool = False, **options: Any) -> Any:  # noqa: ANN401, FBT001, FBT002 - txtai's signature
            """Answer a text or a conversation; a list of either is answered one by one."""
            if isinstance(text, list) and not all(isinstance(one, Mapping) for one in text):
                return [self(one, maxlength, **options) for one in text]
            answer = self._wrapper.generate(text, maxlength=maxlength, **options)
            return iter([answer]) if stream else answer

        def ischat(self) -> bool:
            """Say that it takes conversations."""
            return True

        def isvision(self) -> bool:
            """Say that it takes no pictures."""
            return False

    return LocalLLM


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
