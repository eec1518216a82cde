"""A synthetic Qwen2 checkpoint as GGUF, for llama.cpp: the converter of its repository in a page, for one architecture.

`gguf` is no dependency: it is imported from MODELS_PEERS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["write_gguf"]

_NAMES: Final = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(source: Path, target: Path, kind: str) -> Path:
    """Write the checkpoint in `source` as `kind` (`Q8_0`, `Q4_0`); norms stay float32, a tied embedding Q8_0."""
    import gguf  # type: ignore[import-not-found] # from MODELS_PEERS

    if target.exists():
        return target
    config = json.loads((source / "config.json").read_bytes())
    beside = target.with_suffix(".part")
    writer = gguf.GGUFWriter(str(beside), "qwen2", use_temp_file=False)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    _add_tokens(writer, gguf, source, config["vocab_size"])
    quantised = getattr(gguf.GGMLQuantizationType, kind)
    for name, values in _tensors(source):
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        how = gguf.GGMLQuantizationType.Q8_0 if name == "token_embd.weight" else quantised
        writer.add_tensor(name, gguf.quants.quantize(values, how), raw_dtype=how)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return beside.replace(target)


def _add_tokens(writer: Any, gguf: Any, source: Path, rows: int) -> None:  # noqa: ANN401 - gguf is not typed
    told = json.loads((source / "tokenizer.json").read_bytes())
    words = {number: word for word, number in told["model"]["vocab"].items()}
    added = {one["id"]: one["content"] for one in told["added_tokens"]}
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([words.get(n, added.get(n, f"[PAD{n}]")) for n in range(rows)])
    writer.add_token_types(
        [kinds.NORMAL if n in words else kinds.CONTROL if n in added else kinds.UNUSED for n in range(rows)]
    )
    merges = told["model"]["merges"]
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    writer.add_eos_token_id(next(n for n, word in added.items() if word == "<|im_end|>"))


def _tensors(source: Path) -> Iterator[tuple[str, Any]]:
    """Yield the tensors with llama.cpp's names, in float32."""
    import torch
    from safetensors import safe_open

    with safe_open(source / "model.safetensors", framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 - no mapping
            yield _renamed(name), file.get_tensor(name).to(torch.float32).numpy()


def _renamed(name: str) -> str:
    stem, _, end = name.rpartition(".")
    if layer := re.fullmatch(r"model\.layers\.(\d+)\.(.+)", stem):
        return f"blk.{layer[1]}.{_NAMES[layer[2]]}.{end}"
    return f"{_NAMES[stem]}.{end}"
