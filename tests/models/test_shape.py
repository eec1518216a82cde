"""A model's shape is read strictly from its config.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.shape import Shape, read_config
from alwrity_checks.models.steps import Precision

QWEN: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 32768,
    "torch_dtype": "bfloat16",
}
LLAMA: dict[str, Any] = QWEN | {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "intermediate_size": 5632,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "max_position_embeddings": 2048,
}
BERT: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
}


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(QWEN, 494_032_768), (LLAMA, 1_100_048_384), (BERT, 22_713_216)],
    ids=["0.5B", "1.1B", "MiniLM"],
)
def test_parameters_are_the_published_ones(config: dict[str, Any], parameters: int) -> None:
    """The count that follows from the shape is the one of the published checkpoints, to the last weight."""
    assert Shape.from_config(config).parameters == parameters


def test_keys_and_values_follow_from_the_shape() -> None:
    """2 x layers x heads x head_dim x tokens x bytes; bert keeps none."""
    assert Shape.from_config(QWEN).kv_bytes(1000, Precision.BFLOAT16) == 2 * 24 * 2 * 64 * 1000 * 2
    assert Shape.from_config(BERT).kv_bytes(1000, Precision.FLOAT32) == 0


def test_defaults_are_those_of_transformers() -> None:
    """Without num_key_value_heads every head has its own; head_dim is the hidden size shared among the heads."""
    config = {key: value for key, value in LLAMA.items() if key not in {"num_key_value_heads", "tie_word_embeddings"}}
    shape = Shape.from_config(config)
    assert (shape.kv_heads, shape.head_dim, shape.tied) == (32, 64, False)
    assert Shape.from_config(LLAMA | {"head_dim": 128}).head_dim == 128


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        ({"dtype": "float32"}, Precision.FLOAT32),
        ({"dtype": "torch.float16"}, Precision.FLOAT16),
        ({"dtype": None, "torch_dtype": None}, None),
    ],
)
def test_both_names_of_the_precision_are_read(dtype: dict[str, Any], precision: Precision | None) -> None:
    """Release 5 of transformers writes dtype, its predecessors torch_dtype; one that is not said is None."""
    assert Shape.from_config(QWEN | dtype).precision is precision


@pytest.mark.parametrize(
    "name", ["hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size", "max_position_embeddings"]
)
@pytest.mark.parametrize("value", [-1, 0, 1e30, 896.0, "896", True, [896], {}, 10**40, 1 << 40], ids=str)
def test_a_hostile_number_is_refused_by_its_name(name: str, value: object) -> None:
    """Whatever is no possible number is refused, and the field is named."""
    with pytest.raises(LoadFailed, match=name) as refused:
        Shape.from_config(QWEN | {name: value})
    assert refused.value.reason is Reason.CONFIG_UNUSABLE


@pytest.mark.parametrize("name", sorted(set(QWEN) - {"torch_dtype", "tie_word_embeddings", "num_key_value_heads"}))
def test_a_missing_field_is_refused_by_its_name(name: str) -> None:
    """What a prediction needs is never guessed."""
    with pytest.raises(LoadFailed, match=name):
        Shape.from_config({key: value for key, value in QWEN.items() if key != name})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"num_attention_heads": 13, "num_key_value_heads": 13}, "head_dim"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"torch_dtype": "int3"}, "torch_dtype"),
        ({"rope_scaling": "linear"}, "rope_scaling"),
        ({"rope_scaling": {"type": "magic"}}, "rope_scaling"),
        ({"rope_scaling": {"type": [[[]]]}}, "rope_scaling"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 10**5000}}, "rope_parameters.factor"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": float("nan")}}, "rope_parameters.factor"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], told: str) -> None:
    """Heads that cannot share, flags that are none, and scalings that nobody knows name their field."""
    with pytest.raises(LoadFailed, match=told) as refused:
        Shape.from_config(QWEN | changes)
    assert refused.value.reason is Reason.CONFIG_UNUSABLE


@pytest.mark.parametrize("changes", [{"model_type": "mamba"}, {"quantization_config": {"quant_method": "gptq"}}])
def test_another_kind_of_model_is_unsupported(changes: dict[str, Any]) -> None:
    """An architecture that is not known, and a quantised checkpoint, are told apart from a damaged file."""
    with pytest.raises(LoadFailed) as refused:
        Shape.from_config(QWEN | changes)
    assert refused.value.reason is Reason.ARCHITECTURE_UNSUPPORTED


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"\xff\xfe", b"{" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b" " * (2 << 20)],
    ids=["empty", "list", "binary", "open", "deep", "digits", "large"],
)
def test_what_is_no_configuration_is_refused(text: bytes) -> None:
    """Garbage, deep nesting, endless digits and large files end in one error of ours."""
    with pytest.raises(LoadFailed) as refused:
        read_config(text)
    assert refused.value.reason is Reason.CONFIG_UNUSABLE


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from([*QWEN, "head_dim", "rope_scaling", "dtype"]), _VALUES, max_size=4))
def test_nothing_foreign_is_raised(changes: dict[str, Any]) -> None:
    """Whatever a field holds, the answer is a shape of positive numbers or LoadFailed."""
    try:
        shape = Shape.from_config(json.loads(json.dumps(QWEN | changes)))
    except LoadFailed:
        return
    assert min(shape.hidden, shape.layers, shape.heads, shape.kv_heads, shape.head_dim, shape.parameters) > 0
