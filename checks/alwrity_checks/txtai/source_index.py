"""Which expressions of a source are a semantic index, and which files have to do with one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.tree import Function, last_name

if TYPE_CHECKING:
    from alwrity_checks.trees.reading import Reading

__all__ = ["calls_of_index", "is_index", "makes_index", "own_method", "uses_index"]

_MADE_BY: Final = frozenset({"Embeddings"})
_NAME: Final = "embeddings"
"""What ALwrity's service calls its index, and whoever reaches into the service."""


def uses_index(reading: Reading) -> bool:
    """Say whether a file imports txtai, or reaches into a service that holds an index."""
    imported = any(name.partition(".")[0] == "txtai" for name in reading.tree.imports.values())
    return imported or any(one.attr == _NAME for one in reading.tree.all(ast.Attribute))


def makes_index(node: ast.AST) -> ast.Call | None:
    """Return the call below a node that builds an index; None if there is none."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and last_name(one.func) in _MADE_BY:
            return one
    return None


def is_index(reading: Reading, expression: ast.expr) -> bool:
    """Say whether an expression is a semantic index: by its name, or by what it was made of."""
    if last_name(expression) == _NAME:
        return True
    return isinstance(expression, ast.Name) and any(
        last_name(one.value) == _NAME or (isinstance(one.value, ast.Call) and last_name(one.value.func) in _MADE_BY)
        for one in reading.flow.bindings(expression)
    )


def calls_of_index(reading: Reading, *names: str) -> Iterator[ast.Call]:
    """Yield the calls of an index's methods of these names."""
    for call in reading.tree.all(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr in names and is_index(reading, call.func.value):
            yield call


def own_method(reading: Reading, expression: ast.expr) -> Function | None:
    """Return the method of the same class that `self.name` is; None for anything else."""
    match expression:
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
            owner = reading.tree.owner(expression)
            for one in owner.body if owner is not None else ():
                if isinstance(one, Function) and one.name == name:
                    return one
    return None
