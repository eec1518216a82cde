"""JSON from any model: a mask over the next token's logits, so that only what the schema allows can be written.

llguidance makes the grammar and the masks (numpy alone, the same on every runtime); `json_scanner` sees to what no
grammar can say, `json_closing` to an end within the budget, and `json_schema` validates what came.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from alwrity_checks.errors import MissingExtra
from alwrity_checks.models.errors import AnswerFailed, LoadFailed
from alwrity_checks.models.json_closing import Closing
from alwrity_checks.models.json_scanner import JsonScanner
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.runtimes.heap import give_back
from alwrity_checks.redaction import scrub

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from alwrity_checks.models.json_schema import AnswerSchema
    from alwrity_checks.models.sampling import Sampler

__all__ = ["JsonDecoding", "JsonWriter"]

_STYLE: Final = {
    # As json.dumps writes it, which is what models have read most of; flexible white space could go on for ever.
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    # Of alternatives that exclude each other (by a const, say) anyOf is as good; validation sees to the rest.
    "coerce_one_of": True,
}
_FORMS: Final = frozenset({"NFC", "NFD", "NFKC", "NFKD"})
_KEPT: Final = 64
"""Grammars: more than a backend has kinds of answers."""
_TOLD: Final = 300


class JsonDecoding:
    """What the answers of one model have in common. Used by one thread at a time."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: frozenset[int]) -> None:  # noqa: ANN401 - not typed
        """Read the tokenizer's vocabulary: up to a second for 150,000 tokens.

        Raises MissingExtra; LoadFailed, CONFIG_UNUSABLE, where llguidance cannot read it.
        """
        try:
            from llguidance.hf import from_tokenizer
        except ModuleNotFoundError as error:
            raise MissingExtra("models", "JSON from a local model") from error
        # A model's logits may be more than the tokenizer has tokens, and the other way round.
        size = max(vocabulary, len(tokenizer))
        try:
            with _as_written(tokenizer):
                self._tokenizer: Any = from_tokenizer(tokenizer, n_vocab=size, eos_token=sorted(ends) or None)
        except (ValueError, RuntimeError, TypeError) as error:
            raise LoadFailed(
                Reason.CONFIG_UNUSABLE,
                f"llguidance cannot read the model's tokenizer: {scrub(str(error))[:_TOLD]}",
                "choose a model with a tokenizer.json of its own: alwrity-doctor models list",
            ) from error
        give_back()  # of the tokenizer written out as JSON, 50 MiB
        self._ends = ends
        self._closing = Closing(self._tokenizer)
        self._matchers: dict[str, Any] = {}

    def writer(self, schema: AnswerSchema, budget: int, *, shorten: bool = True) -> JsonWriter:
        """Begin an answer of at most `budget` tokens; see JsonWriter. Raises AnswerFailed, SCHEMA_UNSUPPORTED."""
        matcher = self._matchers.get(schema.text)
        if matcher is None:
            matcher = self._matchers[schema.text] = self._matcher(schema)
            for oldest in tuple(self._matchers)[:-_KEPT]:
                del self._matchers[oldest]
        scanner = JsonScanner(longest=schema.longest_number)
        return JsonWriter(
            matcher.deep_copy(), scanner, self._tokenizer, self._closing, self._ends, budget, shorten=shorten
        )

    def _matcher(self, schema: AnswerSchema) -> Any:  # noqa: ANN401 - llguidance's types are not read here
        from llguidance import LLMatcher

        try:
            grammar = LLMatcher.grammar_from_json_schema(schema.grammar, overrides=_STYLE)
        except ValueError as error:
            raise _unsupported(str(error)) from None
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _unsupported(matcher.get_error())
        return matcher


@contextmanager
def _as_written(tokenizer: Any) -> Iterator[None]:  # noqa: ANN401 - not typed
    """Take the tokenizer's normal form of Unicode away meanwhile.

    llguidance would bring to it what the grammar forces, and find that the grammar does not allow that: a name or a
    text of the schema that is not in this form could not be written.
    """
    backend = tokenizer.backend_tokenizer
    normaliser = backend.normalizer
    try:
        if type(normaliser).__name__ in _FORMS:
            backend.normalizer = None
        yield
    finally:
        backend.normalizer = normaliser


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A place from which a way to the end is known, or known to be none."""

    tokens: int
    """How many tokens had been written."""
    way: list[int] | None
    slack: int
    """Tokens of the budget that the way leaves over."""


class JsonWriter:
    """One answer in the making: what may come next, what must, and what there is."""

    def __init__(  # noqa: PLR0913, PLR0917 - what an answer is made of; JsonDecoding.writer is the way to it
        self,
        matcher: Any,  # noqa: ANN401 - llguidance's types are not read here
        scanner: JsonScanner,
        tokenizer: Any,  # noqa: ANN401 - as the matcher
        closing: Closing,
        ends: frozenset[int],
        budget: int,
        *,
        shorten: bool,
    ) -> None:
        """Begin; with `shorten` an answer that would not come to an end within the budget is brought to one."""
        self._matcher = matcher
        self._tokenizer = tokenizer
        self._closing = closing
        self._ends = ends
        self._budget = budget
        self._scanner = scanner
        self.tokens: list[int] = []
        """What has been written."""
        self.done = False
        """Whether the answer is whole."""
        self.shortened = False
        """Whether it was brought to an end because the budget was."""
        self._checkpoint = _Checkpoint(0, self._way() if shorten else None, budget)
        self._shorten = shorten
        if self._checkpoint.way is not None:
            self._checkpoint = _Checkpoint(0, self._checkpoint.way, budget - len(self._checkpoint.way))

    def forced(self) -> list[int]:
        """Write what can only come next, and return it: it needs no logits. May complete the answer."""
        return self._written(len(self.tokens))

    def choose(self, logits: NDArray[np.float32], sampler: Sampler) -> list[int]:
        """Write the next token and what must follow it, and return them; nothing if the answer is whole.

        `logits` is float32 (vocabulary,) and is written to. Raises AnswerFailed: ANSWER_TRUNCATED where the budget is
        used up, ANSWER_INVALID where the logits are not numbers.
        """
        before = len(self.tokens)
        # Most of what a model would write is allowed: to ask about one token is a hundred times cheaper than a mask.
        if not sampler.greedy or not self._take(sampler.likeliest(logits)):
            self._choose_allowed(logits, sampler)
        if self.done:
            return self.tokens[before:] if not self.shortened else []
        return self._written(before)

    def text(self) -> str:
        """Return the answer. Raises AnswerFailed, ANSWER_INVALID, if it is not UTF-8, which no grammar allows."""
        try:
            return bytes(self._tokenizer.decode_bytes(self.tokens)).decode()
        except UnicodeDecodeError as error:
            raise AnswerFailed(Reason.ANSWER_INVALID, f"the answer is not UTF-8: {error}", "ask again") from None

    def _written(self, before: int) -> list[int]:
        for token in self._matcher.compute_ff_tokens():
            if len(self.tokens) >= self._budget or not self._take(token):
                break
        self._settle()
        # What brings a shortened answer to its end is no longer told to the model.
        return self.tokens[before:] if not self.shortened else []

    def _take(self, token: int) -> bool:
        """Write a token if it may come next; say whether it may."""
        if token in self._ends:
            self.done = bool(self._matcher.is_accepting())
            return self.done
        if not self._matcher.validate_tokens([token]):
            return False
        after = self._scanner.push(self._closing.bytes_of(token))
        if after is None:
            return False
        if not self._matcher.consume_token(token):
            raise _unsupported(self._matcher.get_error())
        self._scanner = after
        self.tokens.append(token)
        return True

    def _choose_allowed(self, logits: NDArray[np.float32], sampler: Sampler) -> None:
        import numpy as np

        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        if self._matcher.is_error():
            raise _unsupported(self._matcher.get_error())
        np.copyto(logits, -np.inf, where=bits[: len(logits)] == 0)
        while logits.max() != -math.inf:
            token = sampler.choose(logits)
            if self._take(token):
                return
            logits[token] = -np.inf
        self._close("nothing can follow")

    def _settle(self) -> None:
        """See whether the answer is whole, and otherwise that it still can be within the budget."""
        if self.done:
            return
        if self._matcher.is_stopped():
            if self._matcher.is_error():
                raise _unsupported(self._matcher.get_error())
            self.done = True
            return
        left = self._budget - len(self.tokens)
        if not self._shorten:
            if left <= 0:
                self._close("")
            return
        # The less is left over, the nearer the next look; so a way that still fits is always known.
        if left > 0 and len(self.tokens) - self._checkpoint.tokens < max(1, self._checkpoint.slack // 4):
            return
        way = self._way()
        if way is not None:
            self._checkpoint = _Checkpoint(len(self.tokens), way, left - len(way))
        elif self._checkpoint.way is None and left > 0:
            self._checkpoint = _Checkpoint(len(self.tokens), None, left)
        if left <= 0 or (way is None and self._checkpoint.way is not None):
            self._close("")

    def _way(self) -> list[int] | None:
        return self._closing.way(self._matcher, self._scanner, self._budget - len(self.tokens))

    def _close(self, why: str) -> None:
        """Go the way that is known; raise ANSWER_TRUNCATED where none is."""
        if self._checkpoint.way is None:
            written = bytes(self._tokenizer.decode_bytes(self.tokens)).decode(errors="ignore")
            raise AnswerFailed(
                Reason.ANSWER_TRUNCATED,
                f"the answer was cut after {len(self.tokens)} of {self._budget} tokens{why and ': '}{why}; "
                f"it ends with {scrub(written[-60:])!r}",
                "allow more tokens (max_new_tokens), or bound the strings and arrays of the schema",
            )
        self.tokens = [*self.tokens[: self._checkpoint.tokens], *self._checkpoint.way]
        self.done = self.shortened = True


def _unsupported(error: str) -> AnswerFailed:
    said = scrub(" ".join(error.split()).partition("; try avoiding")[0])[:_TOLD]
    return AnswerFailed(
        Reason.SCHEMA_UNSUPPORTED,
        f"no grammar can be made of the schema: {said}",
        "leave this keyword out of the schema that the model gets, and check what it says yourself",
    )
