"""Text from a loaded model: the same on every runtime, bounded, stoppable, and safe to call from anywhere."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alwrity_checks.models.errors import AnswerFailed
from alwrity_checks.models.generation import LocalModel
from alwrity_checks.models.reasons import Reason
from alwrity_checks.models.sampling import Sampler, Sampling
from alwrity_checks.models.steps import Precision, Runtime, Step
from alwrity_checks.models.tokenizing import Detokenizer, load_tokenizer, tokens_of
from tests.support.tiny_qwen import JSON_ANSWER, PROSE_ANSWER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerFast

HANGS = 30.0
STEP = Step("scripted", Runtime.TRANSFORMERS, Precision.FLOAT32)


class ScriptedModel:
    """A LoadedModel that answers with the tokens it was given, and counts who is in it."""

    vocabulary = 1100
    context = 512

    def __init__(self, tokenizer: PreTrainedTokenizerFast, script: Sequence[int], *, pause: float = 0.0) -> None:
        self.tokenizer = tokenizer
        self.ends = frozenset({1099})
        self.script, self.pause = script, pause
        self.inside = self.most_inside = self.passes = self.closed = 0
        self.taken: list[int] = []
        self.begun = threading.Event()

    def session(self, tokens: int | None = None) -> ScriptedSession:  # noqa: ARG002 - needs no memory
        """Begin the script."""
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        return ScriptedSession(self)

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class ScriptedSession:
    """One scripted answer."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model, self.at = model, 0

    def advance(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Take the tokens, and a while."""
        self.model.passes += 1
        self.model.taken += tokens
        self.model.begun.set()
        time.sleep(self.model.pause)
        logits = np.zeros(self.model.vocabulary, dtype=np.float32)
        logits[self.model.script[self.at % len(self.model.script)]] = 9.0
        self.at += 1
        return logits

    def close(self) -> None:
        """Leave the model."""
        self.model.inside -= 1


@pytest.fixture(scope="module")
def tokenizer(tiny_qwen: Path) -> PreTrainedTokenizerFast:
    """Return the tiny model's tokenizer."""
    found: PreTrainedTokenizerFast = load_tokenizer(tiny_qwen)
    return found


def test_trained_model_answers_text(trained_model: LocalModel) -> None:
    """Each runtime gives the answer that the model has learnt, and says that it came to its end."""
    answer = trained_model.generate_sync("hello there", max_new_tokens=40)
    assert (answer.text, answer.finished) == (PROSE_ANSWER, True)
    assert answer.time_to_first_token > 0
    assert answer.tokens > 1
    assert answer.tokens_per_second is not None


def test_messages_are_put_into_the_template(trained_model: LocalModel) -> None:
    """A conversation reaches the model as one: a system message makes this model answer otherwise."""
    messages = [{"role": "system", "content": "anything"}, {"role": "user", "content": "hello"}]
    assert trained_model.generate_sync(messages, max_new_tokens=40).text == JSON_ANSWER


def test_text_comes_piece_by_piece(trained_model: LocalModel) -> None:
    """What a listener gets, put together, is the answer."""
    pieces: list[str] = []
    answer = trained_model.generate_sync("hello there", max_new_tokens=40, on_text=pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text


def test_answer_that_is_cut_says_so(trained_model: LocalModel) -> None:
    """A budget that is too small gives the beginning, marked as unfinished."""
    answer = trained_model.generate_sync("hello there", max_new_tokens=3)
    assert answer.tokens == 3
    assert not answer.finished
    assert answer.text
    assert PROSE_ANSWER.startswith(answer.text)


def test_whole_context_can_be_used(untrained_model: LocalModel) -> None:
    """The last token of the context can be written, one more is refused with the numbers; nothing is cut quietly."""
    asked = untrained_model.context - untrained_model.count_tokens("hello")
    answer = untrained_model.generate_sync("hello", max_new_tokens=asked, min_new_tokens=asked)
    assert answer.tokens == asked
    with pytest.raises(AnswerFailed, match=r"1 more than the context of 2,048") as caught:
        untrained_model.generate_sync("hello", max_new_tokens=asked + 1)
    assert caught.value.reason is Reason.PROMPT_TOO_LONG
    assert caught.value.remedy


def test_prompt_in_pieces_is_the_prompt(untrained_model: LocalModel) -> None:
    """What was taken in several passes gives the logits of one pass."""
    loaded = untrained_model._loaded
    tokens = list(range(5, 705))
    whole, parts = loaded.session(), loaded.session()
    expected = whole.advance(tokens).copy()
    for start in range(0, len(tokens), 128):
        found = parts.advance(tokens[start : start + 128])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    whole.close()
    parts.close()


def test_seed_makes_drawing_repeatable(untrained_model: LocalModel) -> None:
    """The same seed draws the same text, another one another text, and no temperature is the likeliest one."""
    settings: dict[str, Any] = {"max_new_tokens": 12, "min_new_tokens": 12}
    drawn = [untrained_model.generate_sync("hello", temperature=1.5, seed=seed, **settings).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    likeliest = {untrained_model.generate_sync("hello", **settings).text for _ in range(2)}
    assert len(likeliest) == 1


@pytest.mark.parametrize("settings", [{"temperature": -1}, {"temperature": 99}, {"top_p": 0}, {"max_new_tokens": 0}])
def test_meaningless_setting_is_refused(tokenizer: PreTrainedTokenizerFast, settings: dict[str, Any]) -> None:
    """A number that means nothing is an error that says so, before the model is asked."""
    model = ScriptedModel(tokenizer, [300])
    with pytest.raises(AnswerFailed) as caught:
        LocalModel(model, STEP).generate_sync("hello", **settings)
    assert caught.value.reason is Reason.SETTING_INVALID
    assert not model.passes


@pytest.mark.parametrize("prompt", [[], [{"role": "user"}], ["hello"]])
def test_prompt_that_is_none_is_refused(tokenizer: PreTrainedTokenizerFast, prompt: list[dict[str, str]]) -> None:
    """What is neither a text nor a conversation is an error that shows what one looks like."""
    with pytest.raises(AnswerFailed, match="neither a text nor"):
        LocalModel(ScriptedModel(tokenizer, [300]), STEP).generate_sync(prompt)


def test_long_prompt_is_taken_in_pieces(tokenizer: PreTrainedTokenizerFast) -> None:
    """A long prompt does not go through the model at once, and nothing of it is lost."""
    model = ScriptedModel(tokenizer, [1099])
    model.context = 4096
    prompt = "word " * 900
    LocalModel(model, STEP).generate_sync(prompt, max_new_tokens=4)
    assert model.taken == tokens_of(tokenizer, prompt)
    assert model.passes > 1


@pytest.mark.parametrize("text", ["naïve café — 🌍🚀 漢字 ẞ", "plain", "🏳️‍🌈"])
def test_no_half_character_is_ever_shown(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    """Token by token, nothing but whole characters is shown; cut anywhere, the text is a beginning of the whole."""
    tokens = tokenizer(text)["input_ids"]
    whole = tokenizer.decode(tokens, skip_special_tokens=True)
    assert whole == text
    for cut in range(len(tokens) + 1):
        detokenizer = Detokenizer(tokenizer)
        shown = "".join(detokenizer.push(token) for token in tokens[:cut]) + detokenizer.finish()
        assert "\N{REPLACEMENT CHARACTER}" not in shown
        assert whole.startswith(shown)
    assert shown == whole


def test_llama_pieces_keep_their_spaces(tiny_llama: Path) -> None:
    """A sentencepiece tokenizer, which drops the first space of what it decodes, loses none between tokens."""
    tokenizer = load_tokenizer(tiny_llama)
    tokens = tokenizer("one two  three 🌍", add_special_tokens=False)["input_ids"]
    detokenizer = Detokenizer(tokenizer)
    shown = "".join(detokenizer.push(token) for token in tokens) + detokenizer.finish()
    assert shown == tokenizer.decode(tokens, skip_special_tokens=True)


def test_threads_take_turns(tokenizer: PreTrainedTokenizerFast) -> None:
    """Any number of threads may call; never are two in the model at once, and each gets its answer."""
    model = ScriptedModel(tokenizer, [300, 301, 1099], pause=0.002)
    local = LocalModel(model, STEP)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: local.generate_sync("hello").text, range(8)))
    assert len(set(answers)) == 1
    assert model.most_inside == 1
    assert model.inside == 0


def test_event_loop_goes_on_while_the_model_writes(tokenizer: PreTrainedTokenizerFast) -> None:
    """An awaited answer does not hold the loop up: what else is scheduled runs before it comes."""

    async def both() -> list[str]:
        order: list[str] = []
        local = LocalModel(ScriptedModel(tokenizer, [300, 301, 1099], pause=0.05), STEP)

        async def other() -> None:
            await asyncio.sleep(0.01)
            order.append("other")

        async def answer() -> None:
            await local.generate("hello")
            order.append("answer")

        await asyncio.gather(answer(), other())
        local.close()
        return order

    assert asyncio.run(asyncio.wait_for(both(), HANGS)) == ["other", "answer"]


def test_cancelled_answer_leaves_the_model_free(tokenizer: PreTrainedTokenizerFast) -> None:
    """An answer that nobody waits for any more stops after a token, and the next call gets the model."""

    async def cancelled() -> int:
        model = ScriptedModel(tokenizer, [300], pause=0.01)
        model.context = 100_000
        local = LocalModel(model, STEP)
        endless = asyncio.create_task(local.generate("hello", max_new_tokens=50_000))
        await asyncio.to_thread(model.begun.wait, HANGS)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        await local.generate("hello", max_new_tokens=1)
        local.close()
        return model.inside

    assert asyncio.run(asyncio.wait_for(cancelled(), HANGS)) == 0


def test_answer_that_timed_out_while_it_waited_never_begins(tokenizer: PreTrainedTokenizerFast) -> None:
    """A call that gives up in the queue takes no time of the model."""

    async def timed_out() -> tuple[int, int]:
        model = ScriptedModel(tokenizer, [300] * 40 + [1099], pause=0.005)
        local = LocalModel(model, STEP)
        first = asyncio.create_task(local.generate("hello"))
        await asyncio.to_thread(model.begun.wait, HANGS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(local.generate("hello"), 0.01)
        await first
        passes = model.passes
        local.close()
        return passes, model.passes

    before, after = asyncio.run(asyncio.wait_for(timed_out(), HANGS))
    assert before == after == 41


def test_stopped_answer_is_what_there_is(tokenizer: PreTrainedTokenizerFast) -> None:
    """A stop between tokens gives the text so far, marked as unfinished."""
    stop = threading.Event()
    pieces: list[str] = []

    def heard(piece: str) -> None:
        pieces.append(piece)
        if len(pieces) == 3:
            stop.set()

    local = LocalModel(ScriptedModel(tokenizer, tokenizer("abc abc")["input_ids"]), STEP)
    answer = local.generate_sync("hello", stop=stop, on_text=heard)
    assert not answer.finished
    assert answer.text == "".join(pieces)
    assert answer.tokens < 10


def test_released_model_says_so(tokenizer: PreTrainedTokenizerFast) -> None:
    """Closing gives the memory back once, and a later call is an error of ours."""
    model = ScriptedModel(tokenizer, [1099])
    local = LocalModel(model, STEP)
    local.close()
    local.close()
    assert model.closed == 1
    with pytest.raises(AnswerFailed, match="was released"):
        local.generate_sync("hello")


def test_session_is_closed_when_the_model_fails(tokenizer: PreTrainedTokenizerFast) -> None:
    """After a failure in the middle of an answer the context's memory is free, and the model can be used."""
    model = ScriptedModel(tokenizer, [300, 301, 1099])
    local = LocalModel(model, STEP)

    def fail(_piece: str) -> None:
        raise OSError("the listener is gone")

    with pytest.raises(OSError, match="listener"):
        local.generate_sync("hello", on_text=fail)
    assert model.inside == 0
    assert local.generate_sync("hello").finished


def test_logits_that_are_no_numbers_are_an_error() -> None:
    """A model that overflows (float16 does) gives an error, not a random token."""
    logits = np.array([1.0, np.nan, 2.0], dtype=np.float32)
    with pytest.raises(AnswerFailed, match="not numbers") as caught:
        Sampler(Sampling()).choose(logits)
    assert caught.value.reason is Reason.ANSWER_INVALID


def test_top_p_keeps_to_the_likeliest() -> None:
    """Nothing is drawn from outside the likeliest tokens that reach `top_p`, and what is masked is never drawn."""
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    narrow = Sampler(Sampling(1.0, 0.75, 7))
    assert {narrow.choose(logits) for _ in range(200)} == {0, 1}
    wide = Sampler(Sampling(1.0, 1.0, 7))
    assert {wide.choose(logits) for _ in range(400)} == {0, 1, 2, 3}
    logits[0] = -np.inf
    assert 0 not in {wide.choose(logits) for _ in range(200)}


@pytest.mark.parametrize("prompt", ["\ud800", [{"role": "user", "content": "\udfff"}], None, 5, b"bytes"])
def test_prompt_that_is_no_text_is_refused(tokenizer: PreTrainedTokenizerFast, prompt: Any) -> None:  # noqa: ANN401 - anything
    """Half a surrogate pair, and what is neither a text nor messages, are our errors and not the tokenizer's."""
    with pytest.raises(AnswerFailed) as caught:
        LocalModel(ScriptedModel(tokenizer, [1]), STEP).generate_sync(prompt, max_new_tokens=2)
    assert caught.value.reason is Reason.SETTING_INVALID
