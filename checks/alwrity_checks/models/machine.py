"""What this machine can do for a model: memory, its speed, the processor's, and what each runtime takes for itself.

Measured once, in children, offline and without a model (a tiny one is made for it), and kept in
`$XDG_CACHE_HOME/alwrity-doctor/machine.json` for as long as the libraries and the processor stay the same. Where
nothing was measured, assumptions stand in, and are marked as such.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from alwrity_checks.errors import DoctorError
from alwrity_checks.models.available import Available, available_memory
from alwrity_checks.models.cache import cache_directory
from alwrity_checks.models.children import answer_of
from alwrity_checks.models.measuring import BUSY
from alwrity_checks.models.processor import claims_bfloat16, claims_int8, processor_name, usable_threads
from alwrity_checks.models.steps import Precision, Runtime
from alwrity_checks.redaction import scrub

__all__ = ["Floor", "Machine", "Measured", "cache_file", "this_machine"]

_FORMAT: Final = 1
_LARGEST: Final = 1 << 16
_PATIENCE: Final = 120.0
"""Seconds for a child; it takes two to five on a quiet machine."""
_DISTRIBUTIONS: Final = (
    *("torch", "torchao", "transformers", "tokenizers", "safetensors", "accelerate", "numpy"),
    *("onnxruntime", "onnxruntime-genai"),
)
"""What changes a floor or a speed. torchao is imported by transformers where it is there, for 160 MiB."""
_MEBI: Final = 1 << 20
_lock: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Floor:
    """What a runtime takes for itself, in bytes: measured with a model that weighs next to nothing."""

    peak: int
    """Of resident memory."""
    unreclaimable: int
    """Of it anonymous: what cannot be given back under pressure."""
    address_space: int
    """Reserved and mapped, resident or not: what RLIMIT_AS counts."""


_ASSUMED_FLOORS: Final[Mapping[Runtime, Floor]] = {
    Runtime.TRANSFORMERS: Floor(431 * _MEBI, 280 * _MEBI, 1200 * _MEBI),
    Runtime.ONNX: Floor(120 * _MEBI, 60 * _MEBI, 300 * _MEBI),
}
"""On Linux with torch 2.13 and onnxruntime 1.32; the greater of what two machines showed."""
_ASSUMED_BANDWIDTH: Final = 20e9
"""Bytes a second: a laptop with two channels of memory reads 20 to 50 GB/s."""
_ASSUMED_RATE: Final = 40e9
"""Operations a second and thread in float32: AVX2 at some 2.5 GHz, half of it reached."""
_NATIVE_GAIN, _EMULATED_LOSS = 2.0, 0.1
"""What bfloat16 makes of float32's rate with instructions of its own, and without."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured; what is missing could not be."""

    floors: Mapping[Runtime, Floor] = field(default_factory=dict)
    bandwidth: float | None = None
    flops: Mapping[Precision, float] = field(default_factory=dict)
    failures: Mapping[Runtime, str] = field(default_factory=dict)
    """Why a runtime could not be measured."""
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, as a prediction sees it."""

    available: Available
    """The memory that this process can still get, now."""
    processor: str
    threads: int
    bandwidth: float
    """Bytes a second that all threads together read from memory."""
    flops: Mapping[Precision, float]
    """Operations a second of a linear layer in torch, on all threads."""
    native_bfloat16: bool
    """Whether bfloat16 is at least as fast as float32; by the processor's flags where it was not measured."""
    floors: Mapping[Runtime, int]
    """Bytes of peak resident memory that a runtime takes for itself."""
    details: Mapping[Runtime, Floor]
    """The same, its parts told apart."""
    installed: frozenset[Runtime]
    disk_free: int
    """Bytes that are free where the hub's cache is."""
    assumed: frozenset[str] = frozenset()
    """What was not measured: `bandwidth`, `flops`, or the name of a runtime, for its floor."""
    failures: Mapping[Runtime, str] = field(default_factory=dict)
    """Why a runtime could not be measured."""
    busy: bool = False
    """The machine had other work while it was measured: speeds are too low."""
    native_int8: bool = False
    """Whether the processor has instructions that sum products of bytes, with which int4 is carried out."""
    charges_mapped: bool = False
    """Whether a mapped file counts as memory that is taken, as on Windows (transformers#48285)."""


def this_machine(*, measure: bool, refresh: bool = False, cache: Path | None = None) -> Machine:
    """Return this machine. Blocks: milliseconds, or with `measure` the first time some 10 to 20 s, in children.

    `cache` is the file that keeps what was measured, by default `cache_file()`; a damaged one is measured again, one
    that cannot be written costs only the time; `refresh` measures again whatever is kept. Without `measure`, and with
    nothing kept, figures are assumed. Nothing is asked over the network. Never raises for what cannot be measured: see
    `Machine.assumed` and `Machine.failures`.
    """
    path = cache_file() if cache is None else cache
    installed = _installed()
    key = _key()
    with _lock:
        measured = _read(path, key)
        if measure and (measured is None or refresh):
            measured = _measure(installed)
            _write(path, key, measured)
    return machine_of(measured or Measured(), installed)


def machine_of(measured: Measured, installed: frozenset[Runtime]) -> Machine:
    """Return this machine as it is now, with what was measured of it, and assumptions for the rest."""
    threads = usable_threads()
    rates, native = dict(measured.flops), claims_bfloat16()
    if rates:
        native = rates[Precision.BFLOAT16] >= rates[Precision.FLOAT32]
    else:
        single = _ASSUMED_RATE * threads
        rates = {
            Precision.FLOAT32: single,
            Precision.BFLOAT16: single * (_NATIVE_GAIN if native else _EMULATED_LOSS),
            Precision.FLOAT16: single * _EMULATED_LOSS,
        }
    floors = {runtime: measured.floors.get(runtime, _ASSUMED_FLOORS[runtime]) for runtime in Runtime}
    assumed = {str(runtime) for runtime in installed if runtime not in measured.floors}
    assumed |= {"flops"} if not measured.flops else set()
    assumed |= {"bandwidth"} if measured.bandwidth is None else set()
    return Machine(
        available=available_memory(),
        processor=processor_name(),
        threads=threads,
        bandwidth=measured.bandwidth or _ASSUMED_BANDWIDTH,
        flops=rates,
        native_bfloat16=native,
        floors={runtime: one.peak for runtime, one in floors.items()},
        details=floors,
        installed=installed,
        disk_free=_disk_free(cache_directory()),
        assumed=frozenset(assumed),
        failures=measured.failures,
        busy=measured.busy,
        native_int8=claims_int8(),
        charges_mapped=sys.platform == "win32",
    )


def cache_file(environment: Mapping[str, str] | None = None) -> Path:
    """Return where what was measured is kept: below `XDG_CACHE_HOME`, else `~/.cache`."""
    known = os.environ if environment is None else environment
    home = known.get("XDG_CACHE_HOME", "").strip()
    return (Path(home) if home else Path.home() / ".cache") / "alwrity-doctor" / "machine.json"


def _installed() -> frozenset[Runtime]:
    from alwrity_checks.models.runtimes.table import LOADERS

    return frozenset(runtime for runtime, loader in LOADERS.items() if loader.installed())


def _key() -> dict[str, Any]:
    """Return what has to be the same for a measurement to hold."""
    versions = {}
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "format": _FORMAT,
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": processor_name(),
        "threads": usable_threads(),
        "libraries": versions,
    }


def _measure(installed: frozenset[Runtime]) -> Measured:
    floors: dict[Runtime, Floor] = {}
    failures: dict[Runtime, str] = {}
    flops: dict[Precision, float] = {}
    bandwidths: list[float] = []
    waits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="alwrity-doctor-") as folder:
        for runtime in sorted(installed):
            try:
                answer = _measured_in_child(runtime, Path(folder))
                floors[runtime] = _floor(answer["floor"])
                bandwidths.append(_positive(answer["bandwidth"]))
                waits.append(float(answer.get("wait") or 0.0))
                flops |= {Precision(name): _positive(rate) for name, rate in answer.get("flops", {}).items()}
            except (DoctorError, OSError) as error:
                failures[runtime] = scrub(str(error))[:300]
            except (KeyError, TypeError, ValueError) as error:
                failures[runtime] = f"the child's answer cannot be used: {scrub(repr(error))[:200]}"
    complete = {Precision.FLOAT32, Precision.BFLOAT16} <= set(flops)
    busy = max(waits, default=0.0) >= BUSY
    return Measured(floors, max(bandwidths, default=None), flops if complete else {}, failures, busy)


def _measured_in_child(runtime: Runtime, folder: Path) -> Mapping[str, Any]:
    from alwrity_checks.models.synthetic import write_checkpoint

    directory = write_checkpoint(folder / "tiny", "tiny")
    precision = Precision.BFLOAT16
    if runtime is Runtime.ONNX:
        from alwrity_checks.models.conversion import convert

        directory, precision = convert(directory, cache=folder / "converted"), Precision.INT4
    order = {"runtime": runtime, "directory": str(directory), "precision": precision}
    return answer_of("alwrity_checks.models.machine_probe", order, timeout=_PATIENCE)


def _read(path: Path, key: Mapping[str, Any]) -> Measured | None:
    """Return what is kept for this machine; None if there is nothing, or nothing that can be used."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LARGEST))
        if found["key"] != key:
            return None
        return Measured(
            {Runtime(name): _floor(one) for name, one in found["floors"].items()},
            None if found["bandwidth"] is None else _positive(found["bandwidth"]),
            _rates(found["flops"]),
            {Runtime(name): str(why) for name, why in found["failures"].items()},
            busy=found["busy"] is True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _write(path: Path, key: Mapping[str, Any], measured: Measured) -> None:
    kept = {
        "key": key,
        "floors": {
            runtime: {"peak": one.peak, "unreclaimable": one.unreclaimable, "address_space": one.address_space}
            for runtime, one in measured.floors.items()
        },
        "bandwidth": measured.bandwidth,
        "flops": dict(measured.flops),
        "failures": dict(measured.failures),
        "busy": measured.busy,
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _floor(found: Mapping[str, Any]) -> Floor:
    return Floor(*(int(_positive(found[name])) for name in ("peak", "unreclaimable", "address_space")))


def _rates(found: Mapping[str, Any]) -> dict[Precision, float]:
    rates = {Precision(name): _positive(rate) for name, rate in found.items()}
    if rates and not {Precision.FLOAT32, Precision.BFLOAT16} <= set(rates):
        raise ValueError("a precision is missing")
    return rates


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError("not a positive number")
    return float(value)


def _disk_free(directory: Path) -> int:
    for one in (directory, *directory.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(one).free
    return 0
