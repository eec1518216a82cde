"""Which calls of a file are carried out before its server listens, on the thread that is to serve."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from alwrity_checks.liveness import STARTS
from alwrity_checks.trees.tree import Function, last_name, line

if TYPE_CHECKING:
    from alwrity_checks.trees.reading import Reading

__all__ = ["Reach"]

_SERVES: Final = re.compile(r"uvicorn\.(?:run|Server\.run)|hypercorn\..*serve|gunicorn\..*run|granian\..*serve")


class Reach:
    """What the statements of a module lead to when it is run, or imported, up to where a server starts."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._begun_by: dict[Function, ast.Call] = {}
        self._serves = [one for one in reading.tree.all(ast.Call) if _SERVES.fullmatch(reading.tree.name(one.func))]
        self._is_start = reading.file.path in STARTS or bool(self._serves)
        self._follow()

    def way(self, call: ast.Call) -> tuple[tuple[str, str], ...] | None:
        """Return how the start comes to a call, as evidence; None if it does not, or only when the server listens."""
        function = self._reading.tree.function(call)
        if isinstance(function, ast.Lambda):
            return None
        if function is None:
            return () if self._counts(call) else None
        if function not in self._begun_by or self._comes_after(call, function):
            return None
        way = []
        while isinstance(function, Function) and function in self._begun_by:
            begun = self._begun_by[function]
            way.append(("reached", f"{line(begun)} calls {function.name}"))
            function = self._reading.tree.function(begun)
        return tuple(reversed(way))

    def _comes_after(self, call: ast.Call, function: Function) -> bool:
        """Say whether a call in a function that the start carries out comes only when the server listens, or has."""
        handlers = {one for one, _ in self._handlers()}
        return function in handlers and call not in self._before_yield(function)

    def _follow(self) -> None:
        """Follow the calls of the module's own functions from its level on, in their order, until one serves."""
        waiting = self._until_served([one for one in self._calls(None) if self._counts(one)])
        for handler, begun in self._handlers():
            self._begun_by[handler] = begun
            waiting += self._before_yield(handler)
        while waiting:
            call = waiting.pop(0)
            called = self._called(call)
            if called is None or called in self._begun_by or not self._is_carried_out(called, call):
                continue
            self._begun_by[called] = call
            waiting += self._until_served(list(self._calls(called)))

    def _until_served(self, calls: list[ast.Call]) -> list[ast.Call]:
        first = min((one.lineno for one in calls if self._leads_to_server(one)), default=None)
        return [one for one in calls if first is None or one.lineno <= first]

    def _is_carried_out(self, called: Function, call: ast.Call) -> bool:
        """Say whether calling a function carries it out: a coroutine has to be run."""
        if isinstance(called, ast.FunctionDef):
            return True
        parent = self._reading.tree.parent(call)
        runs = isinstance(parent, ast.Call) and last_name(parent.func) in {"run", "run_until_complete"}
        return runs or isinstance(parent, ast.Await)

    def _handlers(self) -> Iterator[tuple[Function, ast.Call]]:
        """Yield the functions that FastAPI carries out before it listens, with the call that says so."""
        tree = self._reading.tree
        lifespans = {
            last_name(one.value): call for call in tree.all(ast.Call) for one in call.keywords if one.arg == "lifespan"
        }
        for function in tree.functions():
            if function.name in lifespans:
                yield function, lifespans[function.name]
            for decorator in function.decorator_list:
                match decorator:
                    case ast.Call(func=ast.Attribute(attr="on_event"), args=[ast.Constant(value="startup"), *_]):
                        yield function, decorator

    def _before_yield(self, handler: Function) -> list[ast.Call]:
        """Return the calls of a handler that come before the server listens: after a `yield` it ends."""
        ends = [one.lineno for one in self._reading.tree.all(ast.Yield) if self._reading.tree.function(one) is handler]
        return [one for one in self._calls(handler) if not ends or one.lineno < min(ends)]

    def _calls(self, function: Function | None) -> Iterator[ast.Call]:
        for call in self._reading.tree.all(ast.Call):
            if self._reading.tree.function(call) is function:
                yield call

    def _called(self, call: ast.Call) -> Function | None:
        return self._reading.flow.called(call)

    def _counts(self, node: ast.AST) -> bool:
        """Say whether a start carries out a statement of the module's level: an import leaves out the main part."""
        if self._is_start:
            return True
        return self._reading.file.live and not any(
            isinstance(above, ast.If) and "__main__" in ast.unparse(above.test)
            for above in self._reading.tree.ancestors(node)
        )

    def _leads_to_server(self, call: ast.Call, seen: frozenset[Function] = frozenset()) -> bool:
        if call in self._serves:
            return True
        called = self._called(call)
        if called is None or called in seen:
            return False
        return any(self._leads_to_server(one, seen | {called}) for one in self._calls(called))
