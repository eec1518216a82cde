"""Switches that turn authentication off, and tokens that a checkout writes to its log."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.defaults import UNKNOWN, environment_read
from alwrity_checks.trees.tree import Located, last_name, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["log_traces", "switch_traces"]

_SWITCH: Final = re.compile(
    r"(?:DISABLE|SKIP|BYPASS|NO)_?AUTH(?:ENTICATION)?|AUTH(?:ENTICATION)?_?(?:DISABLED|BYPASS|OFF)"
)
_FALLBACK: Final = re.compile(r"ALLOW_UNVERIFIED(?:_JWT)?(?:_DEV)?")
_ON: Final = frozenset({"true", "1", "yes", "on"})
_LEVELS: Final = frozenset(
    {"trace", "debug", "info", "success", "warning", "warn", "error", "critical", "exception", "log"}
)
_LOGGERS: Final = re.compile(r"(?:.*\.)?_*(?:logger|log|logging)(?:\..*)?")
_HEADER: Final = frozenset({"authorization"})
_BEARER: Final = re.compile(
    r"(?:raw_|bearer_|session_|auth_|clerk_)?(?:jwt|token)|jwt_token|bearer_token|auth_header|authorization"
)
"""Names under which a request's own token goes."""


def switch_traces(reading: Reading) -> Iterator[Trace]:
    """Yield where a variable can switch authentication off, and where the source itself does."""
    for node in (*reading.tree.all(ast.Call), *reading.tree.all(ast.Subscript)):
        name = environment_read(reading.tree, node)
        if name is not None and _SWITCH.fullmatch(name) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            yield _switch(reading, node, name)
    for place, name, value in _settings(reading):
        if value.lower() in _ON and (_SWITCH.fullmatch(name) or _FALLBACK.fullmatch(name)):
            what = "switches authentication off" if _SWITCH.fullmatch(name) else "lets unverified tokens in"
            code = "AUTH002" if _SWITCH.fullmatch(name) else "AUTH001"
            yield reading.trace(code, place, f"the source itself sets {name}={value}, which {what}")


def _switch(reading: Reading, node: ast.expr, name: str) -> Trace:
    """Tell a switch that is off where nothing is set from one that is on."""
    decided: ast.expr = node
    for above in reading.tree.ancestors(node):
        if not isinstance(above, ast.Compare | ast.Attribute | ast.Call | ast.UnaryOp):
            break
        decided = above
    value = reading.defaults.value(decided)
    if value is not UNKNOWN and value is True and not isinstance(decided, ast.UnaryOp):
        message = f"authentication is off where {name} is not set: {text_of(decided)}"
        return reading.trace("AUTH002", node, message)
    message = f"{name} switches authentication off here, for every user and in every environment"
    return reading.trace("AUTH102", node, message, ("condition", text_of(decided)))


def _settings(reading: Reading) -> Iterator[tuple[Located, str, str]]:
    """Yield the environment variables that the source sets to a text: where, which, to what."""
    for call in reading.tree.all(ast.Call):
        match call:
            case ast.Call(args=[ast.Constant(value=str() as name), ast.Constant(value=str() as value)]):
                if reading.tree.name(call.func) in {"os.environ.setdefault", "os.putenv", "environ.setdefault"}:
                    yield call, name, value
    for assigned in reading.tree.all(ast.Assign):
        for target in assigned.targets:
            match target, assigned.value:
                case ast.Subscript(slice=ast.Constant(value=str() as name)), ast.Constant(value=str() as value):
                    if reading.tree.name(target.value) in {"os.environ", "environ"}:
                        yield assigned, name, value


def log_traces(reading: Reading) -> Iterator[Trace]:
    """Yield the calls of a log that write a request's token, whole or its beginning."""
    for call in reading.tree.all(ast.Call):
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in _LEVELS:
            continue
        if not _LOGGERS.fullmatch(reading.tree.name(call.func.value)):
            continue
        for part in (*call.args, *(one.value for one in call.keywords)):
            shown = _token_in(reading, part)
            if shown is not None:
                told = f"a log line shows the value of {text_of(shown)}"
                yield reading.trace("AUTH101", shown, told, ("log call", line(call)))
                break


def _token_in(reading: Reading, expression: ast.expr) -> ast.expr | None:
    """Return what of a logged value is a token; of a call only what it hands on."""
    waiting = [expression]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, ast.Name | ast.Attribute) and _is_token(reading, one):
            return one
        if _reads_header(one):
            return one
        if isinstance(one, ast.Call):
            # What another function makes of a token (a length, a hash, a masked form) is taken to be harmless.
            if last_name(one.func) in {"str", "repr", "format"}:
                waiting += one.args
            continue
        if not isinstance(one, ast.Name | ast.Attribute | ast.Subscript) or isinstance(one.ctx, ast.Load):
            waiting += _shown_parts(reading, one)
    return None


def _shown_parts(reading: Reading, expression: ast.expr) -> list[ast.expr]:
    if isinstance(expression, ast.Attribute | ast.Name):
        return []
    if isinstance(expression, ast.Subscript):
        return [expression.value] if isinstance(expression.slice, ast.Slice) else []
    if isinstance(expression, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        return []
    return list(reading.flow.parts(expression))


def _is_token(reading: Reading, expression: ast.Name | ast.Attribute) -> bool:
    if isinstance(expression, ast.Attribute):
        return expression.attr == "credentials" and last_name(expression.value) in {"credentials", "creds", "auth"}
    if any(_reads_header(one.value) or _holds_header(one.value) for one in reading.flow.bindings(expression)):
        return True
    function = reading.tree.function(expression)
    if function is None or isinstance(function, ast.Lambda) or not _BEARER.fullmatch(expression.id.lower()):
        return False
    given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return any(one.arg == expression.id for one in given) and _verifies(reading, expression)


def _verifies(reading: Reading, token: ast.Name) -> bool:
    """Say whether the function that is given the token verifies it: others have tokens of other kinds."""
    return bool(re.search(r"verif|authent|current_user|validate", reading.tree.place(token).lower()))


def _holds_header(expression: ast.expr) -> bool:
    return isinstance(expression, ast.BoolOp) and any(map(_reads_header, expression.values))


def _reads_header(expression: ast.expr) -> bool:
    match expression:
        case ast.Call(func=ast.Attribute(attr="get", value=owner), args=[ast.Constant(value=str() as name), *_]):
            return name.lower() in _HEADER and last_name(owner) == "headers"
        case ast.Subscript(slice=ast.Constant(value=str() as name), value=owner):
            return name.lower() in _HEADER and last_name(owner) == "headers"
    return False
