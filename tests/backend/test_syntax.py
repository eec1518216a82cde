"""A file that does not parse is told apart: a merge left undone, a newer Python, a plain error."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from alwrity_checks.backend.syntax import Syntax, syntax_fault
from tests.support.backend_checkout import CONFLICT, HEALTHY

OWN = Path(sys.executable)


def written(tmp_path: Path, text: str) -> Path:
    """Return a file with this text."""
    path = tmp_path / "module.py"
    path.write_text(text, encoding="utf-8")
    return path


def interpreter(tmp_path: Path, name: str, answer: str) -> Path:
    """Return a program that answers as an interpreter would."""
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{answer}'\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_sound_file_has_no_fault(tmp_path: Path) -> None:
    """A file that parses has none, also one that shows a conflict marker in a text."""
    assert syntax_fault(written(tmp_path, HEALTHY), OWN) is None
    assert syntax_fault(written(tmp_path, 'shown = """\n<<<<<<< HEAD\n"""\n'), OWN) is None


def test_conflict_is_named_with_its_line(tmp_path: Path) -> None:
    """A merge that was committed half done is called that, not a syntax error somewhere."""
    fault = syntax_fault(written(tmp_path, CONFLICT), OWN)
    assert fault
    assert fault.kind is Syntax.CONFLICT
    assert "module.py:3 does not parse: a merge conflict" in fault.message


def test_plain_error_is_one(tmp_path: Path) -> None:
    """What no Python parses is a fault of the file, with Python's own words."""
    fault = syntax_fault(written(tmp_path, "def f(:\n"), OWN, [OWN])
    assert fault
    assert fault.kind is Syntax.ERROR
    assert "module.py:1 does not parse under Python" in fault.message


@pytest.mark.skipif(os.name != "posix", reason="stands in for an interpreter by a shell script")
def test_newer_syntax_is_told_by_a_newer_interpreter(tmp_path: Path) -> None:
    """Where another interpreter that is at hand parses the file, its version is the remedy."""
    old = interpreter(tmp_path, "old", '{"version": [3, 11], "line": 1, "error": "invalid syntax"}')
    new = interpreter(tmp_path, "new", '{"version": [3, 13]}')
    fault = syntax_fault(written(tmp_path, "type A = int\n"), old, [new])
    assert fault
    assert fault.kind is Syntax.NEWER
    assert "3.13" in fault.remedy


@pytest.mark.skipif(os.name != "posix", reason="stands in for an interpreter by a shell script")
def test_f_string_of_a_later_python_is_suspected(tmp_path: Path) -> None:
    """Without a newer interpreter at hand, an f-string that an older one refuses is suspected, and called so."""
    old = interpreter(tmp_path, "old", '{"version": [3, 11], "line": 1, "error": "f-string: expecting }"}')
    fault = syntax_fault(written(tmp_path, 'f"{a["b"]}"\n'), old)
    assert fault
    assert fault.kind is Syntax.NEWER
    assert "it may be Python 3.12's syntax" in fault.message


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    """A file that is not there and an interpreter that does not start are faults of their own."""
    for path, python in ((tmp_path / "nowhere.py", OWN), (written(tmp_path, ""), tmp_path / "no-python")):
        fault = syntax_fault(path, python)
        assert fault
        assert fault.kind is Syntax.UNREADABLE
