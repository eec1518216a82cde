"""What the faces ask of Python source, and the edits that they make in it: everything else stays, byte for byte.

It is parsed by libcst, which knows the syntax of newer Pythons than the one it runs on (ALwrity ce9bf293 has six files
with the f-strings of Python 3.12) and gives every file back as it was. Nothing is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from alwrity_checks.adoption.callers import Caller, callers
from alwrity_checks.adoption.calls import Kind, Parameter, Passing, Signature, unaccepted
from alwrity_checks.adoption.proposal import Refusal
from alwrity_checks.errors import DoctorError, MissingExtra

if TYPE_CHECKING:
    import libcst as cst

    from alwrity_checks.adoption.editing import Statement

__all__ = [
    "Caller",
    "Kind",
    "Parameter",
    "Passing",
    "Signature",
    "SourceMisfit",
    "callers",
    "public_names",
    "refused",
    "replace_definitions",
    "replace_module",
    "unaccepted",
]

_LONGEST: Final = 80
_MARKER: Final = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
_PLACE: Final = re.compile(r"error at (\d+):")
"""Where libcst says it in its message; what it has as the error's line is sometimes the next one."""


class SourceMisfit(DoctorError):  # noqa: N818 - a state of the source, not a fault of ours
    """A source is not of the form that an edit needs; `line` says where (1-based, None for the file as a whole)."""

    def __init__(self, diagnosis: str, remedy: str = "", line: int | None = None) -> None:
        super().__init__(diagnosis, remedy)
        self.line = line


def refused(path: str, misfit: SourceMisfit) -> Refusal:
    """Return a misfit of the file at `path` as a refusal of its issue."""
    return Refusal(path, misfit.line, misfit.diagnosis, misfit.remedy or "apply the change by hand")


def parsed(text: str) -> cst.Module:
    """Return the tree of a source. Raises SourceMisfit where it is none, MissingExtra where libcst is missing."""
    try:
        import libcst as cst
    except ImportError as error:
        raise MissingExtra("adopt", "writing into a checkout") from error
    try:
        module = cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        raise _unreadable(text, error.message) from error
    except (RecursionError, UnicodeError) as error:
        raise SourceMisfit("it is nested too deeply to be read", "apply the change by hand") from error
    if module.code != text:
        raise SourceMisfit("its line ends are of several kinds, or of none that is in use", "give it those of git")
    return module


def _unreadable(text: str, told: str) -> SourceMisfit:
    # A docstring may show a marker: only in a file that does not parse is it one.
    if marker := _MARKER.search(text):
        line = text.count("\n", 0, marker.start()) + 1
        return SourceMisfit("a merge conflict was left in it", "keep one side of it, then run adopt again", line)
    place = _PLACE.search(told)
    said = told.splitlines()[0][:_LONGEST]
    line_told = int(place[1]) if place else None
    return SourceMisfit(f"it is no Python that can be read: {said}", "correct it, then run adopt again", line_told)


def public_names(text: str, *, private: bool = False) -> Mapping[str, Signature]:
    """Return every name that a module binds at its top level, in the order of their lines; `_names` if `private`.

    Names that are bound below `if`, `try` and `with` at the top level are among them. Of a name that is bound several
    times the last one counts. Raises SourceMisfit for what does not parse.
    """
    bound = _bound(text)
    return MappingProxyType({name: one for name, one in bound.items() if private or not name.startswith("_")})


@lru_cache(maxsize=32)
def _bound(text: str) -> Mapping[str, Signature]:
    """Return what a module binds, by name; several faces and the engine ask it of one text."""
    from alwrity_checks.adoption.bindings import bindings

    return MappingProxyType(dict(sorted(bindings(parsed(text)), key=lambda item: item[1].line)))


def replace_definitions(text: str, replacements: Mapping[str, str], *, in_place: bool = False) -> str:
    """Return a module's source with definitions replaced: a name -> the import of it, or another definition of it.

    An import stands with the module's other imports, where `in_place` does not say that it takes the definition's
    place; another definition always takes it. A definition goes with its decorators and with the comments directly
    above it; of several definitions of a name all go. Everything else stays byte for byte. Raises SourceMisfit where a
    name is not defined by a `class` or `def` at the top level, or is defined elsewhere in it (below an `if`) as well.
    """
    from alwrity_checks.adoption import editing
    from alwrity_checks.adoption.bindings import bindings

    module = parsed(text)
    bound = list(bindings(module))
    for name in replacements:
        editing.check_replaceable(module, name, [signature for known, signature in bound if known == name])
    written = {name: _statements(module, code) for name, code in replacements.items()}
    imports = {name for name, code in written.items() if not in_place and all(map(editing.is_import, code))}
    body: list[Statement] = []
    carried: list[cst.EmptyLine] = []
    placed: set[str] = set()
    for statement in module.body:
        own = editing.defined(statement)
        if own is None or own not in written:
            body.append(editing.with_lines(statement, [*carried, *editing.lines_above(statement)]))
            carried = []
            continue
        above = editing.detached(editing.lines_above(statement))
        if own in imports or own in placed:
            carried += editing.comments(above)
            continue
        first, *rest = written[own]
        body += [editing.with_lines(first, [*carried, *above]), *rest]
        carried = []
        placed.add(own)
    top = [one for name in replacements if name in imports for one in written[name]]
    body = editing.with_imports(body, top)
    return module.with_changes(body=body, footer=[*carried, *module.footer]).code


def _statements(module: cst.Module, code: str) -> Sequence[Statement]:
    import libcst as cst

    newline = module.default_newline
    wanted = cst.parse_module(newline.join(code.strip("\n").splitlines()) + newline, module.config_for_parsing)
    return list(wanted.body)


def replace_module(before: str | None, after: str) -> str:
    """Return a whole module's new source in the old one's manner: its line ends, its byte order mark, its licence.

    A comment at the top of the old module stays if it is about copyright or a licence. `after` has plain line ends.
    """
    if before is None:
        return after
    mark = "\ufeff" if before.startswith("\ufeff") else ""
    kept = "".join(_licence(before.removeprefix("\ufeff")))
    text = kept + after
    newline = "\r\n" if "\r\n" in before and before.count("\r\n") == before.count("\n") else "\n"
    return mark + text.replace("\r\n", "\n").replace("\n", newline)


def _licence(text: str) -> Iterator[str]:
    lines = text.splitlines()
    head = lines[: next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    if any(word in line.lower() for line in head for word in ("copyright", "licen", "spdx")):
        yield from (f"{line}\n" for line in head)
