"""Names that a function uses and nothing binds: each is a NameError on the line where it is reached."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from alwrity_checks.trees.flow import arguments
from alwrity_checks.trees.tree import Function, Tree, tree_of

__all__ = ["unbound_names"]

_GIVEN: Final = frozenset(dir(builtins)) | {
    "__file__", "__name__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__builtins__",
    "__annotations__", "__class__", "__module__", "__qualname__", "reveal_type", "WindowsError",
}  # fmt: skip
"""What is bound without a statement."""
_BINDS_ANYTHING: Final = re.compile(r"\bimport[ \t]*\(?[ \t]*\*|\b(?:exec|globals|vars|locals)[ \t]*\(")


def unbound_names(module: ast.Module, text: str) -> Iterator[ast.Name]:
    """Yield each use of a name that no statement of the file, no import and no built-in binds.

    A file with a star import, or one that writes its own globals or asks for its locals, can bind any name: of it
    nothing is said. Uses in annotations, which need not be evaluated, and in the reach of a handler of NameError are
    left out. `text` is the module's own.
    """
    # The compiler's own table costs less than a walk of the tree, and most files have no such name at all.
    if _BINDS_ANYTHING.search(text):
        return
    try:
        suspects = _suspects(text)
    except SyntaxError:
        # The tree may be a newer Python's: then it is asked itself.
        suspects = {one.id for one in tree_of(module).all(ast.Name)} - _bound_names(tree_of(module), None) - _GIVEN
    if not suspects:
        return
    tree = tree_of(module)
    suspects -= {name for one in tree.all(ast.Global) for name in one.names}
    for name in tree.all(ast.Name):
        if name.id in suspects and isinstance(name.ctx, ast.Load) and not _excused(tree, name):
            yield name


def _suspects(text: str) -> set[str]:
    """Return the names that some scope takes for the module's, and the module does not bind. Raises SyntaxError."""
    table = symtable.symtable(text, "", "exec")
    bound = {one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()} | _GIVEN
    return set(_unresolved(table, bound))


def _unresolved(table: symtable.SymbolTable, bound: AbstractSet[str]) -> Iterator[str]:
    at_top = table.get_type() == "module"
    for name in table.get_identifiers():
        if name not in bound:
            symbol = table.lookup(name)
            if symbol.is_referenced() and (at_top or symbol.is_global()):
                yield name
    for child in table.get_children():
        yield from _unresolved(child, bound)


def _excused(tree: Tree, name: ast.Name) -> bool:
    below: ast.AST = name
    for above in tree.ancestors(name):
        if _is_annotation(below, above) or _binds_here(tree, name, below, above):
            return True
        if isinstance(above, ast.Try) and below in above.body and any(map(_catches_name_error, above.handlers)):
            return True
        below = above
    return False


def _is_annotation(below: ast.AST, above: ast.AST) -> bool:
    match above:
        case ast.arg(annotation=told) | ast.AnnAssign(annotation=told):
            return below is told
        case ast.FunctionDef(returns=told) | ast.AsyncFunctionDef(returns=told):
            return below is told
    return False


def _binds_here(tree: Tree, name: ast.Name, below: ast.AST, above: ast.AST) -> bool:
    match above:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return name.id in _bound_names(tree, above)
        case ast.Lambda(args=given):
            return name.id in {one.arg for one in arguments(given)}
        case ast.ClassDef():
            return below in above.body and _binds_in_class(tree, name, above)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            targets = (one for generator in above.generators for one in ast.walk(generator.target))
            return any(isinstance(one, ast.Name) and one.id == name.id for one in targets)
    return False


def _bound_names(tree: Tree, scope: Function | None) -> set[str]:
    """Return the names that a function itself binds, or, for None, the module."""
    bound = set() if scope is None else {one.arg for one in arguments(scope.args)}
    for node in ast.walk(tree.module if scope is None else scope):
        if node is scope or tree.function(node) is not scope:
            continue
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
                bound.add(name)
            case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
    return bound


def _binds_in_class(tree: Tree, name: ast.Name, owner: ast.ClassDef) -> bool:
    """Say whether the class's own body, in which the use stands outside of any method, binds the name."""
    function = tree.function(name)
    if function is not None and tree.within(function, owner):
        return False
    bound = {one.name for one in owner.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    stored = {one.id for one in ast.walk(owner) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    return name.id in bound | stored


def _catches_name_error(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id == "NameError" for one in caught)
