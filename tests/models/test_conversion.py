"""A checkpoint becomes int4 once, whole or not at all, in a child that does not outlive what it is for."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models import conversion
from alwrity_checks.models.available import Available
from alwrity_checks.models.conversion import conversion_need, convert, converted
from alwrity_checks.models.errors import LoadFailed, ModelError, ModelUnavailable, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.weights import Weights, weights_in

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime_genai")

HANGS = 120.0


@pytest.fixture
def checkpoint(tiny_qwen: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny model that may be changed."""
    return shutil.copytree(tiny_qwen, tmp_path / "checkpoint")


def children() -> list[psutil.Process]:
    """Return the conversions that this process has under way."""
    found = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # one that ends meanwhile
            if "conversion_child" in " ".join(one.cmdline()):
                found.append(one)
    return found


def test_what_was_converted_is_found_again(tiny_qwen: Path, tiny_int4: Path, conversions: Path) -> None:
    """A second call converts nothing, and a copy of the hub's cache would be found by its content's name."""
    assert converted(tiny_qwen, cache=conversions) == tiny_int4
    before = (tiny_int4 / "model.onnx").stat().st_mtime_ns
    assert convert(tiny_qwen, cache=conversions) == tiny_int4
    assert (tiny_int4 / "model.onnx").stat().st_mtime_ns == before


def test_ready_made_directory_is_used_as_it_is(tiny_int4: Path, tmp_path: Path) -> None:
    """A directory that has been converted, by whomever, needs nothing, and nothing is written."""
    assert converted(tiny_int4, cache=tmp_path / "cache") == tiny_int4
    assert convert(tiny_int4, cache=tmp_path / "cache") == tiny_int4
    assert not (tmp_path / "cache").exists()


def test_texts_are_the_published_ones(tiny_qwen: Path, tiny_int4: Path) -> None:
    """The tokenizer and the ends are the checkpoint's to the byte: a text becomes the same tokens in every runtime."""
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"):
        assert (tiny_int4 / name).read_bytes() == (tiny_qwen / name).read_bytes()


def test_other_weights_are_another_conversion(checkpoint: Path, tiny_int4: Path, conversions: Path) -> None:
    """Changed weights under the same name are not answered with the old ones."""
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\1\2\3\4")
    assert tiny_int4.is_dir()
    assert converted(checkpoint, cache=conversions) is None


def test_damaged_conversion_is_made_again(checkpoint: Path, tiny_int4: Path, tmp_path: Path) -> None:
    """A kept conversion that lost a part is not used."""
    cache = tmp_path / "cache"
    target = conversion._target(checkpoint, cache)
    shutil.copytree(tiny_int4, target)
    assert converted(checkpoint, cache=cache) == target
    with (target / "model.onnx.data").open("r+b") as file:
        file.truncate(1000)
    assert converted(checkpoint, cache=cache) is None


def test_two_callers_cause_one_conversion(checkpoint: Path, tmp_path: Path) -> None:
    """Whoever comes second waits, and gets what the first has made; progress is told to the end, drafts do not stay."""
    told: list[tuple[int, int]] = []
    most = 0

    def watch(done: int, total: int) -> None:
        nonlocal most
        told.append((done, total))
        most = max(most, len(children()))

    with ThreadPoolExecutor(2) as threads:
        calls = [
            threads.submit(convert, checkpoint, cache=tmp_path / "cache", progress=watch if first else None)
            for first in (True, True)
        ]
        first, second = (call.result(HANGS) for call in calls)
    assert first == second
    assert most == 1
    assert told == sorted(told)
    assert told[-1][0] >= told[-1][1] - 1
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [first.name]
    assert not children()


def test_stopped_conversion_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    """A conversion that is not wanted any more ends at once, with its child and its draft."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(convert, checkpoint, cache=tmp_path / "cache", stop=stop)
        deadline = time.monotonic() + HANGS
        while not children() and time.monotonic() < deadline:
            time.sleep(0.02)
        stop.set()
        with pytest.raises(LoadFailed, match="was stopped") as caught:
            call.result(HANGS)
    assert caught.value.reason is Reason.CONVERSION_FAILED
    assert not children()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_child_ends_with_its_parent(checkpoint: Path, tmp_path: Path) -> None:
    """A child whose parent is gone does not go on converting for nobody."""
    (tmp_path / "draft").mkdir()
    command = [sys.executable, "-m", "alwrity_checks.models.conversion_child", str(checkpoint), str(tmp_path / "draft")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - our own module
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    assert child.wait(HANGS) == 1
    assert b"made" not in child.stdout.read()
    child.stdout.close()


def test_killed_child_is_out_of_memory(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that the kernel kills, which it does for memory, is told as that."""
    program = tmp_path / "killed"
    program.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(OutOfMemory, match="killed by signal 9"):
        convert(checkpoint, cache=tmp_path / "cache")


def test_model_that_the_builder_does_not_know_is_told(checkpoint: Path, tmp_path: Path) -> None:
    """An architecture that cannot be converted is an outcome of its own, with the other runtime as its remedy."""
    config = json.loads((checkpoint / "config.json").read_text("utf-8"))
    (checkpoint / "config.json").write_text(json.dumps({**config, "architectures": ["AcmeForCausalLM"]}), "utf-8")
    with pytest.raises(LoadFailed) as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.ARCHITECTURE_UNSUPPORTED
    assert "transformers" in caught.value.remedy


def test_damaged_checkpoint_starts_no_child(checkpoint: Path, tmp_path: Path) -> None:
    """What is wrong with the weights is said before a minute is spent on them."""
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError) as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.FILE_TRUNCATED
    assert not (tmp_path / "cache").exists()


def test_too_little_memory_is_known_before(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversion that would not fit is not tried, and the numbers are told."""
    little = Available(100 << 20, "the cgroup", ())
    monkeypatch.setattr("alwrity_checks.models.available.available_memory", lambda: little)
    with pytest.raises(OutOfMemory, match=r"takes 0\.7 GB of memory, and 0\.1 GB are available") as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.DOES_NOT_FIT


def test_too_little_disk_is_known_before(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that cannot hold the result is told before the conversion begins."""
    monkeypatch.setattr(conversion, "room", lambda _directory: 1000)
    with pytest.raises(ModelError) as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.DISK_FULL


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_cache_that_cannot_be_written_is_told(checkpoint: Path, tmp_path: Path) -> None:
    """A read-only cache is an outcome of its own."""
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(ModelError) as caught:
        convert(checkpoint, cache=tmp_path / "cache" / "onnx")
    assert caught.value.reason is Reason.CACHE_READ_ONLY


def test_missing_builder_is_an_extra(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the builder's libraries the extra that brings them is named."""
    monkeypatch.setattr(conversion, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra) as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.extra == "onnx"


@pytest.mark.parametrize(
    ("parameters", "size", "peak"),
    [(494_032_768, 988_065_536, 4_602_097_664), (1_100_048_384, 2_200_096_768, 8_952_946_688)],
)
def test_need_is_not_less_than_what_was_measured(parameters: int, size: int, peak: int) -> None:
    """The memory that is asked for is what a conversion of these sizes has taken, and at most a fifth more."""
    from alwrity_checks.models.steps import Precision

    memory, disk = conversion_need(Weights({Precision.BFLOAT16: size}, 0, 1, size))
    assert peak <= memory <= 1.2 * peak
    assert parameters * 0.6 < disk < size


def test_disk_is_not_less_than_what_is_kept(tiny_qwen: Path) -> None:
    """The estimate is made of the headers alone."""
    assert min(conversion_need(weights_in(tiny_qwen))) > 0


def test_what_a_native_library_prints_is_no_progress(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line on the child's output that is not ours is passed over, before and after the last word."""
    program = tmp_path / "talker"
    program.write_text(
        '#!/bin/sh\necho "[W] hello"\necho "[1]"\n'
        'echo \'{"reason": "file-corrupt", "diagnosis": "so it is"}\'\necho bye\nexit 1\n',
        encoding="utf-8",
    )
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(LoadFailed, match="so it is") as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.FILE_CORRUPT


def test_disk_that_fills_up_at_the_end_is_told(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last file that is written is ours, and its failure too."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("alwrity_checks.models.conversion._Child.run", lambda *_: None)
    monkeypatch.setattr("alwrity_checks.models.conversion.write_manifest", full)
    with pytest.raises(ModelUnavailable) as caught:
        convert(checkpoint, cache=tmp_path / "cache")
    assert caught.value.reason is Reason.DISK_FULL
