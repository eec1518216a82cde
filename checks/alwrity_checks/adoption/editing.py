"""A module's statements, the lines above them, and where an import belongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import libcst as cst

from alwrity_checks.adoption.calls import Kind, Signature
from alwrity_checks.adoption.syntax import SourceMisfit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Statement",
    "check_replaceable",
    "comments",
    "defined",
    "detached",
    "is_import",
    "lines_above",
    "with_imports",
    "with_lines",
]

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
"""What a module's body is made of."""

_REPLACEABLE: Final = frozenset({Kind.CLASS, Kind.FUNCTION, Kind.COROUTINE})


def check_replaceable(module: cst.Module, name: str, bound: Sequence[Signature]) -> None:
    """Raise SourceMisfit where `name`, which the module binds so, is not what `replace_definitions` can replace."""
    if not bound:
        raise SourceMisfit(f"it does not define {name}", f"look where this revision has {name}")
    odd = next((one for one in bound if one.kind not in _REPLACEABLE), None)
    if odd is not None:
        message = f"{name} is bound by {'an' if odd.kind is Kind.IMPORT else 'a'} {odd.kind} there"
        raise SourceMisfit(message, "apply the change by hand", odd.line)
    if len(bound) > sum(defined(statement) == name for statement in module.body):
        message = f"{name} is defined below a condition, so that there may be another one"
        raise SourceMisfit(message, "apply the change by hand", bound[0].line)


def defined(statement: cst.CSTNode) -> str | None:
    """Return the name that a statement defines with `class` or `def`."""
    return statement.name.value if isinstance(statement, (cst.ClassDef, cst.FunctionDef)) else None


def is_import(statement: cst.CSTNode) -> bool:
    """Say whether a line holds nothing but imports."""
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(one, (cst.Import, cst.ImportFrom)) for one in statement.body
    )


def lines_above(statement: Statement) -> Sequence[cst.EmptyLine]:
    """Return the blank lines and comments before a statement."""
    return statement.leading_lines


def with_lines(statement: Statement, lines: Sequence[cst.EmptyLine]) -> Statement:
    """Return a statement with these lines before it."""
    return statement.with_changes(leading_lines=lines)


def detached(lines: Sequence[cst.EmptyLine]) -> Sequence[cst.EmptyLine]:
    """Return the lines up to the last blank one: a comment directly above a definition is about that alone."""
    last = max((index for index, line in enumerate(lines) if line.comment is None), default=-1)
    return lines[: last + 1]


def comments(lines: Sequence[cst.EmptyLine]) -> Sequence[cst.EmptyLine]:
    """Return the lines up to the last comment, nothing where there is none."""
    places = [index for index, line in enumerate(lines) if line.comment is not None]
    return lines[: places[-1] + 1] if places else ()


def with_imports(body: Iterable[Statement], imports: Sequence[Statement]) -> list[Statement]:
    """Return a module's statements with further imports after the last one that stands above any definition."""
    statements = list(body)
    if not imports:
        return statements
    head = next((index for index, one in enumerate(statements) if defined(one) is not None), len(statements))
    last = max((index for index, one in enumerate(statements[:head]) if is_import(one)), default=None)
    if last is not None:
        return [*statements[: last + 1], *imports, *statements[last + 1 :]]
    start = 1 if statements and _is_docstring(statements[0]) else 0
    first = with_lines(imports[0], [cst.EmptyLine(indent=False)] if start else ())
    return [*statements[:start], first, *imports[1:], *statements[start:]]


def _is_docstring(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
        return False
    only = statement.body[0]
    return isinstance(only, cst.Expr) and isinstance(only.value, (cst.SimpleString, cst.ConcatenatedString))
