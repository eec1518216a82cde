"""The interpreter that drives the backend is its own where that can, else ours; why, is always said."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from alwrity_checks.backend.interpreters import Interpreter, ask, choose
from alwrity_checks.errors import CannotCheck
from tests.support.processes import ended

pytestmark = pytest.mark.skipif(os.name != "posix", reason="stands in for interpreters by shell scripts")


def interpreter(tmp_path: Path, name: str, says: str) -> Path:
    """Return a program that says this."""
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_own_interpreter_is_asked() -> None:
    """A real one says its version, and which of the modules it has."""
    told = ask(Path(sys.executable), ("json", "no_such_module"))
    assert told == Interpreter(Path(sys.executable), sys.version_info[:3], frozenset({"json"}))


def test_backends_own_is_preferred(tmp_path: Path) -> None:
    """The first of the checkout's environments that has what is needed drives it."""
    old = interpreter(tmp_path, "old", """echo '{"version": [3, 10, 4], "there": ["txtai"]}'""")
    bare = interpreter(tmp_path, "bare", """echo '{"version": [3, 12, 1], "there": []}'""")
    good = interpreter(tmp_path, "good", """echo '{"version": [3, 12, 1], "there": ["txtai"]}'""")
    assert choose([old, bare, good], ("txtai",)).path == good


def test_ours_stands_in_and_says_why(tmp_path: Path) -> None:
    """Where none of them can, ours does, and each one's reason is told."""
    old = interpreter(tmp_path, "old", """echo '{"version": [3, 10, 4], "there": ["json"]}'""")
    bare = interpreter(tmp_path, "bare", """echo '{"version": [3, 12, 1], "there": []}'""")
    broken = interpreter(tmp_path, "broken", "exit 1")
    choice = choose([old, bare, broken], ("json",))
    assert choice.path == Path(sys.executable)
    assert "old is Python 3.10.4, older than 3.11" in choice.note
    assert "bare has no json" in choice.note
    assert "broken does not start" in choice.note
    assert "has no virtual environment" in choose([], ("json",)).note


def test_none_is_an_unknown_with_a_remedy(tmp_path: Path) -> None:
    """Where ours lacks it too, nothing is driven, and what to install is said by the distribution's name."""
    bare = interpreter(tmp_path, "bare", """echo '{"version": [3, 12, 1], "there": []}'""")
    with pytest.raises(CannotCheck, match="bare has no faiss") as caught:
        choose([], ("faiss",), own=bare)
    assert "faiss-cpu" in caught.value.remedy


def test_silence_has_an_end(tmp_path: Path) -> None:
    """An interpreter that does not answer is given up on."""
    assert ask(interpreter(tmp_path, "hangs", "exec sleep 60"), (), timeout=0.5) == "did not answer within 0 s"


def test_endless_answer_has_an_end(tmp_path: Path) -> None:
    """A program that prints for ever is given up on before it fills the memory."""
    assert "does not start" in str(ask(interpreter(tmp_path, "noisy", "exec yes"), ()))


def test_nothing_is_left_of_what_was_asked(tmp_path: Path) -> None:
    """What a program started beside its answer ends with it."""
    says = f"""sleep 600 >&- & echo $! > {tmp_path}/pid; echo '{{"version": [3, 12, 1], "there": []}}'"""
    assert isinstance(ask(interpreter(tmp_path, "leaving", says), ()), Interpreter)
    assert ended(int((tmp_path / "pid").read_text(encoding="utf-8")))
