"""What a machine can do is measured once, in children, and kept for as long as it holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from alwrity_checks.models import machine as module
from alwrity_checks.models.children import answer_of
from alwrity_checks.models.errors import LoadFailed
from alwrity_checks.models.machine import Floor, Measured, cache_file, machine_of, this_machine
from alwrity_checks.models.machine_probe import read_bandwidth
from alwrity_checks.models.processor import claims_bfloat16, claims_int8, processor_name, usable_threads
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.steps import Precision, Runtime

FLOORS = {Runtime.TRANSFORMERS: Floor(400 << 20, 280 << 20, 1100 << 20), Runtime.ONNX: Floor(1 << 27, 1 << 26, 1 << 28)}
RATES = {Precision.FLOAT32: 1e11, Precision.BFLOAT16: 2e10, Precision.FLOAT16: 1e10}
MEASURED = Measured(FLOORS, 3e10, RATES)


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Count the measurements, which take seconds, and answer them."""
    made: list[object] = []

    def measure(installed: frozenset[Runtime]) -> Measured:
        made.append(installed)
        return MEASURED

    monkeypatch.setattr(module, "_measure", measure)
    return made


def test_a_machine_is_really_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, with no model: the floor of transformers is that of a real child, and nothing of it is assumed."""
    monkeypatch.setattr(module, "_installed", lambda: frozenset({Runtime.TRANSFORMERS}))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = this_machine(measure=True, cache=tmp_path / "machine.json")
    assert not found.failures
    assert not found.assumed
    detail = found.details[Runtime.TRANSFORMERS]
    assert 150 << 20 < detail.unreclaimable < found.floors[Runtime.TRANSFORMERS] == detail.peak <= detail.address_space
    assert found.bandwidth > 1e8
    assert found.native_bfloat16 == (found.flops[Precision.BFLOAT16] >= found.flops[Precision.FLOAT32])
    again = this_machine(measure=False, cache=tmp_path / "machine.json")
    assert (again.details[Runtime.TRANSFORMERS], again.bandwidth, again.flops) == (detail, found.bandwidth, found.flops)


def test_it_is_measured_once(tmp_path: Path, measurements: list[object]) -> None:
    """The second time it is read; `refresh` measures again."""
    path = tmp_path / "deep" / "machine.json"
    first, second = this_machine(measure=True, cache=path), this_machine(measure=True, cache=path)
    assert len(measurements) == 1
    assert (first.floors, first.bandwidth, first.flops) == (second.floors, second.bandwidth, second.flops)
    this_machine(measure=True, refresh=True, cache=path)
    assert len(measurements) == 2


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"key": 1}',
        b"[" * 50_000,
        b"\xff\xfe",
        "floors",
        "flops",
        "bandwidth",
        "failures",
        "key",
    ],
)
def test_a_damaged_file_is_measured_again(tmp_path: Path, measurements: list[object], damage: bytes | str) -> None:
    """Cut short, foreign or with figures that cannot be: it counts as not there, and is put right."""
    path = tmp_path / "machine.json"
    this_machine(measure=True, cache=path)
    if isinstance(damage, str):
        kept = json.loads(path.read_text())
        path.write_text(json.dumps(kept | {damage: {"transformers": {"peak": -1}, "float32": "fast", "x": 1}}))
    else:
        path.write_bytes(damage)
    assert this_machine(measure=False, cache=path).assumed
    assert not this_machine(measure=True, cache=path).assumed
    assert len(measurements) == 2
    assert not this_machine(measure=False, cache=path).assumed


def test_other_libraries_are_measured_again(
    tmp_path: Path, measurements: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A floor belongs to the versions of the libraries, and to the processor."""
    path = tmp_path / "machine.json"
    this_machine(measure=True, cache=path)
    monkeypatch.setattr(module, "version", lambda name: f"{name} of tomorrow")
    assert this_machine(measure=False, cache=path).assumed
    this_machine(measure=True, cache=path)
    assert len(measurements) == 2


def test_a_cache_that_cannot_be_written_costs_only_the_time(tmp_path: Path, measurements: list[object]) -> None:
    """A file stands where the directory should be: measured all the same, and again the next time."""
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "machine.json"
    assert not this_machine(measure=True, cache=path).assumed
    assert not this_machine(measure=True, cache=path).assumed
    assert len(measurements) == 2


def test_an_unmeasured_machine_says_so(tmp_path: Path) -> None:
    """Assumptions are marked as such: bandwidth, speed, and the floor of each runtime that is there."""
    found = this_machine(measure=False, cache=tmp_path / "machine.json")
    assert found.assumed == {"bandwidth", "flops", *map(str, found.installed)}
    assert set(found.floors) == set(Runtime)
    assert found.native_bfloat16 == claims_bfloat16()


def test_a_probe_outvotes_the_flags() -> None:
    """A processor that is slower in bfloat16 has none, whatever it says of itself."""
    assert not machine_of(MEASURED, frozenset(Runtime)).native_bfloat16
    native = Measured(FLOORS, 3e10, RATES | {Precision.BFLOAT16: 9e11})
    assert machine_of(native, frozenset(Runtime)).native_bfloat16


def test_a_runtime_that_cannot_be_measured_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that dies is a reason beside the figures, not an error."""

    def die(runtime: Runtime, folder: Path) -> dict[str, object]:
        del folder
        raise LoadFailed(Reason.LOAD_FAILED, f"{runtime} was killed by signal 9")

    monkeypatch.setattr(module, "_measured_in_child", die)
    found = machine_of(module._measure(frozenset(Runtime)), frozenset(Runtime))
    assert found.assumed == {"bandwidth", "flops", *map(str, Runtime)}
    assert "signal 9" in found.failures[Runtime.ONNX]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("print('no json')", "no JSON"),
        ("raise SystemExit(3)", "ended with 3"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ('print(\'{"error": "RuntimeError: no"}\')', "RuntimeError: no"),
        ("import time; time.sleep(600)", "did not answer"),
    ],
)
def test_a_child_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str) -> None:
    """Whatever becomes of a child is one error of ours, within its time."""
    (tmp_path / "failing_child.py").write_text(program)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with pytest.raises(LoadFailed, match=told):
        answer_of("failing_child", {}, timeout=2.0 if "sleep" in program else 60.0)


def test_bandwidth_is_that_of_all_threads() -> None:
    """Memory reads at more than a hundred megabytes a second, and less than any machine that there is."""
    assert 1e8 < read_bandwidth(0.05, 32 << 20) < 1e13


@pytest.mark.parametrize(
    ("text", "bfloat16", "int8"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True, False),
        ("flags\t\t: fpu avx2 avx_vnni bf16ish\n", False, True),
        ("Features\t: fp asimd bf16 i8mm\n", True, True),
        ("", False, False),
    ],
)
def test_flags_name_instructions(tmp_path: Path, text: str, bfloat16: bool, int8: bool) -> None:  # noqa: FBT001 - the expectations
    """x86-64 and ARM name their instructions each in their manner."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"model name\t: Some CPU\n{text}")
    assert (claims_bfloat16(tmp_path), claims_int8(tmp_path)) == (bfloat16, int8)
    assert "Some CPU" in processor_name(tmp_path)


def test_the_cache_is_where_the_user_wants_it() -> None:
    """XDG_CACHE_HOME counts, and an empty one does not."""
    assert cache_file({"XDG_CACHE_HOME": "/x"}) == Path("/x/alwrity-doctor/machine.json")
    assert cache_file({"XDG_CACHE_HOME": ""}) == Path.home() / ".cache/alwrity-doctor/machine.json"
    assert usable_threads() >= 1
