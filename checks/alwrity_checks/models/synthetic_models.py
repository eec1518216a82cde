"""The shapes that a synthetic checkpoint can have: the known models as published, and tiny ones for tests.

Source: the models' published `config.json`; the byte counts of the files that come of it are the published ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from alwrity_checks.models.steps import Precision

__all__ = ["SHAPES", "SyntheticShape", "Tensor"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a checkpoint."""

    name: str
    shape: tuple[int, ...]
    kind: str = "weight"
    """What its values are like: `weight` (normal, mean 0, deviation 0.02, as transformers initialises), `one` (of a
    norm), `position` (0, 1, 2, … as int64)."""


@dataclass(frozen=True, slots=True)
class SyntheticShape:
    """What is needed to write a checkpoint of a model."""

    model_type: str
    """`qwen2`, `llama` or `bert`."""
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    """Rows of the embedding."""
    tokens: int
    """Entries of the tokenizer, not more than the rows of the embedding."""
    merges: int
    """Merges of the tokenizer; with `token_length` they give `tokenizer.json` its published size."""
    token_length: float
    """Mean length of a token of the tokenizer, in characters."""
    tied: bool = True
    context: int = 32768
    precision: Precision = Precision.BFLOAT16
    """As published."""
    shard_bytes: int | None = None
    """The most bytes of weights in one file as published; None for one file."""

    @property
    def head_dim(self) -> int:
        """Columns of one head."""
        return self.hidden // self.heads

    def with_layers(self, layers: int | None) -> SyntheticShape:
        """Return the shape with that many layers; unchanged for None."""
        return self if layers is None else replace(self, layers=layers)

    def config(self, precision: Precision) -> dict[str, Any]:
        """Return the `config.json`."""
        return _CONFIGS[self.model_type](self, str(precision))

    def tensors(self) -> Iterator[Tensor]:
        """Yield the tensors in the order in which they are dealt out to files."""
        yield from _bert(self) if self.model_type == "bert" else _decoder(self)


def _decoder(shape: SyntheticShape) -> Iterator[Tensor]:
    hidden, inner = shape.hidden, shape.intermediate
    wide, narrow = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield Tensor("model.embed_tokens.weight", (shape.vocabulary, hidden))
    for number in range(shape.layers):
        layer = f"model.layers.{number}."
        yield Tensor(layer + "input_layernorm.weight", (hidden,), "one")
        yield Tensor(layer + "post_attention_layernorm.weight", (hidden,), "one")
        for name, rows in (("q", wide), ("k", narrow), ("v", narrow)):
            yield Tensor(f"{layer}self_attn.{name}_proj.weight", (rows, hidden))
            if shape.model_type == "qwen2":
                yield Tensor(f"{layer}self_attn.{name}_proj.bias", (rows,))
        yield Tensor(layer + "self_attn.o_proj.weight", (hidden, wide))
        yield Tensor(layer + "mlp.gate_proj.weight", (inner, hidden))
        yield Tensor(layer + "mlp.up_proj.weight", (inner, hidden))
        yield Tensor(layer + "mlp.down_proj.weight", (hidden, inner))
    yield Tensor("model.norm.weight", (hidden,), "one")
    if not shape.tied:
        yield Tensor("lm_head.weight", (shape.vocabulary, hidden))


def _bert(shape: SyntheticShape) -> Iterator[Tensor]:
    hidden, inner = shape.hidden, shape.intermediate

    def linear(name: str, rows: int, columns: int) -> Iterator[Tensor]:
        yield Tensor(name + ".weight", (rows, columns))
        yield Tensor(name + ".bias", (rows,))

    def norm(name: str) -> Iterator[Tensor]:
        yield Tensor(name + ".weight", (hidden,), "one")
        yield Tensor(name + ".bias", (hidden,))

    yield Tensor("embeddings.position_ids", (1, shape.context), "position")
    yield Tensor("embeddings.word_embeddings.weight", (shape.vocabulary, hidden))
    yield Tensor("embeddings.position_embeddings.weight", (shape.context, hidden))
    yield Tensor("embeddings.token_type_embeddings.weight", (2, hidden))
    yield from norm("embeddings.LayerNorm")
    yield from linear("pooler.dense", hidden, hidden)
    for number in range(shape.layers):
        layer = f"encoder.layer.{number}."
        for name in ("query", "key", "value"):
            yield from linear(f"{layer}attention.self.{name}", hidden, hidden)
        yield from linear(layer + "attention.output.dense", hidden, hidden)
        yield from norm(layer + "attention.output.LayerNorm")
        yield from linear(layer + "intermediate.dense", inner, hidden)
        yield from linear(layer + "output.dense", hidden, inner)
        yield from norm(layer + "output.LayerNorm")


def _qwen2_config(shape: SyntheticShape, precision: str) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": shape.tokens - 22,
        "eos_token_id": shape.tokens - 20,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": shape.context,
        "max_window_layers": min(21, shape.layers),
        "model_type": "qwen2",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": shape.context,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": precision,
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": shape.vocabulary,
    }


def _llama_config(shape: SyntheticShape, precision: str) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": shape.context,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": precision,
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


def _bert_config(shape: SyntheticShape, precision: str) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": shape.context,
        "model_type": "bert",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "torch_dtype": precision,
        "type_vocab_size": 2,
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


_CONFIGS: Final = {"qwen2": _qwen2_config, "llama": _llama_config, "bert": _bert_config}

_QWEN: Final = SyntheticShape(
    model_type="qwen2",
    hidden=896,
    layers=24,
    heads=14,
    kv_heads=2,
    intermediate=4864,
    vocabulary=151936,
    tokens=151665,
    merges=151387,
    token_length=8.7,
)
_TINYLLAMA: Final = SyntheticShape(
    model_type="llama",
    hidden=2048,
    layers=22,
    heads=32,
    kv_heads=4,
    intermediate=5632,
    vocabulary=32000,
    tokens=32000,
    merges=61249,
    token_length=11.5,
    tied=False,
    context=2048,
)

SHAPES: Final[Mapping[str, SyntheticShape]] = {
    "Qwen/Qwen2.5-0.5B-Instruct": _QWEN,
    "Qwen/Qwen2.5-1.5B-Instruct": replace(_QWEN, hidden=1536, layers=28, heads=12, intermediate=8960),
    "Qwen/Qwen2.5-3B-Instruct": replace(
        _QWEN, hidden=2048, layers=36, heads=16, intermediate=11008, shard_bytes=4_000_000_000
    ),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": _TINYLLAMA,
    "sentence-transformers/all-MiniLM-L6-v2": SyntheticShape(
        model_type="bert",
        hidden=384,
        layers=6,
        heads=12,
        kv_heads=12,
        intermediate=1536,
        vocabulary=30522,
        tokens=30522,
        merges=0,
        token_length=6.0,
        context=512,
        precision=Precision.FLOAT32,
    ),
    "tiny": replace(
        _QWEN,
        hidden=64,
        layers=2,
        heads=4,
        intermediate=192,
        vocabulary=1024,
        tokens=1000,
        merges=722,
        token_length=4.0,
        context=2048,
    ),
    "tiny-llama": replace(
        _TINYLLAMA,
        hidden=64,
        layers=2,
        heads=4,
        kv_heads=2,
        intermediate=192,
        vocabulary=1024,
        tokens=1024,
        merges=1000,
        token_length=4.0,
    ),
}
"""By name: the known models, `tiny` (Qwen2, 0.4 MB of weights) and `tiny-llama`."""
