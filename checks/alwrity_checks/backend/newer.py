"""Files whose syntax is newer than this Python: a newer one on this machine parses them, and hands their trees over.

ALwrity 8c2d88ef has five such files and ce9bf293 six; leaving them out would leave their faults out too. The other
interpreter runs a program of ours with its own libraries only (-I -S), which compiles and never carries out.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alwrity_checks.redaction import scrub

__all__ = ["Newer", "Translated", "newest", "translate"]

Version = tuple[int, int]

_PATIENCE: Final = 60.0
_LATEST: Final = 20
"""Python 3.20 is looked for, too."""
_NEEDED: Final = ("SYSTEMROOT", "PATH", "LD_LIBRARY_PATH")
"""Of our environment: what an interpreter may need to find its own libraries."""
_INSTALLED: Final = (
    "~/.pyenv/versions/*/3.{minor}.*/bin/python",
    "~/.local/share/uv/python/*/cpython-3.{minor}.*/bin/python",
)
"""Where pyenv and uv keep interpreters that are not on the path: a directory, then a pattern below it."""
_PROGRAM: Final = """
import ast, base64, json, sys, warnings
warnings.simplefilter("ignore")
def told(node):
    if isinstance(node, ast.AST):
        places = {name: getattr(node, name) for name in node._attributes if hasattr(node, name)}
        return {"n": type(node).__name__, "f": {k: told(v) for k, v in ast.iter_fields(node)}, "a": places}
    if isinstance(node, list):
        return [told(one) for one in node]
    if isinstance(node, (bytes, complex)) or node is Ellipsis or isinstance(node, (int, float)) and not isinstance(
            node, bool):
        return {"c": repr(node)}
    return node
for name, data in json.load(sys.stdin).items():
    source = base64.b64decode(data)
    try:
        compile(source, "source", "exec")
        line = json.dumps([name, {"tree": told(ast.parse(source))}])
    except (SyntaxError, ValueError) as error:
        said = getattr(error, "msg", None) or str(error)
        line = json.dumps([name, {"line": getattr(error, "lineno", None), "error": said}])
    except (RecursionError, MemoryError):
        line = json.dumps([name, {"line": None, "error": ""}])
    print(line, flush=True)
"""
_UNKNOWN: Final[Mapping[str, str]] = {"TemplateStr": "JoinedStr", "Interpolation": "FormattedValue"}
"""Nodes that this Python may not know -> what stands for them here."""


@dataclass(frozen=True, slots=True)
class Newer:
    """An interpreter that is newer than this one."""

    path: Path
    version: Version


@dataclass(frozen=True, slots=True)
class Translated:
    """What a newer interpreter made of a file."""

    tree: ast.Module | None
    """None if it does not compile there either."""
    line: int = 1
    error: str = ""
    """Empty if that interpreter cannot tell either: the file is nested too deeply."""


def newest() -> Newer | None:
    """Return the newest interpreter of this machine that is newer than this one; None if there is none."""
    for minor in range(_LATEST, sys.version_info[1], -1):
        candidates = [str(path) for pattern in _INSTALLED for path in _matching(pattern.format(minor=minor))]
        if path := shutil.which(f"python3.{minor}"):
            candidates.append(path)
        for candidate in candidates:
            if _answers(candidate, (3, minor)):
                return Newer(Path(candidate), (3, minor))
    return None


def _matching(pattern: str) -> list[Path]:
    top, _, rest = pattern.partition("/*/")
    place = Path(top).expanduser()
    return sorted(place.glob(rest)) if place.is_dir() else []


def _answers(path: str, version: Version) -> bool:
    # A shim of pyenv is on the path whether or not the version it stands for is chosen.
    try:
        asked = subprocess.run(  # noqa: S603 - an interpreter of this machine, on a program of ours
            [path, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_PATIENCE,
            env=_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return asked.stdout.split() == [str(part).encode() for part in version]


def translate(interpreter: Path, sources: Mapping[str, bytes]) -> Mapping[str, Translated]:
    """Return what `interpreter` makes of each source; nothing of one that it could not be asked about."""
    import base64

    order = {name: base64.b64encode(data).decode() for name, data in sources.items()}
    try:
        asked = subprocess.run(  # noqa: S603 - an interpreter of this machine, on a program of ours
            [str(interpreter), "-I", "-S", "-c", _PROGRAM],
            input=json.dumps(order).encode(),
            capture_output=True,
            # What it said before it died still counts.
            check=False,
            timeout=_PATIENCE,
            env=_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    found = {}
    for line in asked.stdout.splitlines():
        try:
            name, told = json.loads(line)
            found[str(name)] = _translated(told)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _NEEDED if name in os.environ}


def _translated(told: Mapping[str, Any]) -> Translated:
    if "tree" not in told:
        return Translated(None, told["line"] or 1, scrub(str(told["error"])))
    tree = _node(told["tree"])
    return Translated(tree if isinstance(tree, ast.Module) else None)


def _node(told: Any) -> Any:  # noqa: ANN401 - a tree is made of nodes, lists and constants
    if isinstance(told, list):
        return [_node(one) for one in told]
    if not isinstance(told, dict):
        return told
    if "c" in told:
        return Ellipsis if told["c"] == "Ellipsis" else ast.literal_eval(told["c"].replace("inf", "1e999"))
    kind = getattr(ast, _UNKNOWN.get(told["n"], told["n"]), None)
    if kind is None:
        # A statement that this Python has no node for (`type X = int`) binds a name and does nothing else.
        kind, told = ast.Pass, {"f": {}, "a": told["a"]}
    known: Sequence[str] = kind._fields
    return kind(**{name: _node(value) for name, value in told["f"].items() if name in known}, **told["a"])
