"""What users share that they should not, and what a checkout says nothing of: paths, cache keys, dropped documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.defaults import environment_read
from alwrity_checks.trees.flow import arguments
from alwrity_checks.trees.tree import Function, last_name, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["cache_traces", "path_traces", "silence_traces"]

_USER: Final = re.compile(r"(?:clerk_)?user_?id|uid|tenant_?id|sub", re.IGNORECASE)
_OF_INDEX: Final = re.compile(r"ind(?:ex|ices)|txtai|embeddings", re.IGNORECASE)
_KEY_MAKER: Final = re.compile(r"cache.*key|key.*cache|make_key|generate_key", re.IGNORECASE)
_EVERYBODY: Final = frozenset({"global", "shared", "everyone", "all_users"})
_FAIL_FAST: Final = re.compile(r"FAIL_?FAST")
_INDEXES: Final = frozenset({"index_content", "upsert", "reindex_all", "upsert_documents"})
_QUIET: Final = frozenset({"debug", "trace"})


def path_traces(reading: Reading) -> Iterator[Trace]:
    """Yield where a user's id, as it is, becomes a part of the index's path, and where that path is relative."""
    for composed in reading.tree.all(ast.JoinedStr):
        text = "".join(str(one.value) for one in composed.values if isinstance(one, ast.Constant))
        raw = [
            one.value for one in composed.values if isinstance(one, ast.FormattedValue) and _is_raw(reading, one.value)
        ]
        if not raw or "/" not in text or not _OF_INDEX.search(f"{text} {_bound_to(reading, composed)}"):
            continue
        if re.search(r"https?://|\s", text):
            continue
        message = (
            f"{text_of(raw[0])} goes into the index's path as it is: an id with ../ in it chooses another directory"
        )
        yield reading.trace("TXT014", composed, message)
        first = composed.values[0]
        relative = isinstance(first, ast.Constant) and not str(first.value).startswith(("/", "~"))
        if relative and not _is_joined(reading, composed):
            message = f"{text_of(composed)} begins at the working directory: started elsewhere, there is another index"
            yield reading.trace("TXT076", composed, message)


def _is_raw(reading: Reading, expression: ast.expr) -> bool:
    """Say whether an expression is a user's id that no function has changed."""
    if not isinstance(expression, ast.Name | ast.Attribute) or not _USER.fullmatch(last_name(expression)):
        return False
    function = reading.tree.function(expression)
    if isinstance(expression, ast.Name) and isinstance(function, Function):
        assigned = [
            one for one in reading.flow.bindings(expression) if isinstance(one.node, ast.Assign | ast.AnnAssign)
        ]
        return not assigned and expression.id in {one.arg for one in arguments(function.args)}
    return all(isinstance(one.value, ast.Name) for one in reading.flow.bindings(expression))


def _bound_to(reading: Reading, composed: ast.expr) -> str:
    statement = reading.tree.statement(composed)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return " ".join(last_name(one) for one in targets)


def _is_joined(reading: Reading, composed: ast.expr) -> bool:
    """Say whether a path is put behind another one before it is used."""
    parent = reading.tree.parent(composed)
    if isinstance(parent, ast.BinOp):
        return True
    return isinstance(parent, ast.Call) and last_name(parent.func) in {"join", "joinpath", "abspath", "resolve"}


def cache_traces(reading: Reading) -> Iterator[Trace]:
    """Yield where what one user was answered is kept under a key that every user has."""
    for call in reading.tree.all(ast.Call):
        if not _KEY_MAKER.search(last_name(call.func)):
            continue
        for given in (*call.args, *(one.value for one in call.keywords)):
            if isinstance(given, ast.Constant) and given.value in _EVERYBODY:
                message = (
                    f"the cache's key names {given.value!r} in the place of a user: one user gets another's results"
                )
                yield reading.trace("TXT083", given, message, ("in", reading.tree.place(call)))


def silence_traces(reading: Reading) -> Iterator[Trace]:
    """Yield where a setting, or a handler, turns documents that were not kept into silence."""
    for decision in reading.tree.all(ast.If):
        raises = isinstance(decision.body[-1], ast.Raise)
        if raises and _hangs_on_fail_fast(reading, decision.test):
            after = _next_statement(reading, decision)
            if isinstance(after, ast.Return):
                message = (
                    f"where {text_of(decision.test)} is off, {text_of(after)} follows: a failure looks like success"
                )
                yield reading.trace("TXT084", decision, message, ("returns", line(after)))
    for attempt in reading.tree.all(ast.Try):
        calls = [
            one
            for statement in attempt.body
            for one in ast.walk(statement)
            if isinstance(one, ast.Call) and last_name(one.func) in _INDEXES and isinstance(one.func, ast.Attribute)
        ]
        for handler in attempt.handlers if calls else ():
            if all(_is_quiet(one) for one in handler.body):
                message = f"an exception of {last_name(calls[0].func)} is told to nobody: at most a debug line says so"
                yield reading.trace("TXT085", handler, message, ("call", line(calls[0])))


def _hangs_on_fail_fast(reading: Reading, test: ast.expr) -> bool:
    """Say whether a condition is, or was computed from, the variable that decides between raising and going on."""
    computed = [
        test,
        *(one.value for part in ast.walk(test) if isinstance(part, ast.expr) for one in reading.flow.bindings(part)),
    ]
    variables = (
        environment_read(reading.tree, part) for one in computed for part in ast.walk(one) if isinstance(part, ast.expr)
    )
    return any(name is not None and _FAIL_FAST.search(name) for name in variables)


def _next_statement(reading: Reading, decision: ast.If) -> ast.stmt | None:
    if decision.orelse:
        return decision.orelse[-1]
    holder = reading.tree.parent(decision)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(holder, name, None)
        if isinstance(block, list) and decision in block:
            after = block[block.index(decision) + 1 :]
            return next((one for one in after if not isinstance(one, ast.Expr)), None)
    return None


def _is_quiet(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=level))):
            return level in _QUIET
        case ast.Expr(value=ast.Constant()):
            return True
    return False
