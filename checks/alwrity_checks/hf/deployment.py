"""What a request names: a model, and after its last colon who is to serve it.

https://huggingface.co/docs/inference-providers, "Provider selection": `:fastest`, `:cheapest` and `:preferred` are
policies, anything else is a provider, and a provider switches the router's own failover off. No suffix means
`:fastest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from alwrity_checks.errors import ConfigurationError

__all__ = ["NO_CHAT", "PROVIDERS", "REMOVED_PROVIDERS", "Deployment", "Policy"]

PROVIDERS: Final = frozenset(
    {
        "baseten",
        "cerebras",
        "cohere",
        "deepinfra",
        "fal-ai",
        "featherless-ai",
        "fireworks-ai",
        "groq",
        "hf-inference",
        "novita",
        "nscale",
        "ovhcloud",
        "publicai",
        "replicate",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    }
)
"""Those the router serves (huggingface_hub 2.4, `PROVIDER_T`, without `openai`, which takes no `hf_` token)."""
REMOVED_PROVIDERS: Final = frozenset({"black-forest-labs", "clarifai", "hyperbolic", "nebius", "nvidia", "sambanova"})
"""Removed on 2026-07-01 (huggingface_hub #4447)."""
NO_CHAT: Final = frozenset({"fal-ai", "replicate", "wavespeed"})
"""Providers without a chat model."""


class Policy(StrEnum):
    """A suffix by which the router chooses."""

    FASTEST = "fastest"
    CHEAPEST = "cheapest"
    PREFERRED = "preferred"


_POLICIES: Final = frozenset(Policy)


@dataclass(frozen=True, slots=True, order=True)
class Deployment:
    """A model at a provider, or a model with the router's own choice."""

    model: str
    """`organisation/name`."""
    suffix: str = ""
    """What follows the last colon; empty if nothing does."""

    @classmethod
    def parse(cls, text: str) -> Deployment:
        """Read `model`, `model:policy` or `model:provider`. Raises ConfigurationError where no model is named."""
        name = text.strip()
        model, colon, suffix = name.rpartition(":")
        if not colon:
            model, suffix = name, ""
        # A blank, what would steer a terminal, or bytes that are no text: no request could name it.
        visible = name.isprintable() and " " not in name
        unclear = (colon and not suffix) or "/" in suffix or not visible
        if not model or unclear:
            raise ConfigurationError(
                f"{text!r} names no deployment", "write organisation/model or organisation/model:provider"
            )
        return cls(model, suffix)

    def __str__(self) -> str:
        return f"{self.model}:{self.suffix}" if self.suffix else self.model

    @property
    def policy(self) -> Policy | None:
        """How the router chooses the provider; None where one is pinned."""
        if not self.suffix:
            return Policy.FASTEST
        return Policy(self.suffix) if self.suffix in _POLICIES else None

    @property
    def provider(self) -> str | None:
        """The pinned provider; None where the router chooses."""
        return None if self.policy else self.suffix
