"""What lies in the cache: a model is there when every file of it is, whatever the directory looks like."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alwrity_checks.models.cache import cache_directory, cached_snapshot, is_complete, repository
from tests.support.hub_models import MODEL
from tests.support.hub_models import repository as write

OLD, NEW = "a" * 40, "b" * 40


def snapshot(cache: Path, commit: str, source: Path, *, main: bool = False) -> Path:
    """Put a snapshot into the cache and return it."""
    root = repository(MODEL, cache)
    shutil.copytree(source, root / "snapshots" / commit)
    (root / "refs").mkdir(exist_ok=True)
    if main:
        (root / "refs" / "main").write_text(commit)
    return root / "snapshots" / commit


def test_the_directory_is_where_the_client_looks() -> None:
    """HF_HUB_CACHE, then HF_HOME, then the user's cache: the order of huggingface_hub."""
    every = {"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}
    expected = ["/a", "/b", "/c/hub", "/d/huggingface/hub"]
    for path in expected:
        assert cache_directory(every) == Path(path)
        every.pop(next(iter(every)))
    assert cache_directory({}) == Path("~/.cache/huggingface/hub").expanduser()


def test_main_is_preferred_and_another_is_better_than_none(tmp_path: Path) -> None:
    """The snapshot that `main` names is the answer while it is whole; else a whole one of another commit."""
    source = write(tmp_path / "source", size=1000)
    main, other = snapshot(tmp_path, OLD, source, main=True), snapshot(tmp_path, NEW, source)
    assert cached_snapshot(MODEL, tmp_path) == main
    (main / "model.safetensors").unlink()
    assert cached_snapshot(MODEL, tmp_path) == other
    (other / "config.json").unlink()
    assert cached_snapshot(MODEL, tmp_path) is None


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_each_file_counts(tmp_path: Path, name: str) -> None:
    """Without the configuration, the tokenizer or the weights it is no model; a link that leads nowhere is no file."""
    directory = write(tmp_path / "model", size=1000)
    assert is_complete(directory)
    (directory / name).unlink()
    assert not is_complete(directory)
    (directory / name).symlink_to(tmp_path / "nowhere")
    assert not is_complete(directory)


def test_weights_that_were_cut_are_no_weights(tmp_path: Path) -> None:
    """A safetensors file must be as long as its header says, to the byte; what is no safetensors file is none."""
    directory = write(tmp_path / "model", size=1000)
    weights = directory / "model.safetensors"
    content = weights.read_bytes()
    for broken in (content[:-1], content + b"x", content[:20], b"", b"\xff" * 100, b"\x02" + b"\0" * 7 + b"[]"):
        weights.write_bytes(broken)
        assert not is_complete(directory)
    weights.write_bytes(content)
    assert is_complete(directory)


def test_every_shard_counts(tmp_path: Path) -> None:
    """A shard that is missing or cut makes the model incomplete; so does an index that leads out of the directory."""
    directory = write(tmp_path / "model", size=3000, shards=3)
    assert is_complete(directory)
    shard, index = directory / "model-00002-of-00003.safetensors", directory / "model.safetensors.index.json"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    assert not is_complete(directory)
    shard.write_bytes(content)
    for broken in ('{"weight_map": {"a": "../../etc/passwd"}}', '{"weight_map": []}', "{}", "[]", "no JSON"):
        index.write_text(broken)
        assert not is_complete(directory)


def test_a_directory_is_named_itself(tmp_path: Path) -> None:
    """A path is looked at and not looked up; what is neither a path nor a name is simply not there."""
    directory = write(tmp_path / "model", size=1000)
    assert cached_snapshot(str(directory)) == directory
    assert cached_snapshot(str(tmp_path / "nothing"), tmp_path) is None
    assert cached_snapshot("../../etc", tmp_path) is None


def test_a_converted_directory(tmp_path: Path) -> None:
    """With a genai_config.json the graph takes the place of the weights."""
    (tmp_path / "genai_config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    assert not is_complete(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"x")
    assert is_complete(tmp_path)


def test_a_broken_reference_hides_nothing(tmp_path: Path) -> None:
    """A `refs/main` that leads elsewhere, or is no text, is not followed."""
    found = snapshot(tmp_path, OLD, write(tmp_path / "source", size=1000))
    for content in (b"../../..", b"\xff\xfe", b""):
        (repository(MODEL, tmp_path) / "refs" / "main").write_bytes(content)
        assert cached_snapshot(MODEL, tmp_path) == found
