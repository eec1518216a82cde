"""Watching and holding calls from outside: the methods of a class report when they are entered and left.

A watcher that blocks holds the thread that calls. So a schedule is forced on code that knows nothing of it: nothing but
the order is changed.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Call", "Watcher", "watched"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way."""

    name: str
    """The method's."""
    subject: str
    """The object: its class and a number, in the order in which objects were first seen."""
    thread: str
    """The thread's name."""


class Watcher(Protocol):
    """Hears of calls, on the thread that makes them."""

    def entered(self, call: Call) -> None:
        """Hear that `call` begins; what it does waits until this returns."""

    def left(self, call: Call, error: BaseException | None) -> None:
        """Hear that `call` has ended; its caller goes on when this returns."""


@contextmanager
def watched(owner: type, names: Sequence[str], watchers: Sequence[Watcher]) -> Iterator[None]:
    """Report the calls of `names` on every instance of `owner` to `watchers`, those that call each other included."""
    numbers = itertools.count(1)
    lock = threading.Lock()

    def subject_of(instance: Any) -> str:  # noqa: ANN401 - an instance of whatever class is watched
        with lock:
            if "_watched_as" not in vars(instance):
                vars(instance)["_watched_as"] = f"{owner.__name__} {next(numbers)}"
        return str(vars(instance)["_watched_as"])

    def reporting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            made = Call(name, subject_of(self), threading.current_thread().name)
            error: BaseException | None = None
            for watcher in watchers:
                watcher.entered(made)
            try:
                return method(self, *arguments, **options)
            except BaseException as raised:
                error = raised
                raise
            finally:
                for watcher in reversed(watchers):
                    watcher.left(made, error)

        return call

    originals = {name: vars(owner)[name] for name in names}
    for name, method in originals.items():
        setattr(owner, name, reporting(name, method))
    try:
        yield
    finally:
        for name, method in originals.items():
            setattr(owner, name, method)
