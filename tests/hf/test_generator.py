"""The component against a real router on this machine. Run with openai 2.x and 3.x."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import random
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.causes import Cause, Mode
from alwrity_checks.hf.chain import Chain, Link
from alwrity_checks.hf.deployment import Deployment
from alwrity_checks.hf.generation import Generation, GenerationFailed
from alwrity_checks.hf.generator import StructuredGenerator
from alwrity_checks.hf.loopback_router import Behaviour, Call, LoopbackRouter
from alwrity_checks.hf.retries import RetryPolicy
from alwrity_checks.hf.router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "openai/gpt-oss-120b"
GROQ, CEREBRAS = f"{MODEL}:groq", f"{MODEL}:cerebras"
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "integer", "minimum": 3}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
QUICK = RetryPolicy(first_pause=0.01, longest_pause=0.05, request_timeout=0.5)
PASSING = (
    Behaviour.SERVER_ERROR,
    Behaviour.BAD_GATEWAY,
    Behaviour.GATEWAY_TIMEOUT,
    Behaviour.LOADING,
    Behaviour.RATE_LIMITED,
    Behaviour.RESET,
    Behaviour.CUT,
    Behaviour.STALLED,
    Behaviour.SILENT,
)


@pytest.fixture
def server() -> Iterator[LoopbackRouter]:
    """Serve a router."""
    with LoopbackRouter() as serving:
        yield serving


def generator(server: LoopbackRouter, *deployments: str, base_url: str = "") -> StructuredGenerator:
    """Return a generator over deployments that nobody has measured."""
    router = Router(base_url or server.base_url, server.token)
    return StructuredGenerator(router, Chain.unmeasured(*(deployments or (GROQ, CEREBRAS))), policy=QUICK)


def run(subject: StructuredGenerator, deadline: float = 20.0, prompt: Any = "Rate it.") -> Generation:  # noqa: ANN401 - both forms
    """Generate once."""
    return subject.generate_sync(prompt, SCHEMA, deadline=deadline)


def failure(subject: StructuredGenerator, deadline: float = 20.0) -> GenerationFailed:
    """Return why there is no value."""
    with pytest.raises(GenerationFailed) as caught:
        run(subject, deadline)
    return caught.value


def serving() -> set[threading.Thread]:
    """Return the threads whose loops serve synchronous callers."""
    return {thread for thread in threading.enumerate() if thread.name == "alwrity-hf"}


def arrived(server: LoopbackRouter) -> None:
    """Wait until a call has arrived."""
    while not server.calls:
        threading.Event().wait(0.01)


def modes(server: LoopbackRouter) -> list[Mode]:
    """Return the modes that were asked for, in order."""
    return [call.mode for call in server.calls]


def test_the_plain_case(server: LoopbackRouter) -> None:
    """One request, in the strictest mode; the value is valid, and who served it is said."""
    made = run(generator(server))
    assert made.value["score"] >= 3
    assert (made.model, made.provider, made.mode, len(made.attempts)) == (MODEL, "groq", Mode.JSON_SCHEMA_STRICT, 1)
    assert len(server.calls) == 1


@pytest.mark.parametrize("behaviour", [Behaviour.FENCED, Behaviour.THINKS, Behaviour.REASONS])
def test_what_surrounds_the_value(server: LoopbackRouter, behaviour: Behaviour) -> None:
    """Fences and reasoning cost no further request."""
    server.behave(behaviour)
    assert len(run(generator(server)).attempts) == 1


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (Behaviour.ROUTE_MISSING, Cause.ROUTE_MISSING),
        (Behaviour.HOST_RETIRED, Cause.HOST_RETIRED),
        (Behaviour.PORTAL, Cause.NOT_A_ROUTER),
        (Behaviour.TOKEN_INVALID, Cause.TOKEN_INVALID),
        (Behaviour.PERMISSION_MISSING, Cause.PERMISSION_MISSING),
        (Behaviour.CREDITS_GONE, Cause.CREDITS_GONE),
        (Behaviour.QUOTA_EXHAUSTED, Cause.QUOTA_EXHAUSTED),
        (Behaviour.CONTEXT_TOO_LONG, Cause.CONTEXT_TOO_LONG),
        (Behaviour.PARAMETER_INVALID, Cause.PARAMETER_INVALID),
        (Behaviour.FILTERED, Cause.CONTENT_FILTERED),
    ],
)
def test_what_no_other_deployment_can_cure(server: LoopbackRouter, behaviour: Behaviour, cause: Cause) -> None:
    """The endpoint's, the account's and the caller's faults end the call after one request."""
    server.behave(behaviour)
    failed = failure(generator(server))
    assert failed.classification.cause is cause
    assert len(failed.attempts) == len(server.calls) == 1


def test_a_wrong_base_url_costs_one_request(server: LoopbackRouter) -> None:
    """Issue 2's own fault, however long the chain is."""
    subject = generator(server, *(f"made/up-{number}" for number in range(8)), base_url=server.wrong_base_url)
    assert failure(subject).classification.cause is Cause.ROUTE_MISSING
    assert server.hits == 1


def test_a_closed_port_costs_three_attempts(server: LoopbackRouter) -> None:
    """An endpoint that may come back gets two more, and not those of every deployment."""
    failed = failure(generator(server, base_url="http://127.0.0.1:9/v1"))
    assert (failed.classification.cause, len(failed.attempts)) == (Cause.CONNECTION_LOST, 3)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.MODEL_NOT_FOUND, Behaviour.MODEL_NOT_SUPPORTED, Behaviour.NOT_A_CHAT_MODEL, Behaviour.DECOMMISSIONED,
        Behaviour.DEPLOYMENT_MISSING, Behaviour.SUFFIX_INVALID, Behaviour.UNKNOWN_ERROR,
    ],
)  # fmt: skip
def test_a_deployment_s_fault_moves_the_chain(server: LoopbackRouter, behaviour: Behaviour) -> None:
    """No retry there; the next deployment answers."""
    server.behave(behaviour, provider="groq")
    made = run(generator(server))
    assert (made.provider, len(made.attempts)) == ("cerebras", 2)


def test_a_lasting_fault_is_remembered(server: LoopbackRouter) -> None:
    """The breaker keeps the second call off the deployment; with nothing else left there is no request at all."""
    server.behave(Behaviour.MODEL_NOT_SUPPORTED, provider="groq")
    subject = generator(server)
    run(subject)
    assert len(run(subject).attempts) == 1
    alone = generator(server, GROQ)
    failure(alone)
    again = failure(alone)
    assert (again.attempts, again.classification.cause) == ((), Cause.MODEL_NOT_SUPPORTED)


def test_nobody_waits_for_what_will_not_come(server: LoopbackRouter) -> None:
    """One deployment held back for an hour, the other one failing for good: an error at once, without a pause."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    server.behave(Behaviour.MODEL_NOT_SUPPORTED, provider="groq")
    router = Router(server.base_url, server.token)
    subject = StructuredGenerator(router, Chain.unmeasured(GROQ, CEREBRAS), policy=QUICK, sleep=sleep)
    run(subject)
    server.behave(Behaviour.DECOMMISSIONED, provider="cerebras")
    assert len(failure(subject).attempts) == 1
    assert pauses == []


def test_a_refused_mode_steps_down_once_and_for_all(server: LoopbackRouter) -> None:
    """On the same deployment; the next call begins on the rung that worked."""
    for mode in (Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA):
        server.behave(Behaviour.SCHEMA_UNSUPPORTED, provider="groq", mode=mode)
    server.behave(Behaviour.TOOLS_UNSUPPORTED, provider="groq", mode=Mode.TOOL)
    subject = generator(server)
    made = run(subject)
    assert (made.mode, made.provider) == (Mode.JSON_OBJECT, "groq")
    assert modes(server) == list(Mode)[:4]
    assert len(run(subject).attempts) == 1


def test_an_ignored_schema_is_found_out(server: LoopbackRouter) -> None:
    """Prose with status 200 is no answer: the schema goes into the prompt, with what was wrong."""
    for mode in (Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA, Mode.TOOL):
        server.behave(Behaviour.PROSE, mode=mode)
    assert run(generator(server)).mode is Mode.JSON_OBJECT
    assert modes(server) == [Mode.JSON_SCHEMA_STRICT, Mode.TOOL, Mode.JSON_OBJECT]
    assert "there is no JSON in the answer" in server.calls[-1].payload["messages"][-1]["content"]


def test_an_ignored_schema_is_remembered(server: LoopbackRouter) -> None:
    """On the strict and on the lax rung, of which only one was asked: the next call begins below both."""
    for mode in (Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA, Mode.TOOL):
        server.behave(Behaviour.PROSE, mode=mode)
    subject = generator(server)
    run(subject)
    server.calls.clear()
    assert run(subject).mode is Mode.JSON_OBJECT
    assert modes(server) == [Mode.JSON_OBJECT]


def test_a_range_that_the_server_does_not_enforce(server: LoopbackRouter) -> None:
    """The model is told on the same rung, and the rung is not given up for schemas that need no such rule."""
    schema = {**SCHEMA, "properties": {"title": {"type": "string", "pattern": "^T"}, "score": {"type": "integer"}}}
    subject = generator(server, GROQ)
    with pytest.raises(GenerationFailed):
        subject.generate_sync("Rate it.", schema)
    assert modes(server)[:2] == [Mode.JSON_SCHEMA_STRICT] * 2
    assert "does not match" in server.calls[1].payload["messages"][-1]["content"]
    assert run(subject).mode is Mode.JSON_SCHEMA_STRICT


def test_a_model_that_did_not_manage_is_not_a_refusal(server: LoopbackRouter) -> None:
    """Groq's 400 for invalid JSON: the next rung now, and the same rung again in the next call."""
    server.behave(Behaviour.NOT_MANAGED, Behaviour.FOLLOWS, provider="groq")
    subject = generator(server, GROQ)
    assert run(subject).mode is Mode.JSON_SCHEMA
    assert run(subject).mode is Mode.JSON_SCHEMA_STRICT


def test_one_request_carries_the_complaint(server: LoopbackRouter) -> None:
    """A wrong object on a rung that the server does not enforce: asked again, on it, with the validation error."""
    for mode in (Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA, Mode.TOOL):
        server.behave(Behaviour.SCHEMA_UNSUPPORTED, mode=mode)
    server.behave(Behaviour.OTHER_JSON, Behaviour.FOLLOWS, mode=Mode.JSON_OBJECT)
    assert run(generator(server)).mode is Mode.JSON_OBJECT
    assert modes(server)[-2:] == [Mode.JSON_OBJECT] * 2
    assert "is a required property" in server.calls[-1].payload["messages"][-1]["content"]


@pytest.mark.parametrize("behaviour", [Behaviour.PROSE, Behaviour.OTHER_JSON, Behaviour.BROKEN_JSON])
def test_what_is_never_valid_is_never_data(server: LoopbackRouter, behaviour: Behaviour) -> None:
    """An honest error that carries every attempt, on both deployments."""
    server.behave(behaviour)
    failed = failure(generator(server))
    assert failed.classification.cause is Cause.STRUCTURE_IGNORED
    assert {str(attempt.deployment) for attempt in failed.attempts} == {GROQ, CEREBRAS}
    assert len(failed.attempts) == len(server.calls)


def test_a_cut_answer_gets_more_room(server: LoopbackRouter) -> None:
    """`finish_reason` length: once more with a larger limit, on the same rung."""
    server.behave(Behaviour.TRUNCATED, Behaviour.FOLLOWS)
    made = run(generator(server))
    assert [attempt.classification.cause for attempt in made.attempts] == [Cause.TRUNCATED, Cause.OK]
    assert [call.payload["max_tokens"] for call in server.calls] == [2048, 8192]
    server.behave(Behaviour.TRUNCATED)
    assert failure(generator(server)).classification.cause is Cause.TRUNCATED


@pytest.mark.parametrize("behaviour", PASSING)
def test_a_passing_fault_is_tried_again(server: LoopbackRouter, behaviour: Behaviour) -> None:
    """The same deployment answers the second time."""
    server.behave(behaviour, Behaviour.FOLLOWS)
    assert [attempt.provider for attempt in run(generator(server)).attempts][1:] == ["groq"]


def test_a_provider_that_stays_down_is_moved_on_from(server: LoopbackRouter) -> None:
    """Three requests, then the next deployment."""
    server.behave(Behaviour.SERVER_ERROR, provider="groq")
    made = run(generator(server))
    assert (made.provider, len(made.attempts)) == ("cerebras", 4)


def test_a_provider_that_stays_down_is_given_up(server: LoopbackRouter) -> None:
    """Alone, it has three turns: the caller hears of it long before the deadline."""
    server.behave(Behaviour.SERVER_ERROR)
    failed = failure(generator(server, GROQ))
    assert (failed.classification.cause, len(failed.attempts)) == (Cause.PROVIDER_FAULT, 9)


def test_a_long_retry_after_is_spent_elsewhere(server: LoopbackRouter) -> None:
    """One request, no waiting; alone, the deployment is not asked again before its time: an error at once."""
    server.retry_after = "3000"
    server.behave(Behaviour.RATE_LIMITED_FOR, provider="groq")
    made = run(generator(server))
    assert (made.provider, len(made.attempts)) == ("cerebras", 2)
    failed = failure(generator(server, GROQ))
    assert (failed.classification.cause, len(failed.attempts)) == (Cause.RATE_LIMITED, 1)
    assert failed.classification.retry_after == 3000


def test_the_deadline_ends_everything(server: LoopbackRouter) -> None:
    """A router that never answers: an error with the attempts, no request outlives it."""
    server.behave(Behaviour.SILENT)
    failed = failure(generator(server), deadline=0.3)
    assert failed.classification.cause is Cause.TIMED_OUT
    assert [attempt.classification.cause for attempt in failed.attempts] == [Cause.TIMED_OUT]


def test_a_measured_chain_begins_on_its_rung(server: LoopbackRouter) -> None:
    """What was measured counts for six hours and for the host where it was measured."""
    links = (Link(Deployment.parse(GROQ), Mode.JSON_OBJECT),)
    now = datetime.now(UTC)
    for measured_at, base_url in (
        (now, server.base_url), (now - timedelta(hours=7), server.base_url), (now, "https://elsewhere.example/v1")
    ):  # fmt: skip
        chain = Chain(links, measured_at, base_url)
        run(StructuredGenerator(Router(server.base_url, server.token), chain, policy=QUICK))
    assert modes(server) == [Mode.JSON_OBJECT, Mode.JSON_SCHEMA_STRICT, Mode.JSON_SCHEMA_STRICT]


def test_an_unusable_schema_costs_no_request(server: LoopbackRouter) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(ConfigurationError, match="invalid"):
        generator(server).generate_sync("x", {"type": "objekt"})
    assert server.hits == 0


@pytest.mark.parametrize("prompt", ["\ud800", [{"role": "user", "content": {1}}]], ids=["half a character", "a set"])
def test_an_unusable_prompt_costs_no_request(server: LoopbackRouter, prompt: Any) -> None:  # noqa: ANN401 - wrong types too
    """What no request can carry is the caller's fault, and not that of every deployment in turn."""
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        run(generator(server), prompt=prompt)
    assert server.hits == 0


def test_an_array_is_not_asked_for_as_an_object(server: LoopbackRouter) -> None:
    """Rungs that can only give objects are left out for another schema; a conversation is passed on as it is."""
    server.behave(Behaviour.PROSE)
    conversation = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "List."}]
    with pytest.raises(GenerationFailed):
        generator(server, GROQ).generate_sync(conversation, {"type": "array"})
    assert set(modes(server)) == {Mode.JSON_SCHEMA_STRICT, Mode.PROMPT}
    assert [message["role"] for message in server.calls[-1].payload["messages"]][:2] == ["system", "user"]


def test_the_synchronous_face_keeps_off_event_loops(server: LoopbackRouter) -> None:
    """On a loop it would make the whole server stand: refused, with what to do instead."""

    async def scenario() -> None:
        subject = generator(server)
        with pytest.raises(ConfigurationError, match="event loop"):
            subject.generate_sync("x", SCHEMA)
        assert (await asyncio.to_thread(subject.generate_sync, "x", SCHEMA)).value

    asyncio.run(scenario())


def test_a_third_of_all_answers_failing(server: LoopbackRouter) -> None:
    """30 % passing faults at random: every call ends, valid or with the lasting cause, within its deadline."""
    chance = random.Random(7)  # noqa: S311 - the faults, the same ones each time

    def fault(_call: Call) -> Behaviour:
        return chance.choice(PASSING) if chance.random() < 0.3 else Behaviour.FOLLOWS

    server.behave(fault)
    served, mixed, unknown = (GROQ, CEREBRAS), ("made/up", GROQ), ("made/up", "made/up-too")

    async def scenario() -> list[Generation | BaseException]:
        chains = [served, mixed, unknown, (MODEL,)]
        router = Router(server.base_url, server.token)
        subjects = [StructuredGenerator(router, Chain.unmeasured(*chain), policy=QUICK) for chain in chains]
        gate = asyncio.Semaphore(8)

        async def one(number: int) -> Generation:
            async with gate, asyncio.timeout(21):
                return await subjects[number % 4].generate("Rate it.", SCHEMA, deadline=20)

        try:
            return await asyncio.gather(*(one(number) for number in range(40)), return_exceptions=True)
        finally:
            await router.aclose()

    results = asyncio.run(scenario())
    for number, result in enumerate(results):
        if number % 4 == 2:
            assert isinstance(result, GenerationFailed)
            assert result.classification.cause is Cause.MODEL_NOT_FOUND
        else:
            assert isinstance(result, Generation)
            assert result.value["score"] >= 3


def test_the_synchronous_face_keeps_its_connections(server: LoopbackRouter) -> None:
    """Calls from many threads share one loop; `close` ends it, and so does the generator's own end."""
    others = serving()
    subjects = [generator(server)]
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: run(subjects[0]), range(12)))
    assert len(made) == len(server.calls) == 12
    assert len(serving() - others) == 1
    subjects[0].close()
    assert not serving() - others
    assert run(subjects[0]).value
    subjects.clear()
    gc.collect()
    assert not serving() - others


def test_closing_ends_what_is_under_way(server: LoopbackRouter) -> None:
    """A thread that waits for an answer is told, and not left waiting."""
    server.behave(Behaviour.SILENT)
    subject = generator(server)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(run, subject)
        arrived(server)
        subject.close()
        with pytest.raises(CancelledError):
            waiting.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_loop_of_its_own(server: LoopbackRouter) -> None:
    """A server that forks its workers after the first call: the parent's thread does not exist in them."""
    script = f"""
import os
from alwrity_checks.hf import Chain, Router, StructuredGenerator
subject = StructuredGenerator(Router({server.base_url!r}, {server.token!r}), Chain.unmeasured({GROQ!r}))
subject.generate_sync("Rate it.", {SCHEMA!r})
child = os.fork()
if child == 0:
    os._exit(0 if subject.generate_sync("Rate it.", {SCHEMA!r}, deadline=10).value else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own interpreter
    assert len(server.calls) == 2


def test_the_end_of_the_process_is_quiet(server: LoopbackRouter) -> None:
    """Whoever never calls `close` meets no warning, and waits for nothing."""
    script = f"""
from alwrity_checks.hf import Chain, Router, StructuredGenerator
subject = StructuredGenerator(Router({server.base_url!r}, {server.token!r}), Chain.unmeasured({GROQ!r}))
subject.generate_sync("Rate it.", {SCHEMA!r})
"""
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "default", "-c", script], check=True, timeout=60, capture_output=True, text=True
    )
    assert ended.stderr == ""


def test_a_cancelled_call_ends_at_once(server: LoopbackRouter) -> None:
    """A caller who goes away takes the request along, and the generator serves the next one."""
    server.behave(Behaviour.SILENT, Behaviour.FOLLOWS)
    router = Router(server.base_url, server.token)
    subject = StructuredGenerator(router, Chain.unmeasured(GROQ), policy=QUICK)

    async def scenario() -> Generation:
        task = asyncio.create_task(subject.generate("Rate it.", SCHEMA))
        await asyncio.to_thread(arrived, server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        try:
            return await subject.generate("Rate it.", SCHEMA)
        finally:
            await router.aclose()

    assert len(asyncio.run(scenario()).attempts) == 1


def test_a_failure_can_be_handed_on(server: LoopbackRouter) -> None:
    """An error survives its way to another process, with cause and attempts, and holds no secret."""
    server.behave(Behaviour.TOKEN_INVALID)
    failed = failure(generator(server))
    copied = pickle.loads(pickle.dumps(failed))  # noqa: S301 - our own
    assert (str(copied), copied.classification, copied.attempts) == (
        str(failed),
        failed.classification,
        failed.attempts,
    )
    assert server.token not in f"{failed!r} {failed.attempts!r} {vars(failed)!r}"
