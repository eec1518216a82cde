"""The state machine of a step: single flight, users, failures; by example, then over every order of its operations."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import LoadFailed, ModelUnavailable, OutOfMemory
from alwrity_checks.models.loading import Loading, State, pause
from alwrity_checks.models.reasons import Reason


class Clock:
    """A clock that stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


PASSING = LoadFailed(Reason.LOAD_FAILED, "it raised")


def machine(clock: Clock | None = None) -> Loading[str]:
    """Return a machine without jitter."""
    return Loading(clock=clock or Clock(), jitter=lambda: 1.0)


def begun(one: Loading[str]) -> int:
    """Begin an attempt that is due."""
    attempt = one.begin()
    assert attempt is not None
    return attempt


def test_one_attempt_at_a_time() -> None:
    """Who asks while an attempt is under way, or after its success, has nothing to do."""
    one = machine()
    attempt = begun(one)
    assert one.begin() is None
    assert one.succeed(attempt, "model")
    assert one.begin() is None
    assert one.enter() == (attempt, "model")


def test_a_change_wakes_whoever_looked_before() -> None:
    """The future that comes with a condition is done as soon as there is another, and cannot be cancelled."""
    one = machine()
    _, changed = one.observe()
    assert not changed.done()
    attempt = begun(one)
    assert changed.done()
    _, changed = one.observe()
    assert not changed.cancel()
    one.fail(attempt, PASSING)
    assert changed.result(0) is None


def test_a_failure_is_tried_again_after_a_growing_pause() -> None:
    """One attempt per backoff: between two of them `begin` gives nothing to do."""
    clock = Clock()
    one = machine(clock)
    pauses = []
    for number in range(1, 10):
        one.fail(begun(one), PASSING)
        assert one.condition.failures == number
        assert one.begin() is None
        pauses.append(one.until_retry())
        clock.now += one.until_retry()
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert one.succeed(begun(one), "model")
    assert one.condition.error is None
    assert one.condition.failures == 0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (PASSING, 5.0),
        (ModelUnavailable(Reason.HUB_UNREACHABLE, "no network"), 5.0),
        (OutOfMemory(Reason.OUT_OF_MEMORY, "no room"), 60.0),
        (OutOfMemory(Reason.DOES_NOT_FIT, "no room"), 60.0),
        (ModelUnavailable(Reason.MODEL_UNKNOWN, "no such model"), 600.0),
        (LoadFailed(Reason.FILE_CORRUPT, "damaged"), 600.0),
        (MissingExtra("onnx", "int4"), 600.0),
        (ValueError("foreign"), 5.0),
    ],
)
def test_what_lasts_is_not_tried_often(error: Exception, seconds: float) -> None:
    """What somebody has to put right first waits longest; a lack of memory in between; what passes is tried soon."""
    assert pause(error, 1) == seconds
    assert all(pause(error, number) <= pause(error, number + 1) <= 600 for number in range(1, 40))


def test_a_model_in_use_does_not_expire() -> None:
    """The idle time begins when the last user leaves, and anew with every one."""
    clock = Clock()
    one = machine(clock)
    attempt = begun(one)
    one.succeed(attempt, "model")
    assert one.enter()
    assert one.enter()
    clock.now += 1000
    assert one.until_idle(60) is None
    assert one.expire(60) is None
    assert one.leave(attempt) is None
    assert one.expire(60) is None
    one.leave(attempt)
    clock.now += 59
    assert one.until_idle(60) == 1
    assert one.expire(60) is None
    clock.now += 1
    assert one.expire(60) == "model"
    assert one.condition.state is State.COLD
    assert one.enter() is None


def test_closing_takes_a_model_from_nobody() -> None:
    """Who uses the model when everything is closed is the one that gives it back."""
    one = machine()
    attempt = begun(one)
    one.succeed(attempt, "model")
    assert one.enter()
    assert one.enter()
    assert one.close() is None
    assert one.close() is None
    assert one.enter() is None
    assert one.leave(attempt) is None
    assert one.leave(attempt) == "model"


def test_an_overtaken_attempt_changes_nothing() -> None:
    """What comes after closing is refused, so that the caller discards it."""
    one = machine()
    attempt = begun(one)
    assert one.close() is None
    assert not one.succeed(attempt, "late")
    one.fail(attempt, PASSING)
    assert one.condition.state is State.CLOSED
    assert one.begin() is None


OPERATIONS = ("begin", "succeed", "fail", "enter", "leave", "expire", "wait", "close")


def test_every_order_of_operations_keeps_the_promises() -> None:  # noqa: C901, PLR0912 - one branch for an operation
    """All 8 ** 5 orders of five operations: one attempt at a time, every model given back once and never while used."""
    for order in itertools.product(OPERATIONS, repeat=5):
        clock = Clock()
        one = machine(clock)
        attempt, users, alive, given = None, [], set[str](), []
        for operation in order:
            if operation == "begin":
                new = one.begin()
                assert new is None or attempt is None, order
                attempt = new if new is not None else attempt
            elif operation == "succeed" and attempt is not None:
                model = f"model {attempt}"
                if one.succeed(attempt, model):
                    alive.add(model)
                attempt = None
            elif operation == "fail" and attempt is not None:
                one.fail(attempt, PASSING)
                attempt = None
            elif operation == "enter":
                entered = one.enter()
                if entered is not None:
                    assert entered[1] in alive, order
                    users.append(entered)
            elif operation == "leave" and users:
                given.append(one.leave(users.pop()[0]))
            elif operation == "expire":
                given.append(one.expire(60))
            elif operation == "wait":
                clock.now += 61
            elif operation == "close":
                given.append(one.close())
            for model in filter(None, given):
                assert model in alive, order
                assert model not in {held for _, held in users}, order
                alive.remove(model)
            given.clear()
            state = one.condition.state
            assert (state is State.READY) <= (len(alive) == 1), order
            assert one.condition.users == (len(users) if state is State.READY else 0), order


class Steps(RuleBasedStateMachine):
    """A random walk through one step, beside a model of what must be true."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.one: Loading[str] = machine(self.clock)
        self.attempt: int | None = None
        self.users: list[int] = []
        self.alive: dict[int, str] = {}
        self.retry_at = 0.0
        self.closed = False

    @rule()
    def begin(self) -> None:
        """Begin: given exactly when nothing is loaded, loading or waiting for its time."""
        attempt = self.one.begin()
        due = self.attempt is None and not self.closed and self.clock.now >= self.retry_at
        current = [number for number in self.alive if number == self.one.condition.attempt]
        assert (attempt is not None) == (due and not current)
        self.attempt = attempt if attempt is not None else self.attempt

    @precondition(lambda self: self.attempt is not None)
    @rule()
    def succeed(self) -> None:
        """End an attempt well: refused only after closing."""
        assert self.attempt is not None
        took = self.one.succeed(self.attempt, f"model {self.attempt}")
        assert took is not self.closed
        if took:
            self.alive[self.attempt] = f"model {self.attempt}"
            self.retry_at = 0.0
        self.attempt = None

    @precondition(lambda self: self.attempt is not None)
    @rule(reason=st.sampled_from(Reason))
    def fail(self, reason: Reason) -> None:
        """End an attempt badly: the next one waits for at least five seconds."""
        assert self.attempt is not None
        self.one.fail(self.attempt, LoadFailed(reason, "no"))
        self.attempt = None
        if not self.closed:
            self.retry_at = self.clock.now + self.one.until_retry()
            assert self.retry_at >= self.clock.now + 5

    @rule()
    def enter(self) -> None:
        """Use the model, if there is one."""
        entered = self.one.enter()
        if entered is not None:
            assert self.alive[entered[0]] == entered[1]
            self.users.append(entered[0])

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Leave: the last user after closing gives the model back."""
        attempt = self.users.pop(data.draw(st.integers(0, len(self.users) - 1)))
        model = self.one.leave(attempt)
        assert (model is not None) == (self.closed and attempt not in self.users)
        if model is not None:
            assert self.alive.pop(attempt) == model

    @rule(seconds=st.floats(0, 700))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    @rule()
    def expire(self) -> None:
        """Give up an idle model."""
        model = self.one.expire(300)
        if model is not None:
            assert not self.users
            (attempt,) = self.alive
            assert self.alive.pop(attempt) == model

    @rule()
    def close(self) -> None:
        """Close: what nobody uses is given back at once."""
        model = self.one.close()
        if model is not None:
            assert not self.users
            self.alive.popitem()
        self.closed = True

    @invariant()
    def nothing_leaks(self) -> None:
        """Keep a model in memory while it is READY or somebody uses it, and at no other time."""
        ready = self.one.condition.state is State.READY
        assert set(self.alive) == set(self.users) | ({self.one.condition.attempt} if ready else set())


Steps.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestSteps = Steps.TestCase
