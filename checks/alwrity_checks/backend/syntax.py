"""Whether a file of the checkout parses, and if not, why: a half-done merge, a newer Python, or a plain error.

The interpreter that would run the file decides. Nothing is executed: the file is compiled to a tree and forgotten.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from alwrity_checks.redaction import scrub
from alwrity_checks.sandbox.answers import answer_of

__all__ = ["Fault", "Syntax", "syntax_fault"]

_MARKER: Final = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)
_LATER: Final = (3, 12)
"""From here on an f-string may hold quotes and backslashes (PEP 701): what ALwrity's newer syntax is."""
_PATIENCE: Final = 30.0
_NEEDED: Final = ("SYSTEMROOT", "PATH", "LD_LIBRARY_PATH")
"""Of our environment: what an interpreter may need to find its own libraries."""
_PARSER: Final = """
import ast, json, sys
told = {"version": list(sys.version_info[:2])}
try:
    ast.parse(sys.stdin.buffer.read())
except (SyntaxError, ValueError) as error:
    told["line"], told["error"] = getattr(error, "lineno", None), getattr(error, "msg", None) or str(error)
print(json.dumps(told))
"""


class Syntax(StrEnum):
    """Why a file does not parse."""

    CONFLICT = "conflict"
    """A merge conflict was committed unresolved."""
    NEWER = "newer"
    """It parses with a newer Python, or nothing newer is at hand to tell and the error is of that kind."""
    ERROR = "error"
    UNREADABLE = "unreadable"
    """The file or the interpreter could not be used."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why, in words; and what to do about it."""

    kind: Syntax
    message: str
    remedy: str
    line: int | None = None
    """1-based; None where there is none."""


@dataclass(frozen=True, slots=True)
class _Parsed:
    version: tuple[int, ...]
    line: int | None
    error: str | None


def syntax_fault(path: Path, interpreter: Path, others: Sequence[Path] = ()) -> Fault | None:
    """Return why the file does not parse under `interpreter`, None if it does; `others` may know a newer syntax.

    Runs each interpreter that is asked for some milliseconds, with its own libraries only.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        return Fault(
            Syntax.UNREADABLE, f"{path} cannot be read: {error.strerror}", "give yourself the right to read it"
        )
    asked = _parsed(source, interpreter)
    if asked is None:
        message = f"{interpreter} could not be asked whether {path.name} parses"
        return Fault(Syntax.UNREADABLE, message, "look whether this interpreter starts")
    if asked.error is None:
        return None
    where = f"{path}:{asked.line}" if asked.line else str(path)
    # A docstring may show a marker: only in a file that does not parse is it one.
    if marker := _MARKER.search(source):
        line = source.count(b"\n", 0, marker.start()) + 1
        message = f"{path}:{line} does not parse: a merge conflict was left in it"
        return Fault(Syntax.CONFLICT, message, "resolve the conflict: keep one side between <<<<<<< and >>>>>>>", line)
    said = f"{where} does not parse under Python {_dotted(asked.version)}: {asked.error}"
    for other in others:
        seen = _parsed(source, other)
        if seen and seen.error is None and seen.version > asked.version:
            return _newer(f"{said}; it does under {_dotted(seen.version)}", _dotted(seen.version), asked.line)
    if asked.version < _LATER and asked.error.startswith("f-string"):
        return _newer(f"{said}; it may be Python {_dotted(_LATER)}'s syntax", _dotted(_LATER), asked.line)
    return Fault(Syntax.ERROR, said, "correct the file", asked.line)


def _newer(message: str, version: str, line: int | None) -> Fault:
    return Fault(Syntax.NEWER, message, f"run the backend, and this program, with Python {version} or later", line)


def _parsed(source: bytes, interpreter: Path) -> _Parsed | None:
    """Return what an interpreter makes of a source, None if it cannot be asked."""
    try:
        environment = {name: os.environ[name] for name in _NEEDED if name in os.environ}
        command = [str(interpreter), "-I", "-S", "-c", _PARSER]
        told = json.loads(answer_of(command, environment=environment, timeout=_PATIENCE, told=source, directory=os.sep))
        error = told.get("error")
        return _Parsed(tuple(told["version"]), told.get("line"), None if error is None else scrub(str(error))[:200])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
