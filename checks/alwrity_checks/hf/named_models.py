"""Which models a backend will ask for: those its settings name, else those its code names.

The code is AJaySi/ALwrity's at ce9bf293 (2026-06-13), `backend/services/llm_providers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.model import Location
    from alwrity_checks.settings import Settings

__all__ = ["BACKEND_MODELS", "MODEL_NAMES", "NamedModel", "models_named"]

_BACKENDS_NAME: Final = "TEXTGEN_AI_MODELS"
MODEL_NAMES: Final = ("HF_FALLBACK_MODELS", _BACKENDS_NAME)
"""Settings that hold a list, separated by commas: the first is ours, the second the backend's."""
BACKEND_MODELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai/gpt-oss-120b:groq": "huggingface_provider.py:296",
        "openai/gpt-oss-120b:cerebras": "huggingface_provider.py:94",
        "moonshotai/Kimi-K2-Instruct-0905:cerebras": "huggingface_provider.py:95",
        "meta-llama/Llama-3.1-8B-Instruct:cerebras": "huggingface_provider.py:96",
        "mistralai/Mistral-7B-Instruct-v0.3:cerebras": "huggingface_provider.py:97",
    }
)
"""Deployment -> where it stands. The first is the default for structured JSON, the others are the chain."""

_PROVIDER_NAME: Final = "GPT_PROVIDER"
_HUGGING_FACE: Final = frozenset({"hf_response_api", "huggingface", "hf"})
"""Values of `GPT_PROVIDER` that mean the router."""
_SHORT_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gpt-oss": "openai/gpt-oss-120b:cerebras",
        "gpt-oss-120b": "openai/gpt-oss-120b:cerebras",
        "gpt-oss-20b": "openai/gpt-oss-20b:cerebras",
        "mistral": "mistralai/Mistral-7B-Instruct-v0.3:cerebras",
        "mistral-7b": "mistralai/Mistral-7B-Instruct-v0.3:cerebras",
        "llama": "meta-llama/Llama-3.1-8B-Instruct:cerebras",
        "llama-8b": "meta-llama/Llama-3.1-8B-Instruct:cerebras",
        "llama-70b": "meta-llama/Llama-3.1-70B-Instruct:cerebras",
    }
)
"""What the backend understands in `TEXTGEN_AI_MODELS` besides full ids (main_text_generation.py:21)."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A deployment that the backend will ask for."""

    deployment: str
    """As it is sent; it need not be a well-formed one."""
    where: Location | str
    """The setting's place, or the line of the backend's code."""


def models_named(settings: Settings, code: Sequence[NamedModel] = ()) -> tuple[NamedModel, ...]:
    """Return the deployments that the settings name, each once; if they name none, those of the backend's code.

    `code` is what a checkout's code names; without one, what is known of the public repository's.
    """
    found: dict[str, NamedModel] = {}
    for one in _of_settings(settings):
        found.setdefault(one.deployment, one)
    if found:
        return tuple(found.values())
    return tuple(code) or tuple(NamedModel(deployment, where) for deployment, where in BACKEND_MODELS.items())


def _of_settings(settings: Settings) -> Iterator[NamedModel]:
    provider = settings.text(_PROVIDER_NAME).partition(",")[0].strip().lower()
    for setting in settings.every(*MODEL_NAMES):
        is_backends = setting.name == _BACKENDS_NAME
        if is_backends and provider and provider not in _HUGGING_FACE:
            continue  # meant for another vendor
        for entry in setting.value.reveal().split(","):
            if name := entry.strip():
                yield NamedModel(_SHORT_NAMES.get(name, name) if is_backends else name, setting.location)
