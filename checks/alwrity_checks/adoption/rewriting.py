"""Small edits inside of a module, on its tree: an exception handler, a call, an assignment that nobody needs."""

from __future__ import annotations

from collections.abc import Collection

import libcst as cst
import libcst.matchers as m

from alwrity_checks.adoption import editing
from alwrity_checks.adoption.syntax import parsed

__all__ = ["raise_in_place_of_texts", "replace_loads", "without_unused"]


def raise_in_place_of_texts(text: str, name: str) -> str:
    """Let the class `name` raise again what it answers with a text: a `return` of one in a handler becomes `raise`."""

    class InHandlers(cst.CSTTransformer):
        """Within the class, and there within exception handlers."""

        def __init__(self) -> None:
            super().__init__()
            self.handlers = 0

        def visit_ExceptHandler(self, node: cst.ExceptHandler) -> None:  # noqa: N802 - libcst's name
            del node
            self.handlers += 1

        def leave_ExceptHandler(  # noqa: N802 - libcst's name
            self, original_node: cst.ExceptHandler, updated_node: cst.ExceptHandler
        ) -> cst.ExceptHandler:
            del original_node
            self.handlers -= 1
            return updated_node

        def leave_Return(self, original_node: cst.Return, updated_node: cst.Return) -> cst.Return | cst.Raise:  # noqa: N802 - libcst's name
            del original_node
            texts = (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString)
            return cst.Raise() if self.handlers and isinstance(updated_node.value, texts) else updated_node

    module = parsed(text)
    body = [
        one.visit(InHandlers()) if isinstance(one, cst.ClassDef) and one.name.value == name else one
        for one in module.body
    ]
    return module.with_changes(body=body).code


def replace_loads(text: str, name: str, wrapper: str, imported: str, comment: str) -> str:
    """Have `wrapper(PATH).llm` in the place of every `name(PATH, …)`, and the import of the wrapper, once.

    `comment` takes the place of comments directly above such a line, which are about what was there.
    """
    found = 0

    class Calls(cst.CSTTransformer):
        """Everywhere."""

        def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:  # noqa: N802 - libcst's name
            del original_node
            nonlocal found
            path = _path_of(updated_node)
            if path is None or not m.matches(updated_node.func, m.Name(name)):
                return updated_node
            found += 1
            return cst.Attribute(cst.Call(cst.Name(wrapper), [cst.Arg(path)]), cst.Name("llm"))

        def leave_SimpleStatementLine(  # noqa: N802 - libcst's name
            self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
        ) -> cst.SimpleStatementLine:
            if original_node.body == updated_node.body or not m.findall(original_node, m.Call(func=m.Name(name))):
                return updated_node
            above = editing.detached(updated_node.leading_lines)
            if len(above) == len(updated_node.leading_lines):
                return updated_node
            told = updated_node.leading_lines[-1].with_changes(comment=cst.Comment(comment))
            return updated_node.with_changes(leading_lines=[*above, told])

    module = parsed(text)
    changed = module.visit(Calls())
    if not found:
        return text
    line = cst.parse_module(imported + module.default_newline, module.config_for_parsing).body
    known = any(module.code_for_node(one).strip() == imported for one in module.body)
    body = changed.body if known else editing.with_imports(changed.body, list(line))
    return changed.with_changes(body=body).code


def _path_of(call: cst.Call) -> cst.BaseExpression | None:
    """Return the argument `path`, which is the first one."""
    for index, one in enumerate(call.args):
        given = one.keyword.value if one.keyword is not None else "path" if index == 0 and not one.star else ""
        if given == "path":
            return one.value
    return None


def without_unused(text: str, names: Collection[str]) -> str:
    """Leave out the top-level assignments to those of `names` that nothing in the module uses."""
    module = parsed(text)
    unused = {name for name in names if len(m.findall(module, m.Name(name))) == _assignments(module, name)}
    body = [one for one in module.body if not _assigned(one) & unused]
    return module.with_changes(body=body).code if unused else text


def _assignments(module: cst.Module, name: str) -> int:
    return sum(name in _assigned(one) for one in module.body)


def _assigned(statement: editing.Statement) -> frozenset[str]:
    """Return the name to which a line does nothing but assign."""
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
        return frozenset()
    (only,) = statement.body
    if not isinstance(only, cst.Assign) or len(only.targets) != 1 or not isinstance(only.targets[0].target, cst.Name):
        return frozenset()
    return frozenset({only.targets[0].target.value})
