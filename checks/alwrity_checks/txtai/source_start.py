"""How a service starts its index: by how many ways, what becomes of a call meanwhile, and of a failed start."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from alwrity_checks.trees.tree import Function, last_name, line, text_of
from alwrity_checks.txtai.source_index import calls_of_index, makes_index, own_method

if TYPE_CHECKING:
    from alwrity_checks.source import Trace
    from alwrity_checks.trees.reading import Reading

__all__ = ["start_traces"]

_LOOP_BOUND: Final = frozenset({"Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Queue"})
_Starts = Mapping[Function, set[Function]]
"""Method -> the initialisers that it sets going."""


def start_traces(reading: Reading) -> Iterator[Trace]:
    """Yield what is wrong with the start."""
    behind, ahead = _starters(reading)
    for function in reading.tree.functions():
        calls = [(call, own_method(reading, call.func)) for call in _own_calls(reading, function)]
        started = [(call, one) for call, one in calls if one is not None and behind.get(one)]
        awaited = [(call, one) for call, one in calls if one is not None and ahead.get(one)]
        yield from _started_twice(reading, started, awaited, behind, ahead)
        if started and not awaited:
            yield from _gone_before_ready(reading, function)
    yield from _stuck(reading, behind)
    yield from _loop_bound(reading)


def _own_calls(reading: Reading, function: Function) -> list[ast.Call]:
    return [one for one in ast.walk(function) if isinstance(one, ast.Call) and reading.tree.function(one) is function]


def _starters(reading: Reading) -> tuple[_Starts, _Starts]:
    """Return who sets an initialiser going and does not wait, and who waits for one."""
    behind: dict[Function, set[Function]] = defaultdict(set)
    ahead: dict[Function, set[Function]] = defaultdict(set)
    for call in reading.tree.all(ast.Call):
        holder = reading.tree.function(call)
        if not isinstance(holder, Function):
            continue
        for given in (*call.args, *(one.value for one in call.keywords), call.func):
            initialiser = own_method(reading, given)
            if initialiser is None or initialiser is holder or makes_index(initialiser) is None:
                continue
            if given is call.func or reading.tree.is_awaited(call):
                ahead[holder].add(initialiser)
            elif last_name(call.func) in {"Thread", "Timer", "submit", "run_in_executor", "start_new_thread"}:
                behind[holder].add(initialiser)
    return behind, ahead


def _started_twice(
    reading: Reading,
    started: list[tuple[ast.Call, Function]],
    awaited: list[tuple[ast.Call, Function]],
    behind: _Starts,
    ahead: _Starts,
) -> Iterator[Trace]:
    for first, one in started:
        for second, other in awaited:
            both = sorted(behind[one] & ahead[other], key=lambda each: each.lineno)
            shared = [each for each in both if not _is_guarded(reading, each)]
            if one is not other and shared:
                message = (
                    f"{text_of(first)} starts {shared[0].name} in a thread and {text_of(second)} runs it once more: "
                    "two initialisations put their own index in the service's place"
                )
                second_place = ("the second one", line(second))
                yield reading.trace("TXT003", first, message, second_place, ("both run", line(shared[0])))
                return


def _is_guarded(reading: Reading, initialiser: Function) -> bool:
    """Say whether an initialiser builds the index under a lock of threads: then the second one finds it done."""
    made = makes_index(initialiser)
    return made is not None and any(
        isinstance(above, ast.With)
        and any("lock" in last_name(_called(one.context_expr)).lower() for one in above.items)
        for above in reading.tree.ancestors(made)
    )


def _called(expression: ast.expr) -> ast.expr:
    return expression.func if isinstance(expression, ast.Call) else expression


def _gone_before_ready(reading: Reading, function: Function) -> Iterator[Trace]:
    """Find a write that looks whether the start is over right after it was set going, and goes if it is not."""
    writes = [one for one in calls_of_index(reading, "index", "upsert") if reading.tree.function(one) is function]
    if not writes:
        return
    for decision in reading.tree.all(ast.If):
        if reading.tree.function(decision) is not function or decision.lineno >= writes[0].lineno:
            continue
        negated = any(
            isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.Not) and _says_ready(one.operand)
            for one in ast.walk(decision.test)
        )
        last = decision.body[-1]
        if negated and isinstance(last, ast.Return):
            message = f"{function.name} returns while the index starts: what it was given is kept nowhere"
            yield reading.trace("TXT002", last, message, ("the write that is not reached", line(writes[0])))
            return
        if negated and isinstance(last, ast.Raise):
            message = f"{function.name} sets the start going and refuses at once because it is not over"
            yield reading.trace("TXT001", last, message, ("the write that is not reached", line(writes[0])))
            return


def _says_ready(expression: ast.expr) -> bool:
    name = last_name(_called(expression)).lower()
    return any(word in name for word in ("initialized", "initialised", "ready", "loaded"))


def _stuck(reading: Reading, behind: _Starts) -> Iterator[Trace]:
    """Find a flag that keeps others from starting, is set before the start, and is never taken back."""
    for function in behind:
        for assigned in reading.tree.all(ast.Assign):
            target = assigned.targets[0]
            sets = isinstance(assigned.value, ast.Constant) and assigned.value.value is True
            if not sets or not isinstance(target, ast.Attribute) or reading.tree.function(assigned) is not function:
                continue
            if _turns_away(reading, function, target.attr) and not _is_reset(reading, target):
                message = f"{text_of(target)} is set and never taken back: after one failure nothing starts again"
                yield reading.trace("TXT007", assigned, message)


def _turns_away(reading: Reading, function: Function, flag: str) -> bool:
    return any(
        reading.tree.function(decision) is function
        and isinstance(decision.body[-1], ast.Return)
        and any(last_name(one) == flag for one in ast.walk(decision.test))
        for decision in reading.tree.all(ast.If)
    )


def _is_reset(reading: Reading, flag: ast.Attribute) -> bool:
    for one in reading.flow.bindings(flag):
        holder = reading.tree.function(one.node)
        taken_back = not (isinstance(one.value, ast.Constant) and one.value.value is True)
        if taken_back and isinstance(holder, Function) and holder.name not in {"__init__", "__new__"}:
            return True
    return False


def _loop_bound(reading: Reading) -> Iterator[Trace]:
    """Find primitives of asyncio that every loop of the process shares: on the class, or in the module."""
    for node in (*reading.tree.all(ast.Call), *reading.tree.all(ast.Attribute), *reading.tree.all(ast.Name)):
        made = node.func if isinstance(node, ast.Call) else node
        module, _, kind = reading.tree.name(made).rpartition(".")
        if module != "asyncio" or kind not in _LOOP_BOUND:
            continue
        parent = reading.tree.parent(node)
        # `defaultdict(asyncio.Lock)` makes them later.
        later = isinstance(parent, ast.Call) and parent.func is not node and last_name(parent.func) == "defaultdict"
        if not isinstance(node, ast.Call) and not later:
            continue
        where = _shared_place(reading, node)
        if where:
            message = (
                f"asyncio.{kind} is kept {where}: it belongs to the event loop that first waits for it, and to no other"
            )
            yield reading.trace("TXT008", node, message)


def _shared_place(reading: Reading, node: ast.expr) -> str:
    statement = reading.tree.statement(node)
    holder = reading.tree.parent(statement)
    if isinstance(holder, ast.ClassDef):
        return "on the class" if not _is_dataclass_field(node) else ""
    if reading.tree.function(node) is None:
        return "in the module"
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    called = reading.tree.parent(node)
    if (
        isinstance(called, ast.Call)
        and last_name(called.func) == "setdefault"
        and isinstance(called.func, ast.Attribute)
    ):
        targets = [called.func.value]
    classes = {one.name for one in reading.tree.all(ast.ClassDef)}
    for target in targets:
        for one in ast.walk(target):
            if isinstance(one, ast.Attribute) and one.attr == "__class__":
                return "on the class"
            if isinstance(one, ast.Name) and (one.id == "cls" or one.id in classes):
                return "on the class"
    return ""


def _is_dataclass_field(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "field"
