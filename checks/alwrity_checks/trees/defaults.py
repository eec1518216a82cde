"""What an expression comes to where no switch is set: in a deployment that has its keys and addresses, and no more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Final

from alwrity_checks.trees.flow import Binding, Flow, keyword
from alwrity_checks.trees.tree import Function, Tree, last_name

__all__ = ["UNKNOWN", "Defaults", "environment_read"]


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""It cannot be told from the file."""

_DEEPEST: Final = 40
_READERS: Final = frozenset({"os.getenv", "os.environ.get", "environ.get", "getenv", "os.environ.pop"})
_OF_TEXT: Final = frozenset({"lower", "upper", "strip", "lstrip", "rstrip", "casefold", "title", "startswith", "split"})
_OWN: Final = re.compile(r".*(?:KEY|SECRET|TOKEN|PASSWORD|URL|DSN|HOST|PORT)")
"""Variables of such names are set in every deployment, to something of its own."""
_Frame = Mapping[str, object]


def environment_read(tree: Tree, expression: ast.expr) -> str | None:
    """Return the name of the environment variable that an expression reads; None if it reads none."""
    match expression:
        case ast.Call(args=[ast.Constant(value=str() as name), *_]):
            if tree.name(expression.func) in _READERS:
                return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            if tree.name(expression.value) in {"os.environ", "environ"}:
                return name
    return None


class Defaults:
    """Works out the values of one file's expressions where no switch is set."""

    def __init__(self, tree: Tree, flow: Flow) -> None:
        self._tree = tree
        self._flow = flow

    def value(self, expression: ast.expr) -> object:
        """Return what the expression comes to, or UNKNOWN. Runs nothing; never raises."""
        try:
            return self._value(expression, {}, 0)
        except (TypeError, ValueError, AttributeError, RecursionError, KeyError, IndexError):
            # What the file's own text would raise, such as None.lower(): it has no value either.
            return UNKNOWN

    def _value(self, node: ast.expr, frame: _Frame, depth: int) -> object:
        if depth > _DEEPEST:
            return UNKNOWN
        below = depth + 1
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name() | ast.Attribute():
                return self._of_name(node, frame, below)
            case ast.BoolOp(op=operator, values=values):
                return self._of_row(values, frame, below, until=isinstance(operator, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                negated = self._value(inner, frame, below)
                return UNKNOWN if negated is UNKNOWN else not negated
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return _compared(operator, self._value(left, frame, below), self._value(right, frame, below))
            case ast.IfExp(test=test, body=body, orelse=other):
                decided = self._value(test, frame, below)
                return UNKNOWN if decided is UNKNOWN else self._value(body if decided else other, frame, below)
            case ast.List(elts=values) | ast.Tuple(elts=values) | ast.Set(elts=values):
                held = [self._value(one, frame, below) for one in values]
                return UNKNOWN if UNKNOWN in held else tuple(held)
            case ast.Call():
                return self._of_call(node, frame, below)
        return UNKNOWN

    def _of_row(self, values: Iterable[ast.expr], frame: _Frame, depth: int, *, until: bool) -> object:
        value: object = UNKNOWN
        for one in values:
            value = self._value(one, frame, depth)
            if value is UNKNOWN or bool(value) is until:
                return value
        return value

    def _of_call(self, call: ast.Call, frame: _Frame, depth: int) -> object:
        if self._tree.name(call.func) in _READERS and call.args:
            variable = self._value(call.args[0], frame, depth)
            if not isinstance(variable, str) or _OWN.fullmatch(variable):
                return UNKNOWN
            default = call.args[1] if len(call.args) > 1 else getattr(keyword(call, "default"), "value", None)
            return None if default is None else self._value(default, frame, depth)
        given = [self._value(one, frame, depth) for one in call.args]
        name = last_name(call.func)
        if isinstance(call.func, ast.Name) and name in {"bool", "str", "int"} and len(given) == 1:
            return UNKNOWN if given[0] is UNKNOWN else _converted(name, given[0])
        own = self._flow.called(call)
        if own is not None:
            return self._of_function(own, call, frame, depth)
        if isinstance(call.func, ast.Attribute) and name in _OF_TEXT and UNKNOWN not in given:
            owner = self._value(call.func.value, frame, depth)
            return getattr(owner, name)(*given) if isinstance(owner, str) else UNKNOWN
        return UNKNOWN

    def _of_function(self, function: Function, call: ast.Call, frame: _Frame, depth: int) -> object:
        """Return what a function of the file returns: the first return that its conditions let through."""
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        inner = dict(zip(reversed(names), map(self.value, reversed(function.args.defaults)), strict=False))
        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        inner |= {name: self._value(one, frame, depth) for name, one in zip(names, call.args, strict=False)}
        inner |= {one.arg: self._value(one.value, frame, depth) for one in call.keywords if one.arg is not None}
        for returned in self._flow.returned(function):
            reached = self._reached(returned, inner, depth)
            if reached is UNKNOWN:
                return UNKNOWN
            if reached and returned.value is not None:
                return self._value(returned.value, inner, depth)
        return UNKNOWN

    def _of_name(self, node: ast.Name | ast.Attribute, frame: _Frame, depth: int) -> object:
        if isinstance(node, ast.Name) and node.id in frame:
            return frame[node.id]
        if environment_read(self._tree, node) is not None:
            return UNKNOWN
        candidates: list[Binding] = []
        here = self._tree.function(node)
        for one in self._flow.bindings(node):
            earlier = one.value.lineno < node.lineno or self._tree.function(one.node) is not here
            if earlier and isinstance(one.node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
                reached = self._reached(one.node, frame, depth)
                if reached is UNKNOWN:
                    return UNKNOWN
                if reached:
                    candidates.append(one)
            elif earlier:
                return UNKNOWN
        return self._value(candidates[-1].value, frame, depth) if candidates else UNKNOWN

    def _reached(self, statement: ast.AST, frame: _Frame, depth: int) -> object:
        """Return whether the conditions around a statement let it be carried out."""
        below = statement
        for above in self._tree.ancestors(statement):
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                break
            if isinstance(above, ast.ExceptHandler | ast.For | ast.While):
                return UNKNOWN
            if isinstance(above, ast.If):
                decided = self._value(above.test, frame, depth)
                if decided is UNKNOWN:
                    return UNKNOWN
                if bool(decided) is not (below in above.body):
                    return False
            below = above
        return True


def _converted(kind: str, value: object) -> object:
    if kind == "bool":
        return bool(value)
    return str(value) if kind == "str" else int(str(value))


def _compared(operator: ast.cmpop, left: object, right: object) -> object:
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    match operator:
        case ast.Eq() | ast.Is():
            return left == right
        case ast.NotEq() | ast.IsNot():
            return left != right
        case ast.In() | ast.NotIn():
            inside = left in right if isinstance(right, tuple) else str(left) in str(right)
            return inside is isinstance(operator, ast.In)
    return UNKNOWN
