"""ALwrity's names over the component: put these where `services.llm_providers.huggingface_provider` has its own.

Names, arguments and the form of what is returned are those of ALwrity's provider (ce9bf293; the keywords of its other
revisions are taken as well). What differs is what the catalogue's issue 2 is about: the chain is asked on the right
base URL, nothing is repeated that no repetition cures, what is returned is valid against the schema, and what cannot be
had is an exception that names its cause.

The functions block, as ALwrity's do, and may be called from any thread and on an event loop, which then stands still;
who awaits takes `StructuredGenerator` itself. Token and settings are read at each call: ALwrity's key manager sets
them while the backend runs (ce9bf293, services/onboarding/api_key_manager.py:571).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.blocking import BlockingLoop
from alwrity_checks.hf.chain import Chain
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.generator import StructuredGenerator
from alwrity_checks.hf.ladder import Sampling
from alwrity_checks.hf.loose_schema import asked_for
from alwrity_checks.hf.retries import RetryPolicy
from alwrity_checks.hf.router import Router

if TYPE_CHECKING:
    from alwrity_checks.hf.generation import Generation
    from alwrity_checks.hf.ladder import Message

__all__ = [
    "HF_FALLBACK_MODELS",
    "UnusableToken",
    "generator_of",
    "get_available_models",
    "get_huggingface_api_key",
    "huggingface_structured_json_response",
    "huggingface_text_response",
    "validate_model",
]

HF_FALLBACK_MODELS: Final = ["openai/gpt-oss-120b:cerebras", "openai/gpt-oss-120b:groq", "openai/gpt-oss-120b"]
"""Asked after the caller's model where neither the caller nor a setting names others.

Of the models of ALwrity's own list (ce9bf293) this one alone is documented for more than one provider: the others are
no chat models there, or are served no longer.
"""
_FALLBACKS: Final = "HF_FALLBACK_MODELS"
"""The setting that names others: deployments, separated by commas (ALwrity 01881bb4, main_text_generation.py)."""
_CHAIN: Final = "HF_CHAIN_FILE"
"""The setting that names a file of `alwrity-doctor hf chain --write`, which comes before both."""
_DEADLINE: Final = 180.0
_POLICY: Final = RetryPolicy(request_timeout=120.0)
"""Seconds: 8,192 tokens take a slow provider more than a minute."""
_KEPT: Final = 32
"""Generators: more than a backend has chains."""
_FENCE: Final = re.compile(r"```[a-zA-Z]*\n?")

_log: Final = logging.getLogger("alwrity_checks.hf")
_Ask: TypeAlias = Callable[[StructuredGenerator], Awaitable["Generation"]]


class UnusableToken(ConfigurationError, ValueError):  # noqa: N818 - a state of the settings
    """There is no token that could be sent: a ValueError, as ALwrity's own function raises."""


class _Made:
    """What this process has made: a router for each token and base URL, a generator for each chain at it."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)
        self.warned = False

    def renew(self) -> None:
        """Start without any: in a forked child the threads of the parent's do not exist."""
        self.lock = threading.Lock()
        self.routers: dict[tuple[str, bytes], Router] = {}
        self.generators: dict[tuple[str, bytes, Chain], StructuredGenerator] = {}
        self.loop = BlockingLoop(self._close)

    async def _close(self) -> None:
        for router in tuple(self.routers.values()):
            await router.aclose()

    def generator(self, asked: Router, chain: Chain) -> StructuredGenerator:
        """Return the generator of this chain at this router; what it has learnt about deployments is kept in it."""
        token = asked.token.reveal() if asked.token else ""
        key = asked.base_url, hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        with self.lock:
            router = self.routers.setdefault(key, asked)
            found = self.generators.pop((*key, chain), None) or StructuredGenerator(router, chain, policy=_POLICY)
            self.generators[*key, chain] = found
            for oldest in tuple(self.generators)[:-_KEPT]:
                del self.generators[oldest]
        return found


_made: Final = _Made()


def huggingface_text_response(  # noqa: PLR0913, PLR0917 - ALwrity's signature
    prompt: str,
    model: str = "openai/gpt-oss-120b:cerebras",
    fallback_models: Sequence[str] | None = None,
    temperature: float | None = 0.7,
    max_tokens: int | None = 2048,
    top_p: float | None = 0.9,
    system_prompt: str | None = None,
    *,
    api_key: str | None = None,
    allow_model_variant_fallback: bool = True,
    tenant_user_id: str | None = None,
) -> str:
    """Return the model's text, without code fences, or that of the next model that can be had.

    What is None is left to the server. `tenant_user_id` is accepted for ALwrity's sake and means nothing here. Raises
    GenerationFailed, which names the cause; UnusableToken, ConfigurationError.
    """
    del tenant_user_id
    messages, sampling = _messages(prompt, system_prompt), Sampling(temperature, top_p)

    def ask(generator: StructuredGenerator) -> Awaitable[Generation]:
        return generator.generate_text(messages, deadline=_DEADLINE, max_tokens=max_tokens, sampling=sampling)

    generator = generator_of(
        model, fallback_models, api_key=api_key, allow_model_variant_fallback=allow_model_variant_fallback
    )
    text: str = _waited_for(ask, generator).value
    return _FENCE.sub("", text).strip()


def huggingface_structured_json_response(  # noqa: PLR0913, PLR0917 - ALwrity's signature
    prompt: str,
    schema: Mapping[str, Any],
    model: str = "openai/gpt-oss-120b:groq",
    temperature: float | None = 0.7,
    max_tokens: int | None = 8192,
    system_prompt: str | None = None,
    fallback_models: Sequence[str] | None = None,
    *,
    api_key: str | None = None,
    allow_model_variant_fallback: bool = True,
    tenant_user_id: str | None = None,
) -> Any:  # noqa: ANN401 - what the schema describes
    """Return a value that is valid against the schema: a dictionary where it describes an object.

    A schema in Gemini's spelling (`OBJECT`), and an example in the place of a schema, are understood as in ALwrity.
    What is None is left to the server. Raises GenerationFailed, which names the cause, where there is no valid value:
    nothing else is ever returned as one; UnusableToken, ConfigurationError.
    """
    del tenant_user_id
    wanted, told = asked_for(schema)
    messages = _messages(f"{prompt}\n\n{told}" if told else prompt, system_prompt)
    sampling = Sampling(temperature)

    def ask(generator: StructuredGenerator) -> Awaitable[Generation]:
        return generator.generate(messages, wanted, deadline=_DEADLINE, max_tokens=max_tokens, sampling=sampling)

    generator = generator_of(
        model, fallback_models, api_key=api_key, allow_model_variant_fallback=allow_model_variant_fallback
    )
    return _waited_for(ask, generator).value


def generator_of(
    model: str,
    fallback_models: Sequence[str] | None = None,
    *,
    api_key: str | None = None,
    allow_model_variant_fallback: bool = True,
) -> StructuredGenerator:
    """Return what the functions ask: one for all calls with the same token and chain, for a health check as well.

    The chain: `model`, the same at whoever serves it, then `fallback_models`; where there are none, those of the
    measured file that HF_CHAIN_FILE names, of HF_FALLBACK_MODELS, or our own. Raises UnusableToken, ConfigurationError.
    """
    return _made.generator(_router(api_key), _chain(model, fallback_models, variants=allow_model_variant_fallback))


def get_huggingface_api_key(explicit_api_key: str | None = None) -> str:
    """Return the token that is sent: the one given, or HF_TOKEN, else HUGGING_FACE_HUB_TOKEN. Raises UnusableToken."""
    token = _router(explicit_api_key).token
    assert token is not None  # noqa: S101 - refused before
    return token.reveal()


def get_available_models() -> list[str]:
    """Return the deployments that are asked where a caller names none. Raises ConfigurationError for a setting."""
    return list(dict.fromkeys([*_settings_fallbacks(), *HF_FALLBACK_MODELS]))


def validate_model(model: str) -> bool:
    """Say whether a model is among those of `get_available_models`."""
    return model in get_available_models()


def _router(api_key: str | None) -> Router:
    environment = dict(os.environ) if not api_key else {**os.environ, "HF_TOKEN": api_key}
    try:
        return Router.from_environment(environment)
    except ConfigurationError as error:
        raise UnusableToken(error.diagnosis, error.remedy) from None


def _chain(model: str, fallback_models: Sequence[str] | None, *, variants: bool) -> Chain:
    named = [model]
    if variants and model:
        named.append(Deployment.parse(model).model)
    path = os.environ.get(_CHAIN, "").strip()
    if fallback_models or not path:
        fallbacks = fallback_models or [*_settings_fallbacks(), *HF_FALLBACK_MODELS]
        return Chain.unmeasured(*(one for one in (*named, *fallbacks) if one))
    measured = Chain.load(Path(path).expanduser())
    known = {str(link.deployment): link for link in measured.links}
    links = [known.pop(str(link.deployment), link) for link in Chain.unmeasured(*named).links] if model else []
    return Chain((*links, *known.values()), measured.measured_at, measured.base_url)


def _settings_fallbacks() -> list[str]:
    named = [one.strip() for one in os.environ.get(_FALLBACKS, "").split(",") if one.strip()]
    try:
        return [str(Deployment.parse(one)) for one in named]
    except ConfigurationError as error:
        raise ConfigurationError(f"{_FALLBACKS}: {error.diagnosis}", error.remedy) from None


def _messages(prompt: str, system_prompt: str | None) -> list[Message]:
    system: list[Message] = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": prompt}]


def _waited_for(ask: _Ask, generator: StructuredGenerator) -> Generation:
    """Return what a call comes to, awaited on the loop that all calls share."""
    if not _made.warned and _on_event_loop():
        _made.warned = True
        _log.warning(
            "a huggingface_*_response blocks the event loop until the answer: call it in asyncio.to_thread, or await "
            "alwrity_checks.hf.StructuredGenerator"
        )

    async def call() -> Generation:
        return await ask(generator)

    return _made.loop.run(call())


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
