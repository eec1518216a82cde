"""The state machine: single flight, waiters, failures; first by example, then over every order of its steps."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.txtai.initialisation import Initialisation, State


class Clock:
    """A clock that stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def machine(clock: Clock | None = None) -> Initialisation[str]:
    """Return a machine without jitter."""
    return Initialisation(clock=clock or Clock(), jitter=lambda: 1.0)


def begun(one: Initialisation[str]) -> int:
    """Begin an attempt that is due."""
    attempt = one.begin()
    assert attempt is not None
    return attempt


def test_one_attempt_at_a_time() -> None:
    """Who asks while an attempt is under way, or after its success, has nothing to do."""
    one = machine()
    attempt = begun(one)
    assert one.begin() is None
    assert one.succeed(attempt, "result")
    assert one.begin() is None
    assert one.get() == (attempt, "result")
    assert one.condition.state is State.READY


def test_a_change_wakes_whoever_looked_before() -> None:
    """The future that comes with a condition is done as soon as there is another, and not before."""
    one = machine()
    condition, changed = one.observe()
    assert condition.state is State.COLD
    assert not changed.done()
    attempt = begun(one)
    assert changed.done()
    _, changed = one.observe()
    assert not changed.done()
    one.fail(attempt, ValueError("no"))
    assert changed.result(0) is None


def test_a_waiter_that_gives_up_takes_nothing_from_the_others() -> None:
    """The shared future cannot be cancelled, so the later result reaches the other waiters."""
    one = machine()
    attempt = begun(one)
    _, changed = one.observe()
    assert not changed.cancel()
    assert one.succeed(attempt, "result")
    assert changed.done()
    assert not changed.cancelled()


def test_a_failure_is_kept_and_tried_again_after_a_growing_pause() -> None:
    """The flag that ALwrity never resets: here a failed attempt ends, and the next begins when it is due."""
    clock = Clock()
    one = machine(clock)
    pauses = []
    for number in range(1, 11):
        error = ValueError(f"failure {number}")
        one.fail(begun(one), error)
        assert one.condition.state is State.FAILED
        assert one.condition.error is error
        assert one.condition.failures == number
        assert one.begin() is None
        pauses.append(one.until_retry())
        clock.now += one.until_retry()
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    attempt = begun(one)
    assert str(one.condition.error) == "failure 10"
    assert one.succeed(attempt, "result")
    assert one.condition.error is None
    one.lose(attempt, ValueError("lost"))
    assert one.until_retry() == 0.5


def test_a_wrong_setting_is_not_tried_often() -> None:
    """A missing extra or a wrong path waits for somebody to put it right."""
    one = machine()
    one.fail(begun(one), ConfigurationError("no such model"))
    assert one.until_retry() == Initialisation.LONGEST_PAUSE


def test_an_overtaken_attempt_changes_nothing() -> None:
    """The result of an attempt that was closed, or of another attempt, is refused."""
    one = machine()
    attempt = begun(one)
    assert one.close() is None
    assert not one.succeed(attempt, "late")
    one.fail(attempt, ValueError("late"))
    assert one.condition.state is State.CLOSED
    assert one.begin() is None
    assert one.get() is None


def test_losing_names_the_attempt() -> None:
    """A reader who finds a result useless does not take away the one that has replaced it meanwhile."""
    one = machine()
    first = begun(one)
    assert one.succeed(first, "first")
    assert one.release() == "first"
    second = begun(one)
    assert one.succeed(second, "second")
    one.lose(first, ValueError("stale"))
    assert one.get() == (second, "second")
    one.lose(second, ValueError("broken"))
    assert one.condition.state is State.FAILED


def test_closing_returns_what_is_to_be_discarded_once() -> None:
    """Whoever closes gets the result; the second does not."""
    one = machine()
    assert one.succeed(begun(one), "result")
    assert one.close() == "result"
    assert one.close() is None
    assert one.release() is None


def test_callbacks_may_use_the_machine() -> None:
    """A waiter's callback runs without the lock, so it can begin the next attempt itself."""
    clock = Clock()
    one = machine(clock)
    attempt = begun(one)
    _, changed = one.observe()
    seen: list[int | None] = []
    clock.now += 10

    def again(_: Future[None]) -> None:
        clock.now += 10
        seen.append(one.begin())

    changed.add_done_callback(again)
    one.fail(attempt, ValueError("no"))
    assert seen == [attempt + 1]


def test_64_threads_begin_one_attempt() -> None:
    """However many ask at once, one gets the attempt."""
    one = machine()
    together = threading.Barrier(64)

    def ask() -> int | None:
        together.wait(30)
        return one.begin()

    with ThreadPoolExecutor(64) as pool:
        answers = [future.result(30) for future in [pool.submit(ask) for _ in range(64)]]
    assert [answer for answer in answers if answer is not None] == [1]


class Caller:
    """A caller as the runtime has them: begins if that is due, ends what it began, waits else."""

    def __init__(self, one: Initialisation[str], outcomes: list[str]) -> None:
        self.one = one
        self.outcomes = outcomes
        self.attempt: int | None = None
        self.waits_for: Future[None] | None = None
        self.looked: Future[None] | None = None
        self.served = False

    def can_go_on(self) -> bool:
        """Say whether the next step is possible."""
        return not self.served and (self.waits_for is None or self.waits_for.done())

    def go_on(self) -> None:
        """Do the next step: each is one call of the machine, which is atomic under its lock."""
        if self.attempt is not None:
            attempt, self.attempt = self.attempt, None
            if self.outcomes and self.outcomes.pop(0) == "fail":
                self.one.fail(attempt, ValueError("failed"))
            else:
                self.one.succeed(attempt, f"result {attempt}")
            self.waits_for = None
            return
        if self.looked is None:
            self.waits_for = None
            condition, self.looked = self.one.observe()
            self.served = condition.state is State.READY
            return
        changed, self.looked = self.looked, None
        self.attempt = self.one.begin()
        if self.attempt is None:
            self.waits_for = changed


@pytest.mark.parametrize(("callers_there", "outcomes"), [(2, []), (2, ["fail"]), (2, ["fail", "fail"])])
def test_every_order_of_several_callers(callers_there: int, outcomes: list[str]) -> None:
    """In every interleaving of the callers' steps all are served, and no two attempts are ever under way at once.

    Exhaustive: the orders are enumerated as a tree of choices, and each is replayed from the beginning.
    """
    orders = 0
    pending: list[tuple[int, ...]] = [()]
    while pending:
        prefix = pending.pop()
        clock = Clock()
        one = machine(clock)
        left = list(outcomes)
        callers = [Caller(one, left) for _ in range(callers_there)]
        for chosen in itertools.chain(prefix, itertools.repeat(None)):
            assert sum(caller.attempt is not None for caller in callers) <= 1
            clock.now += 1000.0
            able = [number for number, caller in enumerate(callers) if caller.can_go_on()]
            if not able:
                break
            if chosen is None:
                pending += [(*prefix, number) for number in able[1:]]
                prefix = (*prefix, able[0])
                chosen = able[0]  # noqa: PLW2901 - the first choice is followed, the others are queued
            callers[chosen].go_on()
        orders += 1
        assert all(caller.served for caller in callers)
        assert one.condition.attempt == len(outcomes) + 1
    assert orders > 20
