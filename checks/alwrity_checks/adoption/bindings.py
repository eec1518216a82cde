"""What a module binds at its top level, read from its tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from alwrity_checks.adoption.calls import Kind, Parameter, Passing, Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["bindings"]


def bindings(module: cst.Module) -> Iterator[tuple[str, Signature]]:
    """Yield each name that the module binds at its top level, also below `if`, `try`, `with` and loops there."""
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    yield from _Reader(wrapper.resolve(PositionProvider), module).of_block(module.body)


class _Reader:
    def __init__(self, places: Mapping[cst.CSTNode, object], module: cst.Module) -> None:
        self._places = places
        self._module = module

    def _line(self, node: cst.CSTNode) -> int:
        place = self._places[node]
        line: int = place.start.line  # type: ignore[attr-defined] # libcst types its metadata as object
        return line

    def of_block(self, statements: Sequence[cst.CSTNode]) -> Iterator[tuple[str, Signature]]:
        for statement in statements:
            yield from self._of_statement(statement)

    def _of_statement(self, statement: cst.CSTNode) -> Iterator[tuple[str, Signature]]:
        match statement:
            case cst.FunctionDef():
                yield statement.name.value, self._function(statement)
            case cst.ClassDef():
                yield statement.name.value, self._class(statement)
            case cst.SimpleStatementLine() | cst.SimpleStatementSuite():
                for small in statement.body:
                    yield from self._of_small(small)
            case cst.If() | cst.For() | cst.While() | cst.Try() | cst.TryStar() | cst.With() | cst.Match():
                yield from self._below(statement)

    def _below(self, node: cst.CSTNode) -> Iterator[tuple[str, Signature]]:
        for child in node.children:
            match child:
                case cst.IndentedBlock():
                    yield from self.of_block(child.body)
                case cst.SimpleStatementSuite():
                    yield from self._of_statement(child)
                case cst.Else() | cst.Finally() | cst.ExceptHandler() | cst.ExceptStarHandler() | cst.MatchCase():
                    yield from self._below(child)
                case cst.If():  # an `elif`
                    yield from self._below(child)

    def _of_small(self, small: cst.CSTNode) -> Iterator[tuple[str, Signature]]:
        match small:
            case cst.Import() | cst.ImportFrom() if not isinstance(small.names, cst.ImportStar):
                for alias in small.names:
                    bound = alias.asname.name if alias.asname else alias.name
                    while isinstance(bound, cst.Attribute):  # `import a.b` binds a
                        bound = bound.value  # type: ignore[assignment] # of a dotted name it is one again
                    if isinstance(bound, cst.Name):
                        yield bound.value, Signature(Kind.IMPORT, self._line(small))
            case cst.Assign():
                for target in small.targets:
                    yield from self._bound(target.target, self._line(small))
            case cst.AnnAssign() | cst.AugAssign():
                yield from self._bound(small.target, self._line(small))

    def _bound(self, target: cst.CSTNode, line: int) -> Iterator[tuple[str, Signature]]:
        match target:
            case cst.Name():
                yield target.value, Signature(Kind.VALUE, line)
            case cst.Tuple() | cst.List():
                for element in target.elements:
                    yield from self._bound(element.value, line)

    def _function(self, node: cst.FunctionDef, *, skip: int = 0) -> Signature:
        kind = Kind.FUNCTION if node.asynchronous is None else Kind.COROUTINE
        return Signature(kind, self._line(node), tuple(self._parameters(node.params))[skip:])

    def _class(self, node: cst.ClassDef) -> Signature:
        members: dict[str, Signature] = {}
        for statement in node.body.body:
            if isinstance(statement, cst.FunctionDef):
                static = any(_is_static(one.decorator) for one in statement.decorators)
                members[statement.name.value] = self._function(statement, skip=0 if static else 1)
            else:
                members.update(self._of_statement(statement))
        own = members.get("__init__")
        return Signature(Kind.CLASS, self._line(node), own.parameters if own else (), MappingProxyType(members))

    def _parameters(self, given: cst.Parameters) -> Iterator[Parameter]:
        for group, passing in ((given.posonly_params, Passing.POSITION), (given.params, Passing.EITHER)):
            yield from (self._parameter(one, passing) for one in group)
        if isinstance(given.star_arg, cst.Param):
            yield self._parameter(given.star_arg, Passing.REST)
        yield from (self._parameter(one, Passing.NAME) for one in given.kwonly_params)
        if given.star_kwarg is not None:
            yield self._parameter(given.star_kwarg, Passing.NAMES)

    def _parameter(self, one: cst.Param, passing: Passing) -> Parameter:
        default = None if one.default is None else self._module.code_for_node(one.default)
        return Parameter(one.name.value, passing, default)


def _is_static(decorator: cst.BaseExpression) -> bool:
    return isinstance(decorator, cst.Name) and decorator.value == "staticmethod"
