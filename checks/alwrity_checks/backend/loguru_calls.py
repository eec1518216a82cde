"""Calls of a loguru logger that are written for the standard library's: what they were handed never reaches the log.

loguru formats with `str.format`: `logger.error("user %s", user)` prints `user %s`, and `exc_info=True` is one more
value to format, so that no traceback is printed (loguru 0.7, `_logger.py`: `message.format(*args, **kwargs)`).
Whether a name is loguru's logger is told by where it is bound, in this file or in the one that it is imported from.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from alwrity_checks.source import SourceFile, Trace

__all__ = ["WANTED", "across", "facts", "traces", "wants"]

WANTED: Final = (b"log",)

_LOGURU: Final = "loguru.logger"
_METHODS: Final = frozenset({"trace", "debug", "info", "success", "warning", "error", "critical", "exception", "log"})
_SAME_LOGGER: Final = frozenset({"bind", "opt", "patch"})
"""Methods of a loguru logger that return one."""
_PLACEHOLDER: Final = re.compile(r"%(?:\(\w+\))?[-#0+]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?[diouxXeEfFgGcrsa]")
_CANDIDATE: Final = re.compile(rb"exc_info|%(?:\(\w+\))?[-#0+]*[\d.*]*[diouxXeEfFgGcrsa]")
"""In a file without either no call is wrong."""
_GIVES: Final = re.compile(
    rb"def\s+\w*logger|^\s*from\s.+import\s.*logger\s+as\s|^from\s+\.\S*\s+import\s.*logger", re.MULTILINE
)
"""In a file with one of these a logger may be made for others, or handed on under another name."""
_LONGEST: Final = 80
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is wrong if its receiver is loguru's logger."""

    origin: str
    """What the receiver is: `loguru.logger`, or `module.name` or `module.name()` of the checkout."""
    trace: Trace


@dataclass(frozen=True, slots=True)
class _Facts:
    """What other files need to know of one."""

    given: Mapping[str, str]
    """A logger that the module binds, `name`, or returns, `name()` -> its origin."""
    calls: tuple[_Call, ...]


def wants(data: bytes) -> bool:
    """Say whether a file may hold a wrong call, or a logger that another file has from it."""
    return _CANDIDATE.search(data) is not None or _GIVES.search(data) is not None


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield nothing: whose logger it is may stand in another file, and all of them are told by `across`."""
    del file
    yield from ()


def facts(file: SourceFile) -> object:
    """Return the loggers that a module gives to others, and the calls that are wrong on loguru's."""
    reader = _Reader(file)
    found = _Facts(reader.given(), tuple(reader.calls()))
    return (file.path, found) if found.given or found.calls else None


def across(facts: Sequence[object]) -> Iterator[Trace]:
    """Yield the calls whose receiver is loguru's logger, over however many modules it was handed on."""
    modules: dict[str, _Facts] = {}
    for one in facts:
        match one:
            case (str() as path, _Facts() as found):
                modules[path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = found
    for found in modules.values():
        for call in found.calls:
            if _is_loguru(call.origin, modules):
                yield call.trace


def _is_loguru(origin: str, modules: Mapping[str, _Facts]) -> bool:
    seen: set[str] = set()
    while origin not in seen:
        if origin == _LOGURU:
            return True
        seen.add(origin)
        module, _, name = origin.rpartition(".")
        known = modules.get(module)
        origin = _handed_on(known.given, name) if known else ""
    return False


def _handed_on(given: Mapping[str, str], name: str) -> str:
    if name.endswith("()") and name not in given:
        # A function that the module has from another one.
        function = given.get(name.removesuffix("()"), "")
        return f"{function}()" if function else ""
    return given.get(name, "")


class _Reader:
    """Where the names of one file are bound to loggers, and how they are called."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._lines = [
            number
            for number, line in enumerate(file.text.split("\n"), start=1)
            if ("%" in line or "exc_info" in line) and _CANDIDATE.search(line.encode("utf-8", "replace"))
        ]
        """Where a wrong call may stand; without any, only which loggers the module hands on counts."""
        self._package = file.path.removesuffix(".py").split("/")[:-1]
        self._module = file.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._scopes: dict[tuple[str, ...], dict[str, str]] = {}
        """Scope (the names of the functions and classes around) -> name -> origin; nothing for what is no logger."""
        self._returned: dict[str, str] = {}
        self._found: list[tuple[tuple[str, ...], ast.Call]] = []
        self._block(file.tree.body, ())

    def given(self) -> Mapping[str, str]:
        top = {name: origin for name, origin in self._scopes.get((), {}).items() if origin}
        return top | self._returned

    def calls(self) -> Iterator[_Call]:
        for scope, call in self._found:
            function = call.func
            if not isinstance(function, ast.Attribute):
                continue
            origin = self._origin(function.value, scope)
            if not origin:
                continue
            for code, said in _wrong(call, function.attr):
                where = ".".join(scope) or "the module"
                yield _Call(
                    origin,
                    Trace(
                        code,
                        self._file.path,
                        call.lineno,
                        said,
                        f"{'.'.join(scope)}|{ast.unparse(call)}",
                        (("in", where),),
                    ),
                )

    def _block(self, statements: Sequence[ast.stmt], scope: tuple[str, ...], *, fallback: bool = False) -> None:
        """Read statements and those within them; expressions only where a line of theirs looks like a wrong call."""
        for node in statements:
            if isinstance(node, _SCOPES):
                if not self._lines and "log" not in node.name.lower():
                    continue
                inner = (*scope, node.name)
                if isinstance(node, _Function):
                    for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                        self._scopes.setdefault(inner, {})[argument.arg] = ""
                self._block(node.body, inner, fallback=fallback)
                continue
            self._bind(node, scope, fallback=fallback)
            blocks = [(getattr(node, name, ()), fallback) for name in ("body", "orelse", "finalbody")]
            blocks += [(handler.body, True) for handler in getattr(node, "handlers", ())]
            blocks += [(case.body, fallback) for case in getattr(node, "cases", ())]
            if self._is_close(node):
                self._expressions(node, scope)
            for block, second in blocks:
                if block:
                    self._block(block, scope, fallback=second)

    def _is_close(self, node: ast.stmt) -> bool:
        place = bisect_left(self._lines, node.lineno)
        return place < len(self._lines) and self._lines[place] <= (node.end_lineno or node.lineno)

    def _expressions(self, node: ast.stmt, scope: tuple[str, ...]) -> None:
        for _, value in ast.iter_fields(node):
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, ast.expr | ast.withitem):
                    self._found.extend((scope, call) for call in ast.walk(one) if _is_logged(call))

    def _bind(self, node: ast.AST, scope: tuple[str, ...], *, fallback: bool) -> None:
        bound: dict[str, str] = {}
        match node:
            case ast.ImportFrom(names=names):
                module = self._absolute(node)
                bound = {one.asname or one.name: f"{module}.{one.name}" for one in names}
            case ast.Import(names=names):
                bound = {one.asname or one.name.partition(".")[0]: "" for one in names}
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    bound |= self._assigned(target, value, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                bound = self._assigned(target, value, scope)
            case ast.Return(value=ast.expr() as value) if len(scope) == 1:
                if origin := self._origin(value, scope):
                    self._returned[f"{scope[0]}()"] = origin
        names_of_scope = self._scopes.setdefault(scope, {})
        for name, origin in bound.items():
            # `except ImportError: logger = logging.getLogger()` is for where loguru is not.
            if not (fallback and names_of_scope.get(name)):
                names_of_scope[name] = origin

    def _assigned(self, target: ast.expr, value: ast.expr, scope: tuple[str, ...]) -> dict[str, str]:
        match target:
            case ast.Name(id=name):
                return {name: self._origin(value, scope)}
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                owner = next((part for part in reversed(scope[:-1])), "")
                self._scopes.setdefault(("self", owner), {})[name] = self._origin(value, scope)
        return {}

    def _absolute(self, node: ast.ImportFrom) -> str:
        base = self._package[: len(self._package) - node.level + 1] if node.level else []
        return ".".join([*base, *([node.module] if node.module else [])])

    def _origin(self, node: ast.expr, scope: tuple[str, ...]) -> str:
        """Return what a receiver is, as far as this file tells; nothing for what is no logger of loguru."""
        match node:
            case ast.Name(id=name):
                return self._named(name, scope)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                owner = next((part for part in reversed(scope[:-1])), "")
                return self._scopes.get(("self", owner), {}).get(name, "")
            case ast.Call(func=ast.Attribute(value=inner, attr=method)) if method in _SAME_LOGGER:
                return self._origin(inner, scope)
            case ast.Call(func=ast.Name(id=name)):
                origin = self._named(name, scope)
                return f"{origin}()" if origin else f"{self._module}.{name}()"
        return ""

    def _named(self, name: str, scope: tuple[str, ...]) -> str:
        while True:
            names = self._scopes.get(scope, {})
            if name in names:
                return names[name]
            if not scope:
                return ""
            scope = scope[:-1]


def _is_logged(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS


def _wrong(call: ast.Call, method: str) -> Iterator[tuple[str, str]]:
    position = 1 if method == "log" else 0
    message = _text(call.args[position]) if len(call.args) > position else ""
    values = len(call.args) - position - 1
    shown = message if len(message) <= _LONGEST else f"{message[: _LONGEST - 1]}…"
    if values > 0 and "{" not in message and _PLACEHOLDER.search(message.replace("%%", "")):
        yield (
            "SRC020",
            f"loguru prints {shown!r} as it stands: {values} value{'s are' if values > 1 else ' is'} never shown",
        )
    for keyword in call.keywords:
        if keyword.arg == "exc_info" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
            yield "SRC021", f"loguru takes exc_info for a value to format: {shown!r} is printed without a traceback"


def _text(node: ast.expr) -> str:
    """Return a message as far as it stands in the source; an f-string's values are shown as `…`."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(one) if isinstance(one, ast.Constant) else "…" for one in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
    return ""
