"""Which interpreter drives a module of the checkout: the backend's own where it can, else ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alwrity_checks.errors import CannotCheck
from alwrity_checks.sandbox.answers import answer_of
from alwrity_checks.sandbox.sandbox import Sandbox

__all__ = ["Choice", "Interpreter", "ask", "choose", "named"]

_PATIENCE: Final = 60.0
"""Seconds: an environment on a slow disk takes some to start for the first time."""
_OLDEST: Final = (3, 11)
"""Our own code, which does the driving, needs this."""
_QUESTION: Final = """
import json, sys
if sys.version_info < (3, 11):
    print(json.dumps({"version": list(sys.version_info[:3]), "there": []}))
else:
    import runpy
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""In words that every Python 3 understands: an older one could not read our program."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What an interpreter said of itself."""

    path: Path
    version: tuple[int, ...]
    modules: frozenset[str]
    """Of the modules that were asked for, those it has."""

    def lacks(self, modules: Iterable[str]) -> str:
        """Return why it cannot drive a module that needs `modules`; an empty text if it can."""
        if self.version < _OLDEST:
            return f"is Python {'.'.join(map(str, self.version))}, older than {'.'.join(map(str, _OLDEST))}"
        missing = [name for name in modules if name not in self.modules]
        return f"has no {', no '.join(missing)}" if missing else ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The interpreter, and why this one."""

    path: Path
    note: str
    own: bool = False
    """Whether it is that of alwrity-doctor: what it lacks or has says nothing of the backend's environment."""


def ask(path: Path, modules: Sequence[str], timeout: float = _PATIENCE) -> Interpreter | str:
    """Return what the interpreter at `path` says of itself, or why it could not be asked.

    It runs in the sandbox, and what its own site-packages run at each start is run there.
    """
    with Sandbox(Path(), "alwrity_checks.sandbox.asked", path).launched("ask", *modules) as launch:
        interpreter, site_later, *program = launch.arguments
        try:
            answer = answer_of(
                [interpreter, site_later, "-c", _QUESTION, *program],
                environment=launch.environment,
                timeout=timeout,
                directory=launch.directory,
            )
            told: Mapping[str, list[int] | list[str]] = json.loads(answer)
            return Interpreter(path, tuple(map(int, told["version"])), frozenset(map(str, told["there"])))
        except subprocess.TimeoutExpired:
            return f"did not answer within {timeout:.0f} s"
        except (OSError, subprocess.SubprocessError) as error:
            return f"does not start ({type(error).__name__})"
        except (ValueError, KeyError, TypeError, RecursionError):
            return "does not answer as a Python interpreter does"


def choose(candidates: Iterable[Path], modules: Sequence[str], own: Path = Path(sys.executable)) -> Choice:
    """Return the first of `candidates` that has what is needed, or `own`, with what speaks against the others.

    Raises CannotCheck if none has, with what each of them lacks.
    """
    against = []
    for path in candidates:
        if not (reason := _reason(path, modules)):
            return Choice(path, "of the checkout's virtual environment")
        against.append(f"{path} {reason}")
    passed_over = f"; passed over: {'; '.join(against)}" if against else ": the checkout has no virtual environment"
    if not (reason := _reason(own, modules)):
        return Choice(own, f"that of alwrity-doctor{passed_over}", own=True)
    raise CannotCheck(
        f"no interpreter can drive the backend{passed_over}; {own} {reason}",
        f"install what is missing in the backend's environment (Python 3.11 or later), or beside alwrity-doctor: "
        f"{own} -m pip install {' '.join(_DISTRIBUTIONS.get(name, name) for name in modules)}",
    )


def named(path: Path, modules: Sequence[str]) -> Choice:
    """Return the interpreter that the user named. Raises CannotCheck, with what it lacks, if it cannot be used.

    No other one is tried: the user said which environment is meant.
    """
    told = ask(path, modules)
    if isinstance(told, str):
        raise CannotCheck(f"{path} {told}", "name the interpreter of the backend's environment: --python PATH")
    if reason := told.lacks(modules):
        names = " ".join(_DISTRIBUTIONS.get(name, name) for name in modules if name not in told.modules)
        install = f"install what is missing: {path} -m pip install {names}"
        raise CannotCheck(f"{path} {reason}", install if names else "name a newer one: --python PATH")
    return Choice(path, "named with --python")


_DISTRIBUTIONS: Final = {"faiss": "faiss-cpu", "jwt": "PyJWT", "dotenv": "python-dotenv"}
"""Module -> the distribution that has it, where the names differ."""


def _reason(path: Path, modules: Sequence[str]) -> str:
    told = ask(path, modules)
    return told if isinstance(told, str) else told.lacks(modules)
