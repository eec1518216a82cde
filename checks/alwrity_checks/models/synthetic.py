"""Exact-shape checkpoints with random weights: memory and speed are measured without a download.

Neither depends on the values of the weights, only on their shapes and precision. The files have the names, the layout
and, to the byte, the size of the published ones; the values are like those of a model that was never trained.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.models.errors import ModelError, ModelUnavailable
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.synthetic_files import WRITABLE, WeightFile, Weights, dealt, index
from alwrity_checks.models.synthetic_models import SHAPES, SyntheticShape
from alwrity_checks.models.synthetic_tokenizers import write_tokenizer

if TYPE_CHECKING:
    from alwrity_checks.models.steps import Precision

__all__ = ["MARK", "is_synthetic", "write_checkpoint"]

MARK: Final = "synthetic.json"
"""The file that says that a directory is ours, and what was written there."""

_FORMAT: Final = 1
"""Raised when the same request would give other files."""
_SPARE: Final = 64 << 20
"""Bytes that are left free on the disk."""


def write_checkpoint(  # noqa: PLR0913 - what a checkpoint is made of
    directory: Path | str,
    model: str,
    *,
    seed: int = 0,
    precision: Precision | None = None,
    shards: int | None = None,
    layers: int | None = None,
) -> Path:
    """Write a checkpoint of `model`, one of `SHAPES`, into `directory` and return the directory.

    `precision` is that of the weights, as published for None; `shards` the number of files they are dealt out to, as
    published for None; `layers` another number of layers. What is there already from the same request is left as it is.
    Writes beside and renames: the directory holds everything or is not there. Bounded memory, at the speed of the disk.

    Raises ModelError with the reason SETTING_INVALID for an unknown model or an impossible argument, and where the
    directory holds anything else; ModelUnavailable with DISK_FULL before a byte of weights is written, or
    CACHE_READ_ONLY; MissingExtra where numpy is not installed.
    """
    directory = Path(directory)
    shape = _shape(model, layers)
    precision = precision or shape.precision
    if precision not in WRITABLE:
        raise _invalid(f"a checkpoint in {precision} cannot be written", "choose float32, bfloat16 or float16")
    try:
        files = dealt(shape, precision, shards)
    except ValueError as error:
        raise _invalid(str(error), "choose fewer files, and at least one") from None
    request = {
        "format": _FORMAT,
        "model": model,
        "seed": seed,
        "precision": str(precision),
        "shards": len(files),
        "layers": shape.layers,
    }
    if _is_written(directory, request, files):
        return directory
    _check_space(directory, sum(file.size for file in files))
    try:
        _write(directory, request, shape, precision, files)
    except OSError as error:
        raise _disk_error(directory, error) from error
    return directory


def is_synthetic(directory: Path) -> bool:
    """Say whether `directory` was written by `write_checkpoint`."""
    return (directory / MARK).is_file()


def _shape(model: str, layers: int | None) -> SyntheticShape:
    if model not in SHAPES:
        raise _invalid(
            f"no synthetic checkpoint of {model!r:.200} can be written", f"choose one of {', '.join(SHAPES)}"
        )
    if layers is not None and layers < 1:
        raise _invalid(f"a model has at least one layer, not {layers}", "choose 1 or more layers")
    return SHAPES[model].with_layers(layers)


def _invalid(diagnosis: str, remedy: str) -> ModelError:
    return ModelError(Reason.SETTING_INVALID, diagnosis, remedy)


def _is_written(directory: Path, request: dict[str, Any], files: Sequence[WeightFile]) -> bool:
    """Say whether the request was carried out there before. Raises ModelError where anything else is there."""
    if not directory.exists():
        return False
    if directory.is_dir():
        if not any(directory.iterdir()):
            return False
        with contextlib.suppress(OSError, ValueError):
            sizes = [(directory / file.name).stat().st_size for file in files]
            if json.loads((directory / MARK).read_bytes()) == request and sizes == [file.size for file in files]:
                return True
    raise _invalid(f"{directory} holds something else, and nothing is overwritten", "name a new or empty directory")


def _check_space(directory: Path, size: int) -> None:
    parent = next(one for one in (directory, *directory.absolute().parents) if one.is_dir())
    free = shutil.disk_usage(parent).free
    if free < size + _SPARE:
        raise ModelUnavailable(
            Reason.DISK_FULL,
            f"the checkpoint takes {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free where {directory} is",
            "free some space, or name a directory on another disk",
        )


def _disk_error(directory: Path, error: OSError) -> ModelUnavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ModelUnavailable(Reason.DISK_FULL, f"the disk of {directory} is full", "free some space")
    return ModelUnavailable(
        Reason.CACHE_READ_ONLY,
        f"{directory} cannot be written: {error.strerror or error}",
        "name a directory that may be written",
    )


def _write(
    directory: Path,
    request: dict[str, Any],
    shape: SyntheticShape,
    precision: Precision,
    files: Sequence[WeightFile],
) -> None:
    """Write everything beside the directory, then rename."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".part", dir=directory.parent))
    try:
        weights = Weights(request["seed"], precision)
        for one in files:
            with (beside / one.name).open("wb") as file:
                one.write(file, weights)
        if len(files) > 1:
            (beside / "model.safetensors.index.json").write_text(json.dumps(index(files), indent=2), encoding="utf-8")
        _write_texts(beside, shape, precision)
        write_tokenizer(beside, shape, seed=request["seed"])
        (beside / MARK).write_text(json.dumps(request, indent=2), encoding="utf-8")
        beside.chmod(0o777 & ~_umask())
        _move(beside, directory, request, files)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move(beside: Path, directory: Path, request: dict[str, Any], files: Sequence[WeightFile]) -> None:
    """Rename; where another process was faster with the same request, its files are as good."""
    with contextlib.suppress(OSError):
        directory.rmdir()
    try:
        beside.rename(directory)
    except OSError:
        if not _is_written(directory, request, files):
            raise


def _umask() -> int:
    """Return the process's mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_texts(directory: Path, shape: SyntheticShape, precision: Precision) -> None:
    config = shape.config(precision)
    texts: dict[str, Any] = {"config.json": config}
    if shape.model_type == "qwen2":
        texts["generation_config.json"] = {
            "bos_token_id": config["bos_token_id"],
            "do_sample": True,
            "eos_token_id": [config["eos_token_id"], config["bos_token_id"]],
            "pad_token_id": config["bos_token_id"],
            "repetition_penalty": 1.1,
            "temperature": 0.7,
            "top_k": 20,
            "top_p": 0.8,
        }
    elif shape.model_type == "llama":
        texts["generation_config.json"] = {"bos_token_id": 1, "eos_token_id": 2, "max_length": 2048, "pad_token_id": 0}
    else:
        pooling = {"word_embedding_dimension": shape.hidden, "pooling_mode_mean_tokens": True}
        path = "sentence_transformers.models"
        texts |= {
            "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
            "1_Pooling/config.json": pooling,
            "modules.json": [
                {"idx": 0, "name": "0", "path": "", "type": f"{path}.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{path}.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{path}.Normalize"},
            ],
        }
    for name, value in texts.items():
        path_of = directory / name
        path_of.parent.mkdir(exist_ok=True)
        path_of.write_text(json.dumps(value, indent=2), encoding="utf-8")
