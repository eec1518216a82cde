"""How a checkout writes its index: what a call replaces, what it blocks, what a crash leaves, who else writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.flow import arguments, keyword
from alwrity_checks.trees.tree import Function, last_name, line, text_of
from alwrity_checks.txtai.source_index import calls_of_index, is_index, makes_index, own_method

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["write_traces"]

_BLOCKING: Final = (
    "index",
    "upsert",
    "save",
    "load",
    "delete",
    "search",
    "batchsearch",
    "similarity",
    "batchsimilarity",
    "transform",
    "batchtransform",
)
"""Methods of txtai's Embeddings that encode, compute or write before they return."""
_WRITES: Final = ("index", "upsert", "save", "delete")
_WHOLE: Final = re.compile(r"rebuild|reindex|re_index|recreate|reset|migrat|create|first", re.IGNORECASE)
"""Functions of such names mean to replace everything."""
_SWITCHES: Final = frozenset({"replace", "rename", "move"})
"""What puts a finished copy in the place of the old one."""


def write_traces(reading: Reading) -> Iterator[Trace]:
    """Yield what is wrong with the writes, and with calls that block."""
    yield from _replaced(reading)
    yield from _blocking(reading)
    yield from _saved_in_place(reading)
    yield from _damage_overwritten(reading)
    yield from _fields_as_tags(reading)
    yield from _written_from_outside(reading)
    yield from _compared_with_text(reading)


def _replaced(reading: Reading) -> Iterator[Trace]:
    upserting = {reading.tree.function(one) for one in calls_of_index(reading, "upsert")}
    for call in calls_of_index(reading, "index"):
        again = keyword(call, "reindex")
        if again is not None and isinstance(again.value, ast.Constant) and again.value.value is True:
            message = "reindex=True leaves the texts as they were: old texts answer for the new vectors"
            yield reading.trace("TXT080", call, message)
        elif reading.tree.function(call) not in upserting and not _WHOLE.search(reading.tree.place(call)):
            message = f"{text_of(call.func)}() replaces the whole index: what earlier calls stored is gone"
            yield reading.trace("TXT005", call, message)


def _blocking(reading: Reading) -> Iterator[Trace]:
    """Name each `async def` that carries out the index's work itself, once, at the first such call."""
    direct = list(calls_of_index(reading, *_BLOCKING))
    for function in reading.tree.all(ast.AsyncFunctionDef):
        found = [
            call
            for call in (one for one in ast.walk(function) if isinstance(one, ast.Call))
            if reading.tree.function(call) is function
            and not reading.tree.is_awaited(call)
            and (call in direct or _works_inside(reading, call, direct))
        ]
        found.sort(key=lambda one: (one.lineno, one.col_offset))
        if found:
            more = ", ".join(f"{last_name(one.func)} ({line(one)})" for one in found[1:])
            message = (
                f"{text_of(found[0].func)} works on the event loop of {function.name}: nobody is answered meanwhile"
            )
            yield reading.trace("TXT009", found[0], message, *([("also", more)] if more else []))


def _works_inside(reading: Reading, call: ast.Call, direct: Sequence[ast.Call]) -> bool:
    """Say whether a call is of a synchronous method of the same object that does the index's work."""
    method = own_method(reading, call.func)
    return isinstance(method, ast.FunctionDef) and any(reading.tree.function(one) is method for one in direct)


def _saved_in_place(reading: Reading) -> Iterator[Trace]:
    saves = list(calls_of_index(reading, "save"))
    switched = any(
        last_name(call.func) in _SWITCHES
        and (reading.tree.name(call.func).startswith(("os.", "shutil.")) or len(call.args) == 1)
        for call in reading.tree.all(ast.Call)
    )
    if saves and not switched:
        more = ", ".join(line(one) for one in saves[1:])
        message = (
            f"{text_of(saves[0])} writes file by file over the index in use: a crash in it leaves halves of two states"
        )
        yield reading.trace("TXT012", saves[0], message, *([("also", more)] if more else []))


def _damage_overwritten(reading: Reading) -> Iterator[Trace]:
    for attempt in reading.tree.all(ast.Try):
        loads = [
            one
            for statement in attempt.body
            for one in ast.walk(statement)
            if isinstance(one, ast.Call) and last_name(one.func) == "load" and isinstance(one.func, ast.Attribute)
        ]
        if not any(isinstance(one.func, ast.Attribute) and is_index(reading, one.func.value) for one in loads):
            continue
        for handler in attempt.handlers:
            made = makes_index(handler)
            if made is not None and _directly_in(reading, made, attempt):
                message = "an index that cannot be loaded is replaced by an empty one, and the next save overwrites it"
                yield reading.trace("TXT013", handler, message, ("the empty one", line(made)))


def _directly_in(reading: Reading, node: ast.AST, attempt: ast.Try) -> bool:
    nearest = next((one for one in reading.tree.ancestors(node) if isinstance(one, ast.Try)), None)
    return nearest is attempt


def _fields_as_tags(reading: Reading) -> Iterator[Trace]:
    seen: set[ast.expr] = set()
    for call in calls_of_index(reading, "index", "upsert"):
        for given in call.args[:1]:
            for origin in reading.flow.origins(given):
                match origin:
                    case ast.Tuple(elts=[_, _, third]) if origin not in seen and _is_json(reading, third):
                        seen.add(origin)
                        message = "the metadata is handed over as the third item, which txtai takes for tags"
                        yield reading.trace("TXT034", origin, message, ("written", line(call)))


def _is_json(reading: Reading, expression: ast.expr) -> bool:
    return any(
        isinstance(one, ast.Call) and reading.tree.name(one.func) == "json.dumps"
        for one in reading.flow.origins(expression)
    )


def _written_from_outside(reading: Reading) -> Iterator[Trace]:
    if makes_index(reading.file.tree) is not None:
        return
    for call in calls_of_index(reading, *_WRITES):
        owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
        named = [owner, *(one.value for one in reading.flow.bindings(owner))]
        if any(isinstance(one, ast.Attribute) and not _is_self(one.value) for one in named):
            message = f"{text_of(call.func)} writes past the service that owns the index: no lock, no order, no start"
            yield reading.trace("TXT081", call, message)


def _is_self(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Name) and expression.id in {"self", "cls"}


def _compared_with_text(reading: Reading) -> Iterator[Trace]:
    for call in calls_of_index(reading, "similarity"):
        second = call.args[1] if len(call.args) > 1 else getattr(keyword(call, "data"), "value", None)
        if second is not None and _is_text(reading, second):
            message = f"{text_of(call)} is given a text where a list of texts is expected: it fails, whatever the texts"
            yield reading.trace("TXT082", call, message)


def _is_text(reading: Reading, expression: ast.expr) -> bool:
    match expression:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.Name(id=name):
            function = reading.tree.function(expression)
            if isinstance(function, Function):
                for one in arguments(function.args):
                    if one.arg == name:
                        return isinstance(one.annotation, ast.Name) and one.annotation.id == "str"
            bound = [one.value for one in reading.flow.bindings(expression)]
            return bool(bound) and all(isinstance(one, ast.JoinedStr) or _is_constant_text(one) for one in bound)
    return False


def _is_constant_text(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and isinstance(expression.value, str)
