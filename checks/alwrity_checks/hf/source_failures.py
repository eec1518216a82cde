"""What a provider module does when the router refuses: whom it asks next, how often, and what it hands back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.flow import keyword
from alwrity_checks.trees.tree import last_name, line, text_of

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["failure_traces"]

_NOT_FOUND: Final = frozenset({"NotFoundError"})
_ASKS: Final = frozenset({"create", "parse", "chat_completion", "text_generation", "post"})
"""The methods of a client that send a request."""
_ERROR_KEYS: Final = ({"error", "raw_response"}, {"error", "raw"})
_LOGURU_LACKS: Final = "warn"


def failure_traces(reading: Reading) -> Iterator[Trace]:
    """Yield how failures are dealt with wrongly."""
    yield from _waits_for_404(reading)
    yield from _repeats_everything(reading)
    yield from _sleeps(reading)
    yield from _error_as_data(reading)
    yield from _missing_method(reading)


def _waits_for_404(reading: Reading) -> Iterator[Trace]:
    """Find loops over candidates that go on for a 404 and for nothing else."""
    for loop in (*reading.tree.all(ast.For), *reading.tree.all(ast.AsyncFor), *reading.tree.all(ast.While)):
        for attempt in (one for one in ast.walk(loop) if isinstance(one, ast.Try)):
            if reading.tree.function(attempt) is not reading.tree.function(loop) or not _sends(attempt):
                continue
            going_on = [one for one in attempt.handlers if not _leaves(one)]
            caught = [name for one in going_on for name in _caught(one)]
            if going_on and set(caught) <= _NOT_FOUND:
                names = ", ".join(dict.fromkeys(caught))
                message = f"only {names} (404) leads to the next model; the router answers 400 for one it cannot serve"
                yield reading.trace("HF091", going_on[0], message, ("loop", line(loop)))


def _sends(attempt: ast.Try) -> bool:
    return any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr in _ASKS
        for statement in attempt.body
        for one in ast.walk(statement)
    )


def _leaves(handler: ast.ExceptHandler) -> bool:
    """Say whether a handler ends the loop whatever it does before."""
    return isinstance(handler.body[-1], ast.Raise | ast.Return | ast.Break)


def _caught(handler: ast.ExceptHandler) -> list[str]:
    if handler.type is None:
        return ["BaseException"]
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return [last_name(one) or text_of(one) for one in types]


def _repeats_everything(reading: Reading) -> Iterator[Trace]:
    """Find tenacity's decorator without a condition: it repeats what no repetition can cure."""
    for function in reading.tree.functions():
        for decorator in function.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if reading.tree.name(called) not in {"tenacity.retry", "tenacity.retry_unless_exception"}:
                continue
            given = decorator if isinstance(decorator, ast.Call) else ast.Call(called, [], [])
            if keyword(given, "retry") is None:
                hidden = "" if keyword(given, "reraise") else ", and the reason is lost in a RetryError"
                message = (
                    f"{function.name} is repeated whatever failed: a refused token, used-up credits, a bug{hidden}"
                )
                yield reading.trace("HF093", decorator, message)


def _sleeps(reading: Reading) -> Iterator[Trace]:
    for call in reading.tree.all(ast.Call):
        if reading.tree.name(call.func) == "time.sleep" and not _in_backoff(reading, call):
            message = f"{text_of(call)} holds the calling thread before a request is made"
            yield reading.trace("HF103", call, message)


def _in_backoff(reading: Reading, call: ast.Call) -> bool:
    """Say whether a pause comes after a failure, between two attempts."""
    return any(isinstance(above, ast.ExceptHandler) for above in reading.tree.ancestors(call))


def _error_as_data(reading: Reading) -> Iterator[Trace]:
    for returned in reading.tree.all(ast.Return):
        if isinstance(returned.value, ast.Dict):
            keys = {str(one.value) for one in returned.value.keys if isinstance(one, ast.Constant)}
            if any(wanted <= keys for wanted in _ERROR_KEYS):
                message = "an answer that is no JSON is returned like one, with the keys " + ", ".join(sorted(keys))
                yield reading.trace("HF094", returned, message)


def _missing_method(reading: Reading) -> Iterator[Trace]:
    """Find `logger.warn`, which loguru's logger does not have: the line raises AttributeError when it is reached."""
    if not re.search(r"\bloguru\b", reading.file.text):
        return
    for call in reading.tree.all(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr == _LOGURU_LACKS and _is_loguru(reading, call):
            message = (
                f"{text_of(call.func)} does not exist on loguru's logger: reaching this line raises AttributeError"
            )
            yield reading.trace("HF104", call, message)


def _is_loguru(reading: Reading, call: ast.Call) -> bool:
    owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    if reading.tree.name(owner) == "loguru.logger":
        return True
    made = [one.value for one in reading.flow.bindings(owner)]
    return any(isinstance(one, ast.Call) and last_name(one.func) == "get_service_logger" for one in made)
