"""A loaded model, as a backend uses it: text or JSON, from any thread or event loop, the same on every runtime."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.json_decoding import JsonDecoding
from alwrity_checks.models.json_schema import AnswerSchema
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.sampling import Sampler, Sampling
from alwrity_checks.models.sharing import ForkedProcess
from alwrity_checks.models.tokenizing import Detokenizer, Prompt, messages_of, tokens_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.models.runtimes.interface import LoadedModel, Session
    from alwrity_checks.models.steps import Step

__all__ = ["Generation", "JsonGeneration", "LocalModel"]

_PREFILL: Final = 128
"""Tokens of a prompt that a model takes at once: between two such pieces it can be stopped, and its activations, which
a runtime does not give back, are bounded (at 512 tokens 230 MiB for 1.5 billion weights)."""
_MOST_TOKENS: Final = 256
_MOST_JSON_TOKENS: Final = 512
_PATIENCE: Final = 0.05
"""Seconds after which a call that waits for its turn looks whether it is still wanted."""
_TOLD: Final = "Answer with one JSON value that is valid against this JSON Schema, and with nothing else:\n"

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Generation:
    """A text that a model wrote."""

    text: str
    tokens: int
    """How many were written, the end not counted."""
    finished: bool
    """Whether the model came to its end; False if it was cut after `max_new_tokens`, or stopped."""
    prompt_tokens: int
    time_to_first_token: float
    """Seconds for the prompt."""
    decode_seconds: float
    """Seconds from the first token to the last."""

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it wrote after the first token; None where there is no second one."""
        return (self.tokens - 1) / self.decode_seconds if self.tokens > 1 and self.decode_seconds > 0 else None


@dataclass(frozen=True, slots=True)
class JsonGeneration:
    """A value that a model wrote, valid against the schema."""

    value: Any
    text: str
    tokens: int
    prompt_tokens: int
    time_to_first_token: float
    decode_seconds: float
    constraint_seconds: float
    """Seconds of all that were spent on masks and checks, not on the model."""
    passes: int
    """Passes through the model; fewer than tokens, because what the schema leaves no choice in needs none."""
    shortened: bool
    """Whether it was brought to an end before the model came to one: a text in it may be cut, and is closed."""


class LocalModel:
    """A model in memory. Thread-safe: calls take turns, in a thread of its own where they are awaited."""

    def __init__(self, loaded: LoadedModel, step: Step) -> None:
        """Take the model, which nobody else uses; `close` gives its memory back."""
        self.step = step
        self._owner = os.getpid()
        self._loaded = loaded
        self._turn = threading.Lock()
        self._closed = False
        self._json: JsonDecoding | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._making = threading.Lock()

    @property
    def context(self) -> int:
        """The most tokens, prompt and answer together."""
        return self._loaded.context

    def count_tokens(self, prompt: Prompt, *, template: bool = True) -> int:
        """Return how many tokens of the context `prompt` takes."""
        with self._my_turn(None):
            return len(tokens_of(self._loaded.tokenizer, prompt, template=template))

    def prepare_json(self) -> None:
        """Read the vocabulary for JSON now, not at the first answer: up to 2 s, in part of which Python stands still.

        Blocks; a server that minds does it before it serves. Raises MissingExtra, LoadFailed.
        """
        with self._my_turn(None):
            self._decoding()

    def generate_sync(  # noqa: PLR0913 - each is a setting that every caller knows by this name
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int = _MOST_TOKENS,
        min_new_tokens: int = 0,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        template: bool = True,
        stop: threading.Event | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Answer `prompt` with at most `max_new_tokens` tokens; blocks.

        A text is put into the model's chat template as the user's message, unless `template` is False. Before
        `min_new_tokens` it does not end. `stop` is looked at between tokens; `on_text` gets the text as it comes.
        Raises AnswerFailed: PROMPT_TOO_LONG, SETTING_INVALID; OutOfMemory.
        """
        sampler = Sampler(Sampling(temperature, top_p, seed))
        with self._my_turn(stop):
            tokens = tokens_of(self._loaded.tokenizer, prompt, template=template)
            self._check_room(tokens, max_new_tokens)
            detokenizer, pieces = Detokenizer(self._loaded.tokenizer), list[str]()

            def show(piece: str) -> None:
                if piece:
                    pieces.append(piece)
                    if on_text is not None:
                        on_text(piece)

            run = _Run(stop)
            ends, written, finished = self._loaded.ends, 0, False
            with self._session(len(tokens) + max_new_tokens) as session:
                logits = run.prefill(session, tokens)
                while logits is not None:
                    if written < min_new_tokens:
                        logits[[end for end in ends if end < len(logits)]] = -float("inf")
                    token = sampler.choose(logits)
                    run.tick()
                    if finished := token in ends:
                        break
                    written += 1
                    show(detokenizer.push(token))
                    logits = run.advance(session, [token]) if written < max_new_tokens else None
            show(detokenizer.finish())
            return Generation(
                "".join(pieces), written, finished, len(tokens), run.time_to_first_token, run.decode_seconds
            )

    def generate_json_sync(
        self,
        prompt: Prompt,
        schema: Mapping[str, Any],
        *,
        max_new_tokens: int = _MOST_JSON_TOKENS,
        **settings: Any,  # noqa: ANN401 - those of `answer_json_sync`
    ) -> Any:  # noqa: ANN401 - JSON is any value
        """Return a value that is valid against `schema`; see `answer_json_sync`."""
        return self.answer_json_sync(prompt, schema, max_new_tokens=max_new_tokens, **settings).value

    def answer_json_sync(  # noqa: PLR0913 - each is a setting that every caller knows by this name
        self,
        prompt: Prompt,
        schema: Mapping[str, Any],
        *,
        max_new_tokens: int = _MOST_JSON_TOKENS,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        template: bool = True,
        tell_schema: bool = True,
        shorten: bool = True,
        stop: threading.Event | None = None,
    ) -> JsonGeneration:
        """Answer `prompt` with a value that is valid against `schema`; blocks.

        The model is told the schema, unless `tell_schema` is False, and can write nothing else. An answer that does
        not come to an end within `max_new_tokens` is brought to one that is valid (`shortened` says so); with `shorten`
        False, or where no end can be reached, it is an error. Raises AnswerFailed: SCHEMA_INVALID, SCHEMA_UNSUPPORTED,
        PROMPT_TOO_LONG, ANSWER_TRUNCATED, ANSWER_INVALID, SETTING_INVALID; OutOfMemory; MissingExtra.
        """
        sampler, contract = Sampler(Sampling(temperature, top_p, seed)), AnswerSchema.of(schema)
        with self._my_turn(stop):
            asked = _telling(prompt, contract.text) if tell_schema else prompt
            tokens = self._tokens_of_json(asked, template=template)
            self._check_room(tokens, max_new_tokens)
            decoding = self._decoding()
            run = _Run(stop)
            with run.constraining():
                writer = decoding.writer(contract, max_new_tokens, shorten=shorten)
                forced = writer.forced()
            if not writer.done:
                with self._session(len(tokens) + max_new_tokens) as session:
                    logits = run.prefill(session, [*tokens, *forced])
                    while logits is not None and not writer.done:
                        with run.constraining():
                            chosen = writer.choose(logits, sampler)
                        run.tick()
                        if not writer.done:
                            logits = run.advance(session, chosen)
            if not writer.done:
                raise AnswerFailed(
                    Reason.ANSWER_TRUNCATED, f"the answer was stopped after {len(writer.tokens)} tokens", "ask again"
                )
        text = writer.text()
        return JsonGeneration(
            value=contract.value(text),
            text=text,
            tokens=len(writer.tokens),
            prompt_tokens=len(tokens),
            time_to_first_token=run.time_to_first_token,
            decode_seconds=run.decode_seconds,
            constraint_seconds=run.constraint_seconds,
            passes=run.passes,
            shortened=writer.shortened,
        )

    async def generate(self, prompt: Prompt, **settings: Any) -> str:  # noqa: ANN401 - those of `generate_sync`
        """Return the text of `generate_sync`, from a thread of its own; cancelled, it stops after the next token."""
        generation = await self._awaited(lambda stop: self.generate_sync(prompt, stop=stop, **settings))
        return generation.text

    async def generate_json(
        self,
        prompt: Prompt,
        schema: Mapping[str, Any],
        **settings: Any,  # noqa: ANN401 - those of `answer_json_sync`
    ) -> Any:  # noqa: ANN401 - JSON is any value
        """Return the value of `generate_json_sync`, from a thread of its own; cancelled, it stops at the next token."""
        return await self._awaited(lambda stop: self.generate_json_sync(prompt, schema, stop=stop, **settings))

    def close(self) -> None:
        """Give the model's memory back, after the answer that is under way. May be called twice."""
        self._refuse_fork()
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._json = None
            self._loaded.close()
        with self._making:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.shutdown(wait=False)

    async def _awaited(self, call: Callable[[threading.Event], _Answer]) -> _Answer:
        self._refuse_fork()
        stop = threading.Event()
        with self._making:
            if self._worker is None:
                # A worker of its own: the event loop's few threads are not all taken by answers that wait for a model.
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="local-model")
            future = self._worker.submit(call, stop)
        try:
            return await asyncio.wrap_future(future)
        finally:
            stop.set()

    def _decoding(self) -> JsonDecoding:
        if self._json is None:
            self._json = JsonDecoding(self._loaded.tokenizer, self._loaded.vocabulary, self._loaded.ends)
        return self._json

    def _refuse_fork(self) -> None:
        """Raise ForkedProcess in a forked child, where the worker does not exist and a lock may be held for ever."""
        if os.getpid() != self._owner:
            raise ForkedProcess(self._owner)

    @contextmanager
    def _my_turn(self, stop: threading.Event | None) -> Iterator[None]:
        self._refuse_fork()
        while not self._turn.acquire(timeout=-1 if stop is None else _PATIENCE):
            if stop is not None and stop.is_set():
                raise AnswerFailed(Reason.ANSWER_TRUNCATED, "the answer was stopped before it began", "ask again")
        try:
            if self._closed:
                raise AnswerFailed(
                    Reason.LOAD_FAILED, f"{self.step} was released", "ask the registry for the model again"
                )
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _session(self, tokens: int) -> Iterator[Session]:
        session = self._loaded.session(tokens)
        try:
            yield session
        finally:
            session.close()

    def _check_room(self, tokens: list[int], asked: int) -> None:
        if asked < 1:
            raise AnswerFailed(Reason.SETTING_INVALID, f"{asked} is no number of tokens", "ask for at least 1")
        if not tokens:
            raise AnswerFailed(Reason.SETTING_INVALID, "the prompt is empty", "give the model something to answer")
        context, over = self._loaded.context, len(tokens) + asked - self._loaded.context
        if over > 0:
            raise AnswerFailed(
                Reason.PROMPT_TOO_LONG,
                f"the prompt has {len(tokens):,} tokens and {asked:,} are asked for: {over:,} more than the context of "
                f"{context:,}",
                "shorten the prompt, or ask for fewer tokens",
            )

    def _tokens_of_json(self, prompt: Prompt, *, template: bool) -> list[int]:
        """Return the prompt's tokens; where the template knows no system message, in one message of the user."""
        tokenizer = self._loaded.tokenizer
        if not isinstance(prompt, str) and not tokenizer.chat_template:
            prompt = "\n\n".join(one["content"] for one in messages_of(prompt))
        try:
            return tokens_of(tokenizer, prompt, template=template)
        except AnswerFailed:
            if isinstance(prompt, str) or prompt[0].get("role") != "system":
                raise
            first, *rest = messages_of(prompt)
            if not rest:
                raise
            merged = {**rest[0], "content": f"{first['content']}\n\n{rest[0]['content']}"}
            return tokens_of(tokenizer, [merged, *rest[1:]], template=template)


def _telling(prompt: Prompt, schema: str) -> Prompt:
    """Return the conversation with the schema in its system message."""
    messages, told = messages_of(prompt), f"{_TOLD}{schema}"
    if messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{told}"}, *messages[1:]]
    return [{"role": "system", "content": told}, *messages]


class _Run:
    """The passes of one answer through the model, and their times."""

    def __init__(self, stop: threading.Event | None) -> None:
        self._stop = stop
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last = self._began
        self.constraint_seconds = 0.0
        self.passes = 0

    @property
    def time_to_first_token(self) -> float:
        return (self._last if self._first is None else self._first) - self._began

    @property
    def decode_seconds(self) -> float:
        return 0.0 if self._first is None else self._last - self._first

    def prefill(self, session: Session, tokens: list[int]) -> NDArray[np.float32] | None:
        """Take a prompt, piece by piece; None if it is no longer wanted."""
        logits = None
        for start in range(0, len(tokens), _PREFILL):
            logits = self.advance(session, tokens[start : start + _PREFILL])
            if logits is None:
                return None
        return logits

    def advance(self, session: Session, tokens: list[int]) -> NDArray[np.float32] | None:
        """Take tokens; None if the answer is no longer wanted."""
        if self._stop is not None and self._stop.is_set():
            return None
        self.passes += 1
        return session.advance(tokens)

    def tick(self) -> None:
        """Note that a token has been chosen."""
        self._last = time.perf_counter()
        if self._first is None:
            self._first = self._last

    @contextmanager
    def constraining(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.constraint_seconds += time.perf_counter() - started
