"""The fault: the backend's Hugging Face provider, rebuilt from its description in two historical states.

Faithful in what it requests, how often, how long it waits and what it returns, down to the client (openai, with that
client's own retries); it has no log lines. Commits are those of the public repository AJaySi/ALwrity,
`backend/services/llm_providers/huggingface_provider.py`.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

__all__ = ["BASE_PATH", "CountedSleep", "LegacyProvider", "LegacyState", "RetryError"]

BASE_PATH: Final = "/hf/v1"
"""Where the provider looks for the router's API; the right path is `/v1`."""
_DEFAULTS: Final = (
    "openai/gpt-oss-120b:groq",
    "moonshotai/Kimi-K2-Instruct-0905:groq",
    "meta-llama/Llama-3.1-8B-Instruct:groq",
    "mistralai/Mistral-7B-Instruct-v0.3:groq",
)
_ATTEMPTS: Final = 6
_SHORTEST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
_PAUSE: Final = 1.0
"""Seconds, before every attempt in state OLD."""
_NOT_RETRIED: Final = ("not found", "404", "402", "depleted", "credits", "401", "unauthorized", "403", "forbidden")
"""What the text of an exception must hold for HEAD's text function to give up."""

T = TypeVar("T")


class LegacyState(StrEnum):
    """A state of the provider, by the commit that the backend was at."""

    OLD = "OLD"
    """8c2d88ef, 2026-03-10, the catalogue's own: a chain of five models, and the whole chain six times."""
    HEAD = "HEAD"
    """ce9bf293, 2026-06-13: the chain is lost, and the second pass ends in a NameError."""


class RetryError(Exception):
    """The attempts are used up. Its text names the type of the last exception and nothing else, as tenacity's does."""

    def __init__(self, last: Exception) -> None:
        super().__init__(f"RetryError[<Future at {id(last):#x} state=finished raised {type(last).__name__}>]")
        self.last: Final = last
        """The exception of the last attempt, which no caller of the original ever looked at."""


class CountedSleep:
    """Counts the seconds that would be slept, and does not sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, seconds: float) -> None:
        """Count `seconds`."""
        self.seconds += seconds


class LegacyProvider:
    """Generates as the provider of that state does: synchronously, on whatever thread it is called on."""

    def __init__(
        self,
        state: LegacyState,
        base_url: str,
        token: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`base_url` is a constant of the original and ends in `BASE_PATH`.

        `sleep` takes every pause, the openai client's among them; `uniform` draws one between two limits, in seconds.
        """
        self._state = state
        self._base_url = base_url
        self._token = token
        self._sleep = sleep
        self._uniform = uniform

    def structured(self, prompt: str, schema: Mapping[str, Any], model: str = _DEFAULTS[0]) -> object:
        """Return whatever JSON comes back, or an object with the key `error` if it is none; nothing is validated.

        Raises RetryError, after minutes.
        """
        return self._retried(lambda: self._structured_once(f"{prompt}\n\n{json.dumps(schema)}", model), lambda _: True)

    def text(self, prompt: str, model: str = _DEFAULTS[0]) -> str:
        """Return the answer's text. Raises RetryError; in state HEAD a plain Exception where it gives up at once."""
        old = self._state is LegacyState.OLD
        return self._retried(lambda: self._text_once(prompt, model), lambda error: old or not _is_final(error))

    def _retried(self, call: Callable[[], T], retries: Callable[[Exception], bool]) -> T:
        highest = _SHORTEST_WAIT
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return call()
            except Exception as error:
                if not retries(error):
                    raise
                if attempt == _ATTEMPTS:
                    raise RetryError(error) from error
            self._sleep(self._uniform(_SHORTEST_WAIT, highest))
            highest = min(2 * highest, _LONGEST_WAIT)
        raise AssertionError  # the last attempt returns or raises

    def _structured_once(self, prompt: str, model: str) -> object:
        from openai import NotFoundError

        candidates = self._candidates(model)
        with self._new_client() as client:
            try:
                answer = self._first_found(client, candidates, prompt, response_format={"type": "json_object"})
            except Exception as error:
                if not ("422" in str(error) or "not supported" in str(error) or isinstance(error, NotFoundError)):
                    raise _wrapped("structured JSON", error) from error
                if self._state is LegacyState.HEAD:
                    # A parameter that the function does not have.
                    raise NameError("name 'fallback_models' is not defined") from error
                answer = self._second_pass(client, candidates, prompt)
        return _parsed(answer.choices[0].message.content or "")

    def _second_pass(self, client: OpenAI, candidates: Sequence[str], prompt: str) -> ChatCompletion:
        try:
            return self._first_found(client, candidates, prompt)
        except Exception as error:
            raise _wrapped("structured JSON", error) from error

    def _text_once(self, prompt: str, model: str) -> str:
        with self._new_client() as client:
            try:
                answer = self._first_found(client, self._candidates(model), prompt)
            except Exception as error:
                raise _wrapped("text", error) from error
        return answer.choices[0].message.content or ""

    @staticmethod
    def _first_found(client: OpenAI, candidates: Sequence[str], prompt: str, **asked: Any) -> ChatCompletion:  # noqa: ANN401 - arguments of the openai client
        """Return the first answer that is not a 404; any other error ends the chain."""
        from openai import NotFoundError

        last: Exception | None = None
        for candidate in candidates:
            try:
                answer: ChatCompletion = client.chat.completions.create(
                    model=candidate, messages=[{"role": "user", "content": prompt}], **asked
                )
            except NotFoundError as error:
                last = error
            else:
                return answer
        raise last or ValueError("no model")

    def _candidates(self, model: str) -> list[str]:
        chain = (model, *_DEFAULTS) if self._state is LegacyState.OLD else (model,)
        return list(dict.fromkeys(_with_and_without_suffix(chain)))

    def _new_client(self) -> OpenAI:
        """Return the client of one attempt, with the retries that are its default."""
        from openai import OpenAI

        if self._state is LegacyState.OLD:
            self._sleep(_PAUSE)
        if not self._token.startswith("hf_"):
            raise ValueError("HF_TOKEN must start with 'hf_'")
        sleep = self._sleep

        class Client(OpenAI):
            def _calculate_retry_timeout(self, *arguments: Any, **named: Any) -> float:  # noqa: ANN401 - passed on
                # The client sleeps by itself and offers no public way to count that, or to leave it out; the method
                # has this name in 2.54 and 3.54. Were it renamed, the seconds would really be slept, and not counted.
                sleep(super()._calculate_retry_timeout(*arguments, **named))
                return 0.0

        return Client(base_url=self._base_url, api_key=self._token)


def _with_and_without_suffix(chain: Sequence[str]) -> Iterator[str]:
    for model in chain:
        yield model
        yield model.split(":")[0]


def _parsed(content: str) -> object:
    try:
        parsed: object = json.loads(content)
    except ValueError:
        return {"error": "Failed to parse JSON response", "raw_response": content}
    return parsed


def _wrapped(what: str, error: Exception) -> Exception:
    """Return the bare exception that the original makes of every other; the status is lost."""
    return Exception(f"Hugging Face {what} generation failed: {type(error).__name__}: {error}")


def _is_final(error: Exception) -> bool:
    return any(word in str(error).lower() for word in _NOT_RETRIED)
