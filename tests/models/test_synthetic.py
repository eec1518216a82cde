"""Synthetic checkpoints: the published bytes, files that the real libraries read, and nothing overwritten."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from alwrity_checks.models import synthetic
from alwrity_checks.models.errors import ModelError, ModelUnavailable
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision
from alwrity_checks.models.synthetic import MARK, is_synthetic, write_checkpoint
from alwrity_checks.models.synthetic_files import dealt
from alwrity_checks.models.synthetic_models import SHAPES
from alwrity_checks.models.synthetic_tokenizers import write_tokenizer
from alwrity_checks.models.weights import weights_in

if TYPE_CHECKING:
    from pathlib import Path

_PUBLISHED = {
    "Qwen/Qwen2.5-0.5B-Instruct": [988_097_824],
    "Qwen/Qwen2.5-1.5B-Instruct": [3_087_467_144],
    "Qwen/Qwen2.5-3B-Instruct": [3_968_658_944, 2_203_268_048],
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": [2_200_119_864],
    "sentence-transformers/all-MiniLM-L6-v2": [90_868_376],
}


@pytest.mark.parametrize("model", _PUBLISHED)
def test_the_weights_have_the_published_size(model: str) -> None:
    """Every known model's safetensors files come out to the byte, header and shards included."""
    shape = SHAPES[model]
    assert [file.size for file in dealt(shape, shape.precision, None)] == _PUBLISHED[model]


def test_what_is_announced_is_what_is_written(tmp_path: Path) -> None:
    """The file on the disk has the size that was worked out, in one file or in several."""
    for shards in (1, 3):
        directory = write_checkpoint(tmp_path / str(shards), "tiny", shards=shards)
        announced = dealt(SHAPES["tiny"], Precision.BFLOAT16, shards)
        assert len(announced) == shards
        for file in announced:
            assert (directory / file.name).stat().st_size == file.size
        assert weights_in(directory).total == sum(file.weights for file in announced)


@pytest.mark.parametrize("shards", [1, 2, 5, 26])
def test_shards_hold_every_tensor_once(shards: int) -> None:
    """However many files there are, none is empty and no tensor is lost."""
    files = dealt(SHAPES["tiny"], Precision.BFLOAT16, shards)
    names = [tensor.name for file in files for tensor in file.tensors]
    assert len(files) == shards
    assert all(file.tensors for file in files)
    assert sorted(names) == sorted(tensor.name for tensor in SHAPES["tiny"].tensors())


@pytest.mark.parametrize("model", ["tiny", "tiny-llama"])
def test_transformers_loads_it_and_calculates_numbers(model: str, tmp_path: Path) -> None:
    """No weight is missing or too much, and the logits are like those of an untrained model: finite, and small."""
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    directory = write_checkpoint(tmp_path / "model", model, shards=2)
    loaded, told = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    assert not any(told[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    logits = loaded(input_ids=torch.tensor([[5, 6, 7, 300]])).logits.detach()
    assert torch.isfinite(logits).all()
    assert 0.01 < float(logits.std()) < 2
    assert logits.shape[-1] == SHAPES[model].vocabulary


@pytest.mark.parametrize("model", ["tiny", "tiny-llama"])
def test_text_survives_the_tokenizer(model: str, tmp_path: Path) -> None:
    """Whatever is encoded is decoded to itself, and a conversation goes into the chat template."""
    pytest.importorskip("transformers")
    from alwrity_checks.models.tokenizing import load_tokenizer, tokens_of

    tokenizer = load_tokenizer(write_checkpoint(tmp_path / "model", model))
    text = 'A plan: {"a": [1, 2]}\n  über 日本 🙂\t~'
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert max(tokenizer.get_vocab().values()) < SHAPES[model].vocabulary
    conversation = tokens_of(tokenizer, [{"role": "user", "content": "Hi"}])
    assert "Hi" in tokenizer.decode(conversation)
    assert len(conversation) > len(tokens_of(tokenizer, "Hi", template=False))


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", 7_031_645),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_842_767),
        ("sentence-transformers/all-MiniLM-L6-v2", 466_247),
    ],
)
def test_the_tokenizer_has_about_the_published_size(model: str, published: int, tmp_path: Path) -> None:
    """Its memory follows from its size and its entries: the size is within one percent, the entries are exact."""
    shape = SHAPES[model]
    write_tokenizer(tmp_path, shape, seed=0)
    path = tmp_path / "tokenizer.json"
    assert path.stat().st_size == pytest.approx(published, rel=0.01)
    told = json.loads(path.read_text("utf-8"))
    numbers = {*told["model"]["vocab"].values(), *(one["id"] for one in told["added_tokens"])}
    assert numbers == set(range(shape.tokens))


def test_bfloat16_is_float32_rounded_to_even(tmp_path: Path) -> None:
    """The same seed gives the same weights in both precisions, as torch would convert them."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    exact = load_file(write_checkpoint(tmp_path / "a", "tiny", precision=Precision.FLOAT32) / "model.safetensors")
    short = load_file(write_checkpoint(tmp_path / "b", "tiny") / "model.safetensors")
    assert all(torch.equal(exact[name].bfloat16(), short[name]) for name in exact)


def test_the_seed_decides_the_values_and_nothing_else(tmp_path: Path) -> None:
    """Equal requests give equal files, another seed gives other weights of the same size."""
    one, same, other = (write_checkpoint(tmp_path / str(n), "tiny", seed=n // 2) for n in range(3))
    for file in one.iterdir():
        assert file.read_bytes() == (same / file.name).read_bytes()
    first, third = (path / "model.safetensors" for path in (one, other))
    assert first.stat().st_size == third.stat().st_size
    assert first.read_bytes() != third.read_bytes()


def test_what_is_there_already_is_left(tmp_path: Path) -> None:
    """The same request a second time writes nothing; a damaged checkpoint is not taken for one."""
    directory = write_checkpoint(tmp_path / "model", "tiny")
    before = (directory / "model.safetensors").stat().st_mtime_ns
    assert write_checkpoint(directory, "tiny") == directory
    assert (directory / "model.safetensors").stat().st_mtime_ns == before
    (directory / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="holds something else"):
        write_checkpoint(directory, "tiny")


@pytest.mark.parametrize("there", ["file", "stranger", "other request"])
def test_nothing_is_overwritten(there: str, tmp_path: Path) -> None:
    """A file, a directory of somebody else's, another request's checkpoint: each is refused and untouched."""
    place = tmp_path / "model"
    if there == "file":
        place.write_text("mine")
    elif there == "stranger":
        place.mkdir()
        (place / "thesis.txt").write_text("mine")
    else:
        write_checkpoint(place, "tiny", seed=1)
    with pytest.raises(ModelError, match="holds something else") as refused:
        write_checkpoint(place, "tiny")
    assert refused.value.reason is Reason.SETTING_INVALID
    assert refused.value.remedy
    assert place.is_file() or (place / "thesis.txt").exists() or json.loads((place / MARK).read_text())["seed"] == 1


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    """As a temporary directory is."""
    (tmp_path / "model").mkdir()
    assert is_synthetic(write_checkpoint(tmp_path / "model", "tiny"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "no/such"},
        {"model": "tiny", "precision": Precision.INT4},
        {"model": "tiny", "shards": 0},
        {"model": "tiny", "shards": 27},
        {"model": "tiny", "layers": 0},
    ],
)
def test_an_impossible_request_is_refused(arguments: dict[str, object], tmp_path: Path) -> None:
    """Before anything is written, with what is possible."""
    with pytest.raises(ModelError) as refused:
        write_checkpoint(tmp_path / "model", **arguments)  # type: ignore[arg-type]
    assert refused.value.reason is Reason.SETTING_INVALID
    assert refused.value.remedy
    assert not list(tmp_path.iterdir())


def test_layers_can_be_fewer(tmp_path: Path) -> None:
    """The config says so, and the file is smaller."""
    directory = write_checkpoint(tmp_path / "model", "tiny", layers=1)
    assert json.loads((directory / "config.json").read_text())["num_hidden_layers"] == 1
    assert (directory / "model.safetensors").stat().st_size < 331_520


def test_a_disk_without_room_is_seen_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights' bytes are known, so nobody waits for a disk to be full."""
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(ModelUnavailable, match=r"1\.0 GB") as refused:
        write_checkpoint(tmp_path / "model", "Qwen/Qwen2.5-0.5B-Instruct")
    assert refused.value.reason is Reason.DISK_FULL
    assert not list(tmp_path.iterdir())


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up while it is written: no half checkpoint, no litter beside it."""

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic, "write_tokenizer", full)
    with pytest.raises(ModelUnavailable) as refused:
        write_checkpoint(tmp_path / "model", "tiny")
    assert refused.value.reason is Reason.DISK_FULL
    assert not list(tmp_path.iterdir())


def test_writers_at_the_same_time_agree(tmp_path: Path) -> None:
    """Four threads with one request: each gets the whole checkpoint."""
    errors: list[BaseException] = []

    def write() -> None:
        try:
            assert (write_checkpoint(tmp_path / "model", "tiny") / "model.safetensors").stat().st_size == 331_520
        except BaseException as error:  # noqa: BLE001 - is looked at below
            errors.append(error)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert not errors
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
