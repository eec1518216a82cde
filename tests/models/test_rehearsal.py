"""A load rehearsed in a child: what its end means, with small children and with a real model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alwrity_checks.models.decision import Course, Verdict, decide
from alwrity_checks.models.errors import LoadFailed, OutOfMemory
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.rehearsal import rehearse
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.models.synthetic import write_checkpoint
from alwrity_checks.models.verdicts import Verdicts, fingerprint
from tests.support.processes import ended

STEP = Step("acme/model", Runtime.TRANSFORMERS, Precision.FLOAT32)


def child(code: str, patience: float = 60.0) -> int:
    """Rehearse with a child that runs `code` instead."""
    return rehearse(STEP, Path(), 64, patience=patience, command=(sys.executable, "-c", code))


def test_a_child_that_ends_well_tells_its_peak() -> None:
    """The last line counts: libraries write to standard output too."""
    assert child("print('a library says hello'); print('{\"peak\": 123}')") == 123


def test_a_real_model_is_rehearsed(tmp_path: Path) -> None:
    """The child loads a real checkpoint in the real runtime and makes a token; its peak is that of a real process."""
    place = write_checkpoint(tmp_path / "tiny", "tiny")
    assert rehearse(STEP, place, 64) > 50 << 20


def test_the_childs_own_reason_reaches_the_parent(tmp_path: Path) -> None:
    """A directory without a model is told by its reason, not as a death."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoadFailed) as caught:
        rehearse(STEP, tmp_path / "empty", 64)
    assert caught.value.reason in {Reason.FILE_MISSING, Reason.CONFIG_UNUSABLE}
    assert caught.value.diagnosis


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_a_child_that_is_killed_is_an_answer() -> None:
    """What a container's limit does: signal 9, no exception, no message."""
    with pytest.raises(OutOfMemory) as caught:
        child("import os; os.kill(os.getpid(), 9)")
    assert caught.value.reason is Reason.REHEARSAL_DIED
    assert "SIGKILL" in caught.value.diagnosis


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        ("raise SystemExit(3)", Reason.LOAD_FAILED, "ended with 3"),
        ("raise ValueError('strange weights')", Reason.LOAD_FAILED, "strange weights"),
        ("raise MemoryError", Reason.REHEARSAL_DIED, "ran out of memory"),
        ("raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')", Reason.REHEARSAL_DIED, "allocate"),
        ('print(\'{"reason": "no-such-reason"}\'); raise SystemExit(1)', Reason.LOAD_FAILED, "ended with 1"),
        ('print(\'{"peak": "much"}\')', Reason.LOAD_FAILED, "ended with 0"),
        ("print('[1]')", Reason.LOAD_FAILED, "ended with 0"),
    ],
)
def test_every_other_end_is_told_apart(code: str, reason: Reason, told: str) -> None:
    """A child that raises, that says nothing, or that says nonsense is a failure with what it said last."""
    with pytest.raises(LoadFailed) as caught:
        child(code)
    assert caught.value.reason is reason
    assert told in caught.value.diagnosis


def test_a_child_that_hangs_is_ended() -> None:
    """With whatever it started, and its pipes."""
    began = time.monotonic()
    with pytest.raises(LoadFailed, match="did not end"):
        child("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])", 0.5)
    assert time.monotonic() - began < 50


def test_secrets_of_a_childs_last_words_are_scrubbed() -> None:
    """A token in a traceback does not reach the error."""
    with pytest.raises(LoadFailed) as caught:
        child("raise ValueError('hf_' + 'a' * 34)")
    assert "hf_aaaa" not in caught.value.diagnosis


def test_a_verdict_is_remembered_for_these_files_alone(tmp_path: Path) -> None:
    """Another file, context or step, and there is none; the same, in another process's memory, and there is."""
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "model.safetensors").write_bytes(b"weights")
    verdicts = Verdicts(tmp_path / "cache" / "verdicts.json")
    assert verdicts.of(STEP, directory, 64) is None
    told = Verdict(loaded=True, peak=5, available=9)
    verdicts.remember(STEP, directory, 64, told)
    assert Verdicts(tmp_path / "cache" / "verdicts.json").of(STEP, directory, 64) == told
    assert verdicts.of(STEP, directory, 65) is None
    before = fingerprint(directory)
    (directory / "model.safetensors").write_bytes(b"other weights")
    assert fingerprint(directory) != before
    assert verdicts.of(STEP, directory, 64) is None


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"x": 1}', "[" * 100_000])
def test_a_damaged_file_of_verdicts_is_none(tmp_path: Path, content: str) -> None:
    """It costs a rehearsal and nothing else, and is replaced by the next verdict."""
    path = tmp_path / "verdicts.json"
    path.write_text(content)
    verdicts = Verdicts(path)
    assert verdicts.of(STEP, tmp_path, 64) is None
    verdicts.remember(STEP, tmp_path / "none", 64, Verdict(loaded=False, peak=0, available=1))
    assert verdicts.of(STEP, tmp_path / "none", 64) == Verdict(loaded=False, peak=0, available=1)


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """Where the cache's parent is a file, nothing is kept and nothing raised."""
    (tmp_path / "file").write_text("")
    verdicts = Verdicts(tmp_path / "file" / "verdicts.json")
    verdicts.remember(STEP, tmp_path, 64, Verdict(loaded=True, peak=1, available=1))
    assert verdicts.of(STEP, tmp_path, 64) is None


def test_the_oldest_verdicts_go_first(tmp_path: Path) -> None:
    """The file does not grow without end."""
    verdicts = Verdicts(tmp_path / "verdicts.json")
    for number in range(203):
        verdicts.remember(STEP, tmp_path / "none", number, Verdict(loaded=True, peak=number, available=1))
    assert verdicts.of(STEP, tmp_path / "none", 2) is None
    assert verdicts.of(STEP, tmp_path / "none", 3) == Verdict(loaded=True, peak=3, available=1)


def test_a_death_does_not_hold_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What died with as much memory is left alone for a day, then rehearsed again; what loaded holds on."""
    verdicts = Verdicts(tmp_path / "verdicts.json")
    place = tmp_path / "model"
    place.mkdir()
    dead, well = Verdict(loaded=False, peak=0, available=100), Verdict(loaded=True, peak=50, available=100)
    verdicts.remember(STEP, place, 64, dead)
    verdicts.remember(STEP, place, 65, well)
    assert verdicts.of(STEP, place, 64) == dead
    with pytest.raises(OutOfMemory):
        decide(STEP, 10, 100, verdicts.of(STEP, place, 64))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert decide(STEP, 10, 100, verdicts.of(STEP, place, 64)) is Course.REHEARSE
    assert verdicts.of(STEP, place, 65) == well


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell a child that its parent has ended")
def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """A server that is killed in a rehearsal leaves nobody behind who goes on to load gigabytes."""
    told = tmp_path / "pid"
    slow = (
        "import os, sys, time, pathlib; from alwrity_checks.models import rehearsal\n"
        f"rehearsal._load = lambda _: (pathlib.Path({str(told)!r}).write_text(str(os.getpid())), time.sleep(600))\n"
        "rehearsal._main(sys.argv[1])"
    )
    server = (
        "import sys; from pathlib import Path; from alwrity_checks.models.rehearsal import rehearse\n"
        "from alwrity_checks.models.steps import Precision, Runtime, Step\n"
        "step = Step('acme/model', Runtime.TRANSFORMERS, Precision.FLOAT32)\n"
        f"rehearse(step, Path(), 64, command=(sys.executable, '-c', {slow!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", server]) as parent:  # noqa: S603 - our own interpreter
        try:
            while not told.exists() or not told.read_text(encoding="ascii"):
                assert parent.poll() is None
                time.sleep(0.01)
        finally:
            parent.kill()
    assert ended(int(told.read_text(encoding="ascii")), within=60)
