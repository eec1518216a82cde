"""The weights of a checkpoint, known from the headers of its safetensors files alone.

The first 8 bytes are the length of a JSON header (little-endian), which gives each tensor's dtype, shape and place.
Source: the format's description, https://huggingface.co/docs/safetensors. Two reads of some kilobytes tell everything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.needed import INDEX, SINGLE
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision
from alwrity_checks.redaction import scrub

__all__ = ["LARGEST_HEADER", "Read", "Weights", "read_weights", "shards_of", "weights_in"]

LARGEST_HEADER: Final = 16 << 20
"""Bytes. The format allows 100 MB; a header of some hundred thousand tensors has less than this."""
_LARGEST_INDEX: Final = 16 << 20
_PREFIX: Final = 8
_MOST_DIMENSIONS: Final = 16

Read: TypeAlias = Callable[[str, int, int], bytes]
"""Returns the bytes `start` to `end` (exclusive) of the file of a name; fewer where the file ends before."""

_FLOATS: Final = {"F32": Precision.FLOAT32, "BF16": Precision.BFLOAT16, "F16": Precision.FLOAT16}
_BITS: Final = {
    64: ("F64", "I64", "U64", "C64"),
    32: ("F32", "I32", "U32"),
    16: ("F16", "BF16", "I16", "U16"),
    8: ("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"),
    6: ("F6_E2M3", "F6_E3M2"),
    4: ("F4",),
}
"""The format's dtypes by the bits of one element."""
_BITS_OF: Final = {dtype: bits for bits, dtypes in _BITS.items() for dtype in dtypes}


@dataclass(frozen=True, slots=True)
class Weights:
    """What the weights of a checkpoint take."""

    bytes: Mapping[Precision, int]
    """Bytes of the tensors in each precision."""
    other: int
    """Bytes of tensors that are no floating-point weights, such as bert's positions."""
    tensors: int
    file_bytes: int
    """Bytes of all files, headers included."""
    files: int = 1
    exact: bool = True
    """False: told by the sizes of the files alone, because the headers were more than may be read."""

    @property
    def total(self) -> int:
        """Bytes of all tensors as they lie in the files."""
        return sum(self.bytes.values()) + self.other

    @property
    def precision(self) -> Precision | None:
        """The precision of most of the bytes; None where there are no floating-point weights."""
        return max(self.bytes, key=lambda one: self.bytes[one], default=None)

    @property
    def parameters(self) -> int:
        """Floating-point weights of the files."""
        return sum(count * 8 // precision.bits for precision, count in self.bytes.items())

    def in_precision(self, precision: Precision) -> int:
        """Return the bytes of all tensors in memory if every floating-point weight is kept in `precision`."""
        return self.parameters * precision.bits // 8 + self.other


@dataclass(slots=True)
class _Sum:
    bytes: dict[Precision, int] = field(default_factory=dict)
    other: int = 0
    tensors: int = 0


def shards_of(index: bytes, what: str = INDEX) -> tuple[str, ...]:
    """Return the names of the files that an index deals the tensors out to. Raises LoadFailed(FILE_CORRUPT)."""
    if len(index) > _LARGEST_INDEX:
        _corrupt(what, f"it has more than {_LARGEST_INDEX:,} bytes")
    try:
        found = json.loads(index)
    except (ValueError, RecursionError):
        _corrupt(what, "it is no JSON")
    places = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(places, dict) or not places:
        _corrupt(what, "it has no weight_map")
    names = set()
    for name in places.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            _corrupt(what, f"its weight_map names a file that cannot be: {scrub(str(name))!r:.80}")
        names.add(name)
    return tuple(sorted(names))


def read_weights(sizes: Mapping[str, int], read: Read) -> Weights:
    """Return the weights in safetensors files; `sizes` gives each file's bytes by its name.

    Two reads a file, of its headers only. Raises LoadFailed: FILE_TRUNCATED for a file that is shorter than its header
    says, FILE_CORRUPT for one that is no safetensors file or longer; and whatever `read` raises.
    """
    total = _Sum()
    for name, size in sizes.items():
        _add(total, _header(name, size, read), name)
    return Weights(total.bytes, total.other, total.tensors, sum(sizes.values()), len(sizes))


def weights_in(directory: Path) -> Weights:
    """Return the weights of the checkpoint in `directory`: one file, or the files of its index.

    Raises LoadFailed: FILE_MISSING where a file is not there, FILE_TRUNCATED, FILE_CORRUPT.
    """
    names: Iterable[str] = (SINGLE,)
    if not (directory / SINGLE).is_file() and (directory / INDEX).is_file():
        names = shards_of(_part(directory, INDEX, 0, _LARGEST_INDEX + 1), str(directory / INDEX))
    sizes = {}
    for name in names:
        try:
            sizes[name] = (directory / name).stat().st_size
        except OSError:
            raise LoadFailed(
                Reason.FILE_MISSING, f"{directory / name} is missing", "download the model again"
            ) from None
    return read_weights(sizes, lambda name, start, end: _part(directory, name, start, end))


def _part(directory: Path, name: str, start: int, end: int) -> bytes:
    try:
        with (directory / name).open("rb") as file:
            file.seek(start)
            return file.read(end - start)
    except OSError as error:
        raise LoadFailed(
            Reason.LOAD_FAILED, f"{directory / name} cannot be read: {error.strerror}", "see who may read it"
        ) from error


def _header(name: str, size: int, read: Read) -> Mapping[str, Any]:
    """Return a file's header, seen to describe the whole file and nothing beyond it."""
    if size < _PREFIX:
        _truncated(name, size, _PREFIX)
    first = read(name, 0, _PREFIX)
    if len(first) < _PREFIX:
        _truncated(name, len(first), _PREFIX)
    length = int.from_bytes(first, "little")
    if not 2 <= length <= LARGEST_HEADER:  # noqa: PLR2004 - "{}"
        _corrupt(name, f"its first bytes give a header of {length:,} bytes")
    if size < _PREFIX + length:
        _truncated(name, size, _PREFIX + length)
    text = read(name, _PREFIX, _PREFIX + length)
    if len(text) < length:
        _truncated(name, _PREFIX + len(text), _PREFIX + length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        _corrupt(name, "its header is no JSON")
    if not isinstance(header, dict):
        _corrupt(name, "its header is no JSON object")
    header.pop("__metadata__", None)
    _check_places(name, header, size - _PREFIX - length)
    return header


def _check_places(name: str, header: Mapping[str, Any], room: int) -> None:
    """See that the tensors lie one after the other and fill the file: the library refuses anything else too."""
    places = sorted(_place(name, tensor, entry) for tensor, entry in header.items())
    at = 0
    for start, end in places:
        if start != at:
            _corrupt(name, "its tensors overlap or leave gaps")
        at = end
    if at > room:
        _truncated(name, room, at, "of weights")
    if at < room:
        _corrupt(name, f"it is {room - at:,} bytes longer than its header says")


def _place(name: str, tensor: str, entry: object) -> tuple[int, int]:
    told = f"its tensor {scrub(tensor)!r:.80}"
    if not isinstance(entry, dict):
        _corrupt(name, f"{told} has no description")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS_OF:
        _corrupt(name, f"{told} has no dtype that is known")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(_is_count(one) for one in shape):
        _corrupt(name, f"{told} has no shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(one) for one in offsets):  # noqa: PLR2004 - from and to
        _corrupt(name, f"{told} has no place")
    start, end = offsets
    # Both sides times eight: a dtype may have fewer bits than a byte.
    if math.prod(shape) * _BITS_OF[dtype] != (end - start) * 8:
        _corrupt(name, f"{told} has another size than its shape")
    return start, end


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 50


def _add(total: _Sum, header: Mapping[str, Any], name: str) -> None:
    for entry in header.values():
        start, end = entry["data_offsets"]
        precision = _FLOATS.get(entry["dtype"])
        if precision is None:
            total.other += end - start
        else:
            total.bytes[precision] = total.bytes.get(precision, 0) + end - start
    total.tensors += len(header)
    if not header:
        _corrupt(name, "it holds no tensors")


def _truncated(name: str, size: int, expected: int, what: str = "") -> NoReturn:
    raise LoadFailed(
        Reason.FILE_TRUNCATED,
        f"{name} ends after {size:,} of {expected:,} bytes{what and ' ' + what}",
        "download the model again: alwrity-doctor models pull",
    )


def _corrupt(name: str, what: str) -> NoReturn:
    raise LoadFailed(
        Reason.FILE_CORRUPT, f"{name} is damaged: {what}", "download the model again: alwrity-doctor models pull"
    )
