"""Which texts reach which calls in one file's syntax tree: enough to tell a model that is loaded from one that is not.

Names are told apart by the function that binds them, attributes by their name in the file. That is coarser than a
program's flow and errs on the side of finding: what is a model's name is decided by the call that it reaches.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from alwrity_checks.trees.tree import children

__all__ = ["Flow", "Text"]

_Key = tuple[str, str]
"""A name's scope (a function's name, or nothing for the module; `.` for attributes) and the name."""


@dataclass(frozen=True, slots=True, order=True)
class Text:
    """A text in the source."""

    line: int
    value: str


@dataclass
class Flow:
    """What the names and attributes of a file can stand for."""

    sources: dict[_Key, set[Text | _Key]] = field(default_factory=lambda: defaultdict(set))
    read: set[_Key] = field(default_factory=set)
    """The names that are read anywhere."""
    calls: list[tuple[str, ast.Call]] = field(default_factory=list)
    """Every call, with the scope that it stands in."""
    scopes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Scope -> the names that it binds."""

    @classmethod
    def of(cls, tree: ast.Module) -> Flow:
        """Read a file."""
        flow = cls()
        flow._bindings(tree, "")
        flow._walk(tree, "")
        return flow

    def texts(self, expression: ast.expr, scope: str) -> set[Text]:
        """Return the texts that an expression can stand for."""
        found: set[Text] = set()
        seen: set[_Key] = set()
        waiting = list(self._parts(expression, scope))
        while waiting:
            one = waiting.pop()
            if isinstance(one, Text):
                found.add(one)
            elif one not in seen:
                seen.add(one)
                waiting.extend(self.sources.get(one, ()))
        return found

    def unread(self) -> Iterator[Text]:
        """Yield the texts that are bound to a name of a function that nobody reads."""
        for key, sources in self.sources.items():
            if key[0] not in {"", "."} and key not in self.read:
                yield from (one for one in sources if isinstance(one, Text))

    def _bindings(self, node: ast.AST, scope: str) -> None:
        for child in children(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{scope}{child.name}@{child.lineno}/"
                arguments = child.args
                for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    self.scopes[inner].add(argument.arg)
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                self.scopes[scope].add(child.id)
            self._bindings(child, inner)

    def _walk(self, node: ast.AST, scope: str) -> None:
        for child in children(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{scope}{child.name}@{child.lineno}/"
                self._defaults(child.args, inner, scope)
            else:
                self._statement(child, scope, in_class=isinstance(node, ast.ClassDef))
            self._walk(child, inner)

    def _statement(self, node: ast.AST, scope: str, *, in_class: bool) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value, scope, in_class=in_class)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            self._bind(node.target, node.value, scope, in_class=in_class)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._bind(node.target, node.iter, scope)
        elif isinstance(node, ast.Call):
            self.calls.append((scope, node))
            taken = node.func
            if isinstance(taken, ast.Attribute) and taken.attr in {"append", "extend", "insert", "add"} and node.args:
                self._bind(taken.value, node.args[-1], scope)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self.read.add(self._key(node.id, scope))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self.read.add((".", node.attr))

    def _defaults(self, arguments: ast.arguments, inner: str, outer: str) -> None:
        positional = (*arguments.posonlyargs, *arguments.args)
        pairs = [
            *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for argument, default in pairs:
            if default is not None:
                self.sources[inner, argument.arg].update(self._parts(default, outer))

    def _bind(self, target: ast.expr, value: ast.expr, scope: str, *, in_class: bool = False) -> None:
        if isinstance(target, ast.Name):
            # A class's own names are reached as attributes: those of a dataclass, or defaults.
            key = (".", target.id) if in_class else self._key(target.id, scope)
            self.sources[key].update(self._parts(value, scope))
        elif isinstance(target, ast.Attribute):
            self.sources[".", target.attr].update(self._parts(value, scope))

    def _parts(self, node: ast.expr, scope: str) -> Iterator[Text | _Key]:
        """Yield what a value is made of; what only decides or computes is no part of it."""
        match node:
            case ast.Constant(value=str() as text):
                yield Text(node.lineno, text)
            case ast.Name(id=name):
                yield self._key(name, scope)
            case ast.Attribute(attr=name):
                yield ".", name
            case _:
                for one in _inner(node):
                    yield from self._parts(one, scope)

    def _key(self, name: str, scope: str) -> _Key:
        """Return the binding of a name that is seen from `scope`."""
        while scope and name not in self.scopes.get(scope, ()):
            scope = scope[: scope[:-1].rfind("/") + 1]
        return scope, name


def _inner(node: ast.expr) -> list[ast.expr]:
    """Return the expressions of which a composed value may be, or which it may hold."""
    match node:
        case ast.BoolOp(values=values) | ast.Dict(values=values):
            return values
        case ast.List(elts=values) | ast.Tuple(elts=values) | ast.Set(elts=values):
            return values
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case ast.Starred(value=inner) | ast.Await(value=inner) | ast.Subscript(value=inner):
            return [inner]
        case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "str" | "dict"), args=values):
            return values
        case ast.Call(func=ast.Attribute(attr="getenv" | "get"), args=[_, default, *_]):
            return [default]
    return []
