"""Repositories as a hub holds them, small and made by hand: what is in them does not matter, their files do."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

MODEL = "Owner/tiny"
PATIENCE = 30.0
"""Seconds after which something hangs."""

DOWNLOAD = [
    sys.executable,
    "-c",
    """
import sys
from pathlib import Path
from alwrity_checks.models.download import download
from alwrity_checks.models.hub import Hub
print(download(sys.argv[1], hub=Hub(sys.argv[2]), cache=Path(sys.argv[3])))
""",
]
"""A process that downloads: the model, the endpoint and the cache follow."""


def safetensors(size: int, seed: int = 0) -> bytes:
    """Return a safetensors file with one tensor of `size` random bytes."""
    header = json.dumps({"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + random.Random(seed).randbytes(size)  # noqa: S311 - a filling


def repository(directory: Path, *, size: int = 300_000, shards: int = 1, seed: int = 0) -> Path:
    """Write a model's files into `directory`, besides what nobody needs, and return the directory."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"model_type": "qwen2"}')
    (directory / "tokenizer.json").write_text(json.dumps({"seed": seed, "model": {}}))
    (directory / "README.md").write_text("# a model")
    (directory / "onnx").mkdir()
    (directory / "onnx" / "model.onnx").write_bytes(b"another runtime's")
    (directory / "pytorch_model.bin").write_bytes(b"a pickle")
    if shards == 1:
        (directory / "model.safetensors").write_bytes(safetensors(size, seed))
        return directory
    names = [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    for number, name in enumerate(names):
        (directory / name).write_bytes(safetensors(size // shards, seed + number))
    index = {"weight_map": {f"weight{number}": name for number, name in enumerate(names)}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return directory


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until `holds`."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.01)
