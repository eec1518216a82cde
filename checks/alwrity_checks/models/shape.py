"""A model's shape, read strictly from its `config.json`: what memory and speed follow from.

Source of the fields: the configuration classes of transformers for qwen2, llama, mistral and bert. A number that
cannot be one of a model is refused with the field's name, because every prediction would be made of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision
from alwrity_checks.redaction import scrub

__all__ = ["LARGEST_CONFIG", "Shape", "read_config"]

LARGEST_CONFIG: Final = 1 << 20
"""Bytes: the largest published configurations have some tens of thousands."""

_DECODERS: Final = frozenset({"qwen2", "llama", "mistral"})
_BERT: Final = "bert"

_MOST: Final[Mapping[str, int]] = {
    "hidden_size": 1 << 17,
    "num_hidden_layers": 1 << 10,
    "num_attention_heads": 1 << 11,
    "num_key_value_heads": 1 << 11,
    "head_dim": 1 << 12,
    "intermediate_size": 1 << 19,
    "vocab_size": 1 << 22,
    "max_position_embeddings": 1 << 24,
    "type_vocab_size": 1 << 10,
}
"""Some eight times what the largest published models have: a greater number is a damaged file."""

_SCALINGS: Final = frozenset({"default", "linear", "dynamic", "yarn", "longrope", "llama3"})
_PRECISIONS: Final = {str(one): one for one in Precision if one is not Precision.INT4}


def read_config(text: bytes, what: str = "config.json") -> dict[str, Any]:
    """Return the JSON object in `text`. Raises LoadFailed(CONFIG_UNUSABLE) for anything else; `what` names it."""
    if len(text) > LARGEST_CONFIG:
        _unusable(f"{what} has {len(text):,} bytes: no configuration is larger than {LARGEST_CONFIG:,}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        _unusable(f"{what} is no JSON: {scrub(str(error))[:200]}")
    if not isinstance(found, dict):
        _unusable(f"{what} holds no JSON object")
    return found


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers that a model is made of."""

    model_type: str
    """`qwen2`, `llama`, `mistral` or `bert`."""
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    """Heads of keys and values; a group of query heads shares each."""
    head_dim: int
    intermediate: int
    vocabulary: int
    """Rows of the input embedding."""
    tied: bool
    """The output uses the input embedding's table."""
    context: int
    """The most tokens, prompt and answer together (`max_position_embeddings`)."""
    precision: Precision | None
    """In which the checkpoint says that it is published; None where it does not say."""
    attention_bias: bool = False
    """Of the projections to queries, keys and values; of the output's too, in the llama family."""
    mlp_bias: bool = False
    token_types: int = 0
    """Rows of bert's table of token types."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the shape that a `config.json` describes.

        Raises LoadFailed: ARCHITECTURE_UNSUPPORTED for a model of another kind or a quantised checkpoint,
        CONFIG_UNUSABLE, with the field's name, for a field that is missing or cannot be.
        """
        model_type = config.get("model_type")
        if not isinstance(model_type, str):
            _unusable("the configuration has no model_type" if model_type is None else "model_type is no text")
        if model_type != _BERT and model_type not in _DECODERS:
            known = ", ".join(sorted({*_DECODERS, _BERT}))
            _unsupported(f"models of the type {scrub(model_type)!r:.80} are not known here, only {known}")
        if config.get("quantization_config") is not None:
            _unsupported("the checkpoint is quantised (quantization_config); the runtimes here read float weights")
        _check_positions(config)
        return cls._bert(config) if model_type == _BERT else cls._decoder(model_type, config)

    @classmethod
    def from_genai(cls, config: Mapping[str, Any]) -> Self:
        """Return the shape that a `genai_config.json` of onnxruntime-genai describes.

        It does not tell the inner size, which is taken to be 3.5 times the hidden one, nor whether the tables are one,
        which they are taken not to be. Raises as `from_config`.
        """
        model = config.get("model")
        decoder = model.get("decoder") if isinstance(model, Mapping) else None
        if not isinstance(model, Mapping) or not isinstance(decoder, Mapping):
            _unusable("genai_config.json describes no decoder")
        hidden = decoder.get("hidden_size")
        told = {name: decoder.get(name) for name in ("num_hidden_layers", "num_attention_heads", "num_key_value_heads")}
        return cls.from_config(
            told
            | {
                "model_type": model.get("type"),
                "hidden_size": hidden,
                "head_dim": decoder.get("head_size"),
                "vocab_size": model.get("vocab_size"),
                "max_position_embeddings": model.get("context_length"),
                "intermediate_size": hidden * 7 // 2 if isinstance(hidden, int) else None,
            }
        )

    @classmethod
    def _decoder(cls, model_type: str, config: Mapping[str, Any]) -> Self:
        hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
        kv_heads = _whole(config, "num_key_value_heads", default=heads)
        if heads % kv_heads:
            _unusable(f"num_key_value_heads is {kv_heads}, of which num_attention_heads, {heads}, is no multiple")
        if config.get("head_dim") is None and hidden % heads:
            _unusable(f"head_dim is not given, and hidden_size, {hidden}, is no multiple of {heads} heads")
        return cls(
            model_type=model_type,
            hidden=hidden,
            layers=_whole(config, "num_hidden_layers"),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=_whole(config, "head_dim", default=hidden // heads),
            intermediate=_whole(config, "intermediate_size"),
            vocabulary=_whole(config, "vocab_size"),
            tied=_flag(config, "tie_word_embeddings", default=False),
            context=_whole(config, "max_position_embeddings"),
            precision=_precision(config),
            attention_bias=model_type == "qwen2" or _flag(config, "attention_bias", default=False),
            mlp_bias=_flag(config, "mlp_bias", default=False),
        )

    @classmethod
    def _bert(cls, config: Mapping[str, Any]) -> Self:
        hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
        if hidden % heads:
            _unusable(f"hidden_size is {hidden}, which is no multiple of {heads} heads (num_attention_heads)")
        return cls(
            model_type=_BERT,
            hidden=hidden,
            layers=_whole(config, "num_hidden_layers"),
            heads=heads,
            kv_heads=heads,
            head_dim=hidden // heads,
            intermediate=_whole(config, "intermediate_size"),
            vocabulary=_whole(config, "vocab_size"),
            tied=True,
            context=_whole(config, "max_position_embeddings"),
            precision=_precision(config),
            attention_bias=True,
            mlp_bias=True,
            token_types=_whole(config, "type_vocab_size", default=2),
        )

    @property
    def generates(self) -> bool:
        """Whether the model writes text; bert makes vectors."""
        return self.model_type != _BERT

    @property
    def embedding(self) -> int:
        """Weights of the input embedding's table."""
        return self.vocabulary * self.hidden

    @property
    def head(self) -> int:
        """Weights of an output table of its own; 0 where the embedding is tied, or nothing is written."""
        return 0 if self.tied else self.embedding

    @property
    def matrices(self) -> int:
        """Weights of all matrices of all layers: what a token is multiplied with, the tables apart."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = 2 * self.hidden * wide + 2 * self.hidden * narrow
        return self.layers * (attention + (3 if self.generates else 2) * self.hidden * self.intermediate)

    @property
    def parameters(self) -> int:
        """Weights of the whole model, each table once."""
        return self.embedding + self.head + self.matrices + (self._vectors if self.generates else self._of_bert)

    @property
    def _vectors(self) -> int:
        """Biases and norms of a decoder."""
        wide, narrow = self.heads * self.head_dim, self.kv_heads * self.head_dim
        layer = 2 * self.hidden
        if self.attention_bias:
            layer += wide + 2 * narrow + (0 if self.model_type == "qwen2" else self.hidden)
        if self.mlp_bias:
            layer += 2 * self.intermediate + self.hidden
        return self.layers * layer + self.hidden

    @property
    def _of_bert(self) -> int:
        """What bert has besides: tables of positions and types, biases, norms with biases, the pooler."""
        layer = 4 * self.hidden + self.intermediate + self.hidden + 4 * self.hidden
        pooler = self.hidden * self.hidden + self.hidden
        return self.layers * layer + (self.context + self.token_types + 2) * self.hidden + pooler

    def kv_bytes(self, tokens: int, precision: Precision) -> int:
        """Return the bytes of the keys and values of `tokens` tokens in `precision`; 0 for bert, which keeps none.

        A sliding window (mistral) would end the growth: it is not counted on.
        """
        if not self.generates:
            return 0
        return 2 * self.layers * self.kv_heads * self.head_dim * tokens * precision.bits // 8


def _check_positions(config: Mapping[str, Any]) -> None:
    """Refuse a way of stretching positions that is not known: the context would not be what the config says."""
    for name in ("rope_scaling", "rope_parameters"):
        scaling = config.get(name)
        if scaling is None:
            continue
        if not isinstance(scaling, Mapping):
            _unusable(f"{name} is no object")
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if not isinstance(kind, str) or kind not in _SCALINGS:
            _unusable(f"{name} names a way of scaling that is not known: {_shown(kind)}")
        factor = scaling.get("factor", 1.0)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 1024:  # noqa: PLR2004 - published: 4 to 32
            _unusable(f"{name}.factor is {_shown(factor)}, and has to be between 1 and 1024")


def _whole(config: Mapping[str, Any], name: str, default: int | None = None) -> int:
    found = config.get(name)
    if found is None and default is not None:
        return default
    if found is None:
        _unusable(f"{name} is missing")
    if isinstance(found, bool) or not isinstance(found, int):
        _unusable(f"{name} is no whole number: {_shown(found)}")
    if not 1 <= found <= _MOST[name]:
        _unusable(f"{name} is {_shown(found)}, and has to be between 1 and {_MOST[name]:,}")
    return found


def _flag(config: Mapping[str, Any], name: str, *, default: bool) -> bool:
    found = config.get(name)
    if found is None:
        return default
    if not isinstance(found, bool):
        _unusable(f"{name} is neither true nor false: {_shown(found)}")
    return found


def _precision(config: Mapping[str, Any]) -> Precision | None:
    # transformers 5 writes `dtype`, its predecessors wrote `torch_dtype`.
    name = "dtype" if config.get("dtype") is not None else "torch_dtype"
    found = config.get(name)
    if found is None or found == "auto":
        return None
    if not isinstance(found, str) or found.removeprefix("torch.") not in _PRECISIONS:
        _unusable(f"{name} is none of {', '.join(_PRECISIONS)}: {_shown(found)}")
    return _PRECISIONS[found.removeprefix("torch.")]


def _shown(value: object) -> str:
    """Return what a field holds, short: a number may have thousands of digits, and a list any depth."""
    if isinstance(value, int | float | str) and not (isinstance(value, int) and value.bit_length() > 256):  # noqa: PLR2004 - 78 digits
        return f"{scrub(str(value))!r:.80}" if isinstance(value, str) else str(value)
    return f"a {type(value).__name__}" if not isinstance(value, int) else "a number of more than 77 digits"


def _unusable(what: str) -> NoReturn:
    raise LoadFailed(Reason.CONFIG_UNUSABLE, what, "download the model again, or choose another one")


def _unsupported(what: str) -> NoReturn:
    raise LoadFailed(Reason.ARCHITECTURE_UNSUPPORTED, what, "choose another model: alwrity-doctor models list")
