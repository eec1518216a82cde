"""What the loopback router serves, and how the router and the Hub tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "CATALOGUE",
    "NOT_CHAT",
    "NOT_ENABLED",
    "Catalogue",
    "listed",
    "partner_mapping",
    "provider_mapping",
    "served",
]

Catalogue = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Model -> provider -> the provider's entry in `GET /v1/models`."""


def served(price: float = 0.1, *, schema: bool | None = True, tools: bool = True, **more: object) -> dict[str, Any]:
    """Return what the catalogue says of a live provider; `price` is in USD per million input tokens."""
    flags = {} if schema is None else {"supports_tools": tools, "supports_structured_output": schema}
    pricing = {"input": price, "output": 2 * price}
    return {"status": "live", "context_length": 131072, "pricing": pricing, **flags, "is_model_author": False, **more}


CATALOGUE: Final[Catalogue] = {
    "openai/gpt-oss-120b": {
        "groq": served(0.15, schema=True, first_token_latency_ms=180, throughput=480.5),
        "cerebras": served(0.35, schema=True, first_token_latency_ms=210, throughput=1720.0),
        "together": served(0.15, schema=True, first_token_latency_ms=520, throughput=160.2),
    },
    "openai/gpt-oss-20b": {"groq": served(0.075, schema=True), "novita": served(0.04, schema=False)},
    "deepseek-ai/DeepSeek-V4-Pro": {
        "novita": served(1.69, schema=False, first_token_latency_ms=1490, throughput=24.69),
        "featherless-ai": {"status": "live", "is_model_author": False},
    },
    "Qwen/Qwen3-32B": {"groq": served(0.29, schema=False), "cerebras": {"status": "error"}},
    "meta-llama/Llama-3.1-8B-Instruct": {"novita": served(0.02, schema=False), "nscale": served(0.06, schema=True)},
    "google/gemma-3-27b-it": {"scaleway": served(0.25, schema=True, tools=False)},
}
"""What is served unless something else is said."""
NOT_CHAT: Final = frozenset({"mistralai/Mistral-7B-Instruct-v0.3"})
"""Models which the router knows, and does not chat with."""
NOT_ENABLED: Final = frozenset({"moonshotai/Kimi-K2-Instruct-0905"})
"""Models that exist, and that no provider serves."""


def listed(model: str, providers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a model's entry in `GET /v1/models`."""
    return {
        "id": model,
        "object": "model",
        "created": 1776837885,
        "owned_by": model.partition("/")[0],
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "providers": [{"provider": name, **fields} for name, fields in providers.items()],
    }


def partner_mapping(catalogue: Catalogue, provider: str, status: str) -> dict[str, Any]:
    """Return the body of `/api/partners/{provider}/models?status={status}`."""
    mapped = {
        model: {"_id": "1", "providerId": model.rpartition("/")[2], "status": status}
        for model, providers in catalogue.items()
        if providers.get(provider, {}).get("status") == status
    }
    return {"conversational": mapped} if mapped else {}


def provider_mapping(model: str, providers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the body of `/api/models/{id}?expand[]=inferenceProviderMapping`."""
    mapping = {
        name: {
            "status": fields.get("status"),
            "providerId": model.rpartition("/")[2],
            "task": "conversational",
            "isModelAuthor": False,
        }
        for name, fields in providers.items()
    }
    return {"_id": "1", "id": model, "inferenceProviderMapping": mapping}
