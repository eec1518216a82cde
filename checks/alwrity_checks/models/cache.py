"""What lies in huggingface_hub's cache, judged by the files and not by the directories.

`snapshot_download(local_files_only=True)` returns a directory without weights when a download was cut short; so what is
called complete here holds a configuration, a tokenizer and every weight file, each of the length that its own header
says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from alwrity_checks.models.hub_settings import hub_home
from alwrity_checks.models.listing import is_model_name
from alwrity_checks.models.needed import CONFIG, GENAI_CONFIG, INDEX, SINGLE

__all__ = ["cache_directory", "cached_snapshot", "is_complete", "repository"]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_LARGEST_INDEX: Final = 64 << 20
_LARGEST_HEADER: Final = 100_000_000
"""safetensors' own limit."""


def cache_directory(environment: Mapping[str, str] | None = None) -> Path:
    """Return huggingface_hub's cache: `HF_HUB_CACHE`, else `HF_HOME/hub`, else the one in the user's cache."""
    known = os.environ if environment is None else environment
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := known.get(name):
            return Path(value).expanduser()
    return hub_home(known) / "hub"


def repository(model: str, cache: Path) -> Path:
    """Return the directory of a hub's model in `cache`."""
    return cache / f"models--{model.replace('/', '--')}"


def cached_snapshot(model: str, cache: Path | None = None) -> Path | None:
    """Return a directory that holds the whole model, None where there is none. Nothing is asked over the network.

    `model` is a name on a hub, or a directory. Of several complete snapshots it is what `main` was last seen to be,
    else the newest.
    """
    if not is_model_name(model) or Path(model).is_dir():
        directory = Path(model).expanduser()
        return directory if is_complete(directory) else None
    root = repository(model, cache_directory() if cache is None else cache)
    return next((found for found in _snapshots(root) if is_complete(found)), None)


def _snapshots(root: Path) -> Iterator[Path]:
    try:
        main = (root / "refs" / "main").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    if _COMMIT.fullmatch(main):
        yield root / "snapshots" / main
    try:
        others = sorted((root / "snapshots").iterdir(), key=lambda one: one.lstat().st_mtime, reverse=True)
    except OSError:
        return
    yield from (one for one in others if one.name != main)


def is_complete(directory: Path) -> bool:
    """Say whether `directory` holds everything that is needed to load a model from it."""
    if not any(_is_file(directory / name) for name in _TOKENIZERS):
        return False
    if _is_file(directory / GENAI_CONFIG):
        return any(directory.glob("*.onnx"))
    if not _is_file(directory / CONFIG):
        return False
    if _is_file(directory / SINGLE):
        return _is_whole(directory / SINGLE)
    shards = _shards(directory / INDEX)
    return bool(shards) and all(_is_whole(directory / name) for name in shards)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _shards(index: Path) -> frozenset[str]:
    """Return the names of the files that hold the weights; none where the index cannot be used."""
    try:
        if index.stat().st_size > _LARGEST_INDEX:
            return frozenset()
        names = json.loads(index.read_bytes())["weight_map"].values()
        return frozenset(name for name in names if Path(name).name == name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()


def _is_whole(path: Path) -> bool:
    """Say whether a safetensors file is as long as its header says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size - 8, _LARGEST_HEADER):
                return False
            header = json.loads(file.read(length))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        return bool(size == 8 + length + max(ends, default=0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return False
