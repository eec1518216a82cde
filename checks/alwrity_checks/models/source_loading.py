"""How a checkout loads its models: when, how often, in which order, and what it makes of a failure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from alwrity_checks.models.source_names import Use, namings_of
from alwrity_checks.source import Trace
from alwrity_checks.trees.tree import Function, last_name, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.trees.reading import Reading

__all__ = ["ClassFacts", "Touch", "classes_of", "constructor_traces", "loading_traces"]

_LOADS: Final = frozenset({"LLM", "SentenceTransformer", "pipeline", "from_pretrained"})
"""Calls that bring a model into memory before they return."""
_ANSWERS: Final = frozenset({"llm_text_gen", "generate", "llm", "generate_text", "text_gen"})
"""Calls whose result is a model's answer."""
_CONSTRUCTORS: Final = frozenset({"__init__", "__post_init__", "__new__"})
_CONFESSION: Final = re.compile(r"\A\W*(?:error|fail|llm|generation|model|agent|unavailable|mock)\b", re.IGNORECASE)
_OF_MODELS: Final = re.compile(r"llm|model|pipe|encoder|embedder|tokeni[sz]er|generator", re.IGNORECASE)
"""Attributes of such names may be properties that load."""
_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Touch:
    """A place in a method at which another object's attribute is read."""

    attribute: str
    made_by: tuple[str, ...]
    """The classes of which the object can be."""
    repeated: bool
    """Whether it is read again and again, until there is nothing left to follow."""
    path: str
    line: int
    shown: str
    key: str


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """What constructors over several files are told by."""

    name: str
    live: bool
    is_async: bool
    """Whether it has methods for an event loop: then its instances live, and are made, on one."""
    bases: tuple[str, ...]
    from_constructor: tuple[str, ...]
    """The own methods that a constructor carries out, over however many others."""
    touches: tuple[tuple[str, tuple[Touch, ...]], ...]
    """Method -> the attributes of other objects that it follows."""
    loading: tuple[str, ...]
    """Properties that load a model when they are read."""


def loading_traces(reading: Reading) -> Iterator[Trace]:
    """Yield what one file shows by itself."""
    loads = [one for one in reading.tree.all(ast.Call) if _is_load(reading, one)]
    yield from _in_constructor(reading, loads)
    yield from _shared_without_lock(reading, loads)
    yield from _kept_under_another_key(reading, loads)
    yield from _heavier_fallback(reading)
    yield from _error_as_answer(reading)


def classes_of(reading: Reading) -> Iterator[ClassFacts]:
    """Yield what a file's classes do when they are made, as far as that can lead to a load."""
    loads = [one for one in reading.tree.all(ast.Call) if _is_load(reading, one)]
    for owner in reading.tree.all(ast.ClassDef):
        methods = {one.name: one for one in owner.body if isinstance(one, Function)}
        reached = _from_constructor(reading, methods)
        touches = [(name, tuple(_touches(reading, one))) for name, one in methods.items()]
        loading = [
            name for name, one in methods.items() if _is_property(one) and _loads_in(reading, one, methods, loads)
        ]
        yield ClassFacts(
            owner.name,
            reading.file.live,
            any(isinstance(one, ast.AsyncFunctionDef) for one in methods.values()),
            tuple(last_name(one) for one in owner.bases),
            tuple(sorted(reached)),
            tuple((name, found) for name, found in touches if found),
            tuple(loading),
        )


def constructor_traces(classes: Sequence[ClassFacts]) -> Iterator[Trace]:
    """Yield where a constructor, perhaps a base's in another file, reads a property that loads a model."""
    lazy = {(one.name, name) for one in classes for name in one.loading}
    names = {name for _, name in lazy}
    # Of two classes of one name the one that runs counts.
    by_name = {one.name: one for one in sorted(classes, key=lambda one: one.live)}
    for one in classes:
        line_of = list(_with_bases(one, by_name))
        called = {method for each in line_of for method in each.from_constructor}
        if not any(each.is_async for each in line_of):
            continue
        for method, touches in one.touches:
            for touch in touches if method in called else ():
                reached = touch.repeated or any((made, touch.attribute) in lazy for made in touch.made_by)
                if touch.attribute in names and reached:
                    message = f"making a {one.name} reads {touch.shown}, and with it loads a model on the event loop"
                    yield Trace(
                        "MDL005", touch.path, touch.line, message, touch.key, (("from the constructor", method),)
                    )
                    break


def _with_bases(one: ClassFacts, by_name: Mapping[str, ClassFacts]) -> Iterator[ClassFacts]:
    waiting, seen = [one], {one.name}
    while waiting:
        current = waiting.pop()
        yield current
        for name in current.bases:
            if name in by_name and name not in seen:
                seen.add(name)
                waiting.append(by_name[name])


def _is_load(reading: Reading, call: ast.Call) -> bool:
    name = last_name(call.func)
    if name not in _LOADS:
        return False
    if name == "from_pretrained":
        return isinstance(call.func, ast.Attribute) and "Model" in last_name(call.func.value)
    if name == "pipeline":
        return reading.tree.name(call.func).startswith("transformers")
    return True


def _from_constructor(reading: Reading, methods: dict[str, Function]) -> set[str]:
    reached = set(_CONSTRUCTORS & methods.keys())
    waiting = list(reached)
    while waiting:
        method = methods.get(waiting.pop())
        for call in ast.walk(method) if method is not None else ():
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)) if name not in reached:
                    if reading.tree.function(call) is method:
                        reached.add(name)
                        waiting.append(name)
    return reached


def _touches(reading: Reading, method: Function) -> Iterator[Touch]:
    """Yield reads of attributes of objects that are not the method's own: `x.llm`, `getattr(x, "llm", x)`."""
    for node in ast.walk(method):
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=str() as name), *_]):
                pass
            case ast.Attribute(value=owner, attr=name, ctx=ast.Load()):
                pass
            case _:
                continue
        if not _OF_MODELS.search(name) or (isinstance(owner, ast.Name) and owner.id in {"self", "cls"}):
            continue
        if isinstance(reading.tree.function(node), Function) and isinstance(node, ast.expr):
            made = {last_name(one.func) for one in reading.flow.origins(owner) if isinstance(one, ast.Call)}
            loops = any(isinstance(above, ast.For | ast.While) for above in reading.tree.ancestors(node))
            key, shown = reading.tree.key(node), text_of(node)
            yield Touch(name, tuple(sorted(made)), loops, reading.file.path, node.lineno, shown, key)


def _is_property(method: Function) -> bool:
    return any(last_name(one) in {"property", "cached_property"} for one in method.decorator_list)


def _loads_in(reading: Reading, method: Function, methods: dict[str, Function], loads: Sequence[ast.Call]) -> bool:
    """Say whether a method loads a model, itself or over another method of its class."""
    inner = {method}
    for call in (one for one in ast.walk(method) if isinstance(one, ast.Call)):
        match call.func:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in methods:
                inner.add(methods[name])
    return any(reading.tree.function(one) in inner for one in loads)


def _in_constructor(reading: Reading, loads: Sequence[ast.Call]) -> Iterator[Trace]:
    for owner in reading.tree.all(ast.ClassDef):
        methods = {one.name: one for one in owner.body if isinstance(one, Function)}
        if not any(isinstance(one, ast.AsyncFunctionDef) for one in methods.values()):
            # What has no method for an event loop is made where a thread wants it, like any other resource.
            continue
        reached = {methods[name] for name in _from_constructor(reading, methods) if name in methods}
        for call in loads:
            holder = reading.tree.function(call)
            if holder in reached and isinstance(holder, ast.FunctionDef):
                message = f"making a {owner.name} loads a model on the event loop: {text_of(call)}"
                yield reading.trace("MDL005", call, message, ("in", holder.name))
    for call in loads:
        if reading.tree.on_loop(call) and not reading.tree.is_awaited(call):
            message = f"{text_of(call)} loads a model on the event loop of {reading.tree.place(call)}"
            yield reading.trace("MDL005", call, message)


def _shared_without_lock(reading: Reading, loads: Sequence[ast.Call]) -> Iterator[Trace]:
    """Find a load whose result goes into a table that all threads share, with no lock of threads around it."""
    for call in loads:
        function = reading.tree.function(call)
        if not isinstance(function, Function) or _is_locked(reading, call) or "lock" in function.name.lower():
            continue
        for stored in reading.tree.all(ast.Assign):
            target = stored.targets[0]
            if reading.tree.function(stored) is not function or not _is_shared(reading, target):
                continue
            if call in reading.flow.origins(stored.value):
                message = f"nothing keeps two threads from both loading the model that {text_of(target)} is to share"
                yield reading.trace("MDL001", call, message, ("stored", line(stored)))
                break


def _is_locked(reading: Reading, node: ast.AST) -> bool:
    return any(
        isinstance(above, ast.With) and any("lock" in ast.unparse(one.context_expr).lower() for one in above.items)
        for above in reading.tree.ancestors(node)
    )


def _is_shared(reading: Reading, target: ast.expr) -> bool:
    """Say whether a target is an entry of a table of the module or of a class, or a class's attribute."""
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        return any(reading.tree.function(one.node) is None for one in reading.flow.bindings(target.value))
    owner = target.value if isinstance(target, ast.Subscript) else target
    if not isinstance(owner, ast.Attribute):
        return False
    classes = {one.name for one in reading.tree.all(ast.ClassDef)} | {"cls"}
    return last_name(owner.value) in classes or last_name(owner.value) == "__class__"


def _kept_under_another_key(reading: Reading, loads: Sequence[ast.Call]) -> Iterator[Trace]:
    """Find a cache that keeps a fallback under its own name only, and is asked for the requested one first."""
    for call in loads:
        loop = next((one for one in reading.tree.ancestors(call) if isinstance(one, ast.For)), None)
        if loop is None or not isinstance(loop.target, ast.Name) or _remembers_failure(loop):
            continue
        function = reading.tree.function(call)
        stores = [
            target
            for one in reading.tree.all(ast.Assign)
            if reading.tree.function(one) is function
            for target in one.targets
            if isinstance(target, ast.Subscript)
        ]
        own = [one for one in stores if _hangs_on(reading, one.slice, loop.target.id)]
        own = [one for one in own if call in reading.flow.origins(_value_of(reading, one))]
        tables = {ast.unparse(one.value) for one in own}
        others = [one for one in stores if ast.unparse(one.value) in tables and one not in own]
        looked = [
            one
            for one in _lookups(reading, tables)
            if reading.tree.function(one) is function and not _hangs_on(reading, one, loop.target.id)
        ]
        if own and looked and not others:
            message = (
                f"what was loaded is kept under {text_of(own[0].slice)} and looked for under {text_of(looked[0])}: "
                "after a fallback every call tries the failing model again"
            )
            yield reading.trace("MDL002", own[0], message, ("looked for", line(looked[0])))


def _value_of(reading: Reading, target: ast.Subscript) -> ast.expr:
    statement = reading.tree.statement(target)
    return statement.value if isinstance(statement, ast.Assign) else target


def _hangs_on(reading: Reading, key: ast.expr, name: str) -> bool:
    """Say whether a key is made with the loop's own variable."""
    parts = [key, *(one.value for one in reading.flow.bindings(key))]
    return any(isinstance(one, ast.Name) and one.id == name for part in parts for one in ast.walk(part))


def _lookups(reading: Reading, tables: set[str]) -> Iterator[ast.expr]:
    for compared in reading.tree.all(ast.Compare):
        if isinstance(compared.ops[0], ast.In | ast.NotIn) and ast.unparse(compared.comparators[0]) in tables:
            yield compared.left
    for call in reading.tree.all(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get" and ast.unparse(call.func.value) in tables:
            yield from call.args[:1]


def _remembers_failure(loop: ast.For) -> bool:
    """Say whether a handler in the loop notes which candidate failed."""
    for handler in (one for one in ast.walk(loop) if isinstance(one, ast.ExceptHandler)):
        for one in ast.walk(handler):
            noted = isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Subscript)
            added = isinstance(one, ast.Call) and last_name(one.func) == "add"
            if noted or added:
                return True
    return False


def _heavier_fallback(reading: Reading) -> Iterator[Trace]:
    """Find lists of local models in which one that is known to be heavier comes after a lighter one."""
    used = {(one.line, one.model) for one in namings_of(reading.file) if one.use is Use.GENERATION}
    if not used:
        return
    rows = [one.elts for one in reading.tree.all(ast.List)] + [one.elts for one in reading.tree.all(ast.Tuple)]
    for row in rows:
        named = [one for one in row if isinstance(one, ast.Constant) and (one.lineno, one.value) in used]
        for before, after in pairwise(named):
            lighter, heavier = _weight(str(before.value)), _weight(str(after.value))
            if lighter and heavier > lighter:
                message = (
                    f"{after.value!s} ({heavier // _MEBIBYTE} MiB of weights) is the fallback of {before.value!s} "
                    f"({lighter // _MEBIBYTE} MiB): where that one does not fit, this one fits less"
                )
                yield reading.trace("MDL003", after, message)


def _weight(model: str) -> int:
    """Return the bytes of a model's weights, 0 if it is not known."""
    from alwrity_checks.models.facts import known_models

    facts = known_models().get(model)
    return 0 if facts is None else facts.weights.file_bytes


def _error_as_answer(reading: Reading) -> Iterator[Trace]:
    """Find handlers that return a text about the failure where the model's answer is expected."""
    for returned in reading.tree.all(ast.Return):
        if returned.value is None or not _CONFESSION.match(_leading_text(returned.value)):
            continue
        handler = next((one for one in reading.tree.ancestors(returned) if isinstance(one, ast.ExceptHandler)), None)
        attempt = reading.tree.parent(handler) if handler is not None else None
        answer = _answer(reading, attempt) if isinstance(attempt, ast.Try) else None
        if answer is not None:
            message = f"a failure becomes the answer {text_of(returned.value)}: the caller takes it for the model's"
            yield reading.trace("MDL004", returned, message, ("the answer", line(answer)))


def _answer(reading: Reading, attempt: ast.Try) -> ast.Return | None:
    """Return where the body of a `try` returns what a model said; None if it does not."""
    for one in (node for statement in attempt.body for node in ast.walk(statement)):
        if isinstance(one, ast.Return) and one.value is not None:
            origins = reading.flow.origins(one.value)
            if any(isinstance(part, ast.Call) and last_name(part.func) in _ANSWERS for part in origins):
                return one
    return None


def _leading_text(expression: ast.expr) -> str:
    match expression:
        case ast.Constant(value=str() as text) | ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
            return text
    return ""
