"""What a checkout says that it needs: the lines of its requirements, and the Python that it runs with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["DeclaredPython", "Line", "declared_python", "lines", "normalised"]

Version = tuple[int, int]

_RUNTIME: Final = re.compile(r"^\s*(?:python-)?(\d+)\.(\d+)(?:\.\w+)*\s*$", re.MULTILINE)
_STATED: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        r"runtime\.txt|\.python-version": _RUNTIME,
        r"Dockerfile.*": re.compile(
            r"^\s*FROM\s+(?:--\S+\s+)*(?:\S+/)?python:(\d+)\.(\d+)", re.MULTILINE | re.IGNORECASE
        ),
        r"pyproject\.toml": re.compile(
            r"""^requires-python\s*=\s*["'][^"'\n]*?(?:>=|==|~=)\s*(\d+)\.(\d+)""", re.MULTILINE
        ),
    }
)
"""A file's name -> where it says which Python runs it; of a range, the oldest that it allows."""
_DIRECT: Final = re.compile(r"(?:[\w.+-]+://|git\+|\.{0,2}/|-e\s|--editable[\s=])")
_VERSION_IN_NAME: Final = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*?)-(?P<version>\d+(?:\.\d+)+)$")
_MARKER: Final = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)")


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement."""

    path: str
    """Relative to the repository's root, with `/`."""
    number: int
    text: str
    """As it stands there, without a comment."""
    name: str
    """The distribution, normalised (PEP 503); empty if the line names none."""
    extras: frozenset[str]
    fault: str = ""
    """Why nothing can be installed by it."""


@dataclass(frozen=True, slots=True)
class DeclaredPython:
    """The Python that a checkout says it runs with."""

    version: Version
    path: str
    line: int


def normalised(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(declarations: Mapping[str, bytes]) -> Iterator[Line]:
    """Yield every requirement of the files, by their paths."""
    for path, data in declarations.items():
        name = path.rpartition("/")[2]
        text = data.decode("utf-8-sig", "replace")
        if name == "pyproject.toml":
            yield from _of_project(path, text)
        elif name.startswith("requirements"):
            yield from _of_file(path, text)


def _of_file(path: str, text: str) -> Iterator[Line]:
    waiting, began = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        began = began if waiting else number
        joined = waiting + raw
        if joined.endswith("\\") and not raw.lstrip().startswith("#"):
            waiting = joined[:-1] + " "
            continue
        waiting = ""
        # pip takes a `#` for a comment at the line's start or behind white space only: it is part of a URL otherwise.
        stated = re.sub(r"(?:^|\s)#.*$", "", joined).strip()
        if stated and (found := _line(path, began, stated)):
            yield found


def _line(path: str, number: int, stated: str) -> Line | None:
    from packaging.requirements import InvalidRequirement, Requirement

    if _MARKER.match(stated):
        return Line(path, number, stated, "", frozenset(), "a merge conflict was left in the file")
    if _DIRECT.match(stated):
        egg = re.search(r"#egg=([\w.-]+)", stated)
        return Line(path, number, stated, normalised(egg.group(1)) if egg else "", frozenset())
    if stated.startswith("-"):
        return None
    try:
        requirement = Requirement(re.split(r"\s--(?:hash|config-settings|global-option)\b", stated)[0].strip())
    except InvalidRequirement as error:
        return Line(path, number, stated, "", frozenset(), f"pip cannot read it: {str(error).splitlines()[0]}")
    if not requirement.specifier and (wrong := _VERSION_IN_NAME.match(requirement.name)):
        fault = (
            f"pip takes it for a project of that name, which there is not: meant is {wrong['name']}=={wrong['version']}"
        )
        return Line(path, number, stated, normalised(requirement.name), frozenset(), fault)
    return Line(path, number, stated, normalised(requirement.name), frozenset(requirement.extras))


def _of_project(path: str, text: str) -> Iterator[Line]:
    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError:
        return
    groups = [project.get("dependencies", []), *dict(project.get("optional-dependencies", {})).values()]
    for stated in (one for group in groups if isinstance(group, list) for one in group if isinstance(one, str)):
        number = next((at for at, line in enumerate(text.splitlines(), start=1) if stated in line), 1)
        if found := _line(path, number, stated):
            yield found


def declared_python(declarations: Mapping[str, bytes]) -> DeclaredPython | None:
    """Return the oldest Python that one of the files says the backend runs with; None if none says so."""
    found = [
        one for path, data in declarations.items() if (one := _declared(path, data.decode("utf-8-sig", "replace")))
    ]
    return min(found, key=lambda one: one.version) if found else None


def _declared(path: str, text: str) -> DeclaredPython | None:
    name = path.rpartition("/")[2]
    patterns = [pattern for kind, pattern in _STATED.items() if re.fullmatch(kind, name)]
    match = patterns[0].search(text) if patterns else None
    return None if match is None else _at(path, text, match)


def _at(path: str, text: str, match: re.Match[str]) -> DeclaredPython:
    version = int(match.group(1)), int(match.group(2))
    return DeclaredPython(version, path, text.count("\n", 0, match.start(1)) + 1)
