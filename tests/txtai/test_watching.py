"""Watching calls from outside: who is told what, and that nothing is left of it."""

from __future__ import annotations

import threading

import pytest

from alwrity_checks.txtai.watching import Call, watched


class Door:
    """Something with calls that call each other."""

    def open(self, who: str) -> str:
        """Let somebody in."""
        return self.greet(who)

    def greet(self, who: str) -> str:
        """Greet, but not everybody."""
        if who == "nobody":
            raise ValueError(who)
        return f"hello {who}"


class Notes:
    """A watcher that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.threads: set[str] = set()

    def entered(self, call: Call) -> None:
        """Write it down."""
        self.heard.append(("in", call.name, call.subject))
        self.threads.add(call.thread)

    def left(self, call: Call, error: BaseException | None) -> None:
        """Write it down."""
        self.heard.append(("out", call.name, "" if error is None else type(error).__name__))


def test_calls_are_reported_with_their_object() -> None:
    """Each object has a number, nested calls are reported too, and the result is the method's."""
    notes, first, second = Notes(), Door(), Door()
    with watched(Door, ("open", "greet"), [notes]):
        assert first.open("Ann") == "hello Ann"
        assert second.greet("Bob") == "hello Bob"
    assert notes.heard == [
        ("in", "open", "Door 1"),
        ("in", "greet", "Door 1"),
        ("out", "greet", ""),
        ("out", "open", ""),
        ("in", "greet", "Door 2"),
        ("out", "greet", ""),
    ]
    assert notes.threads == {threading.current_thread().name}


def test_an_error_is_reported_and_raised() -> None:
    """The watcher hears of the exception, and the caller gets it."""
    notes = Notes()
    with watched(Door, ("open",), [notes]), pytest.raises(ValueError, match="nobody"):
        Door().open("nobody")
    assert notes.heard[-1] == ("out", "open", "ValueError")


def test_nothing_is_left_of_it() -> None:
    """After the block, and after an exception in it, the class is what it was."""
    before = dict(vars(Door))
    with pytest.raises(KeyError), watched(Door, ("open", "greet"), [Notes()]):
        raise KeyError
    assert dict(vars(Door)) == before


def test_a_watcher_can_hold_a_call() -> None:
    """While a watcher blocks, the call has not begun; the schedules rest on this."""
    go, done = threading.Event(), threading.Event()

    class Holding(Notes):
        def entered(self, call: Call) -> None:
            super().entered(call)
            go.wait(10.0)

    def work() -> None:
        Door().open("Ann")
        done.set()

    with watched(Door, ("open",), [Holding()]):
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.is_set()
        go.set()
        thread.join(10.0)
    assert done.is_set()
