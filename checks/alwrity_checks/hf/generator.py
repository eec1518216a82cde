"""The component: structured JSON from a chain of deployments, valid or an honest error.

What follows an answer is its classification's action: an endpoint's or an account's fault ends the call, a
deployment's moves on, a provider's is tried again and then moved on from, a mode's steps down the ladder on the same
deployment, and the caller's own is raised. One deadline holds for everything.
"""

from __future__ import annotations

import asyncio
import json
import time
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import ConfigurationError
from alwrity_checks.hf.answer import Answer
from alwrity_checks.hf.blocking import BlockingLoop
from alwrity_checks.hf.breaker import Breaker
from alwrity_checks.hf.causes import Action, Cause, Classification, Mode, Permanence, Scope
from alwrity_checks.hf.classify import classify
from alwrity_checks.hf.consequences import classification
from alwrity_checks.hf.contract import Contract, Contracts
from alwrity_checks.hf.events import generation_failed, held_off, served_by_fallback
from alwrity_checks.hf.generation import Attempt, Generation, GenerationFailed
from alwrity_checks.hf.ladder import ENFORCED, UNSAID, Message, Refusals, Sampling, modes_for
from alwrity_checks.hf.reading import Invalid, Valid, read, read_text
from alwrity_checks.hf.retries import RetryPolicy
from alwrity_checks.hf.turn import Turn

if TYPE_CHECKING:
    from alwrity_checks.hf.chain import Chain, Link
    from alwrity_checks.hf.reply import Reply
    from alwrity_checks.hf.router import Router

__all__ = ["StructuredGenerator"]

_ENDPOINT_REQUESTS: Final = 3
"""No more than this many are spent on an endpoint that may be gone."""

_PLAIN: Final = (Mode.PROMPT,)
"""How a text is asked for."""

_NOTHING_ASKED: Final = classification(Cause.TIMED_OUT, "every deployment was held back until the deadline")


@dataclass(slots=True)
class _Run:
    """What one call has come to so far."""

    messages: Sequence[Message]
    contract: Contract | None
    """What the answer has to satisfy; None where it is a text."""
    modes: tuple[Mode, ...]
    max_tokens: int | None
    sampling: Sampling
    ends_at: float
    attempts: list[Attempt] = field(default_factory=list)
    ends: dict[Link, Classification] = field(default_factory=dict)
    """How the last turn of each deployment ended."""
    turns: Counter[Link] = field(default_factory=Counter)
    """How many each deployment has had."""
    endpoint_faults: int = 0

    def alive(self, links: Sequence[Link], turns: int) -> list[Link]:
        """Return the deployments that were not asked yet, or whose fault may pass.

        One that was asked for so many `turns` is left, unless it says itself when to come again.
        """
        return [
            link
            for link in links
            if (end := self.ends.get(link)) is None
            or (end.permanence is Permanence.TRANSIENT and (self.turns[link] < turns or end.retry_after is not None))
        ]

    def failed(self, because: Classification | None = None) -> GenerationFailed:
        """Return the error of this run: `because`, or else what may pass, or else what stopped the first deployment."""
        passing = [end for end in self.ends.values() if end.permanence is Permanence.TRANSIENT]
        seen = [*passing[::-1], *self.ends.values(), *(attempt.classification for attempt in self.attempts[::-1])]
        return GenerationFailed(because or next(iter(seen), _NOTHING_ASKED), tuple(self.attempts))


class StructuredGenerator:
    """Generates values that are valid against a schema.

    One instance serves a process, in any number of event loops and threads: what it has learnt about deployments and
    modes is shared by all calls.
    """

    def __init__(
        self,
        router: Router,
        chain: Chain,
        *,
        policy: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask the deployments of `chain` at `router`. `sleep` and `clock` take and give seconds."""
        self._router = router
        self._chain = chain
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._clock = clock
        self._refusals = Refusals(clock)
        self._contracts = Contracts()
        self._breakers = {link: Breaker() for link in chain.links}
        self._blocking = BlockingLoop(router.aclose)
        weakref.finalize(self, self._blocking.close)

    @property
    def chain(self) -> Chain:
        """What is asked, in order; another chain needs another generator."""
        return self._chain

    def held_off(self) -> Mapping[str, str]:
        """Return the deployments that are not asked for now, each with the cause of its last failure."""
        now = self._clock()
        return {
            str(link.deployment): str(breaker.because.cause) if breaker.because else "asked to wait"
            for link, breaker in self._breakers.items()
            if not breaker.closed(now)
        }

    async def generate(
        self,
        prompt: str | Sequence[Message],
        schema: Mapping[str, Any],
        *,
        deadline: float = 60.0,
        max_tokens: int | None = 2048,
        sampling: Sampling = UNSAID,
    ) -> Generation:
        """Return a value that is valid against `schema`, within `deadline` seconds.

        `prompt` is a user's message, or a conversation. Without `max_tokens` the server's own limit holds. Raises
        ConfigurationError for an unusable schema or prompt, before any request, and GenerationFailed, which says why
        there is no value, within the deadline.
        """
        ends_at = self._clock() + deadline
        messages = _messages(prompt)
        contract = await self._contracts.of(schema)
        run = _Run(messages, contract, modes_for(contract.schema), max_tokens, sampling, ends_at)
        return await self._within(deadline, run)

    async def generate_text(
        self,
        prompt: str | Sequence[Message],
        *,
        deadline: float = 60.0,
        max_tokens: int | None = 2048,
        sampling: Sampling = UNSAID,
    ) -> Generation:
        """Return a text, without the model's reasoning, from the same chain and by the same rules as `generate`.

        A text that was cut at `max_tokens` is returned; an empty one is none. Raises as `generate` does.
        """
        ends_at = self._clock() + deadline
        return await self._within(deadline, _Run(_messages(prompt), None, _PLAIN, max_tokens, sampling, ends_at))

    async def _within(self, deadline: float, run: _Run) -> Generation:
        try:
            async with asyncio.timeout(max(0.0, run.ends_at - self._clock())):
                generation = await self._walk(run)
        except TimeoutError:
            last = f"; the last answer: {run.attempts[-1].classification.message}" if run.attempts else ""
            failed = run.failed(classification(Cause.TIMED_OUT, f"no valid answer within {deadline:g} s{last}"))
            generation_failed(failed)
            raise failed from None
        except GenerationFailed as failed:
            generation_failed(failed)
            raise
        if generation.model != self._chain.links[0].deployment.model:
            served_by_fallback(generation, self._chain.links[0].deployment)
        return generation

    def generate_sync(
        self,
        prompt: str | Sequence[Message],
        schema: Mapping[str, Any],
        *,
        deadline: float = 60.0,
        max_tokens: int = 2048,
    ) -> Generation:
        """Do as `generate` does, from a thread without an event loop; on one it refuses with ConfigurationError.

        All threads share one loop in the background, and its connections: a call costs no new handshake.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._blocking.run(self.generate(prompt, schema, deadline=deadline, max_tokens=max_tokens))
        raise ConfigurationError(
            "generate_sync was called on an event loop, which would stand still until the answer",
            "await generate(…), or call generate_sync in asyncio.to_thread",
        )

    def close(self) -> None:
        """Close the connections that `generate_sync` keeps, ending with CancelledError the calls that are under way.

        The end of the process, and of the generator, does so too.
        """
        self._blocking.close()

    async def _walk(self, run: _Run) -> Generation:
        """Give every deployment its turn, and another while there is one whose fault may pass."""
        rounds = 0
        while True:
            links = run.alive(self._chain.links, self._policy.turns)
            for link in self._in_turn(run, links):
                run.turns[link] += 1
                result = await self._take_turn(run, link)
                if isinstance(result, Generation):
                    return result
                run.ends[link] = result
            rounds += 1
            waiting = run.alive(links, self._policy.turns)
            if not waiting:
                raise run.failed()
            pause = min(self._breakers[link].asked_to_wait(self._clock()) for link in waiting)
            await self._pause(run, None, self._policy.pause(rounds, pause))

    def _in_turn(self, run: _Run, links: Sequence[Link]) -> Iterator[Link]:
        """Yield the deployments to ask: those whose breaker admits it, else the first that may have recovered."""
        admitted = False
        for link in links:
            breaker = self._breakers[link]
            if breaker.admits(self._clock()):
                admitted = True
                yield link
            elif breaker.because is not None and not breaker.passing():
                run.ends[link] = breaker.because
        if admitted:
            return
        for link in links:
            if (because := self._breakers[link].because) is not None:
                run.ends[link] = because
        now = self._clock()
        for link in links:
            if self._breakers[link].passing() and not self._breakers[link].asked_to_wait(now):
                yield link
                return

    async def _take_turn(self, run: _Run, link: Link) -> Generation | Classification:
        """Ask one deployment until it has answered or its turn is over; return the value, or why there is none."""
        turn = Turn(self._modes(run, link), run.messages, run.max_tokens)
        while True:
            mode = turn.mode
            result, found = await self._ask(run, link, turn)
            if isinstance(result, Valid):
                self._breakers[link].succeeded()
                served_by = run.attempts[-1].provider or link.deployment.provider
                return Generation(result.value, link.deployment.model, served_by, mode, tuple(run.attempts))
            if not await self._goes_on(run, link, turn, result, found):
                return found

    async def _goes_on(
        self, run: _Run, link: Link, turn: Turn, result: Invalid | Answer, found: Classification
    ) -> bool:
        """Do what `found` implies; say whether this deployment is asked again."""
        match found.action:
            case Action.STEP_DOWN:
                return self._steps_down(link, turn, result, found)
            case Action.REPEAT_LARGER:
                return turn.enlarge()
            case Action.RETRY_THEN_MOVE:
                self._hold_off(link, found)
                pause = self._policy.pause(turn.fail(), found.retry_after)
                if turn.failures >= self._policy.per_deployment or pause > self._policy.patience:
                    return False
                await self._pause(run, found, pause)
                return True
            case Action.STOP_ALL:
                run.endpoint_faults += 1
                certain = found.scope is not Scope.ENDPOINT or found.permanence is not Permanence.UNKNOWN
                if certain or run.endpoint_faults >= _ENDPOINT_REQUESTS:
                    raise run.failed(found)
                await self._pause(run, found, self._policy.pause(run.endpoint_faults, found.retry_after))
                return True
            case Action.RAISE if not turn.enlarged:  # what we have enlarged ourselves is not the caller's fault
                raise run.failed(found)
        if found.permanence is Permanence.PERMANENT and found.scope in {Scope.MODEL, Scope.DEPLOYMENT}:
            self._hold_off(link, found)
        return False

    def _hold_off(self, link: Link, found: Classification) -> None:
        """Count a failure of a deployment, and say so where it is not asked any more for a while."""
        breaker, now = self._breakers[link], self._clock()
        was_open = not breaker.closed(now)
        breaker.failed(found, now)
        if not was_open and not breaker.closed(now):
            held_off(link.deployment, found, breaker.failures or 1)

    async def _ask(self, run: _Run, link: Link, turn: Turn) -> tuple[Valid | Invalid | Answer, Classification]:
        """Make one request, and note it."""
        if len(run.attempts) >= self._policy.max_requests:
            raise run.failed(run.attempts[-1].classification)
        started = self._clock()
        try:
            came: Reply | Answer = await self._router.complete(
                link.deployment,
                turn.messages,
                mode=turn.mode,
                schema=None if run.contract is None else run.contract.schema,
                max_tokens=turn.max_tokens,
                sampling=run.sampling,
                timeout=max(0.001, min(self._policy.request_timeout, run.ends_at - started)),
            )
        except asyncio.CancelledError:  # the deadline struck: the request was made all the same
            cut = classification(Cause.TIMED_OUT, "the deadline came before the answer")
            run.attempts.append(Attempt(link.deployment, turn.mode, cut, None, self._clock() - started))
            raise
        seconds = self._clock() - started
        if isinstance(came, Answer):
            found = classify(came, mode=turn.mode)
            # A success without a completion in it that nothing was found wrong with is still no completion.
            found = found if found.cause is not Cause.OK else classification(Cause.NOT_RECOGNISED, found.message)
            run.attempts.append(Attempt(link.deployment, turn.mode, found, came.status, seconds))
            return came, found
        result = read_text(came) if run.contract is None else read(came, run.contract)
        if isinstance(result, Valid):
            found = classification(Cause.OK, "valid against the schema" if run.contract else "a text")
        else:
            found = result.classification
            if run.contract is not None:
                turn.answered(came, result.complaint, run.contract)
        run.attempts.append(Attempt(link.deployment, turn.mode, found, 200, seconds, came.provider, came.request_id))
        return result, found

    def _steps_down(self, link: Link, turn: Turn, result: Invalid | Answer, found: Classification) -> bool:
        """Move on after a mode's fault: to the same mode with the complaint, once, or to the next; say if there is one.

        A refusal is remembered. So is being ignored where the server itself should have seen to the structure; what
        a model wrote by itself, or what breaks a rule that not every server enforces (a range, a pattern), may be
        better the next time.
        """
        enforced = turn.mode in ENFORCED
        if isinstance(result, Answer):
            if found.cause is Cause.STRUCTURE_IGNORED:  # the model did not manage this time; nobody refused
                return turn.step_down()
            self._refusals.remember(self._router.base_url, link.deployment, turn.mode)
            return turn.step_down()
        if (enforced and result.of_shape) or (turn.mode is Mode.TOOL and not turn.tool_called):
            # What strict does not enforce, the lax form does not either.
            for mode in ENFORCED if enforced else (turn.mode,):
                self._refusals.remember(self._router.base_url, link.deployment, mode)
        elif turn.ask_again():
            return True
        return turn.step_down(ENFORCED)

    def _modes(self, run: _Run, link: Link) -> tuple[Mode, ...]:
        modes = run.modes
        measured_here = self._chain.counts_at() and self._chain.base_url.rstrip("/") in {"", self._router.base_url}
        if measured_here and link.mode in modes:
            modes = modes[modes.index(link.mode) :]
        return self._refusals.remaining(self._router.base_url, link.deployment, modes)

    async def _pause(self, run: _Run, because: Classification | None, seconds: float) -> None:
        """Wait, unless nothing could be asked afterwards: then `because` is the end."""
        if self._clock() + seconds >= run.ends_at:
            raise run.failed(because)
        await self._sleep(seconds)


def _messages(prompt: str | Sequence[Message]) -> list[Message]:
    """Return what is asked. Raises ConfigurationError where no request could carry it."""
    messages: list[Message] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    try:
        json.dumps(messages, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"the prompt cannot be sent as JSON: {type(error).__name__}", "give a text, or messages of role and content"
        ) from None
    return messages
