"""The patterns in a checkout's sources that betray issue 2: where the provider asks, and what it does with a refusal.

A provider module is one that names the router's address or reads a token for it. What is a fault only there is looked
for only there; calls that generate text are looked at in every file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alwrity_checks.hf.source_addresses import address_traces, is_provider
from alwrity_checks.hf.source_failures import failure_traces
from alwrity_checks.trees.reading import Reading
from alwrity_checks.trees.scopes import unbound_names
from alwrity_checks.trees.tree import Function, last_name, line

if TYPE_CHECKING:
    from alwrity_checks.source import SourceFile, Trace

__all__ = ["WANTED", "Generation", "across", "facts", "traces"]

WANTED: Final = (b"huggingface", b"HF_TOKEN", b"llm_text_gen")
"""A file that holds none of these asks no router and generates no text."""
_GENERATES: Final = frozenset({"llm_text_gen", "huggingface_text_response", "huggingface_structured_json_response"})
"""The synchronous functions of ALwrity that ask a provider: up to half a minute each when the provider is down."""
_TRANSPARENT: Final = frozenset({"retry", "cache", "lru_cache"})
"""Decorators that hand on what they are given."""


def traces(file: SourceFile) -> Iterator[Trace]:
    """Yield what one file shows."""
    reading = Reading.of(file)
    yield from address_traces(reading)
    if is_provider(reading):
        yield from failure_traces(reading)
        yield from _unbound(reading)
        yield from _ignored_parameters(reading)


@dataclass(frozen=True, slots=True)
class Generation:
    """What a file says about the functions that generate text."""

    synchronous: frozenset[str]
    """The ones that it defines with `def`."""
    asynchronous: frozenset[str]
    """The ones that it defines with `async def`."""
    called: tuple[tuple[str, bool, Trace], ...]
    """Calls on an event loop: the function, whether it is awaited, and the trace that it is if the function blocks."""


def facts(file: SourceFile) -> Generation | None:
    """Return who generates text on an event loop, and what the functions are; None if the file has nothing of it."""
    reading = Reading.of(file)
    defined = [one for one in reading.tree.functions() if file.live and one.name in _GENERATES]
    called = tuple(_generated_on_loop(reading))
    if not defined and not called:
        return None
    return Generation(
        frozenset(one.name for one in defined if isinstance(one, ast.FunctionDef)),
        frozenset(one.name for one in defined if isinstance(one, ast.AsyncFunctionDef)),
        called,
    )


def across(facts: Sequence[object]) -> Iterator[Trace]:
    """Yield the calls on an event loop of functions that block it; one that is defined nowhere is taken to block."""
    known = [one for one in facts if isinstance(one, Generation)]
    synchronous = {name for one in known for name in one.synchronous}
    asynchronous = {name for one in known for name in one.asynchronous} - synchronous
    for one in known:
        for name, awaited, found in one.called:
            if name in synchronous or (name not in asynchronous and not awaited):
                yield found


def _generated_on_loop(reading: Reading) -> Iterator[tuple[str, bool, Trace]]:
    for call in reading.tree.all(ast.Call):
        name = reading.tree.name(call.func).rpartition(".")[2]
        if name not in _GENERATES or not reading.tree.on_loop(call):
            continue
        awaited = reading.tree.is_awaited(call)
        then = ", and what it returns cannot be awaited" if awaited else ""
        place = reading.tree.place(call)
        message = f"{name} waits for a provider on the event loop of {place}: the whole server stands still{then}"
        yield name, awaited, reading.trace("HF100", call, message)


def _unbound(reading: Reading) -> Iterator[Trace]:
    for name in unbound_names(reading.file.tree, reading.file.text):
        message = f"{name.id} is bound nowhere: reaching this line raises NameError"
        yield reading.trace("HF101", name, message)


def _ignored_parameters(reading: Reading) -> Iterator[Trace]:
    """Find parameters that a caller can set and nothing reads.

    Of methods, which may be made to fit a base, and of functions that are handed to somebody who calls them, none.
    """
    handed_over = {
        one.id
        for one in reading.tree.all(ast.Name)
        if isinstance(one.ctx, ast.Load) and getattr(reading.tree.parent(one), "func", None) is not one
    }
    for function in reading.tree.functions():
        inside = reading.tree.owner(function) is not None or reading.tree.function(function) is not None
        if inside or function.name in handed_over or _only_declares(function):
            continue
        read = {one.id for one in ast.walk(function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
        for parameter in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
            if parameter.arg not in read and not parameter.arg.startswith("_"):
                message = f"{function.name} takes {parameter.arg} and ignores it"
                yield reading.trace("HF102", parameter, message, ("function", line(function)))


def _only_declares(function: Function) -> bool:
    """Say whether a function has no body of its own, or a decorator that calls it in its own way."""
    body = [one for one in function.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    decorated = {last_name(one.func if isinstance(one, ast.Call) else one) for one in function.decorator_list}
    only_raises = len(body) == 1 and isinstance(body[0], ast.Raise | ast.Pass)
    return not body or only_raises or not decorated <= _TRANSPARENT
