"""The hub of a race: two models of random bytes, as large in proportion to each other as the real ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alwrity_checks.startup.legacy import AGENT_MODEL, BOOTSTRAP_MODEL

if TYPE_CHECKING:
    from alwrity_checks.models.loopback_hub import LoopbackHub

__all__ = ["SIZES", "WEIGHTS", "size_of", "weights_of", "write_models"]

WEIGHTS: Final = "model.safetensors"
SIZES: Final = {BOOTSTRAP_MODEL: 4_000_000, AGENT_MODEL: 2_000_000}
"""Bytes of weights: 6.2 and 3.1 GB, divided by about 1,550."""
_SIZE: Final = max(SIZES.values())
_CONFIG: Final = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "vocab_size": 1000,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
"""A shape that fits everywhere: a plan is made of it before anything is fetched."""


def write_models(directory: Path, more: Iterable[str] = ()) -> dict[str, Path]:
    """Write both models, and `more` of the size of the larger one, below `directory`; return where each is."""
    found = {}
    for model in dict.fromkeys((*SIZES, *more)):
        root = directory / model.replace("/", "--")
        root.mkdir(parents=True)
        size = SIZES.get(model, _SIZE)
        tensor = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}
        header = json.dumps({"model.embed_tokens.weight": tensor}).encode()
        filling = random.Random(model).randbytes(size)  # noqa: S311 - a filling, the same in every run
        (root / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + filling)
        (root / "config.json").write_text(json.dumps(_CONFIG))
        (root / "tokenizer.json").write_text("{}")
        found[model] = root
    return found


def size_of(models: Iterable[str]) -> int:
    """Return the bytes of the weights of these models."""
    return sum(SIZES.get(model, _SIZE) for model in models)


def weights_of(hub: LoopbackHub) -> list[str]:
    """Return the models whose weights were asked for, each once, in that order."""
    asked = (request.path for request in hub.requests if request.path.endswith(f"/{WEIGHTS}"))
    return list(dict.fromkeys(path.removeprefix("/").partition("/resolve/")[0] for path in asked))
