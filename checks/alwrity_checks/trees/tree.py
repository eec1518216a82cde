"""A file's syntax tree, walked once: its nodes by kind, who holds whom, and what a name was imported as."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias, TypeVar, cast

from alwrity_checks.redaction import scrub
from alwrity_checks.source import Trace

__all__ = ["Function", "Located", "Tracer", "Tree", "children", "last_name", "line", "text_of", "tree_of"]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Located: TypeAlias = ast.expr | ast.stmt | ast.excepthandler | ast.keyword | ast.arg
"""A node that stands on a line."""

N = TypeVar("N", bound=ast.AST)
_LONGEST_KEY: Final = 400
_LONGEST_SHOWN: Final = 80
_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
"""The fields of a compound statement that hold other statements."""


class Tree:
    """The nodes of a module, in the order of the source."""

    def __init__(self, module: ast.Module) -> None:
        self.module: Final = module
        self._nodes: dict[type[ast.AST], list[ast.AST]] = {}
        self._parents: dict[ast.AST, ast.AST] = {}
        self._imports: dict[str, str] | None = None
        self._walk()

    def all(self, kind: type[N]) -> Sequence[N]:
        """Return every node of exactly that class."""
        return cast("Sequence[N]", self._nodes.get(kind, ()))

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node that holds this one."""
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes that hold this one, the nearest first."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def functions(self) -> Iterator[Function]:
        """Yield every function and method."""
        yield from self.all(ast.FunctionDef)
        yield from self.all(ast.AsyncFunctionDef)

    def function(self, node: ast.AST) -> Function | ast.Lambda | None:
        """Return the innermost function whose body holds the node: its defaults and decorators run outside it."""
        below = node
        for above in self.ancestors(node):
            if isinstance(above, ast.Lambda):
                if below is above.body:
                    return above
            elif isinstance(above, Function) and below in above.body:
                return above
            below = above
        return None

    def owner(self, node: ast.AST) -> ast.ClassDef | None:
        """Return the innermost class around the node."""
        return next((above for above in self.ancestors(node) if isinstance(above, ast.ClassDef)), None)

    def statement(self, node: ast.AST) -> ast.AST:
        """Return the statement that the node belongs to."""
        if isinstance(node, ast.stmt | ast.excepthandler):
            return node
        return next((above for above in self.ancestors(node) if isinstance(above, ast.stmt | ast.excepthandler)), node)

    def on_loop(self, node: ast.AST) -> bool:
        """Say whether the node is carried out by the event loop itself: directly in the body of an `async def`."""
        return isinstance(self.function(node), ast.AsyncFunctionDef)

    def within(self, node: ast.AST, holder: ast.AST) -> bool:
        """Say whether `holder` is above the node."""
        return any(above is holder for above in self.ancestors(node))

    def is_awaited(self, node: ast.AST) -> bool:
        """Say whether the value is awaited at once."""
        return isinstance(self._parents.get(node), ast.Await)

    def place(self, node: ast.AST) -> str:
        """Return the classes and functions around the node, `Class.method`; empty at the module's level."""
        names = [
            above.name
            for above in (node, *self.ancestors(node))
            if isinstance(above, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        return ".".join(reversed(names))

    def name(self, expression: ast.AST) -> str:
        """Return the dotted name of an expression with its imports undone, `jwt.PyJWKClient`; empty if it has none."""
        if isinstance(expression, ast.Name):
            return self.imports.get(expression.id, expression.id)
        if isinstance(expression, ast.Attribute) and (owner := self.name(expression.value)):
            return f"{owner}.{expression.attr}"
        return ""

    @property
    def imports(self) -> dict[str, str]:
        """The names that imports bind, anywhere in the file -> what they stand for, without leading dots."""
        if self._imports is None:
            found: dict[str, str] = {}
            for plain in self.all(ast.Import):
                for alias in plain.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    found[alias.asname or whole] = whole
            for chosen in self.all(ast.ImportFrom):
                for alias in chosen.names:
                    found[alias.asname or alias.name] = f"{chosen.module}.{alias.name}" if chosen.module else alias.name
            self._imports = found
        return self._imports

    def key(self, node: ast.AST) -> str:
        """Return what a place is known by when the lines above it change: what is around it, and its statement."""
        statement = self.statement(node)
        return f"{self.place(statement)}: {_header(statement)}"[:_LONGEST_KEY]

    def _walk(self) -> None:
        nodes, parents = self._nodes, self._parents
        waiting: list[ast.AST] = [self.module]
        while waiting:
            node = waiting.pop()
            nodes.setdefault(node.__class__, []).append(node)
            below = children(node)
            for child in below:
                parents[child] = node
            below.reverse()
            waiting += below


def children(node: ast.AST) -> list[ast.AST]:
    """Return what a node directly holds: ast.iter_child_nodes, three times as fast; a checkout has a million nodes."""
    found: list[ast.AST] = []
    values = node.__dict__
    for field in node._fields:
        value = values.get(field)
        if value.__class__ is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


@lru_cache(maxsize=1)
def tree_of(module: ast.Module) -> Tree:
    """Return the walked tree; several rooms that look at one file after another walk it once."""
    return Tree(module)


def last_name(expression: ast.AST) -> str:
    """Return the last part of a dotted expression, `save` of `self.embeddings.save`; empty if there is none."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def text_of(expression: ast.AST) -> str:
    """Return an expression as it is written, in one short line without secrets."""
    told = scrub(" ".join(ast.unparse(expression).split()))
    return told if len(told) <= _LONGEST_SHOWN else f"{told[:_LONGEST_SHOWN]}…"


@dataclass(frozen=True, slots=True)
class Tracer:
    """Makes the traces of one file."""

    tree: Tree
    path: str

    def __call__(self, code: str, node: Located, message: str, *evidence: tuple[str, str]) -> Trace:
        """Return the trace of a rule at a node."""
        return Trace(code, self.path, node.lineno, message, self.tree.key(node), evidence)


def line(node: Located) -> str:
    """Return where a node stands, as evidence says it: `line 12`."""
    return f"line {node.lineno}"


def _header(statement: ast.AST) -> str:
    """Return a statement in one form whatever its layout; of a compound one only its head."""
    if isinstance(statement, ast.Try | ast.TryStar):
        return "try:"
    if isinstance(statement, ast.Match):
        return f"match {ast.unparse(statement.subject)}:"
    shown = statement
    if "body" in statement._fields and isinstance(statement, ast.stmt | ast.excepthandler):
        kept = {name: [] if name in _BLOCKS else value for name, value in ast.iter_fields(statement)}
        shown = ast.fix_missing_locations(type(statement)(**kept | {"body": [ast.Pass()]}))
    return " ".join(ast.unparse(shown).split())
