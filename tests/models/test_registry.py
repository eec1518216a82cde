"""The registry: what it chooses, how it falls back, what it decides before loading; with works that cost nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alwrity_checks.errors import ConfigurationError, MissingExtra
from alwrity_checks.models.decision import Course, Verdict, decide, in_bytes, may_follow
from alwrity_checks.models.errors import LoadFailed, ModelError, ModelUnavailable, NoModel, OutOfMemory
from alwrity_checks.models.loading import MEMORY_REASONS, State
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.registry import ModelRegistry
from alwrity_checks.models.roles import AGENT, EMBEDDINGS, roles
from alwrity_checks.models.sharing import Closed, NotLoadedYet
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.settings import Settings

MIB = 1 << 20
HANG = 30.0
BIG = Step("Qwen/Qwen2.5-1.5B-Instruct", Runtime.ONNX, Precision.INT4)
SMALL = Step("Qwen/Qwen2.5-0.5B-Instruct", Runtime.ONNX, Precision.INT4)
BASE = Step("Qwen/Qwen2.5-0.5B-Instruct", Runtime.TRANSFORMERS, Precision.BFLOAT16)
NEEDS = {BIG: 1600 * MIB, SMALL: 645 * MIB, BASE: 1458 * MIB}


class Tokenless:
    """A loaded model that nobody asks for tokens."""

    tokenizer: Any = None
    vocabulary = 1
    ends = frozenset({0})
    context = 16
    closed = 0

    def session(self, tokens: int | None = None) -> Any:  # noqa: ANN401, ARG002 - never used
        """Begin what can be closed."""
        return self

    def advance(self, tokens: object) -> Any:  # noqa: ANN401 - logits
        """Answer with the end."""
        del tokens
        return np.zeros(1, dtype=np.float32)

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Works:
    """Works whose every answer is set by the test."""

    def __init__(self) -> None:
        self.runtimes = frozenset(Runtime)
        self.memory = 64 << 30
        self.needs: dict[Step, int] = dict(NEEDS)
        self.errors: dict[Step, BaseException] = {}
        self.rehearsal_errors: dict[Step, LoadFailed] = {}
        self.refusals: dict[Step, ModelError] = {}
        self.verdicts: dict[Step, Verdict] = {}
        self.calls: list[tuple[str, Step]] = []
        self.fetched: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False

    def installed(self) -> frozenset[Runtime]:
        """Return what is set."""
        return self.runtimes

    def native_bfloat16(self) -> bool:
        """Say yes."""
        return True

    def need(self, step: Step, context: int) -> int | None:
        """Return what is set."""
        del context
        return self.needs.get(step)

    def available(self, step: Step) -> int:
        """Return what is set."""
        del step
        return self.memory

    def refusal(self, step: Step, context: int) -> ModelError | None:
        """Return what is set, or that it does not fit."""
        need = self.need(step, context)
        if step not in self.refusals and need is not None and need > self.memory:
            return OutOfMemory(Reason.DOES_NOT_FIT, "too large")
        return self.refusals.get(step)

    def fetch(self, step: Step) -> Path:
        """Note it."""
        self.calls.append(("fetch", step))
        return Path(step.model)

    def verdict(self, step: Step, directory: Path, context: int) -> Verdict | None:
        """Return what was remembered."""
        del directory, context
        return self.verdicts.get(step)

    def remember(self, step: Step, directory: Path, context: int, verdict: Verdict) -> None:
        """Remember."""
        del directory, context
        self.verdicts[step] = verdict

    def rehearse(self, step: Step, directory: Path, context: int) -> int:
        """Note it, and raise what is set."""
        del directory, context
        self.calls.append(("rehearse", step))
        if step in self.rehearsal_errors:
            raise self.rehearsal_errors[step]
        return self.needs.get(step, MIB)

    def load(self, step: Step, directory: Path, context: int) -> Any:  # noqa: ANN401 - a model
        """Note it, and raise what is set."""
        del directory, context
        self.calls.append(("load", step))
        assert self.gate.wait(HANG)
        if step in self.errors:
            raise self.errors[step]
        return Tokenless()

    def load_encoder(self, directory: Path) -> Any:  # noqa: ANN401 - an encoder
        """Return nothing of use."""
        del directory
        return Tokenless()

    def plan(self, steps: object, context: int, available: int | None) -> Any:  # noqa: ANN401 - a plan
        """Return what was asked."""
        return steps, context, available

    def prefetch(self, model: str) -> None:
        """Note it."""
        self.fetched.append(model)

    def downloads(self) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Note it."""
        self.closed = True

    @property
    def loads(self) -> list[Step]:
        """The steps whose load was begun, in order."""
        return [step for what, step in self.calls if what == "load"]


def registry(works: Works, **environment: str) -> ModelRegistry:
    """Return a registry with these works."""
    return ModelRegistry(roles(Settings.load(environment)), works)


def test_the_first_step_is_loaded_and_shared() -> None:
    """Two calls, one load, one face: calls of all users take turns in it."""
    works = Works()
    with registry(works) as one:
        first, second = one.load_sync(), one.load_sync(AGENT)
        assert first is second
        assert first.step == BIG
        assert one.status().steps[BIG].state is State.READY
    assert works.loads == [BIG]
    assert works.closed


def test_any_thread_and_loop_gets_the_same() -> None:
    """Awaited in two event loops and called in a thread at once: still one load."""
    works = Works()
    works.gate.clear()
    with registry(works) as one:
        got: list[Any] = []

        def loop() -> None:
            got.append(asyncio.run(one.load()))

        threads = [threading.Thread(target=target) for target in (loop, loop, lambda: got.append(one.load_sync()))]
        for thread in threads:
            thread.start()
        works.gate.set()
        for thread in threads:
            thread.join(HANG)
        assert len(got) == 3
        assert len(set(map(id, got))) == 1
    assert works.loads == [BIG]


def test_it_falls_back_to_something_lighter_and_remembers_the_failure() -> None:
    """The failing first step is tried once, however many calls there are; each call gets the fallback."""
    works = Works()
    works.errors[BIG] = RuntimeError("damaged")
    with registry(works) as one:
        for _ in range(5):
            assert one.load_sync().step == SMALL
        assert asyncio.run(one.load()).step == SMALL
    assert works.loads == [BIG, SMALL]


def test_after_a_lack_of_memory_nothing_heavier_follows() -> None:
    """0.5B in transformers is heavier than 0.5B in int4: memory that did not do for that is not there for this."""
    works = Works()
    works.errors |= {step: OutOfMemory(Reason.OUT_OF_MEMORY, "no room") for step in (BIG, SMALL)}
    with registry(works) as one, pytest.raises(NoModel) as caught:
        one.load_sync()
    assert works.loads == [BIG, SMALL]
    assert list(caught.value.attempts) == [BIG, SMALL, BASE]
    assert "not lighter" in caught.value.attempts[BASE].diagnosis


def test_a_runtime_that_cannot_be_used_does_not_keep_from_the_other() -> None:
    """A conversion that fails says nothing about memory: transformers may follow, although it needs more."""
    works = Works()
    works.errors |= {step: LoadFailed(Reason.CONVERSION_FAILED, "no builder") for step in (BIG, SMALL)}
    with registry(works) as one:
        assert one.load_sync().step == BASE


def test_what_does_not_fit_is_neither_fetched_nor_tried() -> None:
    """The decision comes before the download."""
    works = Works()
    works.memory = 1000 * MIB
    with registry(works) as one:
        assert one.load_sync().step == SMALL
    assert ("fetch", BIG) not in works.calls
    assert works.loads == [SMALL]


def test_a_doubtful_load_is_rehearsed_and_the_verdict_kept() -> None:
    """Close to the limit a child tries first; the next time its verdict counts."""
    works = Works()
    works.memory = int(NEEDS[BIG] / 0.9)
    with registry(works) as one:
        assert one.load_sync().step == BIG
    assert [what for what, _ in works.calls] == ["fetch", "rehearse", "load"]
    assert works.verdicts[BIG] == Verdict(loaded=True, peak=NEEDS[BIG], available=works.memory)


def test_a_rehearsal_that_dies_is_an_answer() -> None:
    """It is not loaded here, and not rehearsed again with the same memory; something lighter serves."""
    works = Works()
    works.memory = int(NEEDS[BIG] / 0.9)
    works.rehearsal_errors[BIG] = OutOfMemory(Reason.REHEARSAL_DIED, "killed (SIGKILL)")
    with registry(works) as one:
        assert one.load_sync().step == SMALL
    assert works.loads == [SMALL]
    assert works.verdicts[BIG].loaded is False
    works.calls.clear()
    with registry(works) as another:
        assert another.load_sync().step == SMALL
    assert ("rehearse", BIG) not in works.calls


def test_a_rehearsal_that_fails_otherwise_says_nothing_of_memory() -> None:
    """A damaged file is no verdict about memory."""
    works = Works()
    works.memory = int(NEEDS[BIG] / 0.9)
    works.rehearsal_errors[BIG] = LoadFailed(Reason.FILE_CORRUPT, "damaged")
    with registry(works) as one:
        assert one.load_sync().step == SMALL
    assert BIG not in works.verdicts


def test_memory_that_runs_out_in_this_process_is_remembered() -> None:
    """The next process does not try the same with the same memory."""
    works = Works()
    works.errors[BIG] = OutOfMemory(Reason.OUT_OF_MEMORY, "no room")
    with registry(works) as one:
        assert one.load_sync().step == SMALL
    assert works.verdicts[BIG].loaded is False


def test_a_missing_runtime_is_named() -> None:
    """Where nothing is installed the error says what to install, for every step."""
    works = Works()
    works.runtimes = frozenset()
    with registry(works) as one, pytest.raises(NoModel) as caught:
        one.load_sync()
    assert {error.reason for error in caught.value.attempts.values()} == {Reason.EXTRA_MISSING}
    assert caught.value.remedy == 'pip install "alwrity-doctor[onnx]"'


def test_the_base_install_loads_the_base_runtime() -> None:
    """Without [onnx] the chain is that of transformers."""
    works = Works()
    works.runtimes = frozenset({Runtime.TRANSFORMERS})
    with registry(works) as one:
        assert one.load_sync().step == BASE


def test_no_model_tells_every_attempt() -> None:
    """The error of a chain carries each step's own reason and remedy."""
    works = Works()
    works.errors[BIG] = ModelUnavailable(Reason.HUB_UNREACHABLE, "no hub", "connect")
    works.errors[SMALL] = LoadFailed(Reason.FILE_CORRUPT, "damaged", "pull it")
    works.errors[BASE] = MissingExtra("models", "transformers")
    with registry(works) as one, pytest.raises(NoModel) as caught:
        one.load_sync()
    reasons = [error.reason for error in caught.value.attempts.values()]
    assert reasons == [Reason.HUB_UNREACHABLE, Reason.FILE_CORRUPT, Reason.EXTRA_MISSING]
    assert caught.value.remedy == "connect"


def test_a_timeout_leaves_the_load_running() -> None:
    """Who cannot wait is told so; the chain is not walked down for it."""
    works = Works()
    works.gate.clear()
    with registry(works) as one:
        with pytest.raises(NotLoadedYet):
            one.load_sync(timeout=0.01)
        with pytest.raises(NotLoadedYet):
            asyncio.run(one.load(timeout=0.01))
        works.gate.set()
        assert one.load_sync(timeout=HANG).step == BIG
    assert works.loads == [BIG]


def test_closed_is_closed() -> None:
    """After closing every call says so."""
    works = Works()
    one = registry(works)
    one.load_sync()
    one.close()
    with pytest.raises(Closed):
        one.load_sync()
    with pytest.raises(Closed):
        asyncio.run(one.load())


def test_unknown_roles_and_wrong_faces_are_refused() -> None:
    """A role that there is not, and text from the embeddings, are errors with a remedy."""
    with registry(Works()) as one:
        with pytest.raises(ModelError, match="no role") as caught:
            one.load_sync("writer")
        assert caught.value.remedy
        with pytest.raises(ModelError, match="vectors"):
            one.load_sync(EMBEDDINGS)
        with pytest.raises(ModelError):
            one.role(AGENT, model="no such name")


def test_prefetching_returns_at_once_and_fetches_what_fits() -> None:
    """The models that will be loaded are fetched, not the ones that do not fit; what is wrong shows in the status."""
    works = Works()
    works.memory = 1000 * MIB
    with registry(works) as one:
        one.prefetch(AGENT)
        wait_until(lambda: works.fetched == [SMALL.model])
        works.memory = MIB
        one.prefetch(AGENT)
        wait_until(lambda: one.status().trouble is not None)
        assert isinstance(one.status().trouble, NoModel)
    assert works.loads == []


def test_prefetching_goes_on_where_only_the_hub_was_silent() -> None:
    """A download tries again by itself, so that a hub that is away for a minute is no reason not to begin."""
    works = Works()
    works.refusals[BIG] = ModelUnavailable(Reason.HUB_UNREACHABLE, "no hub")
    with registry(works) as one:
        one.prefetch(AGENT)
        wait_until(lambda: works.fetched == [BIG.model])


def test_the_plan_is_of_the_chain() -> None:
    """The registry plans exactly the steps that it would try."""
    with registry(Works()) as one:
        planned: Any = one.plan(AGENT, available=5, context=7)
    assert planned == ((BIG, SMALL, BASE), 7, 5)


def test_a_wrong_setting_is_refused_by_what_needs_it() -> None:
    """Making the registry costs a start nothing, so the first use says what is wrong, and the status does."""
    with ModelRegistry.from_environment({"SIF_AGENT_RUNTIME": "abacus"}) as one:
        with pytest.raises(ModelError) as caught:
            one.load_sync()
        one.prefetch()
        wait_until(lambda: one.status().trouble is not None)
        trouble = one.status().trouble
    assert caught.value.reason is Reason.SETTING_INVALID
    assert isinstance(trouble, ModelError)
    assert trouble.reason is Reason.SETTING_INVALID


def test_a_registry_that_was_never_used_closes() -> None:
    """Nothing is made for it, not even by a prefetch that was under way, and nothing can be had of it afterwards."""
    one = ModelRegistry.from_environment({"SIF_AGENT_RUNTIME": "abacus"})
    one.prefetch()
    one.close()
    with pytest.raises(Closed):
        one.load_sync()


def test_an_env_file_counts(tmp_path: Path) -> None:
    """The registry of settings reads what the backend reads."""
    file = tmp_path / ".env"
    file.write_text("SIF_AGENT_MODEL=acme/m\n")
    with ModelRegistry.from_settings(Settings.load({}, [file])) as one:
        assert one.role().models[0] == "acme/m"
    with pytest.raises(ConfigurationError):
        Settings.load({}, [tmp_path / "none"])


def test_the_embeddings_are_the_registrys_too() -> None:
    """One registry serves both roles; the embeddings share their model as the agents do."""
    works = Works()
    with registry(works) as one:
        assert one.load_embeddings_sync() is asyncio.run(one.load_embeddings())
        assert one.load_embeddings_sync().step.model == "sentence-transformers/all-MiniLM-L6-v2"
        assert works.calls == [("fetch", one.load_embeddings_sync().step)]


def wait_until(true: Any) -> None:  # noqa: ANN401 - a condition
    """Wait until something is true."""
    for _ in range(int(HANG * 200)):
        if true():
            return
        threading.Event().wait(0.005)
    raise AssertionError


STEPS = (BIG, SMALL, BASE)
ERRORS = st.sampled_from(
    [LoadFailed(reason, "no") for reason in (Reason.CONVERSION_FAILED, Reason.LOAD_FAILED, Reason.FILE_CORRUPT)]
    + [OutOfMemory(reason, "no") for reason in sorted(MEMORY_REASONS)]
)


@settings(max_examples=150)
@given(
    errors=st.dictionaries(st.sampled_from(STEPS), ERRORS),
    memory=st.integers(0, 4000),
    needs=st.fixed_dictionaries({}, optional={step: st.integers(1, 4000) for step in STEPS}),
    calls=st.integers(1, 3),
)
def test_whatever_fails_the_promises_hold(
    errors: dict[Step, LoadFailed], memory: int, needs: dict[Step, int], calls: int
) -> None:
    """For every combination of failures, needs and memory.

    A step is tried at most once; nothing is tried that does not fit; after a lack of memory only strictly lighter ones
    are; and a call ends with a model that could be loaded, or with an error that tells of every step.
    """
    works = Works()
    works.memory, works.needs = memory, needs
    works.errors |= errors
    # Collecting garbage in a process full of torch takes a tenth of a second, and has nothing to give here.
    with patch("alwrity_checks.models.sharing.give_back"), registry(works) as one:
        for _ in range(calls):
            try:
                step = one.load_sync().step
            except NoModel as error:
                assert set(error.attempts) == set(STEPS)  # noqa: PT017 - both ends are right, each with its own facts
            else:
                assert step not in errors
    assert len(set(works.loads)) == len(works.loads)
    for step in works.loads:
        assert needs.get(step, 0) <= memory
    tried = [step for step in works.loads if step in errors]
    for position, failed in enumerate(tried):
        if errors[failed].reason in MEMORY_REASONS:
            for later in works.loads[works.loads.index(failed) + 1 :]:
                assert needs[later] < needs[failed], position


@given(
    predicted=st.none() | st.integers(1, 100),
    available=st.integers(0, 100),
    verdict=st.none() | st.builds(Verdict, st.booleans(), st.integers(1, 100), st.integers(0, 100)),
)
def test_the_decision_is_safe(predicted: int | None, available: int, verdict: Verdict | None) -> None:
    """What is loaded without a rehearsal is known to leave a seventh; what died is not tried with as little again."""
    try:
        course = decide(BIG, predicted, available, verdict)
    except OutOfMemory:
        needed = verdict.peak if verdict is not None and verdict.loaded else predicted
        died = verdict is not None and not verdict.loaded and available < verdict.available * 1.1
        assert died or (needed is not None and needed > available)
        return
    if course is Course.LOAD:
        needed = verdict.peak if verdict is not None and verdict.loaded else predicted
        assert needed is not None
        assert needed <= 0.85 * available
        assert verdict is None or verdict.loaded
        assert verdict is not None or needed <= 0.5 * available


def test_what_may_follow() -> None:
    """The rule of the chain, case by case."""
    memory, conversion = OutOfMemory(Reason.OUT_OF_MEMORY, "no"), LoadFailed(Reason.CONVERSION_FAILED, "no")
    unknown = ModelUnavailable(Reason.MODEL_UNKNOWN, "no")
    assert may_follow(SMALL, {BIG: memory}, NEEDS)
    assert not may_follow(BIG, {SMALL: memory}, NEEDS)
    assert not may_follow(BASE, {SMALL: memory}, NEEDS)
    assert may_follow(BASE, {SMALL: conversion}, NEEDS)
    assert not may_follow(BIG, {SMALL: conversion}, NEEDS)
    assert not may_follow(SMALL, {BIG: memory}, {SMALL: 1})
    assert may_follow(SMALL, {BIG: unknown}, {SMALL: 1})


def test_bytes_in_words() -> None:
    """Amounts are told in units of 1024."""
    assert [in_bytes(number) for number in (0, 1023, 1024, 645 * MIB, 1600 * MIB)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "645 MiB",
        "1.6 GiB",
    ]


def test_closing_sends_nobody_on_to_the_next_step() -> None:
    """Who waits for a load when the registry is closed is told that, and no lighter model is begun for him."""
    works = Works()
    works.gate.clear()
    one = registry(works)

    def close() -> None:
        works.errors[BIG] = LoadFailed(Reason.LOAD_FAILED, "it was stopped")
        works.gate.set()
        threading.Event().wait(0.2)

    with patch.object(works, "close", close), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.load_sync)
        while works.loads != [BIG]:
            threading.Event().wait(0.001)
        one.close()
        with pytest.raises(Closed):
            waiting.result(HANG)
    assert works.loads == [BIG]
