"""What the values of a file are made of: names, attributes and parameters followed to the expressions behind them.

Names are told apart by the function that binds them, attributes by their name in the file; a parameter stands for the
arguments of the calls in the same file, a call of a function of the file for what that function returns. Order and
conditions are not looked at, so what is found is what a value can be made of, not what it is at one moment.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from alwrity_checks.trees.tree import Function, Tree, last_name, tree_of

__all__ = ["Binding", "Flow", "arguments", "flow_of", "keyword"]

_Key: TypeAlias = tuple[ast.AST | None, str]
"""The function that binds a name (None: the module) and the name; of attributes the file and `.name`."""
_OPAQUE: Final = frozenset(
    {"len", "bool", "type", "isinstance", "issubclass", "hasattr", "callable", "any", "all", "id", "range", "hash"}
)
"""Calls whose result says something about their argument and holds nothing of it."""
_ADDING: Final = frozenset({"append", "extend", "add", "insert"})
_MOST: Final = 4000
"""Expressions that are followed from one: a generated file must not take a minute."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A value that a name or an attribute is given."""

    value: ast.expr
    node: ast.AST
    """The statement, or the call for a parameter."""


class Flow:
    """The bindings of one file."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._bindings: dict[_Key, list[Binding]] = defaultdict(list)
        self._bound: dict[ast.AST | None, set[str]] = defaultdict(set)
        self._defined: dict[str, list[Function]] = defaultdict(list)
        self._returns: dict[ast.AST | None, list[ast.Return]] = defaultdict(list)
        self._read()

    def bindings(self, expression: ast.expr) -> list[Binding]:
        """Return what a name or an attribute is given anywhere; nothing for other expressions."""
        if isinstance(expression, ast.Name):
            return self._bindings.get(self._key(expression.id, expression), [])
        if isinstance(expression, ast.Attribute):
            return self._bindings.get((None, f".{expression.attr}"), [])
        return []

    def origins(self, expression: ast.expr) -> list[ast.expr]:
        """Return the expression and all that its value can be made of, the nearest first."""
        found: list[ast.expr] = []
        seen: set[ast.expr] = set()
        waiting = [expression]
        for one in waiting:
            if one in seen:
                continue
            seen.add(one)
            found.append(one)
            if len(found) >= _MOST:
                break
            waiting.extend(self.parts(one))
        return found

    def parts(self, node: ast.expr) -> Iterator[ast.expr]:
        """Yield what a value is directly made of; what only decides or computes is no part of it."""
        if isinstance(node, ast.Name | ast.Attribute):
            yield from (one.value for one in self.bindings(node))
            if isinstance(node, ast.Attribute):
                yield node.value
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)
        else:
            yield from _inner(node)

    def called(self, call: ast.Call) -> Function | None:
        """Return the one function of this file that a call by name, or of the object's own method, is of."""
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if owner is not None and not (isinstance(owner, ast.Name) and owner.id in {"self", "cls"}):
            return None
        found = self._defined.get(last_name(call.func), [])
        return found[0] if len(found) == 1 else None

    def returned(self, function: Function) -> list[ast.Return]:
        """Return the return statements of a function itself, not of the ones in it."""
        return [one for one in self._returns.get(function, []) if one.value is not None]

    def _of_call(self, call: ast.Call) -> Iterator[ast.expr]:
        name = last_name(call.func)
        if isinstance(call.func, ast.Name) and name in _OPAQUE:
            return
        own = self.called(call)
        if own is not None:
            yield from (one.value for one in self.returned(own) if one.value is not None)
            return
        if isinstance(call.func, ast.Attribute) and name not in {"keys", "startswith", "endswith", "count", "index"}:
            yield call.func.value
        yield from call.args
        yield from (one.value for one in call.keywords)

    def _read(self) -> None:
        tree = self._tree
        for one in tree.all(ast.Return):
            self._returns[tree.function(one)].append(one)
        for function in (*tree.functions(), *tree.all(ast.Lambda)):
            self._bound[function] |= {argument.arg for argument in arguments(function.args)}
            if not isinstance(function, ast.Lambda):
                self._defined[function.name].append(function)
        for name in tree.all(ast.Name):
            if not isinstance(name.ctx, ast.Load):
                self._bound[tree.function(name)].add(name.id)
        for declared in tree.all(ast.Global):
            self._bound[tree.function(declared)] -= set(declared.names)
        self._bind_statements()
        self._bind_parameters()

    def _bind_statements(self) -> None:
        for target, value, node in _assigned(self._tree):
            if value is not None:
                self._bind(target, value, node)
        for call in self._tree.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and call.func.attr in _ADDING and call.args:
                self._bind(call.func.value, call.args[-1], call)

    def _bind(self, target: ast.expr, value: ast.expr, node: ast.AST) -> None:
        if isinstance(target, ast.Name):
            inside = isinstance(self._tree.parent(node), ast.ClassDef)
            # A class's own names are reached as attributes.
            key = (None, f".{target.id}") if inside else self._key(target.id, target)
            self._bindings[key].append(Binding(value, node))
        elif isinstance(target, ast.Attribute):
            self._bindings[None, f".{target.attr}"].append(Binding(value, node))
        elif isinstance(target, ast.Subscript | ast.Starred):
            self._bind(target.value, value, node)
        elif isinstance(target, ast.Tuple | ast.List):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            whole = len(values) != len(target.elts)
            for position, one in enumerate(target.elts):
                self._bind(one, value if whole else values[position], node)

    def _bind_parameters(self) -> None:
        for function in self._tree.functions():
            for name, default in _defaults(function.args):
                self._bindings[function, name].append(Binding(default, function))
        for call in self._tree.all(ast.Call):
            called = self.called(call)
            if called is not None:
                for name, given in _handed_over(called.args, call):
                    self._bindings[called, name].append(Binding(given, call))

    def _key(self, name: str, seen_from: ast.AST) -> _Key:
        """Return the binding of a name that is seen from a node."""
        scope = self._tree.function(seen_from)
        while scope is not None and name not in self._bound[scope]:
            scope = self._tree.function(scope)
        return scope, name


def _assigned(tree: Tree) -> Iterator[tuple[ast.expr, ast.expr | None, ast.AST]]:
    """Yield what is bound by statements: target, value, and the statement."""
    for assigned in tree.all(ast.Assign):
        yield from ((target, assigned.value, assigned) for target in assigned.targets)
    yield from ((one.target, one.value, one) for one in tree.all(ast.AnnAssign))
    yield from ((one.target, one.value, one) for one in tree.all(ast.AugAssign))
    yield from ((one.target, one.value, one) for one in tree.all(ast.NamedExpr))
    yield from ((one.target, one.iter, one) for one in tree.all(ast.For))
    yield from ((one.target, one.iter, one) for one in tree.all(ast.AsyncFor))
    yield from ((one.target, one.iter, one) for one in tree.all(ast.comprehension))
    for held in tree.all(ast.withitem):
        if held.optional_vars is not None:
            yield held.optional_vars, held.context_expr, held


def _inner(node: ast.expr) -> list[ast.expr]:
    """Return the expressions of which a composed value is made."""
    match node:
        case ast.JoinedStr(values=values):
            return [one.value for one in values if isinstance(one, ast.FormattedValue)]
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.BoolOp(values=values) | ast.Dict(values=values):
            return values
        case ast.List(elts=values) | ast.Tuple(elts=values) | ast.Set(elts=values):
            return values
        case ast.IfExp(body=body, orelse=other):
            return [body, other]
        case ast.ListComp(elt=value) | ast.SetComp(elt=value) | ast.GeneratorExp(elt=value) | ast.DictComp(value=value):
            return [value]
        case ast.Subscript() | ast.Starred() | ast.Await() | ast.NamedExpr() | ast.FormattedValue():
            return [node.value]
    return []


def _defaults(given: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    positional = [*given.posonlyargs, *given.args]
    for argument, default in zip(reversed(positional), reversed(given.defaults), strict=False):
        yield argument.arg, default
    for argument, value in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if value is not None:
            yield argument.arg, value


def _handed_over(taken: ast.arguments, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    names = [one.arg for one in (*taken.posonlyargs, *taken.args)]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    yield from zip(names, call.args, strict=False)
    yield from ((one.arg, one.value) for one in call.keywords if one.arg is not None)


@lru_cache(maxsize=1)
def flow_of(module: ast.Module) -> Flow:
    """Return what the values of a file are made of; read once for several rooms."""
    return Flow(tree_of(module))


def arguments(given: ast.arguments) -> list[ast.arg]:
    """Return every parameter."""
    starred = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *starred]


def keyword(call: ast.Call, *names: str) -> ast.keyword | None:
    """Return the first argument that is given by one of the names."""
    return next((one for one in call.keywords if one.arg in names), None)
