"""The weight files of a synthetic checkpoint: safetensors as the safetensors library writes them, block by block."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.steps import Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.models.synthetic_models import SyntheticShape, Tensor

__all__ = ["WRITABLE", "WeightFile", "Weights", "dealt", "index"]

_BLOCK: Final = 1_048_583
"""Random values in memory, used again and again: a prime, so that no two rows of a table begin at the same one."""
_DEVIATION: Final = 0.02
WRITABLE: Final = {Precision.FLOAT32: ("F32", 4), Precision.BFLOAT16: ("BF16", 2), Precision.FLOAT16: ("F16", 2)}
"""What safetensors calls a precision, and the bytes of one weight."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a checkpoint."""

    name: str
    tensors: tuple[Tensor, ...]
    precision: Precision

    @property
    def header(self) -> bytes:
        """The length of the JSON header, and the header."""
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for tensor in self.ordered:
            end = offset + _size(tensor, self.precision)
            kind = "I64" if tensor.kind == "position" else WRITABLE[self.precision][0]
            header[tensor.name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, end]}
            offset = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    @property
    def ordered(self) -> list[Tensor]:
        """The tensors in the library's order: the widest numbers first, then by name."""
        return sorted(self.tensors, key=lambda tensor: (tensor.kind != "position", tensor.name))

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        return sum(_size(tensor, self.precision) for tensor in self.tensors)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + self.weights

    def write(self, file: BinaryIO, weights: Weights) -> None:
        """Write the file."""
        file.write(self.header)
        for tensor in self.ordered:
            file.writelines(weights.of(tensor))


def dealt(shape: SyntheticShape, precision: Precision, shards: int | None) -> list[WeightFile]:
    """Deal the tensors out to files: `shards` of about the same size, or as published for None.

    Raises ValueError where there are fewer tensors than files.
    """
    tensors = list(shape.tensors())
    groups = _by_limit(tensors, shape, precision) if shards is None else _by_share(tensors, precision, shards)
    count = len(groups)
    if count == 1:
        return [WeightFile("model.safetensors", tuple(tensors), precision)]
    return [
        WeightFile(f"model-{number:05}-of-{count:05}.safetensors", tuple(group), precision)
        for number, group in enumerate(groups, 1)
    ]


def index(files: Sequence[WeightFile]) -> dict[str, Any]:
    """Return the `model.safetensors.index.json`: which tensor is in which file."""
    places = {tensor.name: file.name for file in files for tensor in file.tensors}
    return {"metadata": {"total_size": sum(file.weights for file in files)}, "weight_map": dict(sorted(places.items()))}


def _by_limit(tensors: Sequence[Tensor], shape: SyntheticShape, precision: Precision) -> list[list[Tensor]]:
    """Begin a file where the next tensor would take it above the limit."""
    groups: list[list[Tensor]] = [[]]
    filled = 0
    for tensor in tensors:
        size = _size(tensor, precision)
        if shape.shard_bytes is not None and groups[-1] and filled + size > shape.shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(tensor)
        filled += size
    return groups


def _by_share(tensors: Sequence[Tensor], precision: Precision, shards: int) -> list[list[Tensor]]:
    """Cut where a file's share is reached; each file has a tensor at least."""
    if not 1 <= shards <= len(tensors):
        raise ValueError(f"{len(tensors)} tensors cannot be dealt out to {shards} files")
    total = sum(_size(tensor, precision) for tensor in tensors)
    groups: list[list[Tensor]] = [[]]
    before = 0
    for number, tensor in enumerate(tensors):
        reached = before >= total * len(groups) / shards
        needed = len(tensors) - number == shards - len(groups)
        if groups[-1] and len(groups) < shards and (reached or needed):
            groups.append([])
        groups[-1].append(tensor)
        before += _size(tensor, precision)
    return groups


def _size(tensor: Tensor, precision: Precision) -> int:
    width = 8 if tensor.kind == "position" else WRITABLE[precision][1]
    return math.prod(tensor.shape) * width


class Weights:
    """The bytes of tensors, block by block."""

    def __init__(self, seed: int, precision: Precision) -> None:
        try:
            import numpy as np
        except ImportError as error:
            raise MissingExtra("models", "a synthetic checkpoint") from error
        self._width = WRITABLE[precision][1]
        normal = np.random.default_rng(seed).standard_normal(_BLOCK, dtype=np.float32) * np.float32(_DEVIATION)
        self._normal = memoryview(_as_bytes(normal, precision))
        self._one = memoryview(_as_bytes(np.ones(_BLOCK, dtype=np.float32), precision))
        self._at = 0

    def of(self, tensor: Tensor) -> Iterator[memoryview]:
        """Yield the bytes of `tensor`; random ones go on where those of the last tensor ended."""
        count = math.prod(tensor.shape)
        if tensor.kind == "position":
            yield memoryview(b"".join(number.to_bytes(8, "little") for number in range(count)))
            return
        if tensor.kind == "one":
            yield self._one[: count * self._width]
            return
        while count:
            some = min(count, _BLOCK - self._at)
            yield self._normal[self._at * self._width : (self._at + some) * self._width]
            self._at = (self._at + some) % _BLOCK
            count -= some


def _as_bytes(values: NDArray[np.float32], precision: Precision) -> bytes:
    """Return little-endian bytes in that precision; bfloat16 is the upper half of a float32, rounded to even."""
    import numpy as np

    if precision is Precision.FLOAT32:
        return values.astype("<f4").tobytes()
    if precision is Precision.FLOAT16:
        return values.astype("<f2").tobytes()
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return rounded.astype("<u2").tobytes()
