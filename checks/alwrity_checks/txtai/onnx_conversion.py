"""A sentence-transformers model as an ONNX graph with int8 weights, made once and kept.

    python -m alwrity_checks.txtai.onnx_conversion MODEL TARGET

The conversion takes seconds, holds the interpreter and twice the model's memory: so it runs in a process of its own.
The weights become int8, channel by channel; what flows between the layers is quantised as it comes, so no sample texts
are needed (onnxruntime's dynamic quantisation).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.telemetry import no_telemetry

if TYPE_CHECKING:
    from alwrity_checks.txtai.model_source import ModelFiles

__all__ = ["converted"]

_OPSET: Final = 17
_VERSION: Final = 1
"""Part of the name of what is kept: another way of converting gives other vectors."""
_PATIENCE: Final = 300.0
"""Seconds for a conversion; MiniLM takes 5 to 15."""
_MODULES: Final = ("Transformer", "Pooling", "Normalize")
_TOLD: Final = 400
"""Characters of what a failed conversion said last."""


def converted(files: ModelFiles, cache: Path | None = None) -> Path:
    """Return the int8 graph of a model, from `cache` (the user's cache directory without it), made now if need be.

    Blocks for seconds where it is made. Raises ConfigurationError for a model that is not of the kind that
    sentence-transformers calls transformer, mean pooling and normalisation, or that cannot be converted; MissingExtra.
    """
    _check_kind(files.directory)
    directory = cache or _cache()
    target = directory / f"{files.fingerprint()}-int8-{_VERSION}.onnx"
    if not target.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        _convert_in_child(files.directory, target)
    return target


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alwrity-doctor" / "onnx"


def _check_kind(directory: Path) -> None:
    try:
        modules = json.loads((directory / "modules.json").read_text("utf-8"))
        kinds = tuple(str(one["type"]).rpartition(".")[2] for one in modules)
        pooling = json.loads((directory / modules[1]["path"] / "config.json").read_text("utf-8"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigurationError(f"{directory} is no sentence-transformers model: {error}") from None
    if kinds not in {_MODULES, _MODULES[:2]} or pooling.get("pooling_mode_mean_tokens") is not True:
        raise ConfigurationError(
            f"{directory} does not take the mean of its tokens' vectors", "use SentenceEncoder for this model"
        )


def _convert_in_child(source: Path, target: Path) -> None:
    no_telemetry()
    try:
        import onnx  # noqa: F401 - the conversion needs it; said here, before a process is started
        import onnxruntime  # type: ignore[import-untyped]  # noqa: F401 - the same
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "an int8 encoder") from error
    command = [sys.executable, "-m", "alwrity_checks.txtai.onnx_conversion", str(source), str(target)]
    try:
        ended = subprocess.run(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{source} was not converted within {_PATIENCE:.0f} s") from None
    if ended.returncode or not target.is_file():
        raise ConfigurationError(
            f"{source} could not be converted: {ended.stderr.strip()[-_TOLD:]}", "use SentenceEncoder for this model"
        )


def _convert(source: Path, target: Path) -> None:
    """Make the graph beside `target`, and give it its name when it is whole."""
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory(dir=target.parent, prefix="tmp-") as draft:
        exact, small = Path(draft, "exact.onnx"), Path(draft, "int8.onnx")
        _export(source, exact)
        quantize_dynamic(exact, small, weight_type=QuantType.QInt8, per_channel=True)
        small.replace(target)


def _export(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    # The attention that is written out in plain operations is the one that every opset can express.
    model: Any = AutoModel.from_pretrained(source, attn_implementation="eager", local_files_only=True).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=True)
    sample = dict(tokenizer(["a sample", "another one"], padding=True, return_tensors="pt"))
    names = list(sample)

    class Tokens(torch.nn.Module):  # type: ignore[misc]  # torch's types are not read here
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.model(**dict(zip(names, values, strict=True))).last_hidden_state
            return hidden

    torch.onnx.export(
        Tokens(),
        tuple(sample.values()),
        target,
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in (*names, "last_hidden_state")},
        opset_version=_OPSET,
        dynamo=False,  # the other exporter needs onnxscript as well
    )


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
