"""Which files of a checkout run: those imported, over however many others, from where its backend starts.

Imports are read from the text and not from the syntax tree, because a file that does not parse imports something too.
That errs on the side of running: an import in a docstring counts as one, and so does a dotted text that names a module,
since it may be handed to `import_module`. What is left over is a dead copy: nothing imports it by any of these ways.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["STARTS", "Graph", "Import", "imports", "live_files"]

STARTS: Final = ("start_alwrity_backend.py", "app.py", "main.py")
"""Where a backend starts: what its Procfile, uvicorn and its older scripts run."""
_ROOT_PACKAGE: Final = "backend"
"""The directory's own name: with the repository's root on the path, `backend.services` is `services`."""

_STATEMENT: Final = re.compile(
    rb"""
    ^[ \t]*(?:\w[^#\r\n"']*:[ \t]+)?                          # `try: import x` stands on one line, too
    (?: from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*|(?:[^#\r\n\\]|\\\r?\n)*)
      | import[ \t]+((?:[^#\r\n\\;]|\\\r?\n)+) )
    """,
    re.MULTILINE | re.VERBOSE,
)
_DOTTED: Final = re.compile(rb"""["']([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[A-Za-z_]\w*(?=:\w+["']))(?::\w+)?["']""")
"""`services.x`, as import_module takes it, and `app:app`, as uvicorn does."""
_NAME: Final = re.compile(rb"(\w+)(?:\s+as\s+\w+)?")
_COMMENT: Final = re.compile(rb"#[^\n]*")


class Import(NamedTuple):
    """A module, or something in it, that a file asks for."""

    module: str
    """Dotted, from the backend's directory."""
    line: int


def imports(path: str, text: bytes) -> tuple[Import, ...]:
    """Return what the file at `path` (relative to the backend's directory, with `/`) imports, each once."""
    package = path.removesuffix(".py").split("/")[:-1]
    found: dict[str, int] = {}
    lines = _Lines(text)
    for match in _STATEMENT.finditer(text):
        for module in _modules(match, package):
            found.setdefault(module, lines.of(match.start(1) if match.group(1) else match.start(3)))
    for match in _DOTTED.finditer(text):
        found.setdefault(match.group(1).decode(), lines.of(match.start()))
    return tuple(Import(module, line) for module, line in found.items())


class _Lines:
    """The lines of ascending or descending offsets, each text counted once."""

    def __init__(self, text: bytes) -> None:
        self._text, self._offset, self._line = text, 0, 1

    def of(self, offset: int) -> int:
        if offset < self._offset:
            self._offset, self._line = 0, 1
        self._line += self._text.count(b"\n", self._offset, offset)
        self._offset = offset
        return self._line


def _modules(match: re.Match[bytes], package: list[str]) -> Iterator[str]:
    origin, names, plain = (part or b"" for part in match.groups())
    if plain:
        for one in plain.split(b","):
            if name := re.match(rb"\s*([\w.]+)", one):
                yield name.group(1).decode("utf-8", "replace")
        return
    source = origin.decode("utf-8", "replace")
    stripped = source.lstrip(".")
    dots = len(source) - len(stripped)
    base = package[: len(package) - dots + 1] if dots else []
    module = ".".join([*base, *([stripped] if stripped else [])])
    if module:
        yield module
    for match_of_name in _NAME.finditer(_COMMENT.sub(b"", names)):
        imported = match_of_name.group(1).decode("utf-8", "replace")
        yield f"{module}.{imported}" if module else imported


@dataclass(frozen=True, slots=True)
class Graph:
    """Who imports whom."""

    live: frozenset[str]
    """The files that run."""
    _before: Mapping[str, str]
    """A live file -> the file over which it was reached first."""
    _importers: Mapping[str, tuple[tuple[str, int], ...]]

    @classmethod
    def of(cls, files: Mapping[str, Iterable[Import]], starts: Iterable[str] = STARTS) -> Graph:
        """Return the graph of the files by their paths, each with its imports."""
        places = frozenset(files)
        edges = {path: _edges(path, wanted, places) for path, wanted in files.items()}
        importers: dict[str, list[tuple[str, int]]] = {}
        for path, reached in sorted(edges.items()):
            for target, line in reached.items():
                importers.setdefault(target, []).append((path, line))
        before: dict[str, str] = {}
        waiting = deque(start for start in starts if start in places)
        found = set(waiting)
        while waiting:
            path = waiting.popleft()
            for target in edges[path]:
                if target not in found:
                    found.add(target)
                    before[target] = path
                    waiting.append(target)
        return cls(
            frozenset(found),
            MappingProxyType(before),
            MappingProxyType({path: tuple(ones) for path, ones in importers.items()}),
        )

    def importers(self, path: str) -> tuple[tuple[str, int], ...]:
        """Return the files that import `path`, each with the line, those that run first."""
        return tuple(sorted(self._importers.get(path, ()), key=lambda one: (one[0] not in self.live, one)))

    def way(self, path: str) -> tuple[str, ...]:
        """Return a shortest chain of imports from a start to `path`, both included; nothing for a dead file."""
        if path not in self.live:
            return ()
        chain = [path]
        while chain[-1] in self._before:
            chain.append(self._before[chain[-1]])
        return tuple(reversed(chain))


def live_files(sources: Mapping[str, bytes]) -> frozenset[str]:
    """Return, of the files by their paths, those that run."""
    return Graph.of({path: imports(path, text) for path, text in sources.items()}).live


def _edges(path: str, wanted: Iterable[Import], places: Collection[str]) -> dict[str, int]:
    """Return the files that an import carries out, with its line: every package above the module, then the module."""
    reached: dict[str, int] = {}
    for module, line in wanted:
        parts = module.split(".")
        if parts[0] == _ROOT_PACKAGE and _file(parts[:1], places) is None:
            del parts[0]
        for length in range(1, len(parts) + 1):
            place = _file(parts[:length], places)
            if place is not None and place != path:
                reached.setdefault(place, line)
    return reached


def _file(parts: list[str], places: Collection[str]) -> str | None:
    """Return the file of a dotted name; a package wins over a module of its name, as in an import."""
    place = "/".join(parts)
    package = f"{place}/__init__.py"
    if package in places:
        return package
    module = f"{place}.py"
    return module if module in places else None
