"""Who in a checkout uses what of a module: imports of its names, and attributes of the imported module."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alwrity_checks.adoption.proposal import Sources

__all__ = ["Caller", "callers"]

_IMPORT: Final = re.compile(
    r"^[ \t]*from[ \t]+(?P<module>[.\w]+)[ \t]+import[ \t]*(?:\((?P<many>[^)]*)\)|(?P<few>[^\n;#]*))", re.MULTILINE
)
"""For a file that this Python cannot parse: its imports are still in the one form."""
_COMMENT: Final = re.compile(r"#.*")


@dataclass(frozen=True, slots=True)
class Caller:
    """One place at which a name of the module is used."""

    path: str
    """Relative to the backend's directory, with `/`."""
    line: int
    name: str
    """What is used; `*` where everything is imported."""


def callers(sources: Sources, module: str, names: Collection[str] | None = None) -> tuple[Caller, ...]:
    """Return who uses a name of `module` (dotted, as the backend imports it) that is not among `names`; all for None.

    Relative imports are followed, and so are `import a.b`, `import a.b as c` and `from a import b` with the attributes
    that are used of them in that file. The module itself is left out. What is imported by a text at run time is not
    seen.
    """
    word = module.rpartition(".")[2]
    found: set[tuple[str, int, str]] = set()
    for path in sources.python_files():
        if path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") == module:
            continue
        text = sources.text(path)
        if text is None or word not in text:
            continue
        used = _uses(path, text, module)
        found |= {(path, line, name) for line, name in used if names is None or name not in names}
    return tuple(Caller(*one) for one in sorted(found))


def _uses(path: str, text: str, module: str) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        yield from _uses_in_text(path, text, module)
        return
    nodes = list(ast.walk(tree))
    spoken: set[str] = set()
    """How the module itself is spoken of in this file: `a.b`, or the name that it was given."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            origin = _absolute(path, node.module or "", node.level)
            if origin == module:
                yield from ((node.lineno, alias.name) for alias in node.names)
            spoken |= {alias.asname or alias.name for alias in node.names if f"{origin}.{alias.name}" == module}
        elif isinstance(node, ast.Import):
            spoken |= {alias.asname or alias.name for alias in node.names if _plain(alias.name) == module}
    for node in nodes if spoken else ():
        if isinstance(node, ast.Attribute) and _dotted(node.value) in spoken:
            yield node.lineno, node.attr


def _uses_in_text(path: str, text: str, module: str) -> Iterator[tuple[int, str]]:
    for match in _IMPORT.finditer(text):
        dotted = match["module"].lstrip(".")
        if _absolute(path, dotted, len(match["module"]) - len(dotted)) != module:
            continue
        line = text.count("\n", 0, match.start()) + 1
        for part in _COMMENT.sub("", match["many"] or match["few"] or "").split(","):
            if words := part.split():
                yield line, words[0]


def _absolute(path: str, module: str, level: int) -> str:
    if not level:
        return _plain(module)
    package = path.split("/")[:-1]
    above = package[: len(package) - level + 1]
    return ".".join([*above, *([module] if module else [])])


def _plain(module: str) -> str:
    """Return a name as it is when `backend/` is on the path; some files name it from the repository's root."""
    return module.removeprefix("backend.")


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
