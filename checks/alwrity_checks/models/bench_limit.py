"""How fast a model could write at best: each token reads the weights from memory once, and memory has a bandwidth.

python -m alwrity_checks.models.bench_limit '{}'     measures the bandwidth, in a process of its own
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.bench_carrier import Carrier
from alwrity_checks.models.children import answer_of
from alwrity_checks.models.shape import Shape, read_config
from alwrity_checks.models.weights import weights_in

if TYPE_CHECKING:
    from alwrity_checks.models.steps import Precision

__all__ = ["bandwidth", "read_per_token"]

_SECONDS: Final = 1.0
_PATIENCE: Final = 60.0
_LOOK_UPS: Final = frozenset({"Gather", "GatherBlockQuantized"})
"""Operators that read rows of a table, not the table."""


def bandwidth() -> float | None:
    """Return the bytes a second that all threads together read from memory, measured now; None where that failed."""
    try:
        told = answer_of("alwrity_checks.models.bench_limit", {}, timeout=_PATIENCE)["bandwidth"]
    except (DoctorError, OSError, KeyError):
        return None
    return float(told) if isinstance(told, int | float) and told > 0 else None


def read_per_token(carrier: Carrier, precision: Precision, directory: Path) -> int | None:
    """Return the bytes of weights that the pass of one token reads; None where the files do not tell.

    `directory` is what the runtime loads. An embedding that is not tied is left out: a token reads one row of it. A
    tied one is counted, because it is read whole as the last layer.
    """
    try:
        if carrier is Carrier.ONNX:
            return _of_graph(directory)
        weights = weights_in(directory)
        shape = Shape.from_config(read_config((directory / "config.json").read_bytes()))
    except (DoctorError, OSError, ImportError, ValueError, KeyError, TypeError):
        return None
    kept = weights.precision if carrier is Carrier.TXTAI else precision
    if kept is None:
        return None
    return weights.in_precision(kept) - (0 if shape.tied else shape.embedding * kept.bits // 8)


def _of_graph(directory: Path) -> int | None:
    """Add up the initializers of a graph that something other than a look-up uses."""
    import onnx

    name = json.loads((directory / "genai_config.json").read_bytes())["model"]["decoder"]["filename"]
    graph = onnx.load(str(directory / name), load_external_data=False).graph
    read = {one for node in graph.node if node.op_type not in _LOOK_UPS for one in node.input}
    total = sum(_size(one) for one in graph.initializer if one.name in read)
    return total or None


def _size(tensor: Any) -> int:  # noqa: ANN401 - onnx is not typed
    external: Mapping[str, str] = {one.key: one.value for one in tensor.external_data}
    return int(external["length"]) if "length" in external else len(tensor.raw_data)


def _main() -> None:
    from alwrity_checks.models.machine_probe import read_bandwidth

    sys.stdout.write(json.dumps({"bandwidth": read_bandwidth(_SECONDS)}) + "\n")


if __name__ == "__main__":
    _main()
