"""A published checkpoint as int4 for onnxruntime-genai, made once and kept.

The model builder holds the weights twice in float32 and takes the interpreter for a minute: so it runs in a child
process, at low priority, which is killed when it is not wanted or its parent dies. What it makes is kept under a name
that says from which weights, and has that name only when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from alwrity_checks.errors import MissingExtra
from alwrity_checks.lease import Lease
from alwrity_checks.models.children import child_environment
from alwrity_checks.models.disk import SPARE, disk_errors, room
from alwrity_checks.models.errors import LoadFailed, ModelError, ModelUnavailable, OutOfMemory
from alwrity_checks.models.needed import CONFIG, GENAI_CONFIG
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.files import checked_weights, read_json
from alwrity_checks.models.runtimes.manifest import check_whole, write_manifest
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from alwrity_checks.models.weights import Weights

__all__ = ["conversion_cache", "conversion_need", "convert", "converted"]

_MAKING: Final = 3
"""Part of the name of what is kept: another way of converting gives other weights."""
_PATIENCE: Final = 1800.0
"""Seconds for a conversion; 1.5 billion weights take one to three minutes."""
_PAUSE: Final = 0.2
_TOLD: Final = 400
"""Characters of what a failed conversion said last."""
_SAMPLES, _SAMPLE = 64, 4096
"""Places of a weight file, and bytes at each, that its fingerprint is taken of."""
_BLOB: Final = 64
"""Hexadecimal digits of a SHA-256: the hub's cache names a weight file by it."""
_TEXTS: Final = (CONFIG, "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")
_REMEDY: Final = "use the runtime transformers for this model, or name a directory that is converted already"

_FLOOR: Final = 640 << 20
"""Bytes that torch, transformers and onnx take in the child before they have read a weight."""
_HELD: Final = 6.4
"""Bytes for each weight that the builder holds at its peak beside the mapped checkpoint: float32, and the result."""
_KEPT: Final = 0.72
"""Bytes for each weight in what is kept: int4, scales, and what is not quantised; measured 0.58 to 0.66."""


def conversion_cache() -> Path:
    """Return where conversions are kept: below XDG_CACHE_HOME, else below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alwrity-doctor" / "onnx"


def converted(directory: Path, *, cache: Path | None = None) -> Path | None:
    """Return a directory that onnxruntime-genai reads: `directory` itself, or what it was converted to before.

    None where it has to be converted. Reads some hundred kilobytes.
    """
    if (directory / GENAI_CONFIG).is_file():
        return directory
    try:
        target = _target(directory, cache)
        if not (target / GENAI_CONFIG).is_file():
            return None
        check_whole(target)
    except ModelError:
        return None
    return target


def conversion_need(weights: Weights) -> tuple[int, int]:
    """Return the bytes of memory and of disk that a conversion takes, as measured with three models."""
    # A tied embedding is held twice as well; it is at most a quarter of the weights.
    return _FLOOR + weights.total + int(weights.parameters * _HELD), int(weights.parameters * _KEPT)


def convert(
    directory: Path,
    *,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Return a directory that onnxruntime-genai reads, converted now if need be. Blocks: seconds to minutes.

    One conversion at a time on this host; another process's is waited for. `progress` gets what is done and what there
    is to do, in no unit. Raises MissingExtra; ModelUnavailable: PICKLE_ONLY, DISK_FULL, CACHE_READ_ONLY; LoadFailed:
    what is wrong with the checkpoint, CONVERSION_FAILED (also where `stop` was set); OutOfMemory where there is not
    enough memory for it, which is known before it begins.
    """
    if (found := converted(directory, cache=cache)) is not None:
        return found
    _require_libraries()
    weights = checked_weights(directory)
    read_json(directory / CONFIG)
    target = _target(directory, cache)
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    with _turn(target, stop):
        if (found := converted(directory, cache=cache)) is not None:
            return found  # another process has made it meanwhile
        _require_room(directory, target, weights)
        draft = target.with_name(f"{target.name}.draft")
        try:
            shutil.rmtree(draft, ignore_errors=True)  # of a conversion that was killed
            with disk_errors(target.parent):
                draft.mkdir()
            _Child(directory, draft).run(progress, stop)
            shutil.rmtree(target, ignore_errors=True)
            with disk_errors(target.parent):
                write_manifest(draft, source=str(directory), made=f"int4-{_MAKING}")
                draft.replace(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target


def _require_libraries() -> None:
    for name in ("onnx", "onnx_ir", "onnxruntime", "onnxruntime_genai"):
        if find_spec(name) is None:
            raise MissingExtra("onnx", "converting a model to int4")
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise MissingExtra("models", "converting a model to int4")


def _target(directory: Path, cache: Path | None) -> Path:
    return (cache or conversion_cache()) / f"{_fingerprint(directory)}-int4-{_MAKING}"


def _fingerprint(directory: Path) -> str:
    """Return what is the same for the same weights: 24 hexadecimal digits.

    The hub's cache has named each file by its SHA-256. Of other files it takes samples and the time of the last change:
    to read gigabytes at every start would cost more than to convert once too often.
    """
    digest = hashlib.sha256()
    for name in _TEXTS:
        with contextlib.suppress(FileNotFoundError):
            digest.update(f"{name}\0".encode() + hashlib.sha256((directory / name).read_bytes()).digest())
    for path in sorted(directory.glob("*.safetensors")):
        blob = path.resolve().name
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        if path.is_symlink() and len(blob) == _BLOB and set(blob) <= set("0123456789abcdef"):
            digest.update(blob.encode())
            continue
        digest.update(str(path.stat().st_mtime_ns).encode())
        with path.open("rb") as file:
            for one in range(_SAMPLES):
                file.seek(size * one // _SAMPLES)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:24]


def _require_room(directory: Path, target: Path, weights: Weights) -> None:
    from alwrity_checks.models.available import available_memory

    memory, disk = conversion_need(weights)
    available = available_memory()
    if available.bytes < memory:
        raise OutOfMemory(
            Reason.DOES_NOT_FIT,
            f"converting {directory} to int4 takes {memory / 1e9:.1f} GB of memory, and {available.bytes / 1e9:.1f} GB "
            f"are available ({available.limited_by})",
            f"close other programs, or convert on a larger machine and copy {target.parent}",
        )
    with disk_errors(target.parent):
        free = room(target.parent)
    if free < disk + SPARE:
        raise ModelUnavailable(
            Reason.DISK_FULL,
            f"the int4 copy of {directory} takes {disk / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free in "
            f"{target.parent}",
            "free some room, or set XDG_CACHE_HOME to a larger disk",
        )


@contextmanager
def _turn(target: Path, stop: threading.Event | None) -> Iterator[None]:
    """Wait until no other process of this host converts the same model."""
    lease = Lease(target.with_name(f"{target.name}.lock"))
    with disk_errors(target.parent):
        while not lease.take():
            if stop is not None and stop.is_set():
                raise _stopped()
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        lease.give_back()


class _Child:
    """One conversion in a process of its own."""

    def __init__(self, source: Path, draft: Path) -> None:
        self._source = source
        self._draft = draft

    def run(self, progress: Callable[[int, int], None] | None, stop: threading.Event | None) -> None:
        """Convert into the draft. Raises LoadFailed, OutOfMemory."""
        environment = child_environment() | {"PYTHONUNBUFFERED": "1"}
        command = [
            sys.executable, "-m", "alwrity_checks.models.conversion_child", str(self._source.resolve()),
            str(self._draft.resolve()),
        ]  # fmt: skip
        with tempfile.TemporaryFile() as said:
            # It ends when its standard input does: so it never outlives us.
            child = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment, text=True
            )
            try:
                told = self._follow(child, progress, stop)
            finally:
                child.kill()
                child.wait()
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        pipe.close()
            if told.get("made"):
                return
            said.seek(max(0, said.seek(0, os.SEEK_END) - 4 * _TOLD))
            raise self._failed(child.returncode, told, said.read().decode(errors="replace"))

    def _follow(
        self,
        child: subprocess.Popen[str],
        progress: Callable[[int, int], None] | None,
        stop: threading.Event | None,
    ) -> dict[str, Any]:
        """Pass the child's progress on until it ends; return the last that it told."""
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        if child.stdout is None:
            raise AssertionError("the child's output is a pipe")
        reader = threading.Thread(target=_read, args=(child.stdout, lines), name="model-conversion", daemon=True)
        reader.start()
        deadline, told = time.monotonic() + _PATIENCE, dict[str, Any]()
        try:
            while True:
                if stop is not None and stop.is_set():
                    raise _stopped()
                if time.monotonic() > deadline:
                    raise LoadFailed(
                        Reason.CONVERSION_FAILED,
                        f"{self._source} was not converted to int4 within {_PATIENCE / 60:.0f} minutes",
                        _REMEDY,
                    )
                try:
                    line = lines.get(timeout=_PAUSE)
                except queue.Empty:
                    continue
                if line is None:
                    child.wait()
                    return told
                told = _understood(line) or told
                if progress is not None and "done" in told:
                    progress(int(told["done"]), int(told["total"]))
        finally:
            child.kill()
            reader.join()

    def _failed(self, code: int, told: dict[str, Any], said: str) -> LoadFailed:
        if "reason" in told:
            reason, diagnosis = Reason(told["reason"]), str(told["diagnosis"])
        elif code < 0:
            # Whoever kills in this way is the kernel, or a person; a kernel does it for memory.
            reason, diagnosis = Reason.OUT_OF_MEMORY, f"the process was killed by signal {-code}"
        else:
            tail = " ".join(scrub(said).split())[-_TOLD:]
            reason, diagnosis = Reason.CONVERSION_FAILED, f"the process ended with {code}: {tail}"
        what = f"{self._source} could not be converted to int4: {diagnosis}"
        if reason is Reason.OUT_OF_MEMORY:
            return OutOfMemory(reason, what, "close other programs, or convert on a larger machine")
        return LoadFailed(reason, what, _REMEDY)


def _read(pipe: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    try:
        for line in pipe:
            lines.put(line)
    finally:
        lines.put(None)


def _understood(line: str) -> dict[str, Any] | None:
    """Return what a line of the child tells; None for what a native library prints past Python."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _stopped() -> LoadFailed:
    return LoadFailed(Reason.CONVERSION_FAILED, "the conversion was stopped", "ask for the model again")
