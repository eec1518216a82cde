"""Which files of a repository are downloaded, and which never."""

from __future__ import annotations

import pytest

from alwrity_checks.models.errors import ModelUnavailable
from alwrity_checks.models.listing import Listing, RemoteFile
from alwrity_checks.models.needed import is_pickle, needed
from alwrity_checks.models.reasons import Reason

QWEN = (
    "config.json", "generation_config.json", "merges.txt", "model.safetensors", "tokenizer.json",
    "tokenizer_config.json", "vocab.json",
)  # fmt: skip


def chosen(*names: str) -> set[str]:
    """Return the names of what is needed of a repository with these files."""
    files = tuple(RemoteFile(name, 10 + number, f"e{number}", None) for number, name in enumerate(names))
    return {file.name for file in needed(Listing("Owner/model", "a" * 40, files))}


def reason(*names: str) -> Reason:
    """Return why a repository with these files is refused."""
    with pytest.raises(ModelUnavailable) as caught:
        chosen(*names)
    assert caught.value.remedy
    return caught.value.reason


def test_what_transformers_reads_and_nothing_else() -> None:
    """Of Qwen's repository everything but the prose is needed; of a crowded one no other weights and no code."""
    assert chosen(*QWEN, "README.md", "LICENSE", ".gitattributes") == set(QWEN)
    crowd = (
        "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "original/consolidated.00.pth",
        "onnx/model.onnx", "model.fp16.safetensors", "consolidated.safetensors", "adapter_model.safetensors",
        "modeling_evil.py", "model-q4.gguf", "training_args.bin", "tokenizer.pkl", "runs/events", "optimizer.pt",
    )  # fmt: skip
    assert chosen(*QWEN, *crowd) == set(QWEN)


def test_shards_with_their_index() -> None:
    """The shards that the index is of, and the index; one that is missing is FILE_MISSING before a byte."""
    shards = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    index = "model.safetensors.index.json"
    assert chosen("config.json", "tokenizer.json", index, *shards) == {"config.json", "tokenizer.json", index, *shards}
    assert reason("config.json", "tokenizer.json", index, *shards[:2]) is Reason.FILE_MISSING
    assert reason("config.json", "tokenizer.json", index) is Reason.FILE_MISSING


def test_what_sentence_transformers_and_chat_templates_add() -> None:
    """How an embedding is made of vectors, and every form of a chat template, belong to the model."""
    more = (
        "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json",
        "2_Dense/model.safetensors", "chat_template.jinja", "additional_chat_templates/tools.jinja", "vocab.txt",
        "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    )  # fmt: skip
    assert chosen(*QWEN, *more, "2_Dense/pytorch_model.bin") == {*QWEN, *more}


def test_small_files_come_first() -> None:
    """What is wrong with a model's configuration is known before its weights are fetched."""
    files = [RemoteFile("model.safetensors", 5, "a", None), RemoteFile("config.json", 900, "b", None)]
    assert [file.name for file in needed(Listing("m", "a" * 40, tuple(files)))] == ["config.json", "model.safetensors"]


def test_a_directory_for_onnxruntime_genai() -> None:
    """A repository that was converted is taken with its graphs and their data."""
    names = ("genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
    assert chosen(*names, "README.md") == set(names)


def test_why_a_repository_is_refused() -> None:
    """Pickles alone, another runtime's weights alone and no configuration are told apart."""
    assert reason("config.json", "pytorch_model.bin") is Reason.PICKLE_ONLY
    assert reason("config.json", "pytorch_model-00001-of-00002.bin") is Reason.PICKLE_ONLY
    assert reason("config.json", "model-q4.gguf") is Reason.FILE_MISSING
    assert reason("model.safetensors", "tokenizer.json") is Reason.FILE_MISSING
    assert reason() is Reason.FILE_MISSING


@pytest.mark.parametrize("name", ["a.bin", "a.PT", "x/y.pth", "a.ckpt", "a.pkl", "a.npy", "a.joblib"])
def test_pickles_by_name(name: str) -> None:
    """Whatever may be unpickled is known by its ending, in any case of its letters."""
    assert is_pickle(name)
    assert not is_pickle("model.safetensors")
